# The model of the task ring's protocol (task_ring.pml): spin(1) looks at every state that
# it can come into, and finds no fault.

load ../helper

setup() {
    [[ -z ${SANITIZED:-} ]] || skip 'a sanitizer changes nothing in a model'
    cp "$ROOT/tests/executor/task_ring.pml" "$BATS_TEST_TMPDIR"
    cd "$BATS_TEST_TMPDIR" || fail "there is no folder $BATS_TEST_TMPDIR"
}

# search TASKS=N [NAME=VALUE...]: has spin search the model with these bounds (the others
# are 0), without reductions: `unless` and a reduction of the order of steps do not go
# together. What spin says is in $output.
search() {
    local bound
    local -a bounds=(CANCELS=0 KILLS=0 START_FAILURES=0 EXPIRIES=0 SERVER_DEATHS=0)
    for bound in "$@"; do
        bounds=("${bounds[@]/#${bound%=*}=*/$bound}")
        [[ " ${bounds[*]} " == *" $bound "* ]] || bounds+=("$bound")
    done
    run spin "${bounds[@]/#/-D}" -a task_ring.pml
    assert_success
    gcc "$optimization" -DSAFETY -DNOREDUCE -DMEMLIM=4000 -o search pan.c ||
        fail 'what spin has made does not build'
    run ./search -n -m100000 -w22
}

# holds NAME=VALUE...: spin finds no fault, and leaves nothing out. Says how many states.
holds() {
    optimization=-O2
    search "$@"
    assert_success
    assert_output --partial 'errors: 0'
    refute_output --partial 'error: '
    refute_output --partial 'Search not completed'
    echo "# $(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' <<<"$output") states: $*" >&3
}

@test "three tasks end, also if a worker is killed at any step" {
    holds TASKS=3 KILLS=1
}

@test "a task may be cancelled, and a worker be killed that cannot be started again" {
    holds TASKS=2 CANCELS=1 KILLS=1 START_FAILURES=1
}

@test "a task may come to its time limit at any step" {
    holds TASKS=2 EXPIRIES=1
}

@test "the fork server may die at any step, and its workers live a little longer" {
    holds TASKS=2 SERVER_DEATHS=1
}
