# The recording in the top README, and how it is made.

load ../helper

# A folder for temporary files that has to be empty again, with a space in its name.
setup() {
    export BUILD TMPDIR="$BATS_TEST_TMPDIR/a folder"
    mkdir "$TMPDIR"
    cd "$TMPDIR" || return
}

# is_the_recording FILE: a picture that has what the top README says it shows, stands still for a
# reader who wants that, and is at most 300 KB.
is_the_recording() {
    local text
    run /usr/bin/python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$1"
    assert_success
    for text in 'in 10 seconds the site should have seen 5 requests at once; there were 1' \
        'with AddressSanitizer' 'with ThreadSanitizer' 'Lesson 2, threads, is done.' \
        '@media (prefers-reduced-motion)'; do
        grep -qF "$text" "$1" || fail "$1 does not show: $text"
    done
    ! grep -qF 'server exited' "$1" || fail "$1 shows how the terminal was closed"
    (($(wc -c <"$1") <= 300 * 1000)) || fail "$1 is larger than 300 KB"
}

has_recorder() {
    command -v termtosvg && command -v asciinema
} >/dev/null

@test "the recording in the top README shows what its description says" {
    is_the_recording "$ROOT/lessons/watch.svg"
}

@test "scripts/record makes it, in a copy of the course" {
    has_recorder || skip 'there is no termtosvg or no asciinema'
    run "$ROOT/scripts/record" 'my recording.svg'
    assert_output ''
    assert_success
    is_the_recording 'my recording.svg'
    assert_equal "$(ls)" 'my recording.svg'
}

@test "scripts/record leaves nothing behind when it is interrupted" {
    has_recorder || skip 'there is no termtosvg or no asciinema'
    "$ROOT/scripts/record" "$BATS_TEST_TMPDIR/x.svg" 3>&- &
    until [[ -e $(echo "$TMPDIR"/*/cast) ]]; do
        kill -0 $! || fail 'it has ended before it was interrupted'
        sleep 0.1
    done
    kill -TERM $!
    local status=0
    wait $! || status=$?
    assert_equal "$status" 143
    assert_equal "$(ls "$TMPDIR")" ''
    assert_equal "$(pgrep --full "tmux.*$TMPDIR" || true)" ''
}

@test "scripts/record says what it does not understand" {
    run "$ROOT/scripts/record" --nonsense
    assert_failure 2
    assert_output "scripts/record: there is no option '--nonsense' (--help says more)"
    run "$ROOT/scripts/record" one two
    assert_failure 2
    assert_output "scripts/record: too many words: 'two' (--help says more)"
}
