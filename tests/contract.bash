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

asks_for_as_many_at_once_as_workers() {
    pages 12 /gather/4
    fetch --workers 4 "${urls[@]}"
    assert_stat most_in_flight 4 'most requests at once, with 4 workers'
    assert_equal "$(grep -c 'Gathered 4$' <<<"$output")" 12
    assert_status 0
}

# holds COUNT WORKERS: begins the program on so many pages, and waits until each of its
# workers has one, if there are so many.
holds() {
    pages "$1" /hold
    begin --workers "$2" "${urls[@]}"
    wait_for "in_flight=$(($1 < $2 ? $1 : $2))"
}

# What a pool of threads keeps.

# threads: the thread ids of the program, in order.
threads() {
    find "/proc/$pid/task" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -n
}

has_a_thread_for_each_worker() {
    holds 12 4
    local first expected=5
    [[ ${SANITIZED:-} != thread ]] || expected=6 # ThreadSanitizer has one of its own
    first=$(threads)
    assert_equal "$(wc -l <<<"$first")" "$expected"
    assert_equal "$(ps --no-headers --ppid "$pid" | wc -l)" 0
    ask /release
    wait_for requests=8
    assert_equal "$(threads)" "$first"
    ask /release
    wait_for requests=12
    assert_equal "$(threads)" "$first"
    ask /release
    end
    assert_status 0
}

