# Lesson 1: one page after another.

load helper
load contract

@test "it prints a line for each page, URL, tab and title, in the order given" {
    fetch "$SITE/page/3" "$SITE/page/1" "$SITE/page/2"
    assert_status 0
    assert_equal "$output" "$SITE/page/3	Page 3
$SITE/page/1	Page 1
$SITE/page/2	Page 2"
}

@test "it fetches one page at a time" {
    fetch "$SITE/page/1?delay=50" "$SITE/page/2?delay=50" "$SITE/page/3?delay=50"
    assert_status 0
    assert_stat requests 3 'requests'
    assert_stat most_in_flight 1 'most requests at once'
}

@test "it fetches the pages in the order given" {
    fetch "$SITE/page/2" "$SITE/page/3" "$SITE/page/1"
    assert_equal "$(ask /stats/paths)" '/page/2
/page/3
/page/1'
}

@test "it prints a title before it begins with the next page" {
    begin "$SITE/page/1" "$SITE/hold" "$SITE/page/2"
    wait_for requests=2
    assert_equal "$(<"$out")" "$SITE/page/1	Page 1"
    ask /release
    end
    assert_status 0
}

@test "it tells when it begins with a page, and that its only worker is main" {
    begin "$SITE/page/1" "$SITE/page/2"
    end
    assert_equal "$(grep '^Getting' "$err")" \
        "Getting title from ${SITE#http://}/page/1, PID: $pid, worker: main
Getting title from ${SITE#http://}/page/2, PID: $pid, worker: main"
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

@test "--timeout holds for one page, not for all together" {
    times_out_page_by_page
}

@test "Ctrl-C ends it with status 130, and what was printed stays" {
    begin "$SITE/page/1" "$SITE/hold"
    wait_for requests=2
    end INT
    assert_status 130
    assert_equal "$output" "$SITE/page/1	Page 1"
}

@test "its help says that --workers does nothing here, and any number will do" {
    fetch --help
    assert_status 0
    assert_regex "$output" '--workers N +no effect here: this lesson has no pool'
    fetch --workers 3 "$SITE/page/1" "$SITE/page/2"
    assert_status 0
    assert_stat most_in_flight 1 'most requests at once'
}
