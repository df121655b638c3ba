# Lesson 4: the workers are processes, and share nothing.
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

@test "it asks for as many pages at once as it has workers" {
    asks_for_as_many_at_once_as_workers
}

@test "its workers are as many processes, each of one thread, from beginning to end" {
    keeps_its_processes
}

@test "it tells when it begins with a page, and which process has it" {
    tells_which_process_has_a_page
}

@test "a worker that dies ends the program with one line that says which, and how" {
    holds 4 2
    local workers
    mapfile -t workers < <(workers_told)
    kill -s KILL "$(worker_of 2)"
    end
    assert_status 1
    assert_prints ''
    assert_matches 'what it tells of errors on standard error' \
        "$(grep '^error' <<<"$stderr")" '^error: [^
]*process-2[^
]*(9|[Kk][Ii][Ll][Ll])[^
]*$' 'error: worker process-2 was killed by signal 9 (SIGKILL)'
    release
    gone "${workers[@]}"
}

@test "its help says that --workers is the size of its pool" {
    says_that_it_has_a_pool
}

@test "Ctrl-C at a terminal ends it with status 130, and all its workers" {
    holds 8 4
    local workers
    mapfile -t workers < <(workers_told)
    kill -s INT -- "-$pid"
    end
    assert_status 130
    gone "${workers[@]}"
    wait_for in_flight=0
}

@test "a worker has no descriptor that is another's" {
    inherits_no_descriptor
}

@test "when it ends, it has waited for each of its processes" {
    has_reaped_each_worker
}

@test "a title of 1 MB comes whole out of its worker" {
    gets_a_long_title_whole
}

@test "if no process can be started, one line says so" {
    says_so_without_processes
}

@test "if fewer processes than workers can be started, it says so and goes on with those" {
    says_so_with_fewer_processes
}

@test "a system call that a signal interrupts is made again" {
    survives_interruptions recvfrom,sendto,poll
}
