# Lesson 9: one thread, and a thousand transfers under way.

load helper
load contract

# asleep: waits until the program sleeps. (A program that asks over and over never does.)
asleep() {
    timeout "$LIMIT" bash -c 'while read -r state <"/proc/$1/stat" && [[ ${state##*) } != S* ]]; do
        :
    done' - "$pid"
}

# Step: the loop. Help: hint 1, "What is new"

@test "it is one process with one thread, however many pages are under way" {
    pages 50 /hold
    begin --workers 50 "${urls[@]}"
    wait_for in_flight=50
    assert_is 'the number of its threads, with 50 pages under way,' "$(threads | wc -l)" 1
    has_no_process
    release
    end
    assert_status 0
}

@test "it sleeps until something comes" {
    holds 3 3
    asleep || wrong 'while the site holds all pages, it should wait in a system call; it never does'
    # In which one (proc(5), wchan); 0: it runs, or we may not know.
    local tries where=0
    for ((tries = 0; tries < 1000 && ${#where} == 1; tries++)); do
        where=$(<"/proc/$pid/wchan")
    done
    if [[ $where == *nanosleep* ]]; then
        wrong 'it should wait for what comes (poll); it waits for a time, and looks again'
    fi
    release
    end
    assert_status 0
}

@test "it asks for as many pages at once as it is told" {
    asks_for_as_many_at_once_as_workers
}

@test "it has as many requests under way as workers, and never more" {
    never_exceeds_its_workers
}

@test "it asks for hundreds of pages at once by itself" {
    pages 300 /gather/300
    fetch --quiet "${urls[@]}"
    assert_is 'the number of pages that came, of 300 that come all at once,' \
        "$(grep -c 'Gathered 300$' <<<"$output")" 300
}

@test "a page that is held keeps no other from being printed, also into a pipe" {
    prints_each_when_it_arrives
}

@test "it tells when it begins with a page, and in which place of the loop" {
    tells_which_worker_has_a_page loop
}

# Step: beginning and end. Help: hint 3, "Your task"

@test "there may be fewer pages than workers, and none at all" {
    takes_more_workers_than_pages_and_none_at_all
}

@test "there may be thousands of pages" {
    fetches_many_as_they_arrive
}

@test "it tells at the end how many pages it has fetched" {
    tells_how_many_it_has_fetched
}

@test "Ctrl-C ends it with status 130, whatever is under way" {
    ends_its_threads_on_ctrl_c
}

# Step: errors and options. Help: hint 4, "Your task"

@test "a page that fails has one line that says why, and costs no other page" {
    loses_no_page_as_they_arrive
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

@test "its help says what --workers means here" {
    fetch --help
    assert_matches 'what its help says of --workers' "$output" \
        '--workers N +transfers at once \(default 1000\)' \
        '--workers N     transfers at once (default 1000)'
}

# Step: memory. Help: hint 4, "Your task"

@test "a sanitizer finds no leak, no race and no wrong access" {
    a_sanitizer_finds_nothing /gather/3
}
