# The checks have teeth: each of them fails for a wrong program. The wrong ones are patches
# to the lessons in tests/wrong; each names the check that catches it.

load helper

# What is built here is run once, and nobody debugs it.
export OPTIMIZE='-O0 -g0 -Wl,--strip-debug'

# wrong_version PATCH: builds the lesson with the patch, and with the sanitizer that the
# patch asks for; sets `program` and `sanitizer`. (To make, BUILD must be without ROOT, which
# may hold spaces.)
wrong_version() {
    local lesson folder=$BATS_TEST_TMPDIR/source
    lesson=$(basename "$(dirname "$1")")
    sanitizer=$(sed -n 's/^Built with: //p' "$1")
    program=$BATS_TEST_TMPDIR/$(basename "$1" .patch)
    rm -rf "$folder"
    cp -r "$ROOT/lessons/$lesson" "$folder"
    (cd "$folder" && git apply "$1") || fail "$1 does not apply to the lesson any more"
    FROM=$folder TO=$program make -C "$ROOT" --silent program \
        BUILD="${BUILD#"$ROOT/"}${sanitizer:+/${sanitizer%%,*}}" \
        ${sanitizer:+SANITIZE="$sanitizer"} || fail "$1 does not build"
}

# run_checks FILE [VARIABLE=VALUE...] [OPTION...]: runs the checks in a bats of their own.
run_checks() {
    local path=${PATH//"$BATS_LIBEXEC:"/} # bats itself, not a part of it
    run env -i PATH="$path" HOME="$HOME" BUILD="$BUILD" BATS_LIB_PATH="$BATS_LIB_PATH" \
        LIMIT=4 "${@:2}" "$1"
}

# is_caught PROGRAM LESSON CHECK: this check of the lesson's fails for the program.
is_caught() {
    run_checks "$ROOT/tests/$2.bats" PROGRAM="$1" bats --tap --filter "^$3\$"
    [[ $output == 1..1$'\n'*"not ok 1 $3"* ]] ||
        fail "the check '$3' of $2 does not fail for $1: $output"
}

# print_check LESSON CHECK PROGRAM NAME SANITIZER: the check as it stands in the lesson's
# file, of this name, for this program, with which no other shares the sanitizer's reports.
print_check() {
    local body
    body=$(CHECK="@test \"$2\" {" awk '$0 == "}" { inside = 0 } inside
        $0 == ENVIRON["CHECK"] { inside = 1 }' "$ROOT/tests/$1.bats")
    [[ -n $body ]] || fail "$1 has no check '$2', which shall catch $4"
    printf '@test "%s" {\n    PROGRAM=%q SANITIZED=%s\n' "$4" "$3" "$5"
    # shellcheck disable=SC2016 # for the bash that runs it
    printf '    keep_reports "$BATS_TEST_TMPDIR"\n%s\n}\n\n' "$body"
}

# bites LESSON: each wrong version of the lesson is caught by its check. One file has the
# checks for all of them, since to start bats takes longer than a check. If a check does not
# come so far as to run the program, that is not what we want.
bites() {
    local patch check sanitizer checks=$BATS_TEST_TMPDIR/$1.bats
    local -a patches=("$ROOT/tests/wrong/$1"/*.patch)
    printf 'load %q\n' "$ROOT/tests/helper" "$ROOT/tests/contract" >"$checks"
    for patch in "${patches[@]}"; do
        check=$(sed -n 's/^Caught by: //p' "$patch")
        [[ -n $check ]] || fail "$patch does not say what it is caught by"
        wrong_version "$patch"
        print_check "$1" "$check" "$program" "$(basename "$patch")" "${sanitizer%%,*}" \
            >>"$checks"
    done
    run_checks "$checks" bats --tap
    [[ $(grep -c '^not ok' <<<"$output") == "${#patches[@]}" ]] ||
        fail "not caught, or skipped: $(grep '^ok' <<<"$output") of: $output"
    refute_output --regexp "\`(setup|setup_file|reset_site|stop_program)"
}

# has_teeth_everywhere LESSON: there is a wrong version for each check of the lesson's.
has_teeth_everywhere() {
    local check
    while IFS= read -r check; do
        grep -qxF "Caught by: $check" "$ROOT/tests/wrong/$1"/*.patch ||
            fail "no wrong version shows that this check of $1 can fail: $check"
    done < <(sed -n 's/^@test "\(.*\)" {$/\1/p' "$ROOT/tests/$1.bats")
}

# wrong_executor PATCH FOLDER: builds the executor's test with a patched executor in the folder,
# as $program. Only what the patch changes is compiled; the rest comes out of the library.
wrong_executor() {
    local sanitizer file folder=$2/executor
    sanitizer=$(sed -n 's/^Built with: //p' "$1")
    program=$2/$(basename "$1" .patch)
    cp -r "$ROOT/shared/executor" "$folder"
    (cd "$folder" && git apply "$1") || fail "$1 does not apply to the executor any more"
    for file in "$folder"/*.c; do
        if cmp -s "$file" "$ROOT/shared/executor/$(basename "$file")"; then
            rm "$file"
        fi
    done
    FROM=$folder TO=$program make -C "$ROOT" --silent executor-test \
        BUILD="${BUILD#"$ROOT/"}${sanitizer:+/${sanitizer%%,*}}" \
        ${sanitizer:+SANITIZE="$sanitizer"} || fail "$1 does not build"
}

# fails COMMAND [ARGUMENT...]: it does, or does not end. timeout(1) leads a process group of
# its own: none of what a wrong version has started is left. One of them blocks SIGTERM.
fails() {
    local group status=0
    timeout --kill-after=1 4 "$@" >/dev/null 2>&1 &
    group=$!
    wait "$group" || status=$?
    kill -s KILL -- -"$group" 2>/dev/null || true
    ((status != 0))
}

# bites_executor PATCH FOLDER: the case that the wrong version names passes for the right
# executor, and fails for this one.
bites_executor() {
    local program case right
    mkdir "$2"
    case=$(sed -n 's/^Caught by: //p' "$1")
    right=$("$BUILD/tests/executor_test" "$case" 2>&1) || true
    [[ $right != *SKIPPED* ]] || return 0 # it needs rights that we do not have
    grep -q '^\[ *OK \] ' <<<"$right" ||
        fail "there is no case '$case' that the right executor passes"
    wrong_executor "$1" "$2"
    fails "$program" "$case" || fail "the case '$case' does not fail for $1"
    rm -r "$2"
}

# Many at once, since most wrong versions hang. What is left of one in the folder is its
# failure: where it stops, its subshell ends.
@test "the executor's cases catch each wrong version" {
    local patch folder
    for patch in "$ROOT"/tests/wrong/executor/*.patch; do
        while (($(jobs -r | wc -l) >= 8)); do
            wait -n || true
        done
        folder=$BATS_TEST_TMPDIR/$(basename "$patch" .patch)
        touch "$folder.failed"
        (
            bites_executor "$patch" "$folder" >"$folder.failed" 2>&1
            rm "$folder.failed"
        ) 3>&- &
    done
    wait
    run find "$BATS_TEST_TMPDIR" -name '*.failed' -print -exec cat '{}' \;
    assert_output ''
}

@test "lesson 1's checks catch each wrong version" {
    bites 01-sequential
}

@test "lesson 2's checks catch each wrong version" {
    bites 02-threads
}

@test "lesson 3's checks catch each wrong version" {
    bites 03-thread-pool
}

@test "lesson 4's checks catch each wrong version" {
    bites 04-process-pool
}

@test "lesson 5's checks catch each wrong version" {
    bites 05-crash-safe-pool
}

@test "lesson 6's checks catch each wrong version" {
    bites 06-executor-threads
}

@test "lesson 7's checks catch each wrong version" {
    bites 07-executor-processes
}

@test "lesson 8's checks catch each wrong version" {
    bites 08-as-completed
}

@test "lesson 9's checks catch each wrong version" {
    bites 09-event-loop
}

@test "lesson 10's checks catch each wrong version" {
    bites 10-executor-events
}

@test "lesson 11's checks catch each wrong version" {
    bites 11-executor-cluster
}

@test "each check of a lesson's has a wrong version that it catches" {
    local file
    for file in "$ROOT"/tests/[0-9]*.bats; do
        has_teeth_everywhere "$(basename "$file" .bats)"
    done
}

@test "lesson 1's checks fail for a program that overlaps its requests" {
    is_caught "$BUILD/02-threads" 01-sequential 'it fetches one page at a time'
}

@test "lesson 2's checks fail for lesson 1's program" {
    is_caught "$BUILD/01-sequential" 02-threads \
        'it asks for all pages at once'
}

@test "lesson 3's checks fail for the programs of the lessons before" {
    local check='it has as many requests under way as workers, and never more'
    is_caught "$BUILD/02-threads" 03-thread-pool "$check"
    check='it asks for as many pages at once as it has workers'
    is_caught "$BUILD/01-sequential" 03-thread-pool "$check"
}

@test "lesson 4's checks fail for the programs of the lessons before" {
    local lesson
    for lesson in 01-sequential 02-threads 03-thread-pool; do
        is_caught "$BUILD/$lesson" 04-process-pool \
            'its workers are as many processes, each of one thread, from beginning to end'
    done
}

@test "lesson 5's checks fail for the programs of the lessons before" {
    local lesson
    for lesson in 01-sequential 02-threads 03-thread-pool; do
        is_caught "$BUILD/$lesson" 05-crash-safe-pool \
            'its workers are as many processes, each of one thread, from beginning to end'
    done
    is_caught "$BUILD/04-process-pool" 05-crash-safe-pool \
        'a worker that is killed costs the page that it had, and a new one takes its place'
}

@test "lesson 6's checks fail for the programs of the other lessons" {
    local lesson
    for lesson in 01-sequential 02-threads 03-thread-pool 04-process-pool 05-crash-safe-pool; do
        is_caught "$BUILD/$lesson" 06-executor-threads \
            'it uses the interface, and neither threads nor processes itself'
    done
    is_caught "$BUILD/07-executor-processes" 06-executor-threads \
        'it has one thread more than workers, in one process, from beginning to end'
}

@test "lesson 7's checks fail for the programs of the other lessons" {
    local lesson
    for lesson in 01-sequential 02-threads 03-thread-pool 04-process-pool 05-crash-safe-pool; do
        is_caught "$BUILD/$lesson" 07-executor-processes \
            'it uses the interface, and neither threads nor processes itself'
    done
    is_caught "$BUILD/06-executor-threads" 07-executor-processes \
        'its workers are the same processes from beginning to end'
}

# fails_for_those_before LESSON CHECK: for the programs of all lessons before.
fails_for_those_before() {
    local folder lesson
    for folder in "$ROOT"/lessons/[0-9]*/; do
        lesson=$(basename "$folder")
        [[ $lesson < $1 ]] || break
        is_caught "$BUILD/$lesson" "$1" "$2"
    done
}

@test "lesson 8's checks fail for the programs of the lessons before" {
    fails_for_those_before 08-as-completed 'its help explains --deadline, which takes seconds'
    is_caught "$BUILD/07-executor-processes" 08-as-completed \
        'a page that is held keeps no other from being printed, also into a pipe'
}

@test "lesson 9's checks fail for the programs of the lessons before" {
    fails_for_those_before 09-event-loop 'its help says what --workers means here'
    is_caught "$BUILD/08-as-completed" 09-event-loop \
        'it is one process with one thread, however many pages are under way'
}

@test "lesson 10's checks fail for the programs of the lessons before" {
    local lesson
    for lesson in 01-sequential 02-threads 03-thread-pool 04-process-pool 05-crash-safe-pool \
        09-event-loop; do
        is_caught "$BUILD/$lesson" 10-executor-events \
            'it uses the interface, and neither threads, processes nor curl_multi itself'
    done
    for lesson in 06-executor-threads 07-executor-processes 08-as-completed; do
        is_caught "$BUILD/$lesson" 10-executor-events \
            'it has one thread more than main, however many pages are under way'
    done
}

@test "lesson 11's checks fail for the programs of the other lessons" {
    local lesson
    for lesson in 01-sequential 02-threads 03-thread-pool 04-process-pool 05-crash-safe-pool \
        09-event-loop; do
        is_caught "$BUILD/$lesson" 11-executor-cluster \
            'it uses the interface, and neither threads, processes nor NATS itself'
    done
    for lesson in 06-executor-threads 07-executor-processes 08-as-completed 10-executor-events; do
        is_caught "$BUILD/$lesson" 11-executor-cluster \
            'without NATS_URL, its workers are the processes of one host, which it has started'
    done
}
