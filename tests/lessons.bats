# What the lessons are to one another.

load helper

@test "lessons 6 and 7 differ in one line" {
    run diff "$ROOT/lessons/06-executor-threads/main.c" \
        "$ROOT/lessons/07-executor-processes/main.c"
    assert_equal "$(grep '^[<>]' <<<"$output")" '< #define PoolExecutor thread_pool_executor
> #define PoolExecutor process_pool_executor'
}
