# What scripts/run and scripts/figures show.

load ../helper

# A folder with a space in its name, where the scripts are not.
setup() {
    mkdir "$BATS_TEST_TMPDIR/a folder"
    cd "$BATS_TEST_TMPDIR/a folder" || return
    export BUILD
}

teardown() {
    stop_program
}

lessons() {
    find "$ROOT/lessons" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort
}

@test "scripts/run shows the titles, the time and the timeline of each lesson" {
    local lesson
    run --separate-stderr "$ROOT/scripts/run" --quiet --workers 2 --trace 'a trace'
    assert_status 0
    assert_equal "$stderr" ''
    for lesson in $(lessons); do
        assert_line "== $lesson"
        assert_line --regexp "^$lesson +5 +[0-9]+\.[0-9]{2}  #+$"
        assert_line --regexp "^${lesson%%-*} (main|(host-1/)?(thread|process|loop)-1) +\[[1-5]\.*=*\]"
    done
    assert_equal "$(grep -c $'\tTalk Python To Me Podcast$' <<<"$output")" "$(lessons | wc -l)"
    assert_regex "${lines[-1]}" '^ +\|0 s .*\|1 '
    assert_equal "$(jq '[.[] | select(.cat == "page")] | length' 'a trace')" \
        "$((5 * $(lessons | wc -l)))"
}

@test "scripts/run takes pages of one's own, and its status is that of the worst lesson" {
    start_site
    run --separate-stderr "$ROOT/scripts/run" -q "$SITE/page/1" "$SITE/status/404"
    stop_site
    assert_status 1
    assert_line --regexp '^01-sequential +1 '
    assert_line --regexp '^02 thread-[12] +(\||#|\[.*x)'
    run "$ROOT/scripts/run" --nonsense
    assert_status 2
    assert_output "scripts/run: unrecognized option '--nonsense'"
}

@test "scripts/run says so if the trace cannot be written" {
    run --separate-stderr "$ROOT/scripts/run" -q --trace nowhere/trace http://127.0.0.1:1/
    assert_status 1
    assert_equal "$stderr" 'scripts/run: cannot write the trace to nowhere/trace'
}

@test "scripts/run draws ten workers of a lesson, and counts the others" {
    start_site
    run "$ROOT/scripts/run" -q "$SITE"/page/{1..12}
    stop_site
    assert_equal "$(grep -c '^02 thread-' <<<"$output")" 10
    assert_line '02-threads: 2 more workers are not drawn'
}

@test "scripts/run leaves nothing behind after Ctrl-C" {
    start_site
    export PROGRAM=$ROOT/scripts/run
    begin "$SITE/hold"
    wait_for in_flight=1
    end INT
    wait_for in_flight=0
    stop_site
    assert_status 130
}

@test "scripts/figures draws a picture for each lesson, and one of all" {
    local lesson
    run "$ROOT/scripts/figures" figures
    assert_status 0
    for lesson in $(lessons); do
        assert_equal "$(grep -c '</svg>' "figures/$lesson/timeline.svg")" 1
        assert_equal "$(grep -c '>talkpython<' "figures/$lesson/timeline.svg")" 1
        is_plausible "figures/$lesson/trace.json"
    done
    assert_equal "$(grep -c '>talkpython<' figures/timelines.svg)" "$(lessons | wc -l)"
    run "$ROOT/scripts/figures" --nonsense
    assert_status 2
    assert_output "scripts/figures: there is no option '--nonsense' (--help says more)"
    run "$ROOT/scripts/figures" --draw 'no such folder'
    assert_status 1
    assert_output --regexp '^scripts/figures: there is no no such folder/01-.*/trace.json; without --draw, '
}

# is_plausible TRACE: it has all that the lesson's program prints, with the local site's address as
# the READMEs have it, and nothing comes before its cause.
is_plausible() {
    local lines
    lines=$(jq --raw-output '.[] | select(.cat == "output").name' "$1")
    assert_equal "$(grep -c '^Getting title from 127.0.0.1:8080/' <<<"$lines")" 5
    assert_equal "$(grep $'^http://127.0.0.1:8080/.*\t' <<<"$lines" | cut -f 2 | sort)" \
        "$(printf '%s\n' NONE 'Python Bytes Podcast' 'Python Tutorials – Real Python' \
            'Talk Python To Me Podcast' 'Talk Python Training')"
    assert_regex "$(tail -n 1 <<<"$lines")" '^5 of 5 pages fetched in '
    assert_equal "$(jq '. as $all | [.[] | select(.cat == "page") as $page | $all[] |
        select(.cat == "output") |
        select((.name | startswith("Getting title from \($page.name),")) and .ts < $page.ts or
               (.name | startswith("http://\($page.name)\t")) and .ts < $page.ts + $page.dur)]' \
        "$1")" '[]'
}

@test "the pictures in the READMEs are drawn from the traces beside them" {
    local lesson
    for lesson in $(lessons); do
        is_plausible "$ROOT/lessons/$lesson/trace.json"
        mkdir -p "figures/$lesson"
        cp "$ROOT/lessons/$lesson/trace.json" "figures/$lesson"
    done
    run "$ROOT/scripts/figures" --draw figures
    assert_status 0
    cmp <(grep '<desc>' figures/timelines.svg) <(grep '<desc>' "$ROOT/lessons/timelines.svg") ||
        skip 'another version of gnuplot has drawn them'
    for lesson in $(lessons); do
        cmp "figures/$lesson/timeline.svg" "$ROOT/lessons/$lesson/timeline.svg"
    done
    cmp figures/timelines.svg "$ROOT/lessons/timelines.svg"
}
