# The model of the task ring's protocol (task_ring.pml): spin(1) looks at every state that
# it can come into, and finds no fault; in each wrong model it finds one.

load ../helper

setup() {
    [[ -z ${SANITIZED:-} ]] || skip 'a sanitizer changes nothing in a model'
    cp "$ROOT/tests/executor/task_ring.pml" "$BATS_TEST_TMPDIR"
    cd "$BATS_TEST_TMPDIR" || fail "there is no folder $BATS_TEST_TMPDIR"
}

# search TASKS=N [NAME=VALUE...]: has spin search the model with these bounds; ROOM is 2
# otherwise, and the others are 0. It leaves out no order of steps (-DNOREDUCE), to be sure
# with `unless`. What it says is in $output. For a long search gcc's optimizer ($optimize)
# saves more time than it takes.
search() {
    local bound
    local -a bounds=(ROOM=2 CANCELS=0 KILLS=0 START_FAILURES=0 EXPIRIES=0 SERVER_DEATHS=0)
    for bound in "$@"; do
        bounds=("${bounds[@]/#${bound%=*}=*/$bound}")
        [[ " ${bounds[*]} " == *" $bound "* ]] || bounds+=("$bound")
    done
    run spin "${bounds[@]/#/-D}" -a task_ring.pml
    assert_success
    gcc ${optimize:+"$optimize"} -DSAFETY -DNOREDUCE -DMEMLIM=4000 -o search pan.c ||
        fail 'what spin has made does not build'
    run ./search -n -m100000 -w22
}

# holds NAME=VALUE...: spin finds no fault, and leaves nothing out. Says how many states.
holds() {
    optimize=-O2 search "$@"
    assert_success
    assert_output --partial 'errors: 0'
    refute_output --partial 'error: '
    refute_output --partial 'Search not completed'
    echo "# $(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' <<<"$output") states: $*" >&3
}

# is_found FAULT MISTAKE NAME=VALUE...: spin finds the fault in the wrong model.
is_found() {
    search "MISTAKE=$2" "${@:3}"
    assert_output --regexp "pan:1: $1.*errors: 1"
}

@test "three tasks end, also if a worker is killed at any step" {
    holds TASKS=3 KILLS=1
}

@test "a task may be cancelled, and a worker be killed that cannot be started again" {
    holds TASKS=2 ROOM=1 CANCELS=1 KILLS=1 START_FAILURES=1
}

@test "a task may come to its time limit at any step" {
    holds TASKS=2 EXPIRIES=1
}

@test "the fork server may die at any step, and its workers live a little longer" {
    holds TASKS=2 ROOM=1 SERVER_DEATHS=1
}

@test "spin finds each mistake in publishing, claiming, sleeping and waking" {
    is_found 'assertion violated' publish_in_a_busy_slot TASKS=3
    is_found 'invalid end state' publish_after_waking TASKS=2
    is_found 'assertion violated' claim_without_compare TASKS=3
    is_found 'assertion violated' first_moves_without_compare TASKS=2
    is_found 'invalid end state' sleep_without_second_look TASKS=2
    is_found 'invalid end state' sleep_counts_after_the_look TASKS=2
    is_found 'invalid end state' sleep_without_compare TASKS=2
    is_found 'invalid end state' end_wakes_nobody TASKS=2 SERVER_DEATHS=1
}

@test "spin finds each mistake in dispatching, cancelling and expiring" {
    is_found 'invalid end state' manager_does_not_dispatch TASKS=3
    is_found 'invalid end state' close_does_not_wake_the_manager TASKS=2 CANCELS=1
    is_found 'invalid end state' end_asks_the_ring_first TASKS=2
    is_found 'invalid end state' cancel_does_not_dispatch TASKS=2 ROOM=1 CANCELS=1
    is_found 'assertion violated' withdraw_without_compare TASKS=2 CANCELS=1
    is_found 'assertion violated' expire_without_compare TASKS=2 EXPIRIES=1
    is_found 'assertion violated' complete_without_compare TASKS=2 EXPIRIES=1
}

@test "spin finds each mistake in reaping" {
    is_found 'invalid end state' reap_settles_one_slot TASKS=2 KILLS=1
    is_found 'assertion violated' reap_settles_before_it_reads TASKS=2 KILLS=1
    is_found 'invalid end state' reap_wakes_nobody TASKS=2 KILLS=1 START_FAILURES=1
    is_found 'invalid end state' fork_server_died_reaps_first TASKS=2 SERVER_DEATHS=1
}

@test "each mistake that the model knows is tried" {
    sed -n 's/^#define WRONG.*//; s/.*WRONG(\([a-z_]*\)).*/\1/p' task_ring.pml |
        sort -u >known
    sed -n "s/^    is_found '[^']*' \([a-z_]*\) .*/\1/p" "$BATS_TEST_FILENAME" |
        sort >tried
    run diff known tried
    assert_success
}
