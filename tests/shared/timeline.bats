# Who did what when: --timeline and --trace (shared/timeline.h, shared/trace.h).

load ../helper

setup_file() {
    start_site
}

teardown_file() {
    stop_site
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

# trace LESSON ARGUMENT...: runs the lesson's program; its trace is in the file `trace`.
trace() {
    export PROGRAM=$BUILD/$1
    fetch --trace trace "${@:2}"
}

# holds FILTER: what jq's filter says of the trace is true.
holds() {
    jq --exit-status "$1" trace >/dev/null || fail "$(printf 'it does not hold that %s: %s' \
        "$1" "$(<trace)")"
}

# What the format demands (Trace Event Format, "Event Descriptions"), and what Perfetto needs to
# draw it: of one thread, what is within a bar ends before the bar does.
rules='
    def until: .ts + .dur;
    type == "array"
    and all(.[]; (.name | type == "string") and (.pid | type == "number")
        and (.tid | type == "number") and (.ph == "X" or .ph == "M"))
    and all(.[] | select(.ph == "M");
        (.name == "process_name" or .name == "thread_name") and (.args.name | length > 0))
    and all(.[] | select(.ph == "X");
        (.ts | . == floor and . >= 0) and (.dur | . == floor and . >= 0) and (.cat | length > 0))
    and ([.[] | select(.ph == "M" and .name == "thread_name") | [.pid, .tid]] | sort)
        == ([.[] | select(.ph == "X") | [.pid, .tid]] | unique)
    and all(group_by([.pid, .tid])[] | map(select(.cat == "page"));
        . as $pages | all(range(1; length); $pages[. - 1] as $before | $pages[.] as $page
            | ($before | until) <= $page.ts))
    and ([foreach .[] as $event ({};
            if $event.cat == "page" then {page: $event, from: $event.ts}
            elif $event.cat == "phase" then
                {page: .page, from: ($event | until), good: ($event.ts >= .from
                    and $event.pid == .page.pid and $event.tid == .page.tid
                    and ($event | until) <= (.page | until))}
            else . end)] | all(.good != false))'

lessons() {
    find "$ROOT/lessons" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort
}

@test "every lesson writes a trace by the format's rules, with a bar for each page" {
    local lesson
    for lesson in $(lessons); do
        trace "$lesson" -w 2 "$SITE/page/1" "$SITE/status/404" "$SITE/redirect/3" ftp://x/ \
            "$SITE/page/1?\"\\" "$SITE/gzip/3" "$SITE/page/2?delay=30"
        assert_status 1
        holds "$rules"
        holds '[.[] | select(.cat == "page").args.number] | sort == [range(1; 8)]'
        holds '[.[] | select(.args.error) | [.args.number, .args.error]] | sort
            == [[2, "HTTP status 404"], [4, "neither http nor https"]]'
        holds 'any(.name == "'"${SITE#http://}"'/page/1?\"\\")'
    done
}

@test "the rules can fail" {
    local wrong
    for wrong in '{}' '[{"name":"x","ph":"X","pid":1,"tid":1,"ts":1.5,"dur":1,"cat":"page"}]' \
        '[{"name":"thread_name","ph":"M","pid":1,"tid":1,"args":{"name":"a"}},
          {"name":"x","ph":"X","pid":1,"tid":1,"ts":1,"dur":5,"cat":"page"},
          {"name":"y","ph":"X","pid":1,"tid":1,"ts":2,"dur":5,"cat":"phase"}]' \
        '[{"name":"thread_name","ph":"M","pid":1,"tid":1,"args":{"name":"a"}},
          {"name":"x","ph":"X","pid":1,"tid":1,"ts":1,"dur":5,"cat":"page"},
          {"name":"y","ph":"X","pid":1,"tid":1,"ts":2,"dur":5,"cat":"page"}]' \
        '[{"name":"x","ph":"X","pid":1,"tid":1,"ts":1,"dur":5,"cat":"page"}]'; do
        echo "$wrong" >trace
        run jq --exit-status "$rules" trace
        assert_equal "$status" 1 # false, and not an error of jq's
    done
}

