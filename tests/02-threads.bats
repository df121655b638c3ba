# Lesson 2: one thread for each page, all at once.

load helper

setup_file() {
    use_program 02-threads
    start_site
}

teardown_file() {
    stop_site
}

setup() {
    reset_site
}

teardown() {
    stop_program
}

# pages COUNT PATH: so many addresses of the path.
pages() {
    local i
    urls=()
    for ((i = 0; i < $1; i++)); do
        urls+=("$SITE$2")
    done
}

@test "it prints the titles in the order given, whatever finished first" {
    fetch "$SITE/page/1?delay=300" "$SITE/page/2?delay=150" "$SITE/page/3"
    assert_equal "$status" 0
    assert_equal "$output" "$SITE/page/1?delay=300	Page 1
$SITE/page/2?delay=150	Page 2
$SITE/page/3	Page 3"
}

@test "20 pages that answer only if all are asked for at once all answer" {
    pages 20 /gather/20
    fetch "${urls[@]}"
    assert_equal "$(grep -c 'Gathered 20$' <<<"$output")" 20
    assert_equal "$status" 0
}

@test "each page has a thread of its own, in one process" {
    pages 5 /hold
    begin "${urls[@]}"
    wait_for in_flight=5
    local threads=6
    [[ ${SANITIZED:-} != thread ]] || threads=7 # ThreadSanitizer has one of its own
    assert_equal "$(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l)" "$threads"
    assert_equal "$(ps --no-headers --ppid "$pid" | wc -l)" 0
    ask /release
    end
    assert_equal "$status" 0
}

@test "it tells when it begins with a page, and which thread has it" {
    begin "$SITE/page/1" "$SITE/page/2" "$SITE/page/3"
    end
    local name="Getting title from ${SITE#http://}/page"
    assert_equal "$(grep '^Getting' "$err" | sed 's/thread-[123]$/thread-N/' | sort)" \
        "$name/1, PID: $pid, worker: thread-N
$name/2, PID: $pid, worker: thread-N
$name/3, PID: $pid, worker: thread-N"
    assert_equal "$(sed -n 's/^Getting.* worker: //p' "$err" | sort)" 'thread-1
thread-2
thread-3'
}

@test "it tells at the end how many pages it has fetched" {
    fetch "$SITE/page/1" "$SITE/status/404" "$SITE/page/2"
    assert_regex "${stderr##*$'\n'}" '^2 of 3 pages fetched in [0-9]+\.[0-9]+ s$'
}

@test "a page that fails has one line that says why, and costs no other page" {
    fetch "$SITE/page/1" "$SITE/status/404" "$SITE/reset" "$SITE/page/2"
    assert_equal "$output" "$SITE/page/1	Page 1
$SITE/page/2	Page 2"
    assert_equal "$(grep '^error' <<<"$stderr")" \
        "error: $SITE/status/404: HTTP status 404
error: $SITE/reset: Recv failure: Connection reset by peer"
}

@test "its exit status is 1 if a page failed" {
    fetch "$SITE/page/1" "$SITE/status/404" "$SITE/page/2"
    assert_equal "$status" 1
}

@test "--quiet leaves nothing but the errors on standard error" {
    fetch --quiet "$SITE/page/1" "$SITE/status/404"
    assert_equal "$output" "$SITE/page/1	Page 1"
    assert_equal "$stderr" "error: $SITE/status/404: HTTP status 404"
}

@test "--timeout holds for each page" {
    fetch --timeout 0.7 "$SITE/page/1?delay=100" "$SITE/silent" "$SITE/page/2"
    assert_equal "$output" "$SITE/page/1?delay=100	Page 1
$SITE/page/2	Page 2"
    assert_equal "$(grep '^error' <<<"$stderr")" \
        "error: $SITE/silent: timed out after 0.7 s"
}

@test "Ctrl-C ends it with status 130, threads and all" {
    pages 5 /hold
    begin "${urls[@]}"
    wait_for in_flight=5
    end INT
    assert_equal "$status" 130
    wait_for in_flight=0
}

@test "pages whose threads cannot be started are errors, and the program goes on" {
    [[ ${SANITIZED:-} != thread ]] || skip 'ThreadSanitizer needs a thread itself'
    # No thread can have a stack of 64 TiB.
    ulimit -s $((64 * 1024 * 1024 * 1024))
    fetch "$SITE/page/1" "$SITE/page/2"
    assert_equal "$status" 1
    assert_regex "$(grep '^error' <<<"$stderr")" "^error: $SITE/page/1: [^
]+
error: $SITE/page/2: [^
]+$"
    assert_regex "${stderr##*$'\n'}" '^0 of 2 pages fetched'
}

@test "its help says that --workers does nothing here, and any number will do" {
    fetch --help
    assert_equal "$status" 0
    assert_regex "$output" '--workers N +no effect here: this lesson has no pool'
    pages 3 /gather/3
    fetch --workers 1 "${urls[@]}"
    assert_equal "$status" 0
}
