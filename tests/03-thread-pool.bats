# Lesson 3: a fixed number of threads share one queue.
load helper
load contract

@test "it prints the titles in the order given, whatever finished first" {
    prints_in_the_order_given
}

@test "it never has more requests than workers" {
    never_exceeds_its_workers
}

@test "a page that takes long keeps one worker and no other" {
    keeps_busy_behind_a_slow_page
}

@test "it tells at the end how many pages it has fetched" {
    tells_how_many_it_has_fetched
}

@test "a page that fails has one line that says why, and costs no other page" {
    loses_no_page_to_one_that_fails
}

@test "its exit status is 1 if a page failed" {
    exits_with_1_if_a_page_failed
}

@test "--quiet leaves nothing but the errors on standard error" {
    is_quiet
}

@test "--timeout holds for each page" {
    times_out_page_by_page
}

@test "there may be fewer pages than workers, and none at all" {
    takes_more_workers_than_pages_and_none_at_all
}

@test "there may be thousands of pages" {
    fetches_many
}

# threads: the thread ids of the program, in order.
threads() {
    find "/proc/$pid/task" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -n
}

@test "as many pages as workers answer that answer only if all are asked for at once" {
    pages 12 /gather/4
    fetch --workers 4 "${urls[@]}"
    assert_stat most_in_flight 4 'most requests at once, with 4 workers'
    assert_equal "$(grep -c 'Gathered 4$' <<<"$output")" 12
    assert_status 0
}

@test "it has one thread more than workers, in one process, from beginning to end" {
    pages 12 /hold
    begin --workers 4 "${urls[@]}"
    wait_for in_flight=4
    local first expected=5
    [[ ${SANITIZED:-} != thread ]] || expected=6 # ThreadSanitizer has one of its own
    first=$(threads)
    assert_equal "$(wc -l <<<"$first")" "$expected"
    assert_equal "$(ps --no-headers --ppid "$pid" | wc -l)" 0
    ask /release
    wait_for requests=8
    assert_equal "$(threads)" "$first"
    ask /release
    wait_for requests=12
    assert_equal "$(threads)" "$first"
    ask /release
    end
    assert_status 0
}

@test "it tells when it begins with a page, and which thread has it" {
    pages 6 /gather/3
    begin --workers 3 "${urls[@]}"
    end
    assert_equal "$(grep '^Getting' "$err" | sort | uniq -c | sed 's/^ *//')" \
        "2 Getting title from ${SITE#http://}/gather/3, PID: $pid, worker: thread-1
2 Getting title from ${SITE#http://}/gather/3, PID: $pid, worker: thread-2
2 Getting title from ${SITE#http://}/gather/3, PID: $pid, worker: thread-3"
}

@test "Ctrl-C ends it with status 130, threads and all" {
    pages 8 /hold
    begin --workers 4 "$SITE/page/1" "${urls[@]}"
    wait_for requests=5
    end INT
    assert_status 130
    assert_equal "$output" "$SITE/page/1	Page 1"
    wait_for in_flight=0
}

@test "if no thread can be started, one line says so" {
    [[ ${SANITIZED:-} != thread ]] || skip 'ThreadSanitizer needs a thread itself'
    # No thread can have a stack of 64 TiB.
    ulimit -s $((64 * 1024 * 1024 * 1024))
    fetch "$SITE/page/1" "$SITE/page/2"
    assert_status 1
    assert_equal "$output" ''
    assert_equal "$(grep -c '^error: ' <<<"$stderr")" 1
}

@test "if fewer threads than workers can be started, it says so and goes on with those" {
    [[ -z ${SANITIZED:-} ]] || skip 'sanitizers need most of the address space'
    # Ten stacks of 100 MiB are too much for 1 GB.
    ulimit -s 102400
    ulimit -v 1000000
    pages 20 /page/1
    fetch --workers 10 "${urls[@]}"
    assert_status 0
    assert_equal "$(wc -l <<<"$output")" 20
    assert_regex "$stderr" 'only [1-9] of 10 workers can be started: '
}
