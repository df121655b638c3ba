# Lesson 1: one page after another.

load helper
load contract

# Step: each URL gets its title. Help: hint 2, "Your task"

@test "it prints a line for each page, URL, tab and title, in the order given" {
    fetch "$SITE/page/3" "$SITE/page/1" "$SITE/page/2"
    assert_status 0
    assert_prints "$SITE/page/3	Page 3
$SITE/page/1	Page 1
$SITE/page/2	Page 2"
}

@test "it fetches the pages in the order given" {
    fetch "$SITE/page/2" "$SITE/page/3" "$SITE/page/1"
    assert_is 'the list of requests, in the order in which the site saw them,' \
        "$(ask /stats/paths)" '/page/2
/page/3
/page/1'
}

@test "it tells when it begins with a page, and that its only worker is main" {
    begin "$SITE/page/1" "$SITE/page/2"
    end
    assert_is 'what it tells of pages that begin' "$(grep '^Getting' "$err")" \
        "Getting title from ${SITE#http://}/page/1, PID: $pid, worker: main
Getting title from ${SITE#http://}/page/2, PID: $pid, worker: main"
}

# Step: one page at a time. Help: hint 4, "Your task"

@test "it fetches one page at a time" {
    fetch "$SITE/page/1?delay=50" "$SITE/page/2?delay=50" "$SITE/page/3?delay=50"
    assert_status 0
    assert_stat requests 3 'requests'
    assert_most_in_flight 1 'with three pages to fetch'
}

@test "it prints a title before it begins with the next page" {
    begin "$SITE/page/1" "$SITE/hold" "$SITE/page/2"
    wait_for requests=2
    assert_is 'its standard output, before the second page has come,' \
        "$(<"$out")" "$SITE/page/1	Page 1"
    release
    end
    assert_status 0
}

# Step: the end and the options. Help: hint 3, "Your task"

@test "it tells at the end how many pages it has fetched" {
    tells_how_many_it_has_fetched
}

@test "its exit status is 1 if a page failed" {
    exits_with_1_if_a_page_failed
}

@test "its help says that --workers does nothing here, and any number will do" {
    fetch --help
    assert_status 0
    assert_says_that_it_has_no_pool
    fetch --workers 3 "$SITE/page/1" "$SITE/page/2"
    assert_status 0
    assert_most_in_flight 1 'with --workers 3'
}

@test "--quiet leaves nothing but the errors on standard error" {
    is_quiet
}

@test "--timeout holds for one page, not for all together" {
    times_out_page_by_page
}

@test "Ctrl-C ends it with status 130, and what was printed stays" {
    begin "$SITE/page/1" "$SITE/hold"
    wait_for requests=2
    end INT
    assert_status 130
    assert_prints "$SITE/page/1	Page 1"
}

# Step: a page that fails. Help: hint 2, "Your task"

@test "a page that fails has one line that says why, and costs no other page" {
    loses_no_page_to_one_that_fails
}

# Step: memory. Help: hint 4, "Your task"

@test "a sanitizer finds no leak, no race and no wrong access" {
    a_sanitizer_finds_nothing /page/1
}
