# Lesson 6: the pool is behind an interface; its workers are threads.

load helper
load contract

# Step: the interface. Help: hint 1, "Your task"

@test "it uses the interface, and neither threads nor processes itself" {
    uses_the_interface
}

# Step: the pool. Help: hint 3, "Your task"

@test "it prints the titles when all are there, and tells that it waits" {
    waits_for_all_before_it_prints
}

@test "it prints the titles in the order given, whatever finished first" {
    prints_in_the_order_given
}

@test "it has as many requests under way as workers, and never more" {
    never_exceeds_its_workers
}

@test "it asks for as many pages at once as it has workers" {
    asks_for_as_many_at_once_as_workers
}

@test "it has one thread more than workers, in one process, from beginning to end" {
    has_a_thread_for_each_worker
}

@test "it tells when it begins with a page, and which thread has it" {
    tells_which_worker_has_a_page thread
}

@test "a page that takes long keeps one worker and no other" {
    keeps_busy_behind_a_slow_page
}

@test "there may be fewer pages than workers, and none at all" {
    takes_more_workers_than_pages_and_none_at_all
}

@test "there may be thousands of pages" {
    fetches_many
}

# Step: errors and options. Help: hint 4, "Your task"

@test "a page that fails has one line that says why, and costs no other page" {
    loses_no_page_to_one_that_fails
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

@test "Ctrl-C ends it with status 130, threads and all" {
    ends_its_threads_on_ctrl_c
}

@test "if no thread can be started, one line says so" {
    says_so_without_threads
}

@test "if fewer threads than workers can be started, it says so and goes on with those" {
    says_so_with_fewer_threads
}

# Step: memory and races. Help: hint 5, "Your task"

@test "a sanitizer finds no leak, no race and no wrong access" {
    a_sanitizer_finds_nothing /gather/3
}
