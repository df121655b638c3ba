# What the lessons are to one another.

load helper

@test "lessons 5 and 6 differ in one line" {
    run diff "$ROOT/lessons/05-executor-threads/main.c" \
        "$ROOT/lessons/06-executor-processes/main.c"
    assert_equal "$(grep '^[<>]' <<<"$output")" '< #define PoolExecutor thread_pool_executor
> #define PoolExecutor process_pool_executor'
}
