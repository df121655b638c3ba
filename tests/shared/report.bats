# What people and programs get to see (shared/report.h).

load ../helper

setup_file() {
    use_program 01-sequential
    start_site
}

teardown_file() {
    stop_site
}

teardown() {
    stop_program
}

# on_terminal COMMAND: runs it with standard error and output on a terminal.
on_terminal() {
    run script --quiet --return --command "$1" "$BATS_TEST_TMPDIR/typescript"
}

@test "lines of 200 threads are whole, on one pipe" {
    local urls=()
    for ((i = 0; i < 200; i++)); do
        urls+=("$SITE/page/$i?$(printf 'x%.0s' {1..900})")
    done
    run "$BUILD/02-threads" "${urls[@]}"
    assert_status 0
    assert_equal "$(grep -cE '^Getting title from [0-9.:]+/page/[0-9]+\?x{900}, PID: [0-9]+, worker: thread-[0-9]+$' <<<"$output")" 200
    assert_equal "$(grep -cE '^http://[0-9.:]+/page/[0-9]+\?x{900}'$'\t''Page [0-9]+$' <<<"$output")" 200
    assert_equal "$(wc -l <<<"$output")" 401
}

@test "a title is told at once, also through a pipe" {
    mkfifo "$BATS_TEST_TMPDIR/pipe"
    "$PROGRAM" -q "$SITE/page/1" "$SITE/hold" >"$BATS_TEST_TMPDIR/pipe" 3>&- &
    exec 4<"$BATS_TEST_TMPDIR/pipe"
    read -r -t 20 -u 4 line
    assert_equal "$line" "$SITE/page/1	Page 1"
    wait_for in_flight=1
    ask /release
    wait $!
    exec 4<&-
}

@test "a URL cannot move the reader's cursor" {
    fetch $'http://127.0.0.1:1/\e[2J\u202E'
    assert_status 1
    refute_regex "$stderr" $'\e'
    refute_regex "$stderr" $'\u202E'
    assert_regex "$stderr" 'error: http://127.0.0.1:1/\[2J: malformed URL'
}

@test "a URL is told as it was given, but for a terminal made safe" {
    local url="$SITE/page/1?"$'\u009B2J\u202E'
    fetch "$url"
    assert_equal "$output" "$url	Page 1"
    on_terminal "'$PROGRAM' -q '$url'"
    assert_regex "$output" "^$SITE/page/1\\?2J	Page 1"
}

@test "a standard output that is full is an error" {
    run --separate-stderr bash -c '"$1" -q "$2" "$2" >/dev/full' - "$PROGRAM" "$SITE/page/1"
    assert_equal "$stderr" \
        'error: cannot write to standard output: No space left on device'
    assert_status 1
}

@test "a standard output that is closed is an error, not a socket" {
    run --separate-stderr bash -c '"$1" -q "$2" >&-' - "$PROGRAM" "$SITE/page/1"
    assert_equal "$stderr" 'error: cannot write to standard output: Bad file descriptor'
    assert_status 1
}

@test "a reader who leaves ends the program without a word" {
    reset_site
    mkfifo "$BATS_TEST_TMPDIR/out"
    begin -q "$SITE/page/0" "$SITE/hold"
    read -r line <"$out"
    assert_equal "$line" "$SITE/page/0	Page 0"
    rm "$out"
    echo >"$out" # for end(), which reads it
    wait_for in_flight=1
    ask /release
    end
    assert_equal "$stderr" ''
    assert_status 141
}

@test "on a terminal many pages have a bar, and few have lines" {
    seq -f "$SITE/page/%.0f" 30 >"$BATS_TEST_TMPDIR/urls"
    on_terminal "'$PROGRAM' -f '$BATS_TEST_TMPDIR/urls' >/dev/null"
    assert_status 0
    refute_regex "$output" Getting
    assert_regex "$output" '\[#[#.]{39}\] [0-9]+ of 30, 0 failed'
    assert_regex "$output" '30 of 30 pages fetched in '
    on_terminal "'$PROGRAM' '$SITE/page/1' >/dev/null"
    assert_regex "$output" '^Getting title from '
}

@test "a program that waits for all pages has a bar of those that have begun" {
    local lesson
    seq -f "$SITE/page/%.0f?delay=20" 30 >"$BATS_TEST_TMPDIR/urls"
    for lesson in 06-executor-threads 07-executor-processes; do
        on_terminal "'$BUILD/$lesson' -w 2 -f '$BATS_TEST_TMPDIR/urls' >/dev/null"
        assert_status 0
        refute_regex "$output" Getting
        assert_regex "$output" $'Waiting for downloads...\r\n\r\\[#*[.]*\\] [0-9]+ of 30 begun'
        assert_regex "$output" $'Done\r\n.*30 of 30 pages fetched in '
    done
}

@test "without a terminal there is no bar" {
    seq -f "$SITE/page/%.0f" 30 >"$BATS_TEST_TMPDIR/urls"
    fetch -f "$BATS_TEST_TMPDIR/urls"
    refute_regex "$stderr" '\['
    assert_equal "$(grep -c '^Getting' <<<"$stderr")" 30
}