tells_which_thread_has_a_page() {
    pages 6 /gather/3
    begin --workers 3 "${urls[@]}"
    end
    assert_equal "$(grep '^Getting' "$err" | sort | uniq -c | sed 's/^ *//')" \
        "2 Getting title from ${SITE#http://}/gather/3, PID: $pid, worker: thread-1
2 Getting title from ${SITE#http://}/gather/3, PID: $pid, worker: thread-2
2 Getting title from ${SITE#http://}/gather/3, PID: $pid, worker: thread-3"
}

says_so_without_threads() {
    [[ ${SANITIZED:-} != thread ]] || skip 'ThreadSanitizer needs a thread itself'
    # No thread can have a stack of 64 TiB.
    ulimit -s $((64 * 1024 * 1024 * 1024))
    fetch "$SITE/page/1" "$SITE/page/2"
    assert_status 1
    assert_equal "$output" ''
    assert_equal "$(grep -c '^error: ' <<<"$stderr")" 1
}

says_so_with_fewer_threads() {
    [[ -z ${SANITIZED:-} ]] || skip 'sanitizers need most of the address space'
    # Ten stacks of 100 MiB are too much for 1 GB.
    ulimit -s 102400
    ulimit -v 1000000
    pages 20 /page/1
    fetch --workers 10 "${urls[@]}"
    assert_status 0
    assert_equal "$(wc -l <<<"$output")" 20
    assert_regex "$stderr" 'only [1-9] of 10 workers can be started: '
}

# What a pool of processes keeps.

# workers_told: the process ids of the workers that have said that they begin, in order.
workers_told() {
    sed -n 's/^Getting.*PID: \([0-9]*\), worker: process-.*/\1/p' "$err" | sort -nu
}

# worker_of NUMBER: the process id of the worker that said last that this is its number.
worker_of() {
    sed -n "s/^Getting.*PID: \([0-9]*\), worker: process-$1$/\1/p" "$err" | tail -n 1
}

# gone PID...: waits until none of the processes runs any more, a second at most. (Of another's
# child there is no event to wait for, but /proc tells; a zombie has ended, and waits for init.)
gone() {
    local process
    for process in "$@"; do
        timeout 1 bash -c 'while read -r state <"/proc/$1/stat" && [[ ${state##*) } != Z* ]]; do
            :
        done 2>/dev/null' - "$process" || fail "process $process is still there"
    done
}

# states: of the program's children, and of theirs.
states() {
    local children
    children=$(ps --no-headers --format pid --ppid "$pid" | xargs printf '%s,')
    ps --no-headers --format stat --ppid "$children$pid"
}

tells_which_process_has_a_page() {
    holds 3 3
    local worker workers expected=1
    [[ ${SANITIZED:-} != thread ]] || expected=2 # ThreadSanitizer has one of its own
    mapfile -t workers < <(workers_told)
    assert_equal "${#workers[@]}" 3
    for worker in "${workers[@]}"; do
        assert_not_equal "$worker" "$pid"
        assert_equal "$(find "/proc/$worker/task" -mindepth 1 -maxdepth 1 | wc -l)" "$expected"
    done
    assert_equal "$(sed -n 's/^Getting.*worker: //p' "$err" | sort)" 'process-1
process-2
process-3'
    ask /release
    end
}

loses_one_page_to_a_worker_that_is_killed() {
    holds 6 2
    local killed
    killed=$(worker_of 2)
    kill -s KILL "$killed"
    wait_for requests=3
    gone "$killed"
    assert_not_equal "$(worker_of 2)" "$killed"
    refute_regex "$(states)" Z
    ask /release
    wait_for requests=5
    ask /release
    wait_for requests=6
    ask /release
    end
    assert_status 1
    assert_equal "$(grep -c 'Held$' <<<"$output")" 5
    assert_equal "$(grep '^error' <<<"$stderr")" \
        "error: $SITE/hold: worker process-2 was killed by signal 9 (SIGKILL)"
}

ends_though_all_workers_die() {
    holds 6 2
    local round
    for round in 2 4 6; do
        wait_for "requests=$round"
        kill -s ABRT "$(worker_of 1)" "$(worker_of 2)"
    done
    end
    assert_status 1
    assert_equal "$output" ''
    assert_equal "$(grep -cE '^error: .*: worker process-[12] was killed by signal 6 \(SIGABRT\)$' \
        <<<"$stderr")" 6
}

leaves_no_worker_when_it_is_killed() {
    holds 3 3
    local workers
    mapfile -t workers < <(workers_told)
    assert_equal "${#workers[@]}" 3
    kill -s KILL "$pid"
    gone "${workers[@]}"
    wait_for in_flight=0
}

leaves_no_worker_on_ctrl_c() {
    holds 8 4
    local workers
    mapfile -t workers < <(workers_told)
    assert_equal "${#workers[@]}" 4
    end INT
    assert_status 130
    gone "${workers[@]}"
    wait_for in_flight=0
}

keeps_its_workers_on_ctrl_c_at_a_terminal() {
    holds 8 4
    local workers
    mapfile -t workers < <(workers_told)
    kill -s INT "${workers[@]}"
    ask /release
    wait_for requests=8
    assert_equal "$(workers_told | xargs)" "${workers[*]}"
    ask /release
    end
    assert_status 0
    assert_equal "$(grep '^error' <<<"$stderr")" ''
    gone "${workers[@]}"
}

gets_a_long_title_whole() {
    fetch --workers 2 "$SITE/title/1000000" "$SITE/page/1"
    assert_status 0
    assert_equal "$(head -n 1 <<<"$output" | cut -f 2 | tr -d '\n' | tr -s x | wc -c)" 1
    assert_equal "$(head -n 1 <<<"$output" | cut -f 2 | tr -d '\n' | wc -c)" 1000000
}

says_so_without_processes() {
    run --separate-stderr bash -c 'exec 3>&- 4>&-; ulimit -n 4; exec "$0" "$@"' \
        "$PROGRAM" "$SITE/page/1" "$SITE/page/2"
    assert_status 1
    assert_equal "$output" ''
    assert_equal "$(grep -c '^error: ' <<<"$stderr")" 1
}

says_so_with_fewer_processes() {
    pages 20 /page/1
    run --separate-stderr bash -c 'exec 3>&- 4>&-; ulimit -n 20; exec "$0" "$@"' \
        "$PROGRAM" --workers 50 "${urls[@]}"
    assert_status 0
    assert_equal "$(wc -l <<<"$output")" 20
    assert_regex "$stderr" 'only 1[0-9] of 50 workers can be started: Too many open files'
}

# survives_interruptions CALLS...: the system calls, with a comma between, are interrupted,
# and made again.
survives_interruptions() {
    [[ -z ${SANITIZED:-} ]] || skip 'LeakSanitizer and strace cannot both trace a program'
    local pages=("$SITE/page/1" "$SITE/page/2?delay=50" "$SITE/page/3" "$SITE/page/4")
    run --separate-stderr strace --follow-forks -qq --output="$BATS_TEST_TMPDIR/trace" \
        --inject="$1:error=EINTR:when=2+3" "$PROGRAM" --quiet --workers 2 "${pages[@]}"
    [[ $(grep -c INJECTED "$BATS_TEST_TMPDIR/trace") -gt 10 ]] || fail 'nothing was interrupted'
    assert_equal "$stderr" ''
    assert_equal "$(cut -f 2 <<<"$output")" 'Page 1
Page 2
Page 3
Page 4'
}

# What a program of the executor keeps.

# uses_the_interface: its object file asks for what it needs by these names.
uses_the_interface() {
    local names
    names=$(nm --undefined-only "$(object_file)" | sed 's/^ *U //')
    assert_line_of "$names" executor_submit
    assert_line_of "$names" future_result
    refute_regex "$names" '(^|[[:space:]])(pthread_|thrd_|v?fork|clone|posix_spawn|socketpair)'
}

# object_file: the program's own part of it, without the library.
object_file() {
    if [[ -e $PROGRAM.o ]]; then
        echo "$PROGRAM.o"
    else
        echo "$BUILD/lessons/$(basename "$PROGRAM")/main.o"
    fi
}

# assert_line_of TEXT LINE
assert_line_of() {
    grep -qxF -- "$2" <<<"$1" || fail "it does not refer to $2"
}

waits_for_all_before_it_prints() {
    pages 100 /page/1
    begin --workers 1 "${urls[@]}" "$SITE/hold"
    wait_for requests=101
    assert_equal "$(<"$out")" ''
    ask /release
    end
    assert_equal "$(uniq -c "$out" | sed 's/^ *//')" "100 $SITE/page/1	Page 1
1 $SITE/hold	Held"
    assert_equal "$(grep -v '^Getting' <<<"$stderr" | head -n 1)" 'Waiting for downloads...'
    assert_equal "$(tail -n 2 <<<"$stderr" | head -n 1)" 'Done'
}
