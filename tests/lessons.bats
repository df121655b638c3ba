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
