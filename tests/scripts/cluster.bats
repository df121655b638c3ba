# scripts/cluster, and lesson 11 on it: hosts and servers die and cables are pulled, and each
# title comes once all the same. The checks share a cluster; the last ones end it.

load ../helper

shopt -s extglob

# Elections and cables take their time.
LIMIT=60

setup_file() {
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true
    export BUILD CLUSTER="$BATS_FILE_TMPDIR/a cluster"
    use_program 11-executor-cluster
    cluster start 2 3>&-
}

teardown_file() {
    cluster stop
}

setup() {
    eval "$(cluster env)"
    # The site is where the servers are.
    curl=("$ROOT/scripts/cluster" exec "${curl[@]}")
    cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
    stop_program
}

cluster() {
    "$ROOT/scripts/cluster" "$@"
}

skip_without_cables() {
    cluster exec ip link show cables &>/dev/null ||
        skip 'cables need root, who may make network namespaces'
}

# Begins to fetch twelve pages. The site holds four of them; returns when each worker has one
# of those.
begin_pages() {
    release
    reset_site
    pages=("$SITE"/hold/{1..4} "$SITE"/page/{1..8})
    begin_by "$ROOT/scripts/cluster" run --quiet "${pages[@]}"
    wait_for in_flight=4
}

# has_state NAME WORD: as status shows it.
has_state() {
    cluster status | grep -q "^$1 .*$2"
}

# A page that is fetched again is held again: so all are released until the program ends.
release_until_end() {
    local deadline=$((SECONDS + LIMIT))
    while kill -s 0 "$pid" 2>/dev/null && ((SECONDS < deadline)); do
        release
        sleep 0.1
    done
    end
}

assert_each_title_once() {
    assert_status 0
    assert_is 'the pages whose titles it prints' "$(cut -f 1 <<<"$output" | sort)" \
        "$(printf '%s\n' "${pages[@]}" | sort)"
}

@test "status shows servers, hosts and the site" {
    run cluster status
    assert_success
    assert_equal "$(awk '$2 == "alive" { print $1 }' <<<"$output" | xargs)" \
        'host-1 host-2 server-1 server-2 server-3'
    assert_equal "$(grep -c 'leads the servers' <<<"$output")" 1
    assert_line "site: $SITE"
    assert_line --regexp '^stream EXECUTOR: [0-9]+ tasks$'
}

@test "run without an argument fetches the course's pages" {
    run --separate-stderr cluster run
    assert_success
    assert_line "$SITE/talkpython"$'\t''Talk Python To Me Podcast'
    assert_equal "${#lines[@]}" 5
}

@test "what hosts say has no token in it, though there are several servers" {
    run cat "$CLUSTER/host-1.log"
    assert_line --regexp "^cluster: worker host host-1: .* at ${NATS_URL//nats:\/\/*([^@])@/}\$"
}

@test "a submitter that gives up removes its own tasks, and nobody else's" {
    local other
    cluster run --quiet --deadline 5 "$SITE"/hold/{1..4} &>other 3>&- &
    other=$!
    wait_for in_flight=4
    pages=("$SITE"/page/{1..4})
    begin_by "$ROOT/scripts/cluster" run --quiet "${pages[@]}"
    wait "$other" || true
    assert_equal "$(grep -c 'not fetched within 5 s' other)" 4
    release
    end
    assert_each_title_once
}

@test "wrong usage is told in one line" {
    local -a words
    for words in 'kill host-x' 'nonsense' 'start 1 2' 'start -w 0'; do
        read -r -a words <<<"${words[0]}"
        run cluster "${words[@]}"
        assert_equal "$status:${#lines[@]}" 2:1
    done
    run cluster start
    assert_failure
    assert_output --partial 'there is a cluster already'
    run env CLUSTER=nowhere "$ROOT/scripts/cluster" status
    assert_failure
    assert_output 'scripts/cluster: there is no cluster: scripts/cluster start'
}

@test "a host's cable is pulled for ten seconds, and each title comes once" {
    skip_without_cables
    begin_pages
    cluster unplug host-1
    has_state host-1 unplugged
    (sleep 10 && cluster plug host-1) 3>&- &
    release_until_end
    wait
    assert_each_title_once
}

@test "the submitter's cable is pulled for ten seconds, and each title comes once" {
    skip_without_cables
    begin_pages
    cluster unplug submitter
    (sleep 10 && cluster plug submitter) 3>&- &
    release_until_end
    wait
    assert_each_title_once
}

@test "without cables, who would pull one is told so" {
    export CLUSTER=$PWD/other
    cluster start --no-cables 0 3>&-
    run cluster unplug host-1
    cluster stop
    assert_failure
    assert_output 'scripts/cluster: there are no cables here: only root can start a cluster with them'
}

@test "a host is killed, and each title comes once" {
    begin_pages
    cluster kill host-2
    has_state host-2 killed
    release_until_end
    assert_each_title_once
    cluster restart host-2
    has_state host-2 alive
}

@test "the server that leads the stream is killed, and each title comes once" {
    local leader
    begin_pages
    leader=$(cluster status | awk '/leads.* the stream/ { print $1 }')
    cluster kill "$leader"
    has_state "$leader" killed
    release_until_end
    assert_each_title_once
}

# left_of FILE: the processes that are left of the sessions that are recorded there.
left_of() {
    ps --no-headers --format stat,pid,comm --sid "$(cut -d ' ' -f 2 "$1" | paste -sd ,)" |
        awk '$1 !~ /^Z/'
}

# assert_nothing_left: of the cluster that was in `other`. What was killed may take a moment.
assert_nothing_left() {
    local deadline=$((SECONDS + LIMIT))
    while [[ -n $(left_of processes) ]] && ((SECONDS < deadline)); do
        sleep 0.05
    done
    assert_equal "$(left_of processes)" ''
    assert_equal "$(find . -name 'other*')" ''
}

# A namespace ends with its last process.
@test "stop leaves no process, no namespace and no file" {
    CLUSTER=$PWD/other cluster start 1 3>&-
    sed 1d other/processes >processes
    assert_equal "$(left_of processes | wc -l)" 9
    CLUSTER=$PWD/other cluster stop
    assert_nothing_left
}

@test "start that is interrupted leaves nothing either" {
    CLUSTER=$PWD/other begin_by "$ROOT/scripts/cluster" start
    until grep -qs server-3 other/processes; do sleep 0.02; done
    sed 1d other/processes >processes
    end INT
    assert_status 130
    assert_nothing_left
}
