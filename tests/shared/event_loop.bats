# What a fetch promises, in the loop of a fiber (shared/http_loop.h).
# shellcheck disable=SC2030,SC2031,SC2153 # each check has urls of its own; helper sets PROGRAM

load ../helper
load ../contract

setup_file() {
    use_program 10-executor-events
    start_site --any-host
    # It says of every program with fibers that it knows little of them.
    export ASAN_OPTIONS="log_path='$BATS_FILE_TMPDIR/report':verify_asan_link_order=0"
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

# hold_in_a_loop FILE: the checks in the file hold for a program that fetches pages one after
# the other, in a loop.
hold_in_a_loop() {
    local program=$BATS_TEST_TMPDIR/one-by-one path=${PATH//"$BATS_LIBEXEC:"/}
    printf '#!/bin/sh\nexec %q --workers 1 "$@"\n' "$PROGRAM" >"$program"
    chmod +x "$program"
    run env -i PATH="$path" HOME="$HOME" BUILD="$BUILD" BATS_LIB_PATH="$BATS_LIB_PATH" \
        ASAN_OPTIONS="$ASAN_OPTIONS" SANITIZED="${SANITIZED:-}" PROGRAM="$program" \
        bats --tap "$ROOT/tests/shared/$1"
    assert_success
}

@test "what holds for a fetch that blocks holds in a loop" {
    hold_in_a_loop http.bats
}

@test "what holds for TLS holds in a loop" {
    hold_in_a_loop tls.bats
}

# A lookup is a thread, and lasts as long as the name servers like; so the others wait for
# their turn.
@test "names that do not resolve end with the time limit, and 32 are looked up at once" {
    local i asked=$BATS_TEST_TMPDIR/asked
    urls=()
    for ((i = 1; i <= 1000; i++)); do
        urls+=("http://name-$i.silent/")
    done
    fetch_preloading names NAMES_ASKED="$asked" -- --quiet --workers 1000 --timeout 1 \
        "${urls[@]}"
    assert_status 1
    assert_is 'the reasons, with how often each is told,' \
        "$(printf '%s\n' "$stderr" | sed 's/.*: //' | sort | uniq -c | sed 's/^ *//')" \
        '32 timed out after 1 s
968 timed out before its host name could be looked up'
    assert_is 'the number of names that were looked up' "$(wc -l <"$asked")" 32
}

# The turn of one that is given up lasts as long as its thread.
@test "names that are given up hold up no address, and start no more threads" {
    local i asked=$BATS_TEST_TMPDIR/asked
    urls=()
    for ((i = 1; i <= 100; i++)); do
        urls+=("http://name-$i.silent/" "$SITE/page/$i")
    done
    urls+=("http://localhost:${SITE##*:}/page/101")
    fetch_preloading names NAMES_ASKED="$asked" -- --quiet --workers 50 --timeout 1.5 \
        "${urls[@]}"
    assert_is 'the number of pages of 101 that came' "$(grep -c 'Page' <<<"$output")" 101
    assert_is 'the number of names that were looked up' "$(wc -l <"$asked")" 32
}

@test "a name that is looked up late costs no request twice" {
    local i
    urls=()
    for ((i = 1; i <= 70; i++)); do
        urls+=("$SITE/redirect/to?url=http://n$i.slow:${SITE##*:}/page/$i")
    done
    fetch_preloading names -- --quiet --workers 70 "${urls[@]}"
    assert_status 0
    assert_stat requests 140 requests
}

# The one that is late had its turn, and did not need it: it has used a connection again. While
# others have its fiber, its answer comes.
@test "what comes for a page that is late is no other page's title" {
    local i port=${SITE##*:}
    urls=("http://one.quick:$port/page/1")
    for ((i = 2; i <= 33; i++)); do
        urls+=("http://n$i.slow:$port/page/$i")
    done
    urls+=("http://one.quick:$port/page/101?delay=1500")
    for ((i = 201; i <= 600; i++)); do
        urls+=("$SITE/page/$i?delay=250")
    done
    fetch_preloading names -- --quiet --workers 34 --timeout 1 "${urls[@]}"
    assert_status 1
    assert_is 'the lines whose title is not that of their page' \
        "$(printf '%s\n' "$output" | sed -E '/\/page\/([0-9]+)(\?.*)?\tPage \1$/d')" ''
    assert_matches 'what it says of errors' "$stderr" \
        '/page/101\?delay=1500: timed out after 1 s' "...: timed out after 1 s"
}

@test "pages of many hosts have the titles of their own" {
    local i expected=''
    urls=()
    for ((i = 1; i <= 200; i++)); do
        urls+=("http://127.0.$((i % 7)).$((i % 50 + 1)):${SITE##*:}/page/$i")
        expected+="${urls[-1]}	Page $i"$'\n'
    done
    fetch --quiet --workers 90 "${urls[@]}"
    assert_status 0
    assert_is 'the lines that it prints, sorted' "$(sort <<<"$output")" \
        "$(printf %s "$expected" | sort)"
}

@test "connections are used again, also after a page of which much is left" {
    pages 30 '/page/1?size=20000'
    fetch --quiet --workers 3 "${urls[@]}" "$SITE/page/1?size=1000000"
    assert_status 0
    local connections
    connections=$(ask /stats | jq .connections)
    ((connections <= 5)) || wrong "30 pages by 3 workers should take 3 connections or a few
more; they took $connections"
}
