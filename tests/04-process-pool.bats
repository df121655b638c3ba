# Lesson 4: the workers are processes, and share nothing.
load helper
load contract

@test "it prints the titles in the order given, whatever finished first" {
    prints_in_the_order_given
}

@test "it never has more requests than workers" {
    never_exceeds_its_workers
}

@test "a page that takes long keeps one worker and no other" {
    keeps_busy_behind_a_slow_page
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

@test "--timeout holds for each page" {
    times_out_page_by_page
}

@test "there may be fewer pages than workers, and none at all" {
    takes_more_workers_than_pages_and_none_at_all
}

@test "there may be thousands of pages" {
    fetches_many
}

# children: the process ids of the workers, in order.
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
        done 2>/dev/null' - "$process" || fail "process $process is still there"
    done
}

# holds COUNT WORKERS: begins the program on so many pages, and waits until each of its
# workers has one, if there are so many.
holds() {
    pages "$1" /hold
    begin --workers "$2" "${urls[@]}"
    wait_for "in_flight=$(($1 < $2 ? $1 : $2))"
}

# worker_of NUMBER: the process id of the worker that said last that this is its number.
worker_of() {
    sed -n "s/^Getting.*PID: \([0-9]*\), worker: process-$1$/\1/p" "$err" | tail -n 1
}

@test "as many pages as workers answer that answer only if all are asked for at once" {
    pages 12 /gather/4
    fetch --workers 4 "${urls[@]}"
    assert_stat most_in_flight 4 'most requests at once, with 4 workers'
    assert_equal "$(grep -c 'Gathered 4$' <<<"$output")" 12
    assert_status 0
}

@test "its workers are as many processes, each of one thread, from beginning to end" {
    holds 8 4
    local workers
    mapfile -t workers < <(children)
    assert_equal "${#workers[@]}" 4
    assert_equal "$(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l)" 1
    ask /release
    wait_for requests=8
    assert_equal "$(children | xargs)" "${workers[*]}"
    ask /release
    end
    assert_status 0
    gone "${workers[@]}"
}

@test "it tells when it begins with a page, and which process has it" {
    holds 3 3
    assert_equal "$(sed -n 's/.*PID: \([0-9]*\), worker: .*/\1/p' "$err" | sort -n)" \
        "$(children)"
    assert_equal "$(sed -n 's/^Getting.*worker: //p' "$err" | sort)" 'process-1
process-2
process-3'
    ask /release
    end
}

@test "a worker that is killed costs the page that it had, and a new one takes its place" {
    holds 6 2
    local killed
    killed=$(worker_of 2)
    kill -s KILL "$killed"
    wait_for requests=3
    gone "$killed"
    assert_equal "$(children | wc -l)" 2
    refute_regex "$(ps --no-headers --format stat --ppid "$pid")" Z
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
    ask /release
    end
    assert_status 0
    assert_equal "$output" "$SITE/hold	Held"
}

@test "if all workers die, again and again, each page has its error and the program ends" {
    holds 6 2
    local round workers
    for round in 2 4 6; do
        wait_for "requests=$round"
        mapfile -t workers < <(children)
        kill -s ABRT "${workers[@]}"
    done
    end
    assert_status 1
    assert_equal "$output" ''
    assert_equal "$(grep -cE '^error: .*: worker process-[12] was killed by signal 6 \(SIGABRT\)$' \
        <<<"$stderr")" 6
}

@test "no worker outlives its parent, not even in the middle of a page" {
    holds 3 3
    local workers
    mapfile -t workers < <(children)
    kill -s KILL "$pid"
    gone "${workers[@]}"
    wait_for in_flight=0
}

@test "Ctrl-C ends it with status 130, and leaves no worker" {
    holds 8 4
    local workers
    mapfile -t workers < <(children)
    end INT
    assert_status 130
    gone "${workers[@]}"
    wait_for in_flight=0
}

@test "Ctrl-C at a terminal, which all processes get, is no error of a worker" {
    holds 8 4
    local workers
    mapfile -t workers < <(children)
    kill -s INT "${workers[@]}"
    ask /release
    wait_for requests=8
    end INT
    assert_status 130
    assert_equal "$(grep '^error' <<<"$stderr")" ''
    gone "${workers[@]}"
}

@test "a worker has no descriptor that is another's" {
    # The more workers, the more there would be. All hold a page alike.
    local few many
    holds 2 2
    few=$(for worker in $(children); do find "/proc/$worker/fd" | wc -l; done | sort -u)
    ask /release
    end
    reset_site
    holds 9 9
    many=$(for worker in $(children); do find "/proc/$worker/fd" | wc -l; done | sort -u)
    ask /release
    end
    assert_equal "$many" "$few"
}

@test "a worker that takes the place of another has no descriptor that is another's" {
    holds 6 4
    local before worker
    before=$(find "/proc/$(worker_of 2)/fd" | wc -l)
    worker=$(worker_of 3)
    kill -s KILL "$worker"
    wait_for requests=5
    assert_equal "$(find "/proc/$(worker_of 3)/fd" | wc -l)" "$before"
    ask /release
    wait_for requests=6
    ask /release
    end
}

@test "a title of 1 MB comes whole out of its worker" {
    fetch --workers 2 "$SITE/title/1000000" "$SITE/page/1"
    assert_status 0
    assert_equal "$(head -n 1 <<<"$output" | cut -f 2 | tr -d '\n' | tr -s x | wc -c)" 1
    assert_equal "$(head -n 1 <<<"$output" | cut -f 2 | tr -d '\n' | wc -c)" 1000000
}

@test "if no process can be started, one line says so" {
    run --separate-stderr bash -c 'exec 3>&- 4>&-; ulimit -n 4; exec "$0" "$@"' \
        "$PROGRAM" "$SITE/page/1" "$SITE/page/2"
    assert_status 1
    assert_equal "$output" ''
    assert_equal "$(grep -c '^error: ' <<<"$stderr")" 1
}

@test "if fewer processes than workers can be started, it says so and goes on with those" {
    pages 20 /page/1
    run --separate-stderr bash -c 'exec 3>&- 4>&-; ulimit -n 20; exec "$0" "$@"' \
        "$PROGRAM" --workers 50 "${urls[@]}"
    assert_status 0
    assert_equal "$(wc -l <<<"$output")" 20
    assert_regex "$stderr" 'only 1[0-9] of 50 workers can be started: Too many open files'
}

@test "a system call that a signal interrupts is made again" {
    [[ -z ${SANITIZED:-} ]] || skip 'LeakSanitizer and strace cannot both trace a program'
    local pages=("$SITE/page/1" "$SITE/page/2?delay=50" "$SITE/page/3" "$SITE/page/4")
    run --separate-stderr strace --follow-forks -qq --output="$BATS_TEST_TMPDIR/trace" \
        --inject=recvfrom,sendto,poll:error=EINTR:when=2+3 \
        "$PROGRAM" --quiet --workers 2 "${pages[@]}"
    [[ $(grep -c INJECTED "$BATS_TEST_TMPDIR/trace") -gt 10 ]] || fail 'nothing was interrupted'
    assert_equal "$stderr" ''
    assert_equal "$(cut -f 2 <<<"$output")" 'Page 1
Page 2
Page 3
Page 4'
}
