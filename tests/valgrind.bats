# No lesson leaks memory or descriptors, or reads what it should not.

load helper

setup_file() {
    start_site
}

teardown_file() {
    stop_site
}

# valgrind COMMAND [ARGUMENT...]: runs it so, with what Valgrind says in $log; sets `status`,
# `output`, and `process`, which has said most of it.
valgrind() {
    log=$BATS_TEST_TMPDIR/valgrind
    run bash -c 'echo $$ >"$1" && shift && exec valgrind "$@"' - "$log.pid" \
        --quiet --leak-check=full --track-fds=yes --fair-sched=yes \
        --suppressions="$ROOT/tests/valgrind.supp" \
        --errors-for-leak-kinds=definite,indirect,possible --log-file="$log" "$@"
    process=$(<"$log.pid")
}

# What Valgrind calls an error.
errors='Invalid |Mismatched |overlap|uninitiali'

# is_clean [LOG]: the log tells of no error, and of no descriptor that is open at the end; those
# that come from the tests are theirs.
is_clean() {
    local log=${1:-$log}
    if grep -qE ' bytes in |'"$errors" "$log" || grep -A 1 '== Open ' "$log" |
        grep -vqE '== Open |<inherited from parent>|^--'; then
        fail "$(<"$log")"
    fi
}

# The executor's workers end in the middle of what they have from their parent: of theirs, only
# errors count.
has_clean_workers() {
    grep "^==$process==" "$log" >"$log.parent" || true
    is_clean "$log.parent"
    if grep -qE "$errors" "$log"; then
        fail "$(<"$log")"
    fi
}

@test "no lesson leaks, whatever becomes of its pages" {
    local path lesson verdict
    for path in "$ROOT"/lessons/*/; do
        lesson=$(basename "$path")
        verdict=has_clean_workers
        [[ $lesson != 0[1-5]* ]] || verdict=is_clean
        # Fewer workers than pages, so that one is used again.
        valgrind "$BUILD/$lesson" --workers 3 "$SITE/page/1" "$SITE/status/404" \
            "$SITE/google" ftp://x/ "$SITE/reset" "$SITE/page/2" "$SITE/gzip/3" \
            "$SITE/png" "$SITE/redirect/3" "$(say '<h1>%E9</h1>')" "$SITE/title/100000"
        assert_equal "$status" 1
        $verdict
    done
}

@test "the library's own tests leak nothing" {
    valgrind "$BUILD/tests/charset_test"
    assert_equal "$status" 0
    is_clean
    # The children that they fork hold what they inherited, as http.h says.
    local test
    for test in fiber_test http_test; do
        VALGRIND_OPTS=--child-silent-after-fork=yes valgrind "$BUILD/tests/$test"
        assert_equal "$status" 0
        is_clean
    done
}

# What gcc's sanitizers cannot say: whether something uninitialised is read or sent. So of
# processes it runs what sends a message of its own kind: tasks and results, cancelling,
# initializers, deaths and what follows, killing. Waiting, callbacks and maps do not know of
# which kind the pool is.
@test "the executor leaks nothing, nor do its workers read what they should not" {
    valgrind "$BUILD/tests/executor_test" \
        'thread pool: '{submit,future,wait,as_completed,map,shutdown,deadlock}': *' \
        '*: initializer: *' 'process pool: future: *' 'event loop: '{loop,deadlock}': *' \
        'process pool: submit: '{'*argument*','*text*'} \
        'process pool: crash: '{'a_task_*','*_is_killed_costs_*','*_in_the_middle_*'} \
        'process pool: crash: '{a_worker_of_a_worker,a_worker_that_cannot_be_replaced}'*' \
        'process pool: shutdown: *ing_the_workers_ends_what_runs'
    assert_success
    has_clean_workers
}