@test "lesson 1 is a staircase: each page begins when the one before it has ended" {
    trace 01-sequential "$SITE/page/1?delay=10" "$SITE/page/2" "$SITE/page/3?delay=10"
    holds '[.[] | select(.cat == "page")] | sort_by(.args.number) | . as $pages
        | all(range(1; 3); $pages[.].ts >= $pages[. - 1].ts + $pages[. - 1].dur)'
    holds '[.[] | select(.ph == "M").args.name] == ["01-sequential", "main"]'
}

@test "lesson 2 is a wall: all pages have begun before one has ended" {
    trace 02-threads "$SITE"/gather/5?{1..5}
    holds '[.[] | select(.cat == "page")] | (map(.ts) | max) < (map(.ts + .dur) | min)'
    holds '[.[] | select(.name == "thread_name").args.name]
        == ["thread-1", "thread-2", "thread-3", "thread-4", "thread-5"]'
}

@test "a pool has a full row for each of its workers" {
    local lesson
    for lesson in $(lessons | sed 1,2d); do
        trace "$lesson" -w 3 "$SITE"/gather/3?{1..6}
        holds '[.[] | select(.cat == "page").args.worker] | group_by(.) | map(length) == [2, 2, 2]'
        holds '[.[] | select(.name == "thread_name").args.name | split("-") | last]
            == ["1", "2", "3"]'
    done
}

@test "a worker that is a process has its own PID in the trace, a thread its parent's" {
    trace 07-executor-processes -w 3 "$SITE"/gather/3?{1..3}
    holds '[.[] | select(.cat == "page").pid] | unique | length == 3'
    trace 04-process-pool -w 3 "$SITE"/gather/3?{1..3}
    holds '[.[] | select(.cat == "page").pid] | unique | length == 3'
    trace 05-crash-safe-pool -w 3 "$SITE"/gather/3?{1..3}
    holds '[.[] | select(.cat == "page").pid] | unique | length == 3'
    trace 06-executor-threads -w 3 "$SITE"/gather/3?{1..3}
    holds '[.[] | select(.cat == "page").pid] | unique | length == 1'
}

@test "the phases of a request fill its bar, and a connection used again has no connect" {
    trace 01-sequential "$SITE/page/1?delay=50" "$SITE/page/2?delay=50"
    # Whether libcurl looks for the name of a connection that it has depends on its version.
    holds '[.[] | select(.cat == "phase").name]
        | .[:4] == ["name lookup", "connect", "first byte", "body"]
        and .[4:] - ["name lookup"] == ["first byte", "body"]'
    holds '[.[] | select(.name == "first byte").dur | . > 45000 and . < 5000000] | all'
    holds '[.[] | select(.cat == "page") | .args.waited <= .dur and .args.waited > 50000] | all'
}

@test "a request that fails ends in the phase to which it came" {
    trace 01-sequential --timeout 1 "$SITE/silent"
    holds '[.[] | select(.cat == "phase").name] | last == "first byte"'
    trace 01-sequential http://127.0.0.1:1/
    holds '[.[] | select(.cat == "phase").name] | last == "connect"'
    trace 01-sequential --timeout 1 "$SITE/stall?body=x"
    holds '[.[] | select(.cat == "phase").name] | last == "body"'
}

@test "a page whose worker died is in the trace of the executor, with its error" {
    use_program 07-executor-processes
    begin --timeline --trace trace --workers 1 "$SITE/hold" "$SITE/page/1"
    wait_for in_flight=1
    kill -s KILL "$(sed -n 's/^Getting.*PID: \([0-9]*\),.*/\1/p' "$err" | head -n 1)"
    end
    assert_status 1
    holds "$rules"
    holds '[.[] | select(.cat == "page").pid] | unique | length == 2'
    holds 'any(.args.error == "worker process-1 was killed by signal 9 (SIGKILL)")'
}

@test "in lesson 5 nobody can tell when a page was fetched whose worker died" {
    use_program 05-crash-safe-pool
    begin --quiet --timeline --trace trace --workers 1 "$SITE/hold" "$SITE/page/1"
    wait_for in_flight=1
    kill -s KILL "$(pgrep --parent "$pid")"
    end
    assert_regex "$stderr" 'not drawn: 1 of 2 pages, of which no worker has told when'
    holds '[.[] | select(.cat == "page").args.number] == [2]'
}

@test "without a page the trace is empty, and there is no picture" {
    trace 01-sequential --quiet --timeline --file /dev/null
    assert_status 0
    assert_equal "$(<trace)" '[]'
    assert_equal "$stderr" ''
}

