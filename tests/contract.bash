# What the checks of the lessons share: how they begin and end, and what holds for every
# lesson's program. From prints_in_the_order_given on, each function is the body of a check.
# shellcheck shell=bash

# The file of a lesson's checks is called like the lesson.
setup_file() {
    use_program "$(basename "$BATS_TEST_FILENAME" .bats)"
    start_site
}

teardown_file() {
    stop_site
}

setup() {
    reset_site
}

teardown() {
    stop_program
}

prints_in_the_order_given() {
    fetch "$SITE/page/1?delay=300" "$SITE/page/2?delay=150" "$SITE/page/3"
    assert_status 0
    assert_equal "$output" "$SITE/page/1?delay=300	Page 1
$SITE/page/2?delay=150	Page 2
$SITE/page/3	Page 3"
}

tells_how_many_it_has_fetched() {
    fetch "$SITE/page/1" "$SITE/status/404" "$SITE/page/2"
    assert_regex "${stderr##*$'\n'}" '^2 of 3 pages fetched in [0-9]+\.[0-9]+ s$'
}

loses_no_page_to_one_that_fails() {
    fetch "$SITE/page/1" "$SITE/status/404" "$SITE/reset" "$SITE/page/2"
    assert_equal "$output" "$SITE/page/1	Page 1
$SITE/page/2	Page 2"
    assert_equal "$(grep '^error' <<<"$stderr")" \
        "error: $SITE/status/404: HTTP status 404
error: $SITE/reset: Recv failure: Connection reset by peer"
}

exits_with_1_if_a_page_failed() {
    fetch "$SITE/page/1" "$SITE/status/404" "$SITE/page/2"
    assert_status 1
}

is_quiet() {
    fetch --quiet "$SITE/page/1" "$SITE/status/404"
    assert_equal "$output" "$SITE/page/1	Page 1"
    assert_equal "$stderr" "error: $SITE/status/404: HTTP status 404"
}

times_out_page_by_page() {
    fetch --timeout 0.7 "$SITE/page/1?delay=400" "$SITE/silent" "$SITE/page/2?delay=400"
    assert_equal "$output" "$SITE/page/1?delay=400	Page 1
$SITE/page/2?delay=400	Page 2"
    assert_equal "$(grep '^error' <<<"$stderr")" \
        "error: $SITE/silent: timed out after 0.7 s"
}

# pages COUNT PATH: puts so many addresses of the path in `urls`.
pages() {
    local i
    urls=()
    for ((i = 0; i < $1; i++)); do
        urls+=("$SITE$2")
    done
}

# What a pool of any kind keeps.

# never_exceeds_its_workers: with 3 workers, the site never sees more than 3 requests.
never_exceeds_its_workers() {
    pages 12 /hold
    begin --workers 3 "${urls[@]}"
    local served
    for served in 3 6 9 12; do
        wait_for "requests=$served"
        ask /release?count=3
    done
    end
    assert_status 0
    assert_equal "$(wc -l <"$out")" 12
    assert_stat most_in_flight 3 'most requests at once, with 3 workers'
}

# keeps_busy_behind_a_slow_page: a page that is held keeps one worker, and no other.
keeps_busy_behind_a_slow_page() {
    pages 100 /page/1
    begin --workers 2 "$SITE/hold" "${urls[@]}" "$SITE/gather/1"
    wait_for requests=102
    ask /release
    end
    assert_status 0
    assert_equal "$(cut -f 2 "$out" | uniq -c | sed 's/^ *//')" '1 Held
100 Page 1
1 Gathered 1'
}

takes_more_workers_than_pages_and_none_at_all() {
    fetch --workers 5 "$SITE/page/1"
    assert_title 'Page 1'
    fetch --workers 5 --file /dev/null
    assert_equal "$output" ''
    assert_status 0
}

# fetches_many: thousands, most of which are refused before a connection is made.
fetches_many() {
    { seq -f 'ftp://example.org/%.0f' 1 9999
      echo "$SITE/page/1"
      seq -f 'ftp://example.org/%.0f' 10001 19999
      echo "$SITE/page/2"; } >"$BATS_TEST_TMPDIR/urls"
    fetch --quiet --file "$BATS_TEST_TMPDIR/urls"
    assert_equal "$output" "$SITE/page/1	Page 1
$SITE/page/2	Page 2"
    assert_equal "$(grep -c ': neither http nor https$' <<<"$stderr")" 19998
    assert_equal "$(sed -n '12345p' <<<"$stderr")" \
        'error: ftp://example.org/12346: neither http nor https'
    assert_status 1
}
