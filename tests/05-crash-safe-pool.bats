# Lesson 5: the workers are processes, and either side may die.

load helper
load contract

# Step: what lesson 4 promised. Help: hint 1, "Your task"

@test "it prints the titles in the order given, whatever finished first" {
    prints_in_the_order_given
}

@test "it has as many requests under way as workers, and never more" {
    never_exceeds_its_workers
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

@test "a page that takes long keeps one worker and no other" {
    keeps_busy_behind_a_slow_page
}

@test "there may be thousands of pages" {
    fetches_many
}

@test "there may be fewer pages than workers, and none at all" {
    takes_more_workers_than_pages_and_none_at_all
}

@test "a title of 1 MB comes whole out of its worker" {
    gets_a_long_title_whole
}

@test "it tells at the end how many pages it has fetched" {
    tells_how_many_it_has_fetched
}

@test "its help says that --workers is the size of its pool" {
    says_that_it_has_a_pool
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

@test "if no process can be started, one line says so" {
    says_so_without_processes
}

@test "if fewer processes than workers can be started, it says so and goes on with those" {
    says_so_with_fewer_processes
}

@test "a system call that a signal interrupts is made again" {
    survives_interruptions recvfrom,sendto,poll
}

# Step: a worker that dies. Help: hint 2, "What is new"

@test "a worker that is killed costs the page that it had, and a new one takes its place" {
    loses_one_page_to_a_worker_that_is_killed
}

@test "a worker that dies while it has no page costs none" {
    holds 1 3
    local busy idle
    busy=$(worker_of 1)
    for idle in $(children); do
        if [[ $idle != "$busy" ]]; then
            kill -s KILL "$idle"
            gone "$idle"
        fi
    done
    release
    end
    assert_status 0
    assert_prints "$SITE/hold	Held"
}

@test "if all workers die, again and again, each page has its error and the program ends" {
    ends_though_all_workers_die
}

@test "if no process can take the place of a worker, the others go on" {
    pages 4 /hold
    begin_preloading few FEW_FORKS=2 -- --workers 2 "${urls[@]}"
    wait_for in_flight=2
    kill -s KILL "$(worker_of 2)"
    wait_for in_flight=1
    release
    wait_for requests=3
    release
    wait_for requests=4
    release
    end
    assert_status 1
    assert_is 'the number of titles, of 4 pages with one of two workers killed,' \
        "$(grep -c 'Held$' <<<"$output")" 3
}

@test "if there is no worker any more, each page that is left has an error" {
    pages 3 /hold
    begin_preloading few FEW_FORKS=1 -- --workers 1 "${urls[@]}"
    wait_for in_flight=1
    kill -s KILL "$(worker_of 1)"
    end
    assert_status 1
    assert_prints ''
    assert_is 'the number of errors that name a page, of 3 pages,' \
        "$(grep -c "^error: $SITE/hold: ." <<<"$stderr")" 3
}

# Step: descriptors and zombies. Help: hint 2, "Your task"

@test "a worker has no descriptor that is another's" {
    inherits_no_descriptor
}

@test "a worker that takes the place of another has no descriptor that is another's" {
    holds 6 4
    local before worker
    before=$(worker_of 2 | count_descriptors)
    worker=$(worker_of 3)
    kill -s KILL "$worker"
    wait_for requests=5
    assert_is 'the number of descriptors of the new worker, compared with an old one,' \
        "$(worker_of 3 | count_descriptors)" "$before"
    release
    wait_for requests=6
    release
    end
}

@test "the number of the parent's descriptors does not grow when workers are replaced" {
    holds 8 2
    local before round
    before=$(count_descriptors <<<"$pid")
    for round in 2 4 6; do
        kill -s KILL "$(worker_of 1)" "$(worker_of 2)"
        wait_for "requests=$((round + 2))"
    done
    assert_is 'the number of descriptors of the parent, after 6 workers were replaced,' \
        "$(count_descriptors <<<"$pid")" "$before"
    release
    end
}

@test "when it ends, it has waited for each of its processes" {
    has_reaped_each_worker
}

# Step: a parent that dies. Help: hint 4, "Your task"

@test "no worker outlives its parent, not even in the middle of a page" {
    leaves_no_worker_when_it_is_killed
}

@test "Ctrl-C ends it with status 130, and leaves no worker" {
    leaves_no_worker_on_ctrl_c
}

@test "Ctrl-C at a terminal, which all processes get, is no error of a worker" {
    keeps_its_workers_on_ctrl_c_at_a_terminal
}

# Step: memory. Help: hint 5, "Your task"

@test "a sanitizer finds no leak, no race and no wrong access" {
    a_sanitizer_finds_nothing /gather/3
}
