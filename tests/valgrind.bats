# No lesson leaks memory or descriptors, or reads what it should not.

load helper

setup_file() {
    start_site
}

teardown_file() {
    stop_site
}

# is_clean COMMAND [ARGUMENT...]: Valgrind finds nothing. Its finding is status 99.
is_clean() {
    local log=$BATS_TEST_TMPDIR/valgrind
    run valgrind --quiet --error-exitcode=99 --leak-check=full --track-fds=yes \
        --suppressions="$ROOT/tests/valgrind.supp" \
        --errors-for-leak-kinds=definite,indirect,possible \
        --log-file="$log" "$@"
    # Descriptors that it got from the tests are theirs.
    if [[ $status == 99 ]] || grep -A 1 '== Open ' "$log" |
        grep -vqE '== Open |<inherited from parent>|^--'; then
        fail "$*: $(<"$log")"
    fi
}

@test "no lesson leaks, whatever becomes of its pages" {
    local lesson
    for lesson in "$ROOT"/lessons/*/; do
        is_clean "$BUILD/$(basename "$lesson")" "$SITE/page/1" "$SITE/status/404" \
            "$SITE/google" ftp://x/ "$SITE/reset" "$SITE/page/2" "$SITE/gzip/3" \
            "$SITE/png" "$SITE/redirect/3" "$(say '<h1>%E9</h1>')" "$SITE/title/100000"
        assert_equal "$status" 1
        is_clean "$BUILD/$(basename "$lesson")" --file /dev/null
        assert_equal "$status" 0
    done
}

@test "the library's own tests leak nothing" {
    is_clean "$BUILD/tests/charset_test"
    assert_equal "$status" 0
    # The child that it forks holds what it inherited, as http.h says.
    VALGRIND_OPTS=--child-silent-after-fork=yes is_clean "$BUILD/tests/http_test"
    assert_equal "$status" 0
}

# Workers do not end as a program should, with all that they have from their parent freed: of
# what Valgrind says about them, only errors count.
@test "the executor leaks nothing, nor do its workers read what they should not" {
    local group log=$BATS_TEST_TMPDIR/valgrind
    for group in submit future wait as_completed map shutdown deadlock initializer crash; do
        run bash -c 'echo $$ >"$1" && shift && exec "$@"' - "$log.pid" \
            valgrind --quiet --fair-sched=yes --leak-check=full \
            --log-file="$log" "$BUILD/tests/executor_test" "*: $group: *"
        assert_success
        run grep -E "^==$(<"$log.pid")==.* bytes in |Invalid |uninit" \
            "$log"
        assert_output ''
    done
}
