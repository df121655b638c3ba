# What all checks share. A check treats the program as a box: PROGRAM is its path.
# shellcheck shell=bash

bats_require_minimum_version 1.7.0
bats_load_library bats-support
bats_load_library bats-assert

# The checks are written in UTF-8, whatever the user's locale.
export LC_ALL=C.UTF-8

# The repository, and where its programs are built.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD:-$ROOT/build}
[[ $BUILD == /* ]] || BUILD=$ROOT/$BUILD

# A program that has not ended after so many seconds is stopped; a right one takes one or two.
LIMIT=${LIMIT:-20}

# The site is on this machine: no proxy leads there.
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY

# use_program NAME: the lesson's program, unless PROGRAM names somebody's own.
use_program() {
    PROGRAM=${PROGRAM:-$BUILD/$1}
    export PROGRAM
    [[ -x $PROGRAM ]] || fail "there is no program $PROGRAM: build it with make"
}

# start_site [OPTION...]: starts the local site; its address is in SITE from then on. The
# checks of a file share it, and so must not run at once (bats reads that in setup_file).
start_site() {
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true
    local pipe=$BATS_FILE_TMPDIR/address
    mkfifo "$pipe"
    "$BUILD/site" --port 0 "$@" >"$pipe" 3>&- &
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

# ask PATH: what the site says there, about itself.
ask() {
    curl --silent --show-error --insecure --max-time $((LIMIT + 10)) "$SITE$1"
}

# fetch [ARGUMENT...]: runs the program; status, output, stderr and their lines are set. The
# status is 124 if it did not end.
fetch() {
    run --separate-stderr timeout --kill-after=1 "$LIMIT" "$PROGRAM" "$@"
}

# begin [ARGUMENT...]: starts the program and goes on; its output is in the files $out and
# $err, its process in $pid. As from a terminal, Ctrl-C can reach it.
begin() {
    out=$BATS_TEST_TMPDIR/out
    err=$BATS_TEST_TMPDIR/err
    env --default-signal=INT "$PROGRAM" "$@" >"$out" 2>"$err" 3>&- &
    pid=$!
    echo "$pid" >"$BATS_TEST_TMPDIR/pid"
}

# end [SIGNAL]: waits for the program that was begun, after a signal if one is given; sets
# status, output and stderr. The status is 137 if it did not end.
end() {
    if (($# > 0)); then
        kill -s "$1" "$pid"
    fi
    timeout "$LIMIT" tail --pid="$pid" --sleep-interval=0.02 --follow /dev/null || stop_program
    status=0
    wait "$pid" || status=$?
    rm "$BATS_TEST_TMPDIR/pid"
    output=$(<"$out")
    stderr=$(<"$err")
}

# For teardown: a check that failed may have left the program behind.
stop_program() {
    if [[ -e $BATS_TEST_TMPDIR/pid ]]; then
        kill -s KILL "$(<"$BATS_TEST_TMPDIR/pid")" 2>/dev/null || true
    fi
}

# wait_for CONDITION: waits until the site has counted so much since the last reset, for
# instance in_flight=3 or requests=10.
wait_for() {
    local state
    state=$(ask "/stats/wait?$1&within=${LIMIT}000")
    if [[ $state != \{* ]]; then
        batslib_print_kv_single 8 expected "$1" 'the site' "$(ask /stats)" |
            batslib_decorate "it did not come so far within $LIMIT seconds" | fail
    fi
}

# Waits until the site has noticed that nobody is there any more, and counts from 0.
reset_site() {
    wait_for in_flight=0
    ask /stats/reset >"$BATS_TEST_TMPDIR/reset"
}

# assert_stat NAME EXPECTED WHAT: what the site counted, in words.
assert_stat() {
    local actual
    actual=$(ask /stats | jq ".$1")
    if [[ $actual != "$2" ]]; then
        batslib_print_kv_single 8 what "$3" expected "$2" actual "$actual" |
            batslib_decorate 'the site counted otherwise' | fail
    fi
}

# assert_status EXPECTED: the exit status of the last program, and what it said if it is not.
assert_status() {
    if [[ $status != "$1" ]]; then
        batslib_print_kv_single_or_multi 8 expected "$1" actual "$status" stderr "$stderr" |
            batslib_decorate 'the exit status is another' | fail
    fi
}

# assert_error REASON: the only page of the last fetch failed with this reason.
assert_error() {
    assert_status 1
    assert_equal "$output" ''
    assert_equal "$(grep '^error: ' <<<"$stderr" | sed 's/^error: [^ ]*: //')" "$1"
}

# assert_title TITLE: the only page of the last fetch has this title.
assert_title() {
    assert_status 0
    assert_equal "${output#*$'\t'}" "$1"
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
