# What the lessons are to one another.

load helper

@test "lessons 6 and 7 differ in one line" {
    run diff "$ROOT/lessons/06-executor-threads/main.c" \
        "$ROOT/lessons/07-executor-processes/main.c"
    assert_equal "$(grep '^[<>]' <<<"$output")" '< #define PoolExecutor thread_pool_executor
> #define PoolExecutor process_pool_executor'
}

@test "lessons 8 and 10 differ in one line" {
    run diff "$ROOT/lessons/08-as-completed/main.c" "$ROOT/lessons/10-executor-events/main.c"
    assert_equal "$(grep '^[<>]' <<<"$output")" '< #define PoolExecutor process_pool_executor
> #define PoolExecutor event_loop_executor'
}

@test "lessons 8 and 11 differ in one line" {
    run diff "$ROOT/lessons/08-as-completed/main.c" "$ROOT/lessons/11-executor-cluster/main.c"
    assert_equal "$(grep '^[<>]' <<<"$output")" '< #define PoolExecutor process_pool_executor
> #define PoolExecutor(workers) cluster_executor(workers, fetch)'
}

@test "a task of the event loop that uses up its stack with one large frame is told so" {
    mkdir "$BATS_TEST_TMPDIR/source"
    sed 's/^    report_begin(url);/    char copy[64 * 1024] = "";\n    report_begin(strcpy(copy, url));/' \
        "$ROOT/lessons/10-executor-events/main.c" >"$BATS_TEST_TMPDIR/source/main.c"
    FROM=$BATS_TEST_TMPDIR/source TO=$BATS_TEST_TMPDIR/program make -C "$ROOT" --silent program \
        BUILD="${BUILD#"$ROOT/"}"
    ulimit -c 0
    run "$BATS_TEST_TMPDIR/program" ftp://x/
    assert_equal "$status" 139
    assert_line 'error: worker loop-1 has used up its stack of 48 KB'
}
