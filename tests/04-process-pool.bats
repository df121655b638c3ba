# Lesson 4: the workers are processes, and share nothing.

load helper
load contract

# Step: the workers. Help: hint 1, "What is new"

@test "its workers are as many processes, each of one thread, from beginning to end" {
    keeps_its_processes
}

@test "it tells when it begins with a page, and which process has it" {
    tells_which_process_has_a_page
}

@test "it has as many requests under way as workers, and never more" {
    never_exceeds_its_workers
}

@test "it asks for as many pages at once as it has workers" {
    asks_for_as_many_at_once_as_workers
}

@test "its help says that --workers is the size of its pool" {
    says_that_it_has_a_pool
}

# Step: messages. Help: hint 2, "What is new"

@test "it prints the titles in the order given, whatever finished first" {
    prints_in_the_order_given
}

@test "a page that takes long keeps one worker and no other" {
    keeps_busy_behind_a_slow_page
}

@test "there may be thousands of pages" {
    fetches_many
}

@test "a title of 1 MB comes whole out of its worker" {
    gets_a_long_title_whole
}

@test "it tells at the end how many pages it has fetched" {
    tells_how_many_it_has_fetched
}

# Step: the ends of the socket pairs. Help: hint 4, "Your task"

@test "there may be fewer pages than workers, and none at all" {
    takes_more_workers_than_pages_and_none_at_all
}

@test "a worker has no descriptor that is another's" {
    inherits_no_descriptor
}

# Step: the end of a process. Help: hint 6, "Your task"

@test "when it ends, it has waited for each of its processes" {
    has_reaped_each_worker
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

# Step: errors and options. Help: hint 5, "Your task"

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

@test "if no process can be started, one line says so" {
    says_so_without_processes
}

@test "if fewer processes than workers can be started, it says so and goes on with those" {
    says_so_with_fewer_processes
}

@test "a system call that a signal interrupts is made again" {
    survives_interruptions recvfrom,sendto,poll
}

# Step: memory. Help: hint 6, "Your task"

@test "a sanitizer finds no leak, no race and no wrong access" {
    a_sanitizer_finds_nothing /gather/3
}
