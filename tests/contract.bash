# What the checks of the lessons share: how they begin and end, and what holds for every
# lesson's program. From prints_in_the_order_given on, each function is the body of a check.
# shellcheck shell=bash

# The file of a lesson's checks is called like the lesson.
setup_file() {
    use_program "$(basename "$BATS_TEST_FILENAME" .bats)"
    keep_reports
    allow_tracing
    start_site
}

teardown_file() {
    stop_site
}

setup() {
    skip_if_it_hangs
    unset "${!NATS_@}" "${!EXECUTOR_@}" # they would change what lesson 11's program does
    reset_site
}

teardown() {
    stop_program
}

prints_in_the_order_given() {
    fetch "$SITE/page/1?delay=300" "$SITE/page/2?delay=150" "$SITE/page/3"
    assert_status 0
    assert_prints "$SITE/page/1?delay=300	Page 1
$SITE/page/2?delay=150	Page 2
$SITE/page/3	Page 3"
}

tells_how_many_it_has_fetched() {
    fetch "$SITE/page/1" "$SITE/status/404" "$SITE/page/2"
    assert_matches 'the last line on standard error' "${stderr##*$'\n'}" \
        '^2 of 3 pages fetched in [0-9]+\.[0-9]+ s$' '2 of 3 pages fetched in 0.05 s'
}

loses_no_page_to_one_that_fails() {
    fetch "$SITE/page/1" "$SITE/status/404" "$SITE/reset" "$SITE/page/2"
    assert_prints "$SITE/page/1	Page 1
$SITE/page/2	Page 2"
    assert_tells_errors \
        "error: $SITE/status/404: HTTP status 404
error: $SITE/reset: the connection broke: Connection reset by peer"
}

exits_with_1_if_a_page_failed() {
    fetch "$SITE/page/1" "$SITE/status/404" "$SITE/page/2"
    assert_status 1
}

is_quiet() {
    fetch --quiet "$SITE/page/1" "$SITE/status/404"
    assert_prints "$SITE/page/1	Page 1"
    assert_is 'its standard error' "$stderr" "error: $SITE/status/404: HTTP status 404"
}

# The last page begins when the time limit of the one before it is over.
times_out_page_by_page() {
    fetch --timeout 2 --workers 1 "$SITE/page/1" "$SITE/silent" "$SITE/page/2"
    assert_prints "$SITE/page/1	Page 1
$SITE/page/2	Page 2"
    assert_tells_errors "error: $SITE/silent: timed out after 2 s"
}

assert_says_that_it_has_no_pool() {
    assert_matches 'what its help says of --workers' "$output" \
        '--workers N +no effect here: this lesson has no pool' \
        '--workers N       no effect here: this lesson has no pool'
}

says_that_it_has_a_pool() {
    fetch --help
    assert_status 0
    assert_matches 'what its help says of --workers' "$output" \
        '--workers N +workers in the pool \(default 8\)' \
        '--workers N     workers in the pool (default 8)'
}

# a_sanitizer_finds_nothing PATH: neither in pages of this path, nor in a check before.
a_sanitizer_finds_nothing() {
    [[ -n ${SANITIZED:-} ]] || skip 'the program is built without a sanitizer'
    pages 12 "$1"
    # With all the calls that have led to an allocation.
    ASAN_OPTIONS+=:fast_unwind_on_malloc=0 fetch --workers 3 "$SITE/status/404" "${urls[@]}"
    local found
    # AddressSanitizer always warns of fibers; ours tell it of each switch.
    found=$(find "$REPORTS" -type f -exec grep -qv "ASan doesn't fully support makecontext" '{}' \; \
        -printf '%T@ %p\n' | sort -n | tail -n 1)
    [[ -z $found ]] || {
        echo 'a sanitizer should find nothing; this is what it has found last:'
        show_report "${found#* }"
    } | fail
}

# pages COUNT PATH: puts COUNT addresses of the path in `urls`.
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
        release 3
    done
    end
    assert_status 0
    assert_is 'the number of lines that it printed for 12 pages' "$(wc -l <"$out")" 12
    assert_most_in_flight 3 'with 3 workers'
}

