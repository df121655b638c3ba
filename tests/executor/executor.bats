# The executor (shared/executor.h): each case of a group, on each kind of pool.

load ../helper

# cases_hold GROUP: on each kind of pool; with WITHOUT_CLUSTER, on all but clusters. Without
# memory, malloc is to return NULL with a sanitizer too. What a sanitizer finds in a worker's
# process shows in the output only.
cases_hold() {
    local -a kinds=('*')
    [[ -z ${WITHOUT_CLUSTER:-} ]] || kinds=('thread pool' 'process pool' 'event loop')
    run env ASAN_OPTIONS=allocator_may_return_null=1 TSAN_OPTIONS=allocator_may_return_null=1:die_after_fork=0 \
        timeout "$((LIMIT * 10))" "$BUILD/tests/executor_test" "${kinds[@]/%/: $1: *}"
    assert_success
    assert_output --regexp 'PASSED  \] [1-9][0-9]* test'
    refute_output --partial Sanitizer
}

@test "a pool runs tasks, each with its argument, and loses none" {
    cases_hold submit
}

@test "a future tells its state and its result, and calls back" {
    cases_hold future
}

@test "many futures can be waited for: the first, the first that fails, all" {
    cases_hold wait
}

@test "futures come one by one, as they are done" {
    cases_hold as_completed
}

@test "a stream of arguments becomes a stream of results, in order and within a window" {
    cases_hold map
}

@test "a pool that is shut down has done what was submitted, and takes no more" {
    cases_hold shutdown
}

@test "tasks and callbacks may use their own pool, and nothing comes to a standstill" {
    cases_hold deadlock
}

@test "each worker runs the initializer first, and one that fails breaks the pool" {
    cases_hold initializer
}

@test "the queue, a worker's tasks and a task's time have bounds if told so" {
    cases_hold limits
}

@test "a worker that dies costs one result" {
    cases_hold crash
}

@test "every future ends, whatever is cancelled, killed, or runs out" {
    cases_hold settle
}

@test "a callback may do much, and waits for no task of its own pool" {
    cases_hold callbacks
}

@test "a thread may end or be cancelled where it is, and a task may wait for its own pool" {
    cases_hold ends
}

@test "a process may fork, exit or end wherever it is" {
    cases_hold fork
}

@test "a process may be stopped, and time limits hold all the same" {
    cases_hold stop
}

@test "in an event loop, only what waits is held up" {
    cases_hold loop
}

@test "every future ends in a storm" {
    run env ASAN_OPTIONS=allocator_may_return_null=1 \
        timeout "$((LIMIT * 10))" "$BUILD/tests/storm" "${STORM_SECONDS:-10}" 1
    assert_success
    assert_line --regexp '^storm: seed 1: [1-9][0-9]* tasks in [1-9]'
    refute_output --partial Sanitizer
}

@test "threads that wait look again whatever they are woken for" {
    [[ -z ${SANITIZED:-} ]] || skip 'a sanitizer has a pthread_cond_wait of its own'
    local group
    cp "$BUILD/wakes.so" "$BATS_TEST_TMPDIR" # what is preloaded must not have a space
    for group in wait as_completed limits; do
        run env LD_PRELOAD="$BATS_TEST_TMPDIR/wakes.so" timeout "$((LIMIT * 10))" \
            "$BUILD/tests/executor_test" "thread pool: $group: *"
        assert_success
        assert_output --regexp 'PASSED  \] [1-9][0-9]* test'
    done
}

@test "a system call that a signal interrupts is made again" {
    [[ -z ${SANITIZED:-} ]] || skip 'LeakSanitizer and strace cannot both trace a program'
    run strace --follow-forks -qq --output="$BATS_TEST_TMPDIR/trace" \
        --inject=recvfrom,recvmmsg,sendto,poll:error=EINTR:when=2+3 \
        "$BUILD/tests/executor_test" 'process pool: submit: says_who*'
    assert_success
    [[ $(grep -c INJECTED "$BATS_TEST_TMPDIR/trace") -ge 5 ]] || fail 'nothing was interrupted'
}
