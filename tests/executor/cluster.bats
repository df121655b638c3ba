# A cluster (cluster_executor() in shared/executor.h) whose parts die, stop, or say what they
# should not, while pages are held: no page is lost, and none comes twice.
# shellcheck disable=SC2030,SC2031,SC2034,SC2153 # each check has a server of its own

load ../helper

setup_file() {
    use_program 11-executor-cluster
    start_site
}

teardown_file() {
    stop_site
}

setup() {
    PATH=$PATH:/usr/sbin
    hosts=()
    reset_site
    start_server
}

teardown() {
    stop_program
    ((${#hosts[@]} == 0)) || kill -s KILL "${hosts[@]}" 2>/dev/null || true
    stop_background "$server"
}

# ---- A server and hosts ----

# start_server [PORT]: its address is in NATS_URL from then on.
start_server() {
    local folder=$BATS_TEST_TMPDIR/server
    rm -rf "$folder"
    mkdir "$folder"
    printf '%s\n' "listen: \"127.0.0.1:${1:--1}\"" "ports_file_dir: \"$folder\"" \
        "jetstream { store_dir: \"$folder\" }" "${settings:-}" >"$folder/configuration"
    nats-server --config "$folder/configuration" --log "$folder/log" 3>&- 4>&- &
    server=$!
    port=''
    until [[ -n $port ]]; do
        port=$(jq --raw-output '.nats[0] | split(":")[2]' "$folder"/*.ports 2>/dev/null) || true
    done
    export NATS_URL=nats://${user:+$user@}127.0.0.1:$port
}

# start_host NAME WORKERS: a worker host; `host` is its process, `build` what it runs.
start_host() {
    local lines=$BATS_TEST_TMPDIR/$1
    mkfifo "$lines.pipe"
    EXECUTOR_WORKER=1 EXECUTOR_HOST=$1 setsid "$PROGRAM" --workers "$2" \
        2>"$lines.pipe" >/dev/null 3>&- 4>&- &
    host=$!
    hosts+=("$host")
    read -r line <"$lines.pipe"
    cat <"$lines.pipe" >>"$lines" 2>/dev/null 3>&- 4>&- &
    [[ $line == "cluster: worker host $1: $2 workers, build "* ]] || fail "the host said: $line"
    build=${line#*build }
    build=${build%%,*}
}

# submit COUNT: begins with pages that the site holds.
submit() {
    local i
    urls=()
    for ((i = 1; i <= $1; i++)); do
        urls+=("$SITE/hold/$i")
    done
    begin --quiet --timeout 60 "${urls[@]}"
}

# Begins with two pages on a host, `first`, and two on another one, which has room for them all.
begin_on_two_hosts() {
    start_host one 2
    first=$host
    submit 4
    wait_for in_flight=2
    start_host two 4
    wait_for in_flight=4
}

# Each page has come, and has come once.
assert_all_held_pages() {
    local url
    end
    assert_status 0
    assert_is 'the titles, sorted,' "$(printf '%s\n' "$output" | sort)" \
        "$(for url in "${urls[@]}"; do printf '%s\tHeld %s\n' "$url" "${url##*/}"; done | sort)"
    assert_is 'standard error' "$stderr" ''
}

# ask_stream REQUEST JSON: what JetStream answers.
ask_stream() {
    "$ROOT/tests/executor/nats.py" "$NATS_URL" request "\$JS.API.STREAM.$1.EXECUTOR" "$2"
}

# wait_for_stream MESSAGES: until the stream has as many.
wait_for_stream() {
    SECONDS=0
    until [[ $(ask_stream INFO '' | jq .state.messages) == "$1" ]]; do
        ((SECONDS < LIMIT)) || fail "the stream should come to have $1 messages"
    done
}

# ---- What dies or stops ----

@test "the tasks of a host that is killed run again on another one" {
    begin_on_two_hosts
    kill -s KILL "$first"
    wait_for requests=6
    release
    assert_all_held_pages
}

@test "what a host does that has been stopped for too long is dropped" {
    begin_on_two_hosts
    kill -s STOP "$first"
    wait_for requests=6
    release
    assert_all_held_pages
    kill -s CONT "$first"
    wait_for_stream 0
    fetch --quiet "$SITE"/gather/6?{1,2,3,4,5,6} # both run tasks again
    assert_status 0
}

@test "a host may join while the others are busy" {
    start_host one 1
    submit 3
    wait_for in_flight=1
    start_host two 2
    wait_for in_flight=3
    release
    assert_all_held_pages
}

@test "a server that is killed and restarted loses no task, though it has no disk" {
    start_host one 2
    submit 4
    wait_for in_flight=2
    stop_background "$server"
    start_server "$port"
    release
    wait_for requests=4
    while kill -s 0 "$pid" 2>/dev/null; do # what runs twice is held again
        release
    done
    assert_all_held_pages
}

@test "a stream that somebody deletes is made again, with all its tasks" {
    start_host one 1
    submit 3
    wait_for in_flight=1
    assert_equal "$(ask_stream DELETE '' | jq .success)" true
    while kill -s 0 "$pid" 2>/dev/null; do
        release
    done
    assert_all_held_pages
}

@test "tasks that a full stream refuses are sent again when it has room" {
    ask_stream CREATE '{"name": "EXECUTOR", "subjects": ["executor.tasks.>"], "storage": "memory",
        "retention": "workqueue", "discard": "new", "max_msgs": 2}' | jq --exit-status .created
    start_host one 4
    submit 6
    wait_for in_flight=2
    while kill -s 0 "$pid" 2>/dev/null; do
        release
    done
    assert_all_held_pages
}

@test "when a submitter is killed, its tasks are removed and the hosts are free" {
    EXECUTOR_WAIT=1 start_host one 2
    submit 6
    wait_for in_flight=2
    kill -s KILL "$pid"
    wait "$pid" || true
    release
    wait_for_stream 0
    fetch --quiet "$SITE"/gather/2?{1,2}
    assert_status 0
}

# ---- What nobody should say ----

@test "a message that is no task of this program costs nothing" {
    local nobody=00000000000000000000000000000000 id
    id=$nobody${nobody:0:16}
    start_host one 1
    submit 2
    wait_for in_flight=1
    for message in 00 7275626269736f \
        "73756c63e7030000${id}7800" "73756c6300000000${id}78" "73756c6300000000${id}"; do
        "$ROOT/tests/executor/nats.py" "$NATS_URL" send "executor.tasks.$build.$nobody" "$message"
    done
    "$ROOT/tests/executor/nats.py" "$NATS_URL" send "executor.tasks.$build.short" 00
    release 1
    wait_for requests=2
    release
    assert_all_held_pages
    wait_for_stream 0
    assert_is 'the requests' "$(ask /stats | jq .requests)" 2
}

@test "a report that is not of a task that runs changes nothing" {
    local subject message submitter report
    start_host one 1
    "$ROOT/tests/executor/nats.py" "$NATS_URL" first 'executor.tasks.>' \
        >"$BATS_TEST_TMPDIR/first" 3>&- &
    until grep -q ready "$BATS_TEST_TMPDIR/first"; do :; done
    submit 2
    wait_for in_flight=1
    read -r subject message < <(tail -n 1 "$BATS_TEST_TMPDIR/first")
    submitter=${subject##*.}
    # A result, RESULT_OK without a text, for another nonce, another slot, and cut short.
    report=73756c6301000000
    for message in 00 "$report" "${report}0000000000000000$(printf '%0300d' 0)" \
        "${report}ffffffffffffffff$(printf '%0300d' 0)"; do
        "$ROOT/tests/executor/nats.py" "$NATS_URL" send "executor.reports.$submitter.report" \
            "$message"
    done
    "$ROOT/tests/executor/nats.py" "$NATS_URL" send "executor.reports.$submitter.stored.0.0" 00
    "$ROOT/tests/executor/nats.py" "$NATS_URL" send "executor.reports.$submitter.stored.x" 00
    "$ROOT/tests/executor/nats.py" "$NATS_URL" send "executor.hosts.$build" 00
    release 1
    wait_for requests=2
    release
    assert_all_held_pages
}

# ---- Who may not come in ----

@test "without a host of the same build it says for what it waits, and gives up" {
    EXECUTOR_WAIT=2 fetch --quiet "$SITE/page/1"
    assert_status 1
    assert_matches 'standard error' "$stderr" "^cluster: waiting for a worker host of this build \
\([0-9a-f]{16}\) at 127.0.0.1:$port
error: no worker can be started: Connection timed out$" 'that it waits, and that no host has come'
}

@test "a wrong password is one clear line, and no server another one" {
    stop_background "$server"
    settings='authorization { user: somebody, password: secret }' user=somebody:wrong start_server
    fetch --quiet "$SITE/page/1"
    assert_status 1
    assert_is 'the first line' "${stderr%%$'\n'*}" \
        "cluster: cannot connect to 127.0.0.1:$port: Authentication Violation"
    refute_regex "$stderr" wrong
    NATS_URL=nats://somebody:secret@127.0.0.1:$port start_host one 1
    NATS_URL=nats://somebody:secret@127.0.0.1:$port fetch --quiet "$SITE/page/1"
    assert_status 0
    stop_background "$server"
    fetch --quiet "$SITE/page/1"
    assert_status 1
    assert_is 'the first line' "${stderr%%$'\n'*}" \
        "cluster: cannot connect to 127.0.0.1:$port: No server available for connection"
}

@test "the server may have TLS, and a certificate that nobody trusts keeps us out" {
    local folder=$BATS_TEST_TMPDIR
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 \
        -addext subjectAltName=IP:127.0.0.1 -keyout "$folder/key" -out "$folder/certificate" \
        2>"$folder/openssl"
    stop_background "$server"
    settings="tls { cert_file: '$folder/certificate', key_file: '$folder/key' }" start_server
    export NATS_URL=tls://127.0.0.1:$port
    NATS_CA=$folder/certificate start_host one 1
    NATS_CA=$folder/certificate fetch --quiet "$SITE/page/1"
    assert_status 0
    fetch --quiet "$SITE/page/1"
    assert_status 1
    assert_is 'the first line' "${stderr%%$'\n'*}" \
        "cluster: cannot connect to 127.0.0.1:$port: SSL Error"
}

# ---- A cluster of one's own ----

# begin_alone: begins without NATS_URL, with two pages that the site holds. Sets `keeper`,
# `own_server` and `own_host`, which are its processes.
begin_alone() {
    unset NATS_URL
    export MARK=$BATS_TEST_TMPDIR TMPDIR=$BATS_TEST_TMPDIR/temporary
    mkdir "$TMPDIR"
    urls=("$SITE/hold/1" "$SITE/hold/2")
    begin --quiet --workers 2 "${urls[@]}"
    wait_for in_flight=2
    keeper=$(ps -o pid= --ppid "$pid" | tr -d ' ')
    own_server=$(ps -o pid=,comm= --ppid "$keeper" | awk '$2 == "nats-server" { print $1 }')
    own_host=$(ps -o pid=,comm= --ppid "$keeper" | awk '$2 != "nats-server" { print $1 }')
    assert_equal "$(find "$TMPDIR" -mindepth 1)" ''
}

# Waits until no process is left that has been started with MARK.
assert_nothing_is_left() {
    SECONDS=0
    while grep --quiet --no-messages "MARK=$MARK" /proc/[0-9]*/environ; do
        ((SECONDS < LIMIT)) || wrong "no process should be left; these are: \
$(grep --files-with-matches --no-messages "MARK=$MARK" /proc/[0-9]*/environ)"
    done
    assert_equal "$(find "$TMPDIR" -mindepth 1)" ''
}

@test "of a cluster of its own nothing is left if the program is killed" {
    begin_alone
    kill -s KILL "$pid"
    wait "$pid" || true
    export -n MARK
    assert_nothing_is_left
}

@test "of a cluster of its own nothing is left if the keeper or the server is killed" {
    local victim url
    for victim in keeper own_server; do
        reset_site
        rm -rf "$BATS_TEST_TMPDIR/temporary"
        begin_alone
        export -n MARK
        kill -s KILL "${!victim}"
        end
        assert_status 1
        assert_is 'standard error, sorted,' "$(printf '%s\n' "$stderr" | sort)" \
            "$(for url in "${urls[@]}"; do
                printf 'error: %s: the NATS server of this program has died\n' "$url"
            done)"
        assert_nothing_is_left
    done
}

@test "in a cluster of its own a host that is killed is replaced, and its tasks run again" {
    begin_alone
    export -n MARK
    kill -s KILL "$own_host"
    wait_for requests=4
    release
    assert_all_held_pages
    assert_nothing_is_left
}
