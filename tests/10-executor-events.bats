# Lesson 10: the workers are the fibers of an event loop; nothing else has changed.

load helper
load contract

# Step: the line. Help: hint 2, "Your task"

@test "it uses the interface, and neither threads, processes nor curl_multi itself" {
    uses_the_interface \
        'pthread_create|thrd_create|v?fork|clone|posix_spawnp?|socketpair|curl_multi_[a-z_]*'
}

@test "it has one thread more than main, however many pages are under way" {
    local expected=2
    [[ ${SANITIZED:-} != thread ]] || expected=3 # ThreadSanitizer has one of its own
    holds 300 300
    assert_is 'the number of its threads, with 300 pages under way,' "$(threads | wc -l)" \
        "$expected"
    has_no_process
    release
    end
    assert_status 0
}

@test "it tells when it begins with a page, and which worker of the loop has it" {
    tells_which_worker_has_a_page loop
}

# Step: the loop. Help: hint 3, "What is new"

@test "it asks for hundreds of pages at once" {
    pages 300 '/gather/300?within=15000'
    fetch --quiet --workers 300 "${urls[@]}"
    assert_is 'the number of pages that came, of 300 that come all at once,' \
        "$(grep -c 'Gathered 300$' <<<"$output")" 300
    assert_status 0
}

@test "it asks for as many pages at once as it has workers" {
    asks_for_as_many_at_once_as_workers
}

@test "it has as many requests under way as workers, and never more" {
    never_exceeds_its_workers
}

@test "a page that is held keeps no other from being printed, also into a pipe" {
    prints_each_when_it_arrives
}

@test "there may be fewer pages than workers, and none at all" {
    takes_more_workers_than_pages_and_none_at_all
}

@test "there may be thousands of pages" {
    # ThreadSanitizer takes up to a millisecond for each fiber.
    [[ ${SANITIZED:-} != thread ]] || LIMIT=$((3 * LIMIT))
    fetches_many_as_they_arrive
}

# Step: the deadline. Help: hint 4, "Your task"

@test "the deadline ends it with all workers in the middle of a page, and leaves none" {
    pages 3 /hold
    begin --workers 3 --deadline 1 "${urls[@]}"
    end
    assert_status 1
    assert_prints ''
    assert_tells_errors "error: $SITE/hold: not fetched within 1 s
error: $SITE/hold: not fetched within 1 s
error: $SITE/hold: not fetched within 1 s"
    wait_for in_flight=0
}

@test "a page that has not begun by the deadline is never asked for, and has its line" {
    asks_for_no_page_after_the_deadline
}

@test "what has arrived before the deadline is printed" {
    prints_what_arrives_before_the_deadline
}

@test "its help explains --deadline, which takes seconds" {
    explains_its_deadline
}

# Step: errors and options. Help: hint 4, "Your task"

@test "a page that fails has one line that says why, and costs no other page" {
    loses_no_page_as_they_arrive
}

@test "its exit status is 1 if a page failed" {
    exits_with_1_if_a_page_failed
}

@test "it tells at the end how many pages it has fetched" {
    tells_how_many_it_has_fetched
}

@test "--quiet leaves nothing but the errors on standard error" {
    is_quiet
}

@test "--timeout holds for each page" {
    times_out_page_by_page
}

@test "its help says that --workers is the size of its pool" {
    says_that_it_has_a_pool
}

@test "if no thread can be started, one line says so" {
    says_so_without_threads
}

@test "Ctrl-C ends it with status 130, whatever is under way" {
    ends_its_threads_on_ctrl_c
}

# Step: memory and races. Help: hint 4, "Your task"

@test "a sanitizer finds no leak, no race and no wrong access" {
    a_sanitizer_finds_nothing /gather/3
}
