# scripts/explore finds what depends on the schedule, each time, and shows it; and nothing in
# what is right.

# shellcheck disable=SC2030,SC2031 # each wrong version has a subshell, and a folder, of its own

load ../helper

setup_file() {
    export BUILD
    BUILD=$ROOT/build
    make -C "$ROOT" --silent all >&2
}

# patched PATCH LESSON: a copy of the lesson with the patch, in $folder.
patched() {
    folder=$BATS_TEST_TMPDIR/$2-$(basename "$1" .patch)
    cp -r "$ROOT/lessons/$2" "$folder"
    (cd "$folder" && git apply "$1") || fail "$1 does not apply to the lesson any more"
}

# explore ARGUMENT...: sets status and output.
explore() {
    run "$ROOT/scripts/explore" "$@"
}

# lesson_of PATCH: the lesson that it is a wrong version of, in $lesson.
lesson_of() {
    lesson=$(basename "$(dirname "$1")")
    if [[ $lesson == explore ]]; then
        lesson=$(cd "$ROOT/lessons" && echo "$(basename "$1" | cut -c 1-2)"-*)
    fi
}

# finds PATCH: the explorer finds what the wrong version says that it finds.
finds() {
    local lesson folder kind
    kind=$(sed -n 's/^Explored: //p' "$1")
    lesson_of "$1"
    patched "$1" "$lesson"
    explore "$lesson" "$folder"
    ((status == 1)) || fail "$1 is not found: $output"
    [[ $output == "FAILED  schedule "*": $kind"$'\n'* ]] ||
        fail "$1 should be found as $kind: $output"
    [[ $output == *main.c:* ]] || fail "$1 is not drawn: $output"
}

# What is left of a wrong version in the folder is its failure.
@test "each wrong version whose fault depends on the schedule is found" {
    local patch name count=0
    while IFS= read -r patch; do
        name=$(basename "$(dirname "$patch")")-$(basename "$patch" .patch)
        while (($(jobs -r | wc -l) >= 3)); do
            wait -n || true
        done
        touch "$BATS_TEST_TMPDIR/$name.failed"
        (
            finds "$patch" >"$BATS_TEST_TMPDIR/$name.failed" 2>&1
            rm "$BATS_TEST_TMPDIR/$name.failed"
        ) 3>&- &
        count=$((count + 1))
    done < <(grep -rl '^Explored: ' "$ROOT/tests/wrong")
    wait
    ((count >= 17)) || fail "these were only $count wrong versions"
    run find "$BATS_TEST_TMPDIR" -maxdepth 1 -name '*.failed' -print -exec cat '{}' \;
    assert_output ''
}