# keeps_busy_behind_a_slow_page: a page that is held keeps one worker, and no other.
keeps_busy_behind_a_slow_page() {
    pages 100 /page/1
    begin --workers 2 "$SITE/hold" "${urls[@]}" "$SITE/gather/1"
    wait_for requests=102
    release
    end
    assert_status 0
    assert_is 'the titles, with how often each comes in a row,' \
        "$(cut -f 2 "$out" | uniq -c | sed 's/^ *//')" '1 Held
100 Page 1
1 Gathered 1'
}

takes_more_workers_than_pages_and_none_at_all() {
    fetch --workers 5 "$SITE/page/1"
    assert_title 'Page 1'
    fetch --workers 5 --file /dev/null
    assert_prints ''
    assert_status 0
}

# fetches_many: thousands, most of which are refused before a connection is made.
fetches_many() {
    { seq -f 'ftp://example.org/%.0f' 1 9999
      echo "$SITE/page/1"
      seq -f 'ftp://example.org/%.0f' 10001 19999
      echo "$SITE/page/2"; } >"$BATS_TEST_TMPDIR/urls"
    fetch --quiet --file "$BATS_TEST_TMPDIR/urls"
    assert_prints "$SITE/page/1	Page 1
$SITE/page/2	Page 2"
    assert_is 'the number of pages that it refuses, of 19998 with ftp,' \
        "$(grep -c ': neither http nor https$' <<<"$stderr")" 19998
    assert_is 'line 12345 of its standard error' "$(sed -n '12345p' <<<"$stderr")" \
        'error: ftp://example.org/12346: neither http nor https'
    assert_status 1
}

asks_for_as_many_at_once_as_workers() {
    pages 12 /gather/4
    fetch --workers 4 "${urls[@]}"
    assert_most_in_flight 4 'with 4 workers and 12 pages'
    assert_is 'the number of pages that came, of 12 that come four at once,' \
        "$(grep -c 'Gathered 4$' <<<"$output")" 12
    assert_status 0
}

# holds COUNT WORKERS: begins the program on COUNT pages, and waits until each of its
# workers has one, if there are as many.
holds() {
    pages "$1" /hold
    begin --workers "$2" "${urls[@]}"
    wait_for "in_flight=$(($1 < $2 ? $1 : $2))"
}

ends_its_threads_on_ctrl_c() {
    holds 8 4
    end INT
    assert_status 130
    wait_for in_flight=0
}

assert_tells_that_no_worker_starts() {
    assert_matches 'what it tells of errors on standard error' \
        "$(grep '^error' <<<"$stderr")" '^error: [^
]*(start|creat|fork|unavailable|Too many)[^
]*$' 'error: no worker can be started: Resource temporarily unavailable'
}

# What a pool of threads keeps.

# threads: the thread ids of the program, in order.
threads() {
    find "/proc/$pid/task" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -n
}

has_no_process() {
    assert_is 'the number of processes that it has started' \
        "$(ps --no-headers --ppid "$pid" | wc -l)" 0
}

has_a_thread_for_each_worker() {
    holds 12 4
    local first expected=5
    [[ ${SANITIZED:-} != thread ]] || expected=6 # ThreadSanitizer has one of its own
    first=$(threads)
    assert_is 'the number of its threads, with 4 workers,' "$(wc -l <<<"$first")" "$expected"
    has_no_process
    release
    wait_for requests=8
    assert_is 'what /proc says of its threads' "$(threads)" "$first"
    release
    wait_for requests=12
    assert_is 'what /proc says of its threads' "$(threads)" "$first"
    release
    end
    assert_status 0
}