@test "a trace that cannot be written is an error at the end" {
    use_program 01-sequential
    fetch --quiet --trace /dev/full "$SITE/page/1"
    assert_equal "$output" "$SITE/page/1	Page 1"
    assert_equal "$stderr" 'error: cannot write /dev/full: No space left on device'
    assert_status 1
}

@test "--timeline draws a row for each worker and a bar for each page, and titles stay alone" {
    use_program 03-thread-pool
    fetch --quiet --timeline --workers 2 "$SITE"/gather/2?{1..4}
    assert_status 0
    assert_equal "$(wc -l <<<"$output")" 4
    assert_equal "$(wc -l <<<"$stderr")" 3
    local row='^thread-[12] +[^ ]+'
    assert_regex "$(sed -n 1p <<<"$stderr")" "$row"
    assert_regex "$(sed -n 2p <<<"$stderr")" "$row"
    assert_regex "$(sed -n 3p <<<"$stderr")" '^ {10}\|0 s .*\|[0-9.e-]+'
}

# The picture itself, from times that are given. draw COLUMNS [--colour]: of standard input,
# with a word for each tab.
draw() {
    tr ' ' '\t' | sed 's/_/ /g' | "$BUILD/timeline" "$@"
}

@test "the picture is as wide as it should be, and shows who waited, read and failed" {
    run draw 44 <<<'thread-1 1 0 0.5 1
thread-2 2 0 0.75 0.75 x
thread-2 3 0.75 1 1
thread-10 12 0.5 0.505 0.51
thread-10 13 0.6 0.6 0.61
thread-10 14 0.61 0.61 0.612'
    assert_output 'thread-1   [1...............===============]
thread-2   [2......................x[3.....]
thread-10                   |  #
           |0 s             |0.5'
}

@test "main, which is alone, draws a staircase of ten pages, and one row of more" {
    run draw 27 < <(for i in {1..4}; do echo "01_main $i $((i - 1)) $i $i"; done
        echo '02_thread-1 1 0 4 4')
    assert_output '01 main      [1.]
01 main          [2]
01 main             [3.]
01 main                 [4]
02 thread-1  [1...........]
             |0 s'
    run draw 30 < <(for i in {1..10}; do echo "main $i $((i - 1)) $i $i"; done)
    assert_equal "$(grep -c '^main' <<<"$output")" 10
    run draw 30 < <(for i in {1..11}; do echo "main $i $((i - 1)) $i $i"; done)
    assert_equal "$(grep -c '^main' <<<"$output")" 1
}

@test "with colours the picture is the same, but for the colours" {
    local visits='a 1 0 0.5 1
b 2 0 0.5 1 x'
    draw 30 --colour <<<"$visits" | sed 's/\x1b\[[0-9;]*m//g' >without
    assert_equal "$(<without)" "$(draw 30 <<<"$visits")"
    run draw 30 --colour <<<"$visits"
    assert_regex "$output" $'\e\\[36m\\.+\e\\[32m=+'
    assert_regex "$output" $'\e\\[31mx\e\\[m'
}

@test "there are no colours without a terminal, nor with NO_COLOR" {
    local command="'$BUILD/01-sequential' -q --timeline '$SITE/page/1?delay=50' >/dev/null"
    run script --quiet --return --command "$command" typescript
    assert_regex "$output" $'\e\\[36m'
    run script --quiet --return --command "NO_COLOR=1 $command" typescript
    refute_regex "$output" $'\e'
    run bash -c "$command"
    refute_regex "$output" $'\e'
}

@test "the picture is as wide as the terminal" {
    local columns command
    for columns in 60 132; do
        command="stty columns $columns; NO_COLOR=1 '$BUILD/01-sequential' -q --timeline"
        run script --quiet --return --command "$command '$SITE/page/1?delay=50' >/dev/null" x
        assert_equal "$(head -n 1 <<<"$output" | tr -d '\r\n' | wc -c)" "$columns"
    done
}

@test "more than 40 workers are not drawn, but counted" {
    use_program 02-threads
    fetch --quiet --timeline "$SITE"/gather/50?{1..50}
    assert_equal "$(grep -c '^thread-' <<<"$stderr")" 40
    assert_regex "$stderr" $'\n... and 10 more workers\n'
}