@test "a right program never fails, whatever its shape" {
    local folder
    for folder in "$ROOT"/tests/right/*/; do
        explore --runs 200 "$(basename "$folder")" "$folder"
        assert_success
        assert_output --partial '200 schedules: none failed'
    done
    for lesson in 02 03 06; do
        explore --runs 200 "$lesson"
        assert_success
        assert_output --partial '200 schedules: none failed'
    done
}

@test "a program may end its first thread, and call what does not wait" {
    folder=$BATS_TEST_TMPDIR/rest
    cp -r "$ROOT/lessons/02-threads" "$folder"
    sed -i 's/^int main(/static int rest(/; s/^#include "worker.h"/&\n#include <errno.h>\n#include <fcntl.h>\n#include <sys\/socket.h>\n#include <time.h>\n#include <unistd.h>/' \
        "$folder/main.c"
    cat >>"$folder/main.c" <<'END'
static int count;
static char **words;
static pthread_rwlock_t shared = PTHREAD_RWLOCK_INITIALIZER;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *run(void *none)
{
    int pipes[2], sockets[2];
    char byte;
    if (pipe2(pipes, O_NONBLOCK) != 0 || read(pipes[0], &byte, 1) >= 0 || errno != EAGAIN ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0 ||
        recv(sockets[0], &byte, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN)
        exit(3);
    if (pthread_rwlock_wrlock(&shared) != 0 || pthread_rwlock_tryrdlock(&shared) != EBUSY ||
        pthread_rwlock_unlock(&shared) != 0 || pthread_rwlock_tryrdlock(&shared) != 0 ||
        pthread_rwlock_trywrlock(&shared) != EBUSY || pthread_mutex_lock(&lock) != 0 ||
        pthread_mutex_timedlock(&lock, &(struct timespec){0}) != ETIMEDOUT ||
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &(struct timespec){0}, NULL) != 0)
        exit(5);
    (void)none;
    exit(rest(count, words));
}

int main(int argc, char *argv[])
{
    pthread_t thread;
    count = argc, words = argv;
    return pthread_create(&thread, NULL, run, NULL) == 0 ? pthread_exit(NULL), 0 : 4;
}
END
    explore --runs 50 02 "$folder"
    assert_success
    assert_output --partial '50 schedules: none failed'
}

@test "the drawing of a lost wake-up has a lane a thread, and a sentence" {
    patched "$ROOT/tests/wrong/03-thread-pool/looks-without-the-lock.patch" 03-thread-pool
    explore --svg "$BATS_TEST_TMPDIR/drawing.svg" 03 "$folder"
    assert_failure 1
    assert_line --regexp '^  main +thread-1 +thread-2 +thread-3$'
    assert_line --regexp '^  main\.c:98 cond_signal wakes 0 +cond_signal\(&pool'
    assert_line --regexp '^! +main\.c:49 sleeps +cond_wait\('
    output=${output//$'\n'/ }
    assert_output --regexp 'Thread-[123] looked \(main\.c:47\), then main .*, then thread-[123] went to sleep \(main\.c:49\): nobody will wake it\.'
    run cat "$BATS_TEST_TMPDIR/drawing.svg"
    assert_line --partial '<svg xmlns="http://www.w3.org/2000/svg"'
    assert_output --partial 'main.c:49 sleeps'
}

@test "what it prints wrongly is shown, and how to see it again" {
    folder="$BATS_TEST_TMPDIR/a folder"
    cp -r "$ROOT/lessons/02-threads" "$folder"
    sed -i 's/report_page(pages\[i\]/report_page(pages[count - 1 - i]/' "$folder/main.c"
    explore --svg "$BATS_TEST_TMPDIR/drawing.svg" 02 "$folder"
    assert_failure 1
    assert_line --regexp '^FAILED  schedule 0 .*: it prints something else than it should$'
    assert_line $'-http://pages/4\tTitle of http://pages/4'
    assert_equal "${lines[-1]}" "To see it again: scripts/explore --seed 0 02 ${folder// /\\ }"
    [[ -s $BATS_TEST_TMPDIR/drawing.svg ]] || fail 'there is no drawing'
}

@test "the same seed gives the same schedule" {
    local first
    patched "$ROOT/tests/wrong/03-thread-pool/looks-once.patch" 03-thread-pool
    explore 03 "$folder"
    assert_failure 1
    first=$output
    [[ $output =~ schedule\ ([0-9]+)\ of ]]
    explore --seed "${BASH_REMATCH[1]}" 03 "$folder"
    assert_failure 1
    # All but the first line, which says how many were tried, and the last, how to repeat it.
    assert_equal "$(sed 1d <<<"$output")" "$(sed '1d;$d' <<<"$first")"
}

@test "an exhaustive search ends, and says how many schedules there are" {
    explore --exhaustive 1 --runs 20000 03
    assert_success
    assert_output --regexp '^[0-9]+ schedules: all with at most 1 preemption, without spurious wake-ups; none failed$'
    patched "$ROOT/tests/wrong/03-thread-pool/wakes-before-it-closes.patch" 03-thread-pool
    explore --exhaustive 1 --runs 20000 03 "$folder"
    assert_failure 1
    assert_line --partial ': a deadlock'
}

@test "a fault stops the debugger there" {
    patched "$ROOT/tests/wrong/03-thread-pool/waits-without-the-lock.patch" 03-thread-pool
    explore --seed 1 --gdb 03 "$folder" <<<'backtrace'
    assert_output --regexp 'Thread .* hit Breakpoint 1, explore_fault'
    assert_output --partial 'take (pool='
}

# The course is a copy, in which lesson 2 has one check and does not wait for its last thread.
@test "scripts/check explores last, and shows the drawing" {
    local course="$BATS_TEST_TMPDIR/the course"
    mkdir -p "$course/build"
    cp -a "$ROOT"/{Makefile,lessons,scripts,shared,tests} "$course"
    cp -a "$BUILD"/{*.so,libshared.a,timeline,lessons,scripts,shared,site,tests,[0-9]*} "$course/build"
    awk '/^@test/ && count++ { exit } { print }' "$ROOT/tests/02-threads.bats" \
        >"$course/tests/02-threads.bats"
    run env --unset=BUILD "$course/scripts/check" 02
    assert_success
    assert_line '1 of 1 checks passed'
    assert_line --regexp '^[1-9][0-9]* schedules: none failed$'
    (cd "$course/lessons/02-threads" &&
        git apply "$ROOT/tests/wrong/explore/02-joins-all-but-the-last.patch")
    run env --unset=BUILD "$course/scripts/check" 02
    assert_failure 1
    assert_line '1 of 1 checks passed'
    assert_line --regexp '^FAILED  schedule .*: an end with threads inside$'
    assert_line --regexp '^Main ended the program while thread-.* still ran'
    # A program that cannot be explored is not wrong.
    cp "$ROOT/lessons/02-threads/main.c" "$course/lessons/02-threads"
    sed -i 's/^int main(/static void *idle(void *none)\n{\n    return none;\n}\n\n&/
        s/^    fetch_all(arguments/    for (int i = 0; i < 40; i++)\n        pthread_create(\&(pthread_t){0}, NULL, idle, NULL);\n&/' \
        "$course/lessons/02-threads/main.c"
    run env --unset=BUILD "$course/scripts/check" 02
    assert_success
    assert_line '1 of 1 checks passed'
    assert_line --regexp '^could not be explored: schedule 0 .*: it is too large$'
}

# explore_source: compiles standard input, and explores that.
explore_source() {
    "${CC:-cc}" -pthread -include pthread.h -x c - -o "$BATS_TEST_TMPDIR/program" ||
        fail 'it does not compile'
    explore --program "$BATS_TEST_TMPDIR/program"
}

@test "any program can be explored, and what is said needs no source lines" {
    explore_source <<'END'
static pthread_barrier_t barrier;
static void *run(void *none) { pthread_barrier_wait(&barrier); return none; }
int main(void)
{
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 3);
    pthread_create(&thread, NULL, run, NULL);
    return pthread_barrier_wait(&barrier);
}
END
    assert_failure 1
    assert_line 'Main and thread-1 wait at a barrier, and nobody else comes there.'
    explore_source <<'END'
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *run(void *none)
{
    return pthread_mutex_trylock(&lock) == 0 || pthread_mutex_lock(&lock) == 0 ? none : &lock;
}
int main(void)
{
    pthread_t thread;
    pthread_mutex_lock(&lock);
    pthread_create(&thread, NULL, run, NULL);
    return pthread_join(thread, NULL);
}
END
    assert_failure 1
    assert_line --partial 'Thread-1 waits for the lock that main took:'
}

@test "what is no use of it is refused in a line" {
    explore
    assert_failure 2
    assert_output 'scripts/explore: which lesson? (--help says more)'
    explore 04
    assert_failure 2
    assert_output --partial 'no threads of its own'
    explore --runs many 03
    assert_failure 2
    explore --runs 0 03
    assert_failure 2
    assert_output --partial '--runs needs a number from 1 on'
    explore --program "$BATS_TEST_TMPDIR"
    assert_failure 2
    assert_output --partial "there is no program $BATS_TEST_TMPDIR"
    explore 03 "$BATS_TEST_TMPDIR"
    assert_failure 2
    assert_output --partial 'there is no C source in'
}
