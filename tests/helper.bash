# What all checks share. A check treats the program as a box: PROGRAM is its path.
# shellcheck shell=bash disable=SC2119,SC2120 # end may have no argument

bats_require_minimum_version 1.7.0

# Each check loads these libraries: their load.bash would start a process for each file.
# shellcheck disable=SC2317 # they call it
dirname() {
    printf '%s\n' "${1%/*}"
}
bats_load_library bats-support
bats_load_library bats-assert
unset -f dirname

# The checks are written in UTF-8, whatever the user's locale.
export LC_ALL=C.UTF-8

# The repository, and where its programs are built.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD:-$ROOT/build}
[[ $BUILD == /* ]] || BUILD=$ROOT/$BUILD

# A program that has not ended after LIMIT seconds is stopped; a right one takes one or two.
LIMIT=${LIMIT:-20}

# The most that a program may write to a file, in KiB. A right one does not write a tenth of it.
MOST_OUTPUT=$((32 * 1024))

# The site is on this machine: no proxy leads there.
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY

# use_program NAME: the lesson's program, unless PROGRAM names somebody's own.
use_program() {
    PROGRAM=${PROGRAM:-$BUILD/$1}
    export PROGRAM
    [[ -x $PROGRAM ]] || fail "there is no program $PROGRAM: build it with make"
}

# start_site [OPTION...]: starts the local site; its address is in SITE from then on. The
# checks of a file share it, and so must not run at once (bats reads that in setup_file). A
# sanitizer makes programs slow, so pages that wait for one another wait longer.
start_site() {
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true
    local pipe=$BATS_FILE_TMPDIR/address
    mkfifo "$pipe"
    "$BUILD/site" --port 0 ${SANITIZED:+--patience 15000} "$@" >"$pipe" 3>&- &
    SITE_PID=$!
    read -r SITE <"$pipe" || fail "the local site $BUILD/site did not start"
    rm "$pipe"
    export SITE SITE_PID
}

stop_site() {
    if [[ -n ${SITE_PID:-} ]]; then
        kill "$SITE_PID" 2>/dev/null || true
        wait "$SITE_PID" 2>/dev/null || true
    fi
}

curl=(curl --silent --show-error --insecure --max-time $((LIMIT + 10)))

# ask PATH: what the site says there, about itself.
ask() {
    "${curl[@]}" "$SITE$1"
}

# ---- Running the program ----

# fetch [ARGUMENT...]: runs the program; status, output and stderr are set.
fetch() {
    begin "$@"
    end
}

# fetch_by COMMAND [ARGUMENT...]: runs the program by way of the command.
fetch_by() {
    begin_by "$@"
    end
}

# begin [ARGUMENT...]: starts the program and goes on; its output is in the files $out and
# $err, its process in $pid.
begin() {
    begin_by "$PROGRAM" "$@"
}

# begin_by COMMAND [ARGUMENT...]: begins the command. As from a terminal, Ctrl-C can reach it.
# It leads a session, and so a process group, of its own: if it kills its group, nobody else
# is in there. It is killed when this check is. What it writes to a file is limited: if it
# prints without end, it is killed by SIGXFSZ, and the disk is not full.
begin_by() {
    out=$BATS_TEST_TMPDIR/out
    err=$BATS_TEST_TMPDIR/err
    status=''
    remember_command "$@"
    (
        ulimit -c 0
        ulimit -f "$MOST_OUTPUT"
        exec env --default-signal=INT ${TRACEABLE:+LD_PRELOAD="$TRACEABLE"} \
            setsid setpriv --pdeathsig KILL "$@" >"$out" 2>"$err" 3>&- 4>&-
    ) <&0 &
    pid=$!
    printf '%d\n' "$pid" >>"$BATS_TEST_TMPDIR/groups"
}

# remember_command WORD...: for the message of a check that fails; long ones are cut.
remember_command() {
    ran="${*:1:5}"
    ran=${ran/"$PROGRAM"/"${PROGRAM##*/}"}
    ((${#ran} <= 300)) || ran=${ran:0:300}...
    (($# <= 5)) || ran+=" ... (and $(($# - 5)) more)"
}

# end [SIGNAL]: waits for the program that was begun, after a signal if one is given; sets
# status, output and stderr. A program that does not end, or prints without end, has failed.
end() {
    local signal=${1:-}
    if [[ -n $signal ]]; then
        kill -s "$signal" "$pid"
    fi
    await_end 2>/dev/null # bash's own words about a crash
    if [[ -n $was_stopped ]]; then
        wrong "it should have ended${signal:+ after SIG$signal}; after $LIMIT seconds it was \
still running, and was stopped"
    fi
    refute_endless "$out" 'standard output'
    refute_endless "$err" 'standard error'
    output=$(<"$out")
    stderr=$(<"$err")
}

# Waits for the program, and sets status; sets `was_stopped` if it had to be.
await_end() {
    was_stopped=''
    if ! timeout --foreground "$LIMIT" \
        tail --pid="$pid" --sleep-interval=0.02 --follow /dev/null; then
        was_stopped=yes
        hangs
        stop_program
    fi
    status=0
    wait "$pid" || status=$?
}

# For teardown: ends what a program, or a check that failed, has left behind.
stop_program() {
    local group
    [[ -e $BATS_TEST_TMPDIR/groups ]] || return 0
    while read -r group; do
        kill -s KILL -- "-$group" 2>/dev/null || true
    done <"$BATS_TEST_TMPDIR/groups"
}

# refute_endless FILE NAME
refute_endless() {
    if (($(stat --format=%s "$1") >= MOST_OUTPUT * 1024)); then
        hangs
        status=''
        wrong "it should have printed a few lines; it printed more than \
$((MOST_OUTPUT / 1024)) MiB on $2, and was stopped"
    fi
}

# hangs: the program does not end: remembers where it is. With IMPATIENT set, the checks that
# are left are skipped (see skip_if_it_hangs), since each may take as long.
hangs() {
    tell_where_it_is >"$BATS_TEST_TMPDIR/where"
    if [[ -n ${IMPATIENT:-} ]]; then
        touch "$BATS_FILE_TMPDIR/hangs"
    fi
}

# For setup_file: any process may look where the program sleeps (see tests/preload/traceable.c).
# The path of what is preloaded must not have a space.
allow_tracing() {
    if [[ $BATS_FILE_TMPDIR != *' '* ]]; then
        export TRACEABLE=$BATS_FILE_TMPDIR/traceable.so
        cp "$BUILD/traceable.so" "$TRACEABLE"
    fi
}

# tell_where_it_is: each of its threads and processes, in a line of its own.
tell_where_it_is() {
    local process state
    while read -r process state; do
        if [[ $state == Z* ]]; then
            printf '%s has ended, and its parent has not waited for it\n' \
                "$(<"/proc/$process/comm")"
        elif [[ "/proc/$process/exe" -ef $PROGRAM ]]; then
            env --unset=DEBUGINFOD_URLS timeout 10 eu-stack -s -i -p "$process" |
                awk -v process="$process" -f "$ROOT/tests/where.awk" | grep . ||
                printf 'process %d: it cannot be told\n' "$process"
        fi
    done < <(ps --no-headers --format pid,stat --sid "$pid") 2>/dev/null | head -n 20
}

# For setup.
skip_if_it_hangs() {
    [[ ! -e $BATS_FILE_TMPDIR/hangs ]] || skip 'another check had to stop the program'
}

# ---- What a sanitizer finds ----

# keep_reports [FOLDER]: of the programs that are built with a sanitizer. They write what
# they find to files in REPORTS, and nothing of it to standard error. A leak or a race changes
# no exit status, since one check tells of all (see a_sanitizer_finds_nothing); a wrong access
# ends the program at once, by SIGABRT.
keep_reports() {
    export REPORTS=${1:-$BATS_FILE_TMPDIR}/reports
    local options="log_path='$REPORTS/report':stack_trace_format='    %S in %f':exitcode=0"
    mkdir "$REPORTS"
    export ASAN_OPTIONS=$options:abort_on_error=1:verify_asan_link_order=0
    export TSAN_OPTIONS=$options UBSAN_OPTIONS=$options
}

# show_report FILE: a report from its first line to its summary. Of the calls in it only those
# in the program's own sources and in shared/: what is below them is not the program's fault.
show_report() {
    sed -nE -e 's/^==[0-9]+==//; s/ \(pid=[0-9]+\)$//; /^=*$/d' \
        -e '/^ {4}/ { /^ +(\[|shared\/|lessons\/|\/)/ !d; /^ +\/(build|usr)\//d; }' \
        -e 's,(^ +|^SUMMARY: [a-zA-Z]+: [a-z -]+)(/|lessons/).*/([^/]+ in ),\1\3,' \
        -e 'p; /^SUMMARY/q' "$1" | head -n 40
}

# Shows what has ended the program that was begun last, or one of its workers, which are
# processes too, if a sanitizer did.
show_last_report() {
    local report
    [[ -d ${REPORTS:-} && -e $BATS_TEST_TMPDIR/groups ]] || return 0
    report=$(find "$REPORTS" -type f -newer "$BATS_TEST_TMPDIR/groups" -exec \
        grep -lE 'ERROR: AddressSanitizer|runtime error: ' '{}' + | head -n 1)
    [[ -z $report ]] || show_report "$report"
}

# ---- Waiting for the site ----

# wait_for CONDITION: waits until what the site has counted since the last reset fulfils it, for
# instance in_flight=3 or requests=10. If the program ends, not much more will come.
wait_for() {
    local state=$BATS_TEST_TMPDIR/state asking watching
    if [[ -z ${pid:-} || -n $status || $1 == in_flight=0 ]]; then
        ask "/stats/wait?$1&within=${LIMIT}000" >"$state"
    else
        "${curl[@]}" "$SITE/stats/wait?$1&within=${LIMIT}000" >"$state" 3>&- &
        asking=$!
        tail --pid="$pid" --sleep-interval=0.02 --follow /dev/null 3>&- &
        watching=$!
        wait -n "$asking" "$watching" || true
        if kill -s 0 "$asking" 2>/dev/null; then
            stop_background "$asking"
            ask "/stats/wait?$1&within=1000" >"$state"
        fi
        stop_background "$watching"
    fi
    [[ $(<"$state") == \{* ]] || did_not_come_so_far "$1"
}

# stop_background PROCESS: ends it without a word. By SIGKILL, for a process that has only
# just been forked would run the traps of bats at any other signal.
stop_background() {
    {
        kill -s KILL "$1" || true
        wait "$1" || true
    } 2>/dev/null
}

# did_not_come_so_far CONDITION: what the site saw instead, in a sentence.
did_not_come_so_far() {
    local requests in_flight expected=${1#*=} when="in $LIMIT seconds"
    read -r requests in_flight < <(ask /stats | jq --raw-output '"\(.requests) \(.in_flight)"')
    if [[ -n ${pid:-} ]] && ! kill -s 0 "$pid" 2>/dev/null; then
        when='before the program ended'
    else
        hangs
    fi
    case $1 in
        requests=*) wrong "$when the site should have seen $expected requests; it saw \
$requests, and $in_flight of them had no answer yet" ;;
        in_flight=0) wrong "no request should be left at the site; $in_flight still are" ;;
        *) wrong "$when the site should have seen $expected requests at once; \
there were $in_flight" ;;
    esac
}

# release [COUNT]: has the site answer the pages that it holds, or COUNT of them.
release() {
    ask "/release${1:+?count=$1}" >"$BATS_TEST_TMPDIR/released"
}

# Waits until the site has noticed that nobody is there any more, and counts from 0.
reset_site() {
    wait_for in_flight=0
    ask /stats/reset >"$BATS_TEST_TMPDIR/reset"
}

# ---- What should be, and what is ----

# wrong SENTENCE: fails the check. The sentence says what the program should have done, and
# what it did; behind it stands how it was run, and what it said.
wrong() {
    {
        printf '%s\n' "$1"
        if [[ -z ${was_stopped:-} && ${status:-0} -gt 128 && ${status:-0} -ne 130 ]]; then
            printf 'it was ended by %s\n' "$(signal_name "$status")"
        fi
        show_last_report
        if [[ -n ${ran:-} ]]; then
            printf 'it was run like this: %s\n' "$ran"
        fi
        if [[ -s $BATS_TEST_TMPDIR/where ]]; then
            printf 'where it was when it was stopped:\n'
            sed 's/^/    /' "$BATS_TEST_TMPDIR/where"
            show_end "$out" 'standard output'
        fi
        show_end "${err:-}" 'standard error'
    } | fail
}

# show_end FILE NAME: the last lines that it has printed, if there are any.
show_end() {
    [[ -s $1 ]] || return 0
    printf 'the end of what it said on %s:\n' "$2"
    tail -c 2000 "$1" | tail -n 5 | cut -c 1-200 | sed 's/^/    /'
}

# signal_name STATUS: of the signal that ended the program.
signal_name() {
    printf 'signal %d, SIG%s' $(($1 - 128)) "$(kill -l "$1" 2>/dev/null || echo '?')"
}

# assert_is WHAT ACTUAL EXPECTED: "WHAT should be EXPECTED; it is ACTUAL". Of several lines,
# the sentence names the first that is different, and all of them follow.
assert_is() {
    local number=0
    local -a actual expected
    [[ $2 != "$3" ]] || return 0
    if [[ $2$3 != *$'\n'* ]]; then
        wrong "$1 should be $(quoted "$3"); it is $(quoted "$2")"
    fi
    mapfile -t actual <<<"$2"
    mapfile -t expected <<<"$3"
    while [[ ${actual[number]-} == "${expected[number]-}" ]]; do
        number=$((number + 1))
    done
    wrong "line $((number + 1)) of $1 should be $(quoted "${expected[number]-}"); \
it is $(quoted "${actual[number]-}")
all of it should be:
$(head -n 20 <<<"$3" | cut -c 1-200 | sed 's/^/    /')
and it is:
$(head -n 20 <<<"$2" | cut -c 1-200 | sed 's/^/    /')"
}

# quoted TEXT: a number as it is, other text in quotation marks, cut if it is long.
quoted() {
    if [[ -z $1 ]]; then
        printf 'empty'
    elif [[ $1 =~ ^[0-9]+$ ]]; then
        printf '%s' "$1"
    elif ((${#1} > 200)); then
        printf '"%s..." (%d characters)' "${1:0:200}" ${#1}
    else
        printf '"%s"' "$1"
    fi
}

# assert_prints TEXT: on standard output.
assert_prints() {
    assert_is 'its standard output' "$output" "$1"
}

# assert_tells_errors LINES: all the errors that it told on standard error.
assert_tells_errors() {
    assert_is 'what it tells of errors on standard error' "$(grep '^error' <<<"$stderr")" "$1"
}

# assert_matches WHAT ACTUAL PATTERN EXAMPLE: the example says what the pattern means.
assert_matches() {
    if [[ ! $2 =~ $3 ]]; then
        wrong "$1 should be like $(quoted "$4"); it is $(quoted "$2")"
    fi
}

# assert_most_in_flight COUNT WHEN: COUNT requests were at the site at once, and never more.
assert_most_in_flight() {
    local most
    most=$(ask /stats | jq .most_in_flight)
    if ((most > $1)); then
        wrong "$2 the site saw $most requests at once; at most $1 may be in flight"
    elif ((most < $1)); then
        wrong "$2 the site saw at most $most at once; there should be $1 in flight"
    fi
}

# assert_stat NAME EXPECTED WHAT: what the site counted, in words.
assert_stat() {
    assert_is "what the site counted as $3" "$(ask /stats | jq ".$1")" "$2"
}

# assert_status EXPECTED: the exit status of the last program.
assert_status() {
    assert_is 'its exit status' "$status" "$1"
}

# assert_error REASON: the only page of the last fetch failed with this reason.
assert_error() {
    assert_status 1
    assert_equal "$output" ''
    assert_equal "$(grep '^error: ' <<<"$stderr" | sed 's/^error: [^ ]*: //')" "$1"
}

# assert_error_like PATTERN: the same, where the words are not ours but a library's.
assert_error_like() {
    assert_status 1
    assert_equal "$output" ''
    assert_regex "$(grep '^error: ' <<<"$stderr" | sed 's/^error: [^ ]*: //')" "$1"
}

# assert_title TITLE: the only page of the last fetch has this title.
assert_title() {
    assert_status 0
    assert_is 'the title that it prints' "${output#*$'\t'}" "$1"
}

# say BODY [PARAMETER...]: the address of a page with just this body. Bash cannot hold a
# NUL: write %00, and %25 for a percent sign.
say() {
    local body=$1 encoded
    shift
    encoded=$(jq --raw-input --slurp --raw-output '@uri' < <(printf %s "$body") |
        sed 's/%25\([0-9A-F][0-9A-F]\)/%\1/g')
    printf '%s/say?body=%s' "$SITE" "$encoded"
    printf '&%s' "$@"
}
