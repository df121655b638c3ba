# Lesson 8: titles as they arrive, and a deadline for all.

load helper
load contract

# Step: as they arrive. Help: hint 1, "Your task"

@test "a page that is held keeps no other from being printed, also into a pipe" {
    prints_each_when_it_arrives
}

@test "it uses the interface, and neither threads nor processes itself" {
    uses_the_interface 'pthread_create|thrd_create|v?fork|clone|posix_spawnp?|socketpair'
}

# Step: the pool. Help: hint 1, "Your task"

@test "it has as many requests under way as workers, and never more" {
    never_exceeds_its_workers
}

@test "it asks for as many pages at once as it has workers" {
    asks_for_as_many_at_once_as_workers
}

@test "there may be fewer pages than workers, and none at all" {
    takes_more_workers_than_pages_and_none_at_all
}

@test "there may be thousands of pages" {
    fetches_many_as_they_arrive
}

# Step: the deadline. Help: hint 2, "Your task"

@test "the deadline ends it with all workers in the middle of a page, and leaves none" {
    pages 3 /hold
    begin --workers 3 --deadline 1 "${urls[@]}"
    end
    assert_status 1
    assert_prints ''
    assert_tells_errors "error: $SITE/hold: not fetched within 1 s
error: $SITE/hold: not fetched within 1 s
error: $SITE/hold: not fetched within 1 s"
    local workers
    mapfile -t workers < <(workers_told)
    gone "${workers[@]}"
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

# Step: a worker that dies. Help: hint 1, "Your task"

@test "a worker that is killed costs the page that it had, and a new one takes its place" {
    loses_one_page_to_a_worker_that_is_killed
}

@test "no worker outlives its parent, not even in the middle of a page" {
    leaves_no_worker_when_it_is_killed
}

@test "Ctrl-C ends it with status 130, and leaves no worker" {
    leaves_no_worker_on_ctrl_c
}

# Step: errors and options. Help: hint 3, "Your task"

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

@test "if no process can be started, one line says so" {
    says_so_without_processes
}

# Step: memory and races. Help: hint 3, "Your task"

@test "a sanitizer finds no leak, no race and no wrong access" {
    a_sanitizer_finds_nothing /gather/3
}
