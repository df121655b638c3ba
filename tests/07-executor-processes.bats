# Lesson 7: the workers are processes; nothing else has changed.

load helper
load contract

# Step: the line. Help: hint 2, "Your task"

@test "it uses the interface, and neither threads nor processes itself" {
    uses_the_interface
}

@test "its workers are the same processes from beginning to end" {
    holds 8 4
    local workers
    mapfile -t workers < <(workers_told)
    assert_is 'the number of processes that tell that they begin' "${#workers[@]}" 4
    release
    wait_for requests=8
    assert_is 'the list of processes that have told that they begin' \
        "$(workers_told | xargs)" "${workers[*]}"
    release
    end
    assert_status 0
    gone "${workers[@]}"
}

@test "it tells when it begins with a page, and which process has it" {
    tells_which_process_has_a_page
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

@test "a page that takes long keeps one worker and no other" {
    keeps_busy_behind_a_slow_page
}

@test "there may be fewer pages than workers, and none at all" {
    takes_more_workers_than_pages_and_none_at_all
}

@test "there may be thousands of pages" {
    fetches_many
}

@test "a title of 1 MB comes whole out of its worker" {
    gets_a_long_title_whole
}

# Step: a worker that dies. Help: hint 2, "Your task"

@test "a worker that is killed costs the page that it had, and a new one takes its place" {
    loses_one_page_to_a_worker_that_is_killed
}

@test "if all workers die, again and again, each page has its error and the program ends" {
    ends_though_all_workers_die
}

@test "no worker outlives its parent, not even in the middle of a page" {
    leaves_no_worker_when_it_is_killed
}

@test "Ctrl-C ends it with status 130, and leaves no worker" {
    leaves_no_worker_on_ctrl_c
}

@test "Ctrl-C at a terminal, which all processes get, is no error of a worker" {
    keeps_its_workers_on_ctrl_c_at_a_terminal
}

# Step: errors and options. Help: hint 2, "Your task"

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

@test "if no process can be started, one line says so" {
    says_so_without_processes
}

@test "if fewer processes than workers can be started, it says so and goes on with those" {
    says_so_with_fewer_processes
}

# Step: memory and races. Help: hint 3, "Your task"

@test "a sanitizer finds no leak, no race and no wrong access" {
    a_sanitizer_finds_nothing /gather/3
}
