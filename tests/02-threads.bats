# Lesson 2: one thread for each page, all at once.

load helper
load contract

# Step: a thread for each page. Help: hint 2, "What is new"

@test "each page has a thread of its own, in one process" {
    pages 5 /hold
    begin "${urls[@]}"
    wait_for in_flight=5
    local threads=6
    [[ ${SANITIZED:-} != thread ]] || threads=7 # ThreadSanitizer has one of its own
    assert_is 'the number of its threads, with 5 pages,' \
        "$(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l)" "$threads"
    has_no_process
    release
    end
    assert_status 0
}

@test "it asks for all pages at once" {
    pages 20 /gather/20
    fetch "${urls[@]}"
    assert_most_in_flight 20 'with 20 pages'
    assert_is 'the number of pages that came, of 20 that come all at once,' \
        "$(grep -c 'Gathered 20$' <<<"$output")" 20
    assert_status 0
}

@test "it tells when it begins with a page, and which thread has it" {
    begin "$SITE/page/1" "$SITE/page/2" "$SITE/page/3"
    end
    local name="Getting title from ${SITE#http://}/page"
    assert_is 'what it tells of pages that begin, sorted,' \
        "$(grep '^Getting' "$err" | sed 's/thread-[123]$/thread-N/' | sort)" \
        "$name/1, PID: $pid, worker: thread-N
$name/2, PID: $pid, worker: thread-N
$name/3, PID: $pid, worker: thread-N"
    assert_is 'the list of threads that tell that they begin' \
        "$(sed -n 's/^Getting.* worker: //p' "$err" | sort)" 'thread-1
thread-2
thread-3'
}

# Step: the output. Help: hint 3, "Your task"

@test "it prints the titles in the order given, whatever finished first" {
    prints_in_the_order_given
}

@test "it tells at the end how many pages it has fetched" {
    tells_how_many_it_has_fetched
}

@test "its help says that --workers does nothing here, and any number will do" {
    fetch --help
    assert_status 0
    assert_says_that_it_has_no_pool
    pages 3 /gather/3
    fetch --workers 1 "${urls[@]}"
    assert_status 0
}

@test "--quiet leaves nothing but the errors on standard error" {
    is_quiet
}

# Step: errors. Help: hint 5, "Your task"

@test "a page that fails has one line that says why, and costs no other page" {
    loses_no_page_to_one_that_fails
}

@test "its exit status is 1 if a page failed" {
    exits_with_1_if_a_page_failed
}

@test "--timeout holds for each page" {
    times_out_page_by_page
}

@test "Ctrl-C ends it with status 130, threads and all" {
    pages 5 /hold
    begin "${urls[@]}"
    wait_for in_flight=5
    end INT
    assert_status 130
    wait_for in_flight=0
}

@test "pages whose threads cannot be started are errors, and the program goes on" {
    [[ ${SANITIZED:-} != thread ]] || skip 'ThreadSanitizer needs a thread itself'
    # No thread can have a stack of 64 TiB.
    ulimit -s $((64 * 1024 * 1024 * 1024))
    fetch "$SITE/page/1" "$SITE/page/2"
    assert_status 1
    assert_matches 'what it tells of errors on standard error' "$(grep '^error' <<<"$stderr")" \
        "^error: $SITE/page/1: [^
]+
error: $SITE/page/2: [^
]+$" "error: $SITE/page/1: ... and the same for /page/2"
    assert_matches 'the last line on standard error' "${stderr##*$'\n'}" \
        '^0 of 2 pages fetched' '0 of 2 pages fetched in 0.00 s'
}

# Step: memory and races. Help: hint 2, "What is new"

@test "a sanitizer finds no leak, no race and no wrong access" {
    a_sanitizer_finds_nothing /gather/3
}
