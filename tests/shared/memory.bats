# What pages may take of the memory, however many come at once (shared/title.h).

load ../helper

setup_file() {
    mkdir "$BATS_FILE_TMPDIR/pages"
    # A page of nothing but tags: to parse, it takes more than one may have.
    yes '<p>' | tr -d '\n' | head -c 4190000 >"$BATS_FILE_TMPDIR/pages/tags"
    start_site --pages "$BATS_FILE_TMPDIR/pages"
}

teardown_file() {
    stop_site
}

setup() {
    [[ -z ${SANITIZED:-} ]] || skip 'sanitizers take much memory themselves'
}

# KB that the program and the processes that it has started have in all. What several have in
# common counts once (proc(5), Pss).
memory_now() {
    local -a processes
    mapfile -t processes < <(pgrep --session "$pid")
    processes=("${processes[@]/#//proc/}") # some may have ended
    cat "${processes[@]/%//smaps_rollup}" 2>/dev/null |
        awk '/^Pss:/ { sum += $2 } END { print sum + 0 }'
}

# takes_at_most_1_gb LESSON: with 50 workers, of which each has a page of 4 MB.
takes_at_most_1_gb() {
    local now most=0 urls=()
    for ((i = 0; i < 50; i++)); do
        urls+=("$SITE/file/tags?$i")
    done
    begin_by "$BUILD/$1" --quiet --workers 50 --timeout 1000 "${urls[@]}"
    while kill -s 0 "$pid" 2>/dev/null; do
        now=$(memory_now)
        ((now <= most)) || most=$now
        sleep 0.05 # to look takes a processor that the program and other checks need
    done
    end
    # On a busy machine it may also take too long.
    assert_equal "$(grep -cE ': the page takes too (much memory|long) to parse$' <<<"$stderr")" 50
    echo "$1: at most $most KB"
    ((100 * 1024 < most && most < 1024 * 1024))
}

@test "50 threads with pages of 4 MB take at most 1 GB" {
    takes_at_most_1_gb 03-thread-pool
}

@test "50 processes with pages of 4 MB take at most 1 GB in all" {
    takes_at_most_1_gb 07-executor-processes
}

@test "a loop with 50 pages of 4 MB takes at most 1 GB" {
    takes_at_most_1_gb 09-event-loop
}

@test "a page that takes too much memory to parse is an error that says so" {
    local tries=0
    use_program 01-sequential
    # On a busy machine it may take too long first.
    until fetch "$SITE/file/tags" && [[ $stderr != *'takes too long to parse'* ]]; do
        ((++tries < 10))
    done
    assert_error 'the page takes too much memory to parse'
}