# tells_which_worker_has_a_page KIND: "thread" or "loop".
tells_which_worker_has_a_page() {
    pages 6 /gather/3
    begin --workers 3 "${urls[@]}"
    end
    assert_is 'what it tells of pages that begin, sorted and counted,' \
        "$(grep '^Getting' "$err" | sort | uniq -c | sed 's/^ *//')" \
        "2 Getting title from ${SITE#http://}/gather/3, PID: $pid, worker: $1-1
2 Getting title from ${SITE#http://}/gather/3, PID: $pid, worker: $1-2
2 Getting title from ${SITE#http://}/gather/3, PID: $pid, worker: $1-3"
}

says_so_without_threads() {
    [[ ${SANITIZED:-} != thread ]] || skip 'ThreadSanitizer needs a thread itself'
    # No thread can have a stack of 64 TiB.
    ulimit -s $((64 * 1024 * 1024 * 1024))
    fetch "$SITE/page/1" "$SITE/page/2"
    assert_status 1
    assert_prints ''
    assert_tells_that_no_worker_starts
}

# fetch_preloading LIBRARY [VARIABLE=VALUE...] -- ARGUMENT...: fetches with a library of
# tests/preload between the program and the C library.
fetch_preloading() {
    preloading fetch_by "$@"
}

# begin_preloading LIBRARY [VARIABLE=VALUE...] -- ARGUMENT...: begins the program like that.
begin_preloading() {
    preloading begin_by "$@"
}

# The path of what is preloaded must not have a space.
preloading() {
    local command=$1 library=$BATS_TEST_TMPDIR/$2.so
    local -a variables=()
    cp "$BUILD/$2.so" "$library"
    shift 2
    while [[ $1 != -- ]]; do
        variables+=("$1")
        shift
    done
    "$command" env "${variables[@]}" LD_PRELOAD="$library${TRACEABLE:+ $TRACEABLE}" \
        "$PROGRAM" "${@:2}"
}

says_so_with_fewer_threads() {
    pages 20 /page/1
    fetch_preloading few FEW_THREADS=7 -- --workers 10 "${urls[@]}"
    assert_status 0
    assert_is 'the number of lines that it printed for 20 pages' "$(wc -l <<<"$output")" 20
    assert_matches 'what it says on standard error' "$stderr" \
        'only [1-9] of 10 workers can be started: ' 'only 7 of 10 workers can be started: ...'
}

# goes_on_after_each_wakeup: whatever a worker is woken for, it looks again.
goes_on_after_each_wakeup() {
    [[ -z ${SANITIZED:-} ]] || skip 'a sanitizer has a pthread_cond_wait of its own'
    pages 12 /gather/3
    fetch_preloading wakes -- --workers 3 "${urls[@]}"
    assert_is 'the number of pages that came, of 12 that come three at once,' \
        "$(grep -c 'Gathered 3$' <<<"$output")" 12
    assert_status 0
}

# wakes_all_workers_at_the_end: without a page, all of them wait when the pool is closed.
wakes_all_workers_at_the_end() {
    [[ -z ${SANITIZED:-} ]] || skip 'a sanitizer has a pthread_cond_wait of its own'
    fetch_preloading wakes -- --workers 3 --file /dev/null
    assert_status 0
    assert_prints ''
}

# What a pool of processes keeps.

# workers_told: the process ids of the workers that have said that they begin, in order.
workers_told() {
    sed -n 's/^Getting.*PID: \([0-9]*\), worker: .*process-.*/\1/p' "$err" | sort -nu
}

# worker_of NUMBER: the process id of the worker that said last that this is its number.
worker_of() {
    sed -n "s/^Getting.*PID: \([0-9]*\), worker: .*process-$1$/\1/p" "$err" | tail -n 1
}

# children: the process ids of the program's children, in order.
children() {
    ps --no-headers --format pid --ppid "$pid" | sort -n | tr -d ' '
}

# gone PID...: waits until none of the processes runs any more, a second at most. (Of another's
# child there is no event to wait for, but /proc tells; a zombie has ended, and waits for init.)
gone() {
    local process
    for process in "$@"; do
        timeout 1 bash -c 'while read -r state <"/proc/$1/stat" && [[ ${state##*) } != Z* ]]; do
            :
        done 2>/dev/null' - "$process" ||
            wrong "process $process, a worker, should have ended by now; it still runs"
    done
}

# states: of the program's children, and of theirs.
states() {
    local children
    children=$(ps --no-headers --format pid --ppid "$pid" | xargs printf '%s,')
    ps --no-headers --format stat --ppid "$children$pid"
}

# tells_which_process_has_a_page [HOST/]: the workers' names may begin with a host's.
tells_which_process_has_a_page() {
    holds 3 3
    local worker workers expected=1
    [[ ${SANITIZED:-} != thread ]] || expected=2 # ThreadSanitizer has one of its own
    mapfile -t workers < <(workers_told)
    assert_is 'the number of processes that tell that they begin' "${#workers[@]}" 3
    for worker in "${workers[@]}"; do
        if [[ $worker == "$pid" ]]; then
            wrong "each page should have a process other than the first; process $pid has one"
        fi
        assert_is 'the number of threads of a worker' \
            "$(find "/proc/$worker/task" -mindepth 1 -maxdepth 1 | wc -l)" "$expected"
    done
    assert_is 'the list of workers that tell that they begin' \
        "$(sed -n 's/^Getting.*worker: //p' "$err" | sort)" "${1:-}process-1
${1:-}process-2
${1:-}process-3"
    release
    end
}

# Its workers are its own children, as long as it makes them itself.
keeps_its_processes() {
    holds 8 4
    local workers
    mapfile -t workers < <(children)
    assert_is 'the number of its child processes, with 4 workers,' "${#workers[@]}" 4
    assert_is 'the number of threads of the parent' \
        "$(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l)" 1
    release
    wait_for requests=8
    assert_is 'the list of its child processes' "$(children | xargs)" "${workers[*]}"
    release
    end
    assert_status 0
    gone "${workers[@]}"
}

# has_reaped_each_worker: whom it had not waited for would be another's when it has ended.
has_reaped_each_worker() {
    pages 6 /page/1
    fetch_by /usr/bin/python3 "$ROOT/tests/orphans.py" "$BATS_TEST_TMPDIR/orphans" \
        "$PROGRAM" --workers 3 "${urls[@]}"
    assert_status 0
    assert_is 'the number of processes that it has not waited for' \
        "$(<"$BATS_TEST_TMPDIR/orphans")" 0
}

# count_descriptors: of each process whose id is a line of standard input; each number once.
count_descriptors() {
    local process
    while read -r process; do
        find "/proc/$process/fd" -mindepth 1 | wc -l
    done | sort -nu
}

# inherits_no_descriptor: the more workers, the more there would be. All hold a page alike.
inherits_no_descriptor() {
    local few many
    holds 2 2
    few=$(children | count_descriptors | tail -n 1)
    release
    end
    reset_site
    holds 9 9
    many=$(children | count_descriptors | tail -n 1)
    release
    end
    if [[ $many != "$few" ]]; then
        wrong "with 9 workers, each should hold as many descriptors as with 2, which is $few \
at most; one holds $many (a child inherits all that its parent has open when it is forked)"
    fi
}

# loses_one_page_to_a_worker_that_is_killed [HOST/]
loses_one_page_to_a_worker_that_is_killed() {
    holds 6 2
    local killed
    killed=$(worker_of 2)
    kill -s KILL "$killed"
    wait_for requests=3
    gone "$killed"
    if [[ $(worker_of 2) == "$killed" ]]; then
        wrong 'a new process should have begun as process-2; the killed one was the last'
    fi
    if [[ $(states) == *Z* ]]; then
        wrong 'the parent should have waited for the process that was killed; it is a zombie'
    fi
    release
    wait_for requests=5
    release
    wait_for requests=6
    release
    end
    assert_status 1
    assert_is 'the number of titles, of 6 pages with one worker killed,' \
        "$(grep -c 'Held$' <<<"$output")" 5
    assert_tells_errors \
        "error: $SITE/hold: worker ${1:-}process-2 was killed by signal 9 (SIGKILL)"
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
    assert_prints ''
    assert_is 'the number of errors like "worker process-1 was killed by signal 6 (SIGABRT)"' \
        "$(grep -cE '^error: .*: worker process-[12] was killed by signal 6 \(SIGABRT\)$' \
            <<<"$stderr")" 6
}

leaves_no_worker_when_it_is_killed() {
    holds 3 3
    local workers
    mapfile -t workers < <(workers_told)
    assert_is 'the number of processes that tell that they begin' "${#workers[@]}" 3
    kill -s KILL "$pid"
    gone "${workers[@]}"
    wait_for in_flight=0
}

leaves_no_worker_on_ctrl_c() {
    holds 8 4
    local workers
    mapfile -t workers < <(workers_told)
    assert_is 'the number of processes that tell that they begin' "${#workers[@]}" 4
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
    release
    wait_for requests=8
    assert_is 'the list of its workers, when each has had SIGINT and then fetched a page,' \
        "$(workers_told | xargs)" "${workers[*]}"
    release
    end
    assert_status 0
    assert_tells_errors ''
    gone "${workers[@]}"
}

gets_a_long_title_whole() {
    fetch --workers 2 "$SITE/title/1000000" "$SITE/page/1"
    assert_status 0
    assert_is 'the number of different letters in a title of nothing but x' \
        "$(head -n 1 <<<"$output" | cut -f 2 | tr -d '\n' | tr -s x | wc -c)" 1
    assert_is 'the length of a title of 1000000 bytes' \
        "$(head -n 1 <<<"$output" | cut -f 2 | tr -d '\n' | wc -c)" 1000000
}

says_so_without_processes() {
    fetch_by bash -c 'ulimit -n 4; exec "$0" "$@"' \
        "$PROGRAM" "$SITE/page/1" "$SITE/page/2"
    assert_status 1
    assert_prints ''
    assert_tells_that_no_worker_starts
}

says_so_with_fewer_processes() {
    pages 20 /page/1
    fetch_preloading few FEW_FORKS=15 -- --workers 50 "${urls[@]}"
    assert_status 0
    assert_is 'the number of lines that it printed for 20 pages' "$(wc -l <<<"$output")" 20
    assert_matches 'what it says on standard error' "$stderr" \
        'only 1[0-5] of 50 workers can be started: Resource temporarily unavailable' \
        'only 15 of 50 workers can be started: Resource temporarily unavailable'
}

# survives_interruptions CALLS...: the system calls, with a comma between, are interrupted,
# and made again.
survives_interruptions() {
    [[ -z ${SANITIZED:-} ]] || skip 'LeakSanitizer and strace cannot both trace a program'
    local pages=("$SITE/page/1" "$SITE/page/2?delay=50" "$SITE/page/3" "$SITE/page/4")
    fetch_by strace --follow-forks -qq --output="$BATS_TEST_TMPDIR/trace" \
        --inject="$1:error=EINTR:when=2+3" "$PROGRAM" --quiet --workers 2 "${pages[@]}"
    assert_is 'its standard error' "$stderr" ''
    assert_is 'the list of its titles' "$(cut -f 2 <<<"$output")" 'Page 1
Page 2
Page 3
Page 4'
    [[ $(grep -c INJECTED "$BATS_TEST_TMPDIR/trace") -gt 10 ]] || fail 'nothing was interrupted'
}

# What a program of the executor keeps.

# uses_the_interface [PATTERN]: its object file asks for what it needs by these names, and
# for nothing of what the executor is for; a program that collects results by callbacks
# may have a mutex, and says what it must not have.
uses_the_interface() {
    local names
    names=$(nm --undefined-only "$(object_file)" | sed 's/^ *U //')
    assert_line_of "$names" executor_submit
    if [[ $names != *future_result* ]]; then
        wrong 'it should call future_result; nothing in it does'
    fi
    local own="(^|[[:space:]])(${1:-(pthread_|thrd_|v?fork|clone|posix_spawn|socketpair)[[:alnum:]_]*})"
    if [[ $names =~ $own ]]; then
        wrong "it should leave threads and processes to the executor; \
it calls ${BASH_REMATCH[0]##*[[:space:]]}"
    fi
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
    grep -qxF -- "$2" <<<"$1" || wrong "it should call $2; nothing in it does"
}

waits_for_all_before_it_prints() {
    pages 100 /page/1
    begin --workers 1 "${urls[@]}" "$SITE/hold"
    wait_for requests=101
    assert_is 'its standard output, before the last page has come,' "$(<"$out")" ''
    release
    end
    assert_is 'its standard output, equal lines counted,' \
        "$(uniq -c "$out" | sed 's/^ *//')" "100 $SITE/page/1	Page 1
1 $SITE/hold	Held"
    assert_is 'the first line on standard error that does not tell of a page' \
        "$(grep -v '^Getting' <<<"$stderr" | head -n 1)" 'Waiting for downloads...'
    assert_is 'the line on standard error before the last' \
        "$(tail -n 2 <<<"$stderr" | head -n 1)" 'Done'
}

# What a program keeps that prints the titles as they arrive.

# prints_each_when_it_arrives: a page that is held keeps no other from coming out of a pipe.
prints_each_when_it_arrives() {
    local pipe=$BATS_TEST_TMPDIR/pipe line i
    mkfifo "$pipe"
    exec 5<>"$pipe"
    pages 300 /page/1
    begin_by bash -c 'exec "${@:2}" >"$1"' - "$pipe" \
        "$PROGRAM" --workers 2 "$SITE/hold" "${urls[@]}"
    for ((i = 0; i < 300; i++)); do
        read -r -t "$LIMIT" line <&5 ||
            wrong "300 titles should have come out of it while another page is held; $i did"
        assert_is 'a line of its standard output' "$line" "$SITE/page/1	Page 1"
    done
    release
    end
    read -r -t "$LIMIT" line <&5 || true
    assert_is 'the last line of its standard output' "$line" "$SITE/hold	Held"
    assert_is 'its standard error, but for the pages that begin and the last line,' \
        "$(grep -v '^Getting\|pages fetched in' <<<"$stderr")" ''
    assert_status 0
}

# fetches_many_as_they_arrive: like fetches_many, in any order.
fetches_many_as_they_arrive() {
    { seq -f 'ftp://example.org/%.0f' 1 9999
      echo "$SITE/page/1"
      seq -f 'ftp://example.org/%.0f' 10001 19999; } >"$BATS_TEST_TMPDIR/urls"
    fetch --quiet --file "$BATS_TEST_TMPDIR/urls"
    assert_prints "$SITE/page/1	Page 1"
    assert_is 'the number of pages that it refuses, of 19998 with ftp,' \
        "$(grep ': neither http nor https$' <<<"$stderr" | sort -u | wc -l)" 19998
    assert_status 1
}

# loses_no_page_as_they_arrive: with one page at a time, the order is known.
loses_no_page_as_they_arrive() {
    fetch --workers 1 "$SITE/page/1" "$SITE/status/404" "$SITE/reset" "$SITE/page/2"
    assert_prints "$SITE/page/1	Page 1
$SITE/page/2	Page 2"
    assert_tells_errors "error: $SITE/status/404: HTTP status 404
error: $SITE/reset: the connection broke: Connection reset by peer"
}

# What a program with a deadline keeps.

asks_for_no_page_after_the_deadline() {
    pages 50 /hold
    fetch --workers 2 --deadline 0.5 "${urls[@]}"
    assert_status 1
    assert_is 'the number of pages of 50 that were not fetched' \
        "$(grep -c "^error: $SITE/hold: not fetched within 0.5 s$" <<<"$stderr")" 50
    local requests
    requests=$(ask /stats | jq .requests)
    if ((requests > 2)); then
        wrong "with 2 workers, it should ask for 2 pages that are held; it asked for $requests"
    fi
}

prints_what_arrives_before_the_deadline() {
    fetch --workers 2 --deadline 4 "$SITE/hold" "$SITE/page/1" "$SITE/status/404"
    assert_prints "$SITE/page/1	Page 1"
    assert_tells_errors "error: $SITE/status/404: HTTP status 404
error: $SITE/hold: not fetched within 4 s"
    assert_matches 'the last line on standard error' "${stderr##*$'\n'}" \
        '^1 of 3 pages fetched in ' '1 of 3 pages fetched in 4.02 s'
}

explains_its_deadline() {
    fetch --help
    assert_matches 'what its help says of --deadline' "$output" \
        '--deadline SEC +give up on all pages' \
        '--deadline SEC  give up on all pages that are not there after SEC seconds'
    fetch --deadline 0 "$SITE/page/1"
    assert_status 2
}

# What a program of a cluster keeps.

# start_nats [PORT] [OPTION...]: starts a NATS server with JetStream for this check, and sets
# NATS_URL to its address and `nats` to its process.
start_nats() {
    local folder=$BATS_TEST_TMPDIR/nats ports
    mkdir -p "$folder"
    PATH=$PATH:/usr/sbin setsid setpriv --pdeathsig KILL nats-server --jetstream \
        --addr 127.0.0.1 --port "${1:--1}" "${@:2}" --store_dir "$folder" \
        --ports_file_dir "$folder" --log "$folder/log" >/dev/null 2>&1 3>&- 4>&- &
    nats=$!
    disown "$nats" # bash has nothing to say when it is killed
    printf '%d\n' "$nats" >>"$BATS_TEST_TMPDIR/groups"
    ports=$folder/nats-server_$nats.ports
    # It writes this file when it listens.
    timeout "$LIMIT" bash -c 'until [[ -s $1 ]]; do sleep 0.02; done' - "$ports" ||
        fail "nats-server did not start: $(tail -n 5 "$folder/log")"
    NATS_URL=$(jq --raw-output '.nats[0]' "$ports")
    export NATS_URL
}

# begin_host NAME WORKERS: begins a worker host; `host` is its process, and the file
# $BATS_TEST_TMPDIR/NAME has its standard error.
begin_host() {
    EXECUTOR_WORKER=1 EXECUTOR_HOST=$1 setsid setpriv --pdeathsig KILL \
        "$PROGRAM" --workers "$2" >/dev/null 2>"$BATS_TEST_TMPDIR/$1" 3>&- 4>&- &
    host=$!
    disown "$host"
    printf '%d\n' "$host" >>"$BATS_TEST_TMPDIR/groups"
}

# kill_at_once PROCESS: one that start_nats or begin_host has begun.
kill_at_once() {
    kill -s KILL "$1"
    gone "$1"
}

# descendants PROCESS...: the ids of their children, of the children's children, and so on.
descendants() {
    local -a found
    mapfile -t found < <(ps --no-headers --format pid --ppid "$*" | tr -d ' ')
    ((${#found[@]} == 0)) || { printf '%s\n' "${found[@]}"; descendants "${found[@]}"; }
}

gives_pages_to_hosts_that_join() {
    start_nats
    begin_host a 2
    pages 4 /hold
    begin --timeline "${urls[@]}"
    wait_for in_flight=2
    begin_host b 2
    wait_for in_flight=4
    release
    end
    assert_status 0
    assert_is 'the number of titles, of 4 pages on two hosts,' \
        "$(grep -c 'Held$' <<<"$output")" 4
    assert_is 'the list of workers in its timeline' \
        "$(sed -n 's/^\([^ ]*process-[0-9]\) .*/\1/p' <<<"$stderr")" 'a/process-1
a/process-2
b/process-1
b/process-2'
}

loses_no_page_to_a_host_that_is_killed() {
    local killed
    start_nats
    begin_host a 1
    killed=$host
    pages 2 /hold
    begin "${urls[@]}"
    wait_for in_flight=1
    begin_host b 1
    wait_for in_flight=2
    kill_at_once "$killed"
    begin_host c 1
    wait_for requests=3
    release
    end
    assert_status 0
    assert_is 'the number of titles, of 2 pages with one host killed,' \
        "$(grep -c 'Held$' <<<"$output")" 2
    assert_tells_errors ''
}

# What is on its way when the server dies may be fetched twice, and be held again: there are
# workers for that, and for the page that nobody has begun.
loses_no_page_to_a_server_that_is_killed() {
    start_nats
    begin_host a 2
    pages 2 /hold
    begin "${urls[@]}" "$SITE/page/1"
    wait_for in_flight=2
    kill_at_once "$nats"
    release
    start_nats "${NATS_URL##*:}"
    begin_host b 3
    end
    assert_status 0
    assert_is 'the list of titles, with the server killed,' "$(cut -f 2 <<<"$output" | sort)" \
        'Held
Held
Page 1'
    assert_tells_errors ''
}

waits_for_a_host() {
    start_nats
    EXECUTOR_WAIT=2 fetch "$SITE/page/1"
    assert_status 1
    assert_prints ''
    assert_matches 'what it says on standard error' "$stderr" \
        '^cluster: waiting for a worker host of this build \([0-9a-f]+\) at 127\.0\.0\.1:[0-9]+
error: no worker can be started: Connection timed out$' \
        'cluster: waiting for a worker host of this build (...) at 127.0.0.1:4222, and then an error'
}

says_so_if_its_password_is_wrong() {
    start_nats -1 --user course --pass right
    NATS_USER=course NATS_PASSWORD=wrong fetch "$SITE/page/1"
    assert_status 1
    assert_prints ''
    assert_matches 'what it says on standard error' "$stderr" \
        '^cluster: cannot connect to 127\.0\.0\.1:[0-9]+: [^
]*
error: no worker can be started: Permission denied$' \
        'cluster: cannot connect to 127.0.0.1:4222: ..., and then an error'
}

# leaves_nothing_when_it_is_killed: neither server nor host nor any other process.
leaves_nothing_when_it_is_killed() {
    local processes
    holds 2 2
    mapfile -t processes < <(descendants "$pid")
    if ! ps --no-headers --format comm --pid "${processes[*]}" | grep -q '^nats-server$'; then
        wrong 'it should have started a NATS server; it has not'
    fi
    kill -s KILL "$pid"
    gone "${processes[@]}"
    wait_for in_flight=0
}
