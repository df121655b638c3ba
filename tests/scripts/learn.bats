# scripts/learn and scripts/check: a learner follows the course with them. The course is a tiny
# one here, of two lessons with a few quick checks each.

load ../helper

first=01-one
second=02-two

# Each check has a course of its own, whose path has a space in it. It also has a folder for
# temporary files, which has to be empty again after each command.
setup() {
    copy="$BATS_TEST_TMPDIR/the course"
    work=$copy/work
    export TMPDIR=$BATS_TEST_TMPDIR/temporary
    mkdir "$TMPDIR"
    cp -r "$BATS_FILE_TMPDIR/course" "$copy"
    cd "$copy" || return
}

# Makes the course that each check has a copy of.
setup_file() {
    mkdir -p "$BATS_FILE_TMPDIR/course"/{lessons/{$first,$second},scripts/{hints,starter},tests}
    cd "$BATS_FILE_TMPDIR/course" || return
    cp "$ROOT"/scripts/{learn,check,common.bash} scripts
    cp "$ROOT"/tests/{helper.bash,where.awk} tests
    # Of bats's libraries only what is used: each check of the course loads them.
    mkdir -p lib/bats-{support,assert}
    : >lib/bats-assert/load.bash
    echo 'fail() { if (($# > 0)); then echo "$*"; else cat; fi >&2; return 1; }' \
        >lib/bats-support/load.bash
    printf '#!/bin/sh\n' >scripts/setup
    chmod +x scripts/setup
    # A sanitizer takes time; so it is left out where a check is not about it.
    cat >Makefile <<'END'
BUILD ?= build
all: $(BUILD)/01-one
$(BUILD)/01-one:
	mkdir -p $(@D)
	$(CC) lessons/01-one/main.c -o $@
program:
	$(CC) -g $(if $(SANITIZERS),$(SANITIZE:%=-fsanitize=%)) "$$FROM"/*.c -o "$$TO"
END
    program 'puts("none");' >scripts/starter/main.c
    program 'puts("one");' >lessons/$first/main.c
    program 'puts("two");' >lessons/$second/main.c
    printf 'First.\n---\nSecond.\n' | tee scripts/hints/{$first,$second}.md >/dev/null
    readme One >lessons/$first/README.md
    readme Two >lessons/$second/README.md
    checks_of $first one >tests/$first.bats
    checks_of $second two >tests/$second.bats
    # What these have built is there already.
    make --silent all
}

# program STATEMENTS: a C program.
program() {
    cat <<END
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(void)
{
    $1
    return 0;
}
END
}

readme() {
    cat <<END
# Lesson: $1

## What is new

The idea of $1.

## Your task

Print $1,
and nothing else. This is a long line, which has to be folded somewhere on a terminal that is less wide than it is.

- It prints $1.

## Check yourself

Code.
END
}

# checks_of LESSON WORD
checks_of() {
    local test=@test # bats takes no notice of it here
    cat <<END
load helper

setup_file() {
    use_program $1
    keep_reports
}

setup() {
    skip_if_it_hangs
}

teardown() {
    stop_program
}

# Step: the word. Help: hint 1, "Your task"

$test "it prints $2" {
    fetch
    assert_prints $2
}

# Step: the end. Help: hint 2, "What is new"

$test "its status is 0" {
    fetch
    assert_status 0
}

$test "a sanitizer finds nothing" {
    [[ -n \${SANITIZED:-} ]] || skip 'no sanitizer'
    fetch
    local report
    for report in "\$REPORTS"/*; do
        [[ ! -e \$report ]] || show_report "\$report" | fail
    done
}
END
}

# in_the_copy COMMAND [ARGUMENT...]: runs it as from a shell: without what bats has set.
in_the_copy() {
    local path=${PATH//"$BATS_LIBEXEC:"/} # bats itself, not a part of it
    env -i PATH="$path" HOME="$HOME" TERM=screen TMPDIR="$TMPDIR" \
        BATS_LIB_PATH="$copy/lib" SANITIZERS="${sanitizers:-}" LIMIT="${limit:-60}" "$@" </dev/null 3>&- 4>&-
}

# learn [WORD...]: sets status, output and stderr.
learn() {
    run --separate-stderr in_the_copy "$copy/scripts/learn" "$@"
    assert_equal "$(ls -A "$TMPDIR")" ''
    [[ ! -d $work ]] || assert_equal "$(find "$work" -name '.copy*')" ''
}

# check [WORD...]: the same for scripts/check.
check() {
    run --separate-stderr in_the_copy "$copy/scripts/check" "$@"
    assert_equal "$(ls -A "$TMPDIR")" ''
}

# write_main LESSON STATEMENTS: the learner's program.
write_main() {
    program "$2" >"$work/$1/main.c"
}

# assert_none_left: of what was started in this check's folder nothing runs any more, or it
# ends soon. (Others may run the same at once: what watches is known by the folder that it was
# started in.)
assert_none_left() {
    local process
    for process in $(pgrep --full -- "$TMPDIR/|$copy/build/" || true) $(watchers); do
        timeout 60 tail --pid="$process" --sleep-interval=0.02 --follow /dev/null ||
            fail "process $process is left: $(ps --no-headers --format comm "$process")"
    done
}

# watchers [NAME]: the processes in this course's folder.
watchers() {
    local process
    for process in $(pgrep --full "${1:-^inotifywait|scripts/learn( |$)}" || true); do
        if [[ $(readlink "/proc/$process/cwd" || true) == "$copy" ]]; then
            printf '%s\n' "$process"
        fi
    done
}

# ---- Where am I? -----------------------------------------------------------------------

@test "without a word it lists the lessons that there are, and what to do next" {
    learn
    assert_equal "$status" 0
    assert_equal "$stderr" ''
    assert_equal "$output" '  Lesson 1, one
  Lesson 2, two

scripts/learn start begins lesson 1, one.'
    assert [ ! -e "$work" ]
}

@test "it marks the lessons that are done, and the one that was begun last" {
    learn start 2
    printf 'done %s\n' $first >>"$work/progress"
    learn
    assert_line '  Lesson 1, one                      done'
    assert_line '> Lesson 2, two                      begun'
    assert_line 'Your program: work/02-two/main.c'
}

@test "after a lesson the next higher one is offered, and at last those that were left out" {
    mkdir lessons/03-three work
    cp lessons/$second/main.c lessons/03-three
    printf 'started %s\ndone %s\n' $second $second >work/progress
    learn
    assert_equal "${lines[-1]}" 'scripts/learn start begins lesson 3, three.'
    printf 'started 03-three\ndone 03-three\n' >>work/progress
    learn
    assert_equal "${lines[-1]}" 'scripts/learn start begins lesson 1, one.'
    printf 'done %s\n' $first >>work/progress
    learn
    assert_equal "${lines[-1]}" 'All lessons are done.'
    learn start
    assert_equal "$status" 1
    assert_equal "$stderr" \
        'scripts/learn: all lessons are done; scripts/learn start NN goes back to one'
}

@test "an experiment in the course's own programs that was not undone is told" {
    git init --quiet . && git add lessons
    git -c user.name=x -c user.email=x commit --quiet --message x
    learn start
    assert_equal "$stderr" ''
    echo '/* an experiment */' >>"lessons/$first/main.c"
    learn start
    assert_equal "$stderr" \
        "scripts/learn: the course's own programs are changed: \`git checkout lessons\` puts them back"
}

@test "the progress outlives lines that nobody understands, and one that was cut off" {
    learn start
    printf 'done 99-nothing\ndone\n\n\377\0x\ndone 01-o' >>"$work/progress"
    learn hint
    learn
    assert_line '> Lesson 1, one                      begun'
    learn hint
    assert_line --index 0 'Hint 2 of 2'
}

@test "it works from any folder, and by a link" {
    ln -s "$copy/scripts/learn" "$BATS_TEST_TMPDIR/learn"
    cd /
    run --separate-stderr in_the_copy "$BATS_TEST_TMPDIR/learn" start
    assert_equal "$status" 0
    assert_equal "$stderr" ''
    assert_line "Your program: $work/$first/main.c"
    cmp "$copy/scripts/starter/main.c" "$work/$first/main.c"
}

@test "--help answers, and wrong words are refused" {
    learn --help
    assert_equal "$status" 0
    assert_regex "$output" '^usage: scripts/learn'
    local words
    for words in 'begin' '--all' 'start 1 2' 'check 1' 'hint hint' 'hint 1 2' 'diff --yes' \
        'reset 1' 'reset --mine' 'solution --yes --yes' 'start x' 'start 99999999999999999999'; do
        # shellcheck disable=SC2086 # several words
        learn $words
        assert_equal "$words: $status" "$words: 2"
        assert_equal "$output" ''
        assert_equal "$(wc -l <<<"$stderr")" 1
    done
    assert [ ! -e "$work" ]
}

# ---- Beginning a lesson ----------------------------------------------------------------

@test "each lesson begins as the finished one before it, also if that is done" {
    learn start 1
    cmp scripts/starter/main.c "$work/$first/main.c"
    write_main $first 'puts("mine");'
    learn start 2
    assert_line --partial "It begins as lessons/$first/main.c."
    cmp lessons/$first/main.c "$work/$second/main.c"
}

@test "start --mine begins with the learner's own last program" {
    learn start 1 --mine
    assert_equal "$status" 1
    assert_equal "$stderr" \
        "scripts/learn: there is no program of yours of a lesson before $first"
    learn start 1
    write_main $first 'puts("mine");'
    learn start --mine 2
    assert_line --partial "It begins as work/$first/main.c."
    cmp "$work/$first/main.c" "$work/$second/main.c"
}

@test "lesson 10 begins as lesson 8, and not as lesson 9" {
    local name
    for name in 08-eight 09-nine 10-ten; do
        mkdir lessons/$name
        program "puts(\"$name\");" >lessons/$name/main.c
        readme "$name" >lessons/$name/README.md
    done
    learn start 10
    assert_line --partial 'It begins as lessons/08-eight/main.c.'
    cmp lessons/08-eight/main.c "$work/10-ten/main.c"
    rm -r "$work/10-ten"
    mkdir "$work/08-eight" "$work/09-nine"
    write_main 08-eight 'puts("mine");'
    write_main 09-nine 'puts("mine, with a loop");'
    learn start 10 --mine
    assert_line --partial 'It begins as work/08-eight/main.c.'
    cmp "$work/08-eight/main.c" "$work/10-ten/main.c"
}

@test "lesson 1 of the course begins with a program that prints its URLs" {
    FROM=$ROOT/scripts/starter TO="$BATS_TEST_TMPDIR/starter" make -C "$ROOT" --silent program \
        BUILD="${BUILD#"$ROOT/"}" CFLAGS='-O2 -Werror'
    run "$BATS_TEST_TMPDIR/starter" http://a/ http://b/
    assert_equal "$status" 0
    assert_equal "$output" $'http://a/\nhttp://b/'
}

@test "start shows what is new and the task out of the README, and no more" {
    learn start
    assert_line '# Lesson: One'
    assert_line 'The idea of One.'
    assert_line '- It prints One.'
    refute_line 'Code.'
}

@test "to start twice leaves what was written as it is" {
    learn start
    write_main $first '/* mine */'
    learn start
    assert_equal "$status" 0
    assert_line "You have begun lesson 1, one already: work/$first is as you left it."
    learn start 2
    learn start 1
    grep -qF '/* mine */' "$work/$first/main.c"
    learn
    assert_line '> Lesson 1, one                      begun'
}

@test "a lesson that does not exist is said so" {
    learn start 42
    assert_equal "$status" 2
    assert_equal "$stderr" 'scripts/learn: there is no lesson 42 (--help says more)'
}

@test "what needs a lesson says so if none is begun" {
    local word
    for word in check watch hint diff solution reset; do
        learn $word
        assert_equal "$status" 1
        assert_equal "$stderr" \
            'scripts/learn: no lesson is begun yet; scripts/learn start begins with the first'
    done
}

@test "a folder that was removed is said so, and start makes it again" {
    learn start
    rm -r "${work:?}/$first"
    learn check
    assert_equal "$status" 1
    assert_equal "$stderr" "scripts/learn: work/$first is not there any more; \
scripts/learn start 01 begins it again"
    learn
    assert_line 'scripts/learn start 01 begins it again.'
    learn start
    cmp "$copy/scripts/starter/main.c" "$work/$first/main.c"
    # The whole of work/ as well.
    rm -r "$work"
    learn hint
    assert_equal "$status" 1
    learn start
    assert_equal "$status" 0
}

@test "a folder where nothing can be written is said so, in one line" {
    touch "$work"
    learn start
    assert_equal "$status" 1
    assert_regex "$stderr" 'scripts/learn: cannot make the folder work'
    rm "$work"
    mkdir -p "$work/progress"
    learn
    assert_equal "$status" 1
    assert_equal "$stderr" 'scripts/learn: work/progress is not a file that can be read'
}

# ---- Checking --------------------------------------------------------------------------

@test "the names come first, then the steps, and last what is wrong and what helps" {
    learn start
    learn check
    assert_equal "$status" 1
    assert_equal "$output" "Checking work/$first
FAILED  it prints one
ok      its status is 0
1 of 2 checks passed
the word: 0 of 1; the end: 1 of 1

it prints one:
    its standard output should be \"one\"; it is \"none\"
    it was run like this: $first
What helps: scripts/learn hint 1; lessons/$first/README.md, \"Your task\"

This is where you begin: your program is the starter still. Aim first at
the check that is explained above."
    learn
    refute_regex "$output" 'done'
}

@test "of several checks that fail only the first is explained; scripts/check explains all" {
    learn start
    write_main $first 'puts("mine"); return 3;'
    learn check
    assert_equal "$status" 1
    assert_equal "$(grep -c ' should be ' <<<"$output")" 1
    assert_line 'FAILED  its status is 0'
    assert_line '0 of 2 checks passed'
    assert_equal "${lines[-1]}" "scripts/check 01 work/$first explains all that failed"
    refute_regex "$output" 'in test file|bats|where you begin'
    check 01 "work/$first"
    assert_equal "$(grep -c ' should be ' <<<"$output")" 2
    assert_equal "${lines[-1]}" \
        "What helps: scripts/learn hint 2; lessons/$first/README.md, \"What is new\""
}

@test "scripts/check with words runs the checks whose names have them" {
    check 01 its 0
    assert_equal "$status" 0
    assert_equal "$output" "Checking lessons/$first
ok      its status is 0
1 of 1 checks passed"
    learn start
    check 1 "work/$first" prints
    assert_equal "$status" 1
    assert_line '0 of 1 checks passed'
    check 1 'stat.s'
    assert_equal "$status" 1
    assert_equal "$stderr" "scripts/check: no check of $first has 'stat.s' in its name"
    check 1 work/nothing
    assert_equal "$status" 2
}

@test "when the checks pass, the lesson is done and the next is offered" {
    learn start
    cp "lessons/$first/main.c" "$work/$first/main.c"
    learn check
    assert_equal "$status" 0
    assert_line "Checking work/$first once more, with AddressSanitizer"
    assert_line '3 of 3 checks passed'
    assert_equal "${lines[-1]}" \
        'Lesson 1, one, is done. scripts/learn start begins lesson 2, two.'
    assert [ -x "$work/$first/program" ]
    learn
    assert_line '> Lesson 1, one                      done'
    learn start
    assert_line "Your program: work/$second/main.c"
}

@test "a lesson is done too if scripts/check has checked all of it, and of mine" {
    learn start
    cp "lessons/$first/main.c" "$work/$first/main.c"
    check 1
    check 1 "work/$first" status
    learn
    assert_line '> Lesson 1, one                      begun'
    check 1 "work/$first"
    assert_equal "$status" 0
    learn
    assert_line '> Lesson 1, one                      done'
}

@test "a leak, a wrong access and a race are each found by a sanitizer, and cost one check" {
    local sanitizers=yes
    learn start
    write_main $first 'puts("one"); fflush(stdout); malloc(7);'
    learn check
    assert_equal "$status" 1
    assert_line '2 of 2 checks passed'
    assert_line '2 of 3 checks passed'
    assert_line '    ERROR: LeakSanitizer: detected memory leaks'
    assert_line '        main.c:9 in main'
    write_main $first 'char *text = malloc(7); puts("one"); free(text); putchar(*text == 42);'
    learn check
    assert_line '2 of 2 checks passed'
    assert_line --regexp '^    ERROR: AddressSanitizer: heap-use-after-free'
    write_main $first 'if (fork() == 0) { char *text = malloc(7); free(text); _exit(*text == 42); }
        int end; pid_t wait(int *); wait(&end); puts(end == 0 ? "one" : "none");'
    learn check
    assert_line '2 of 2 checks passed'
    assert_line 'it prints one:'
    assert_line --regexp '^    ERROR: AddressSanitizer: heap-use-after-free'
    learn start 2
    { echo 'static int count; static void *add(void *x) { count++; return x; }'
      program 'pthread_t thread; pthread_create(&thread, NULL, add, NULL); count++;
          pthread_join(thread, NULL); puts("two");'; } | sed '1{h;d};/^int main/{H;x}' \
        >"$work/$second/main.c"
    learn check
    assert_equal "$status" 1
    assert_line '    WARNING: ThreadSanitizer: data race'
    assert_line --regexp '^        main.c:[0-9]+ in add'
}

@test "checks that did not run have not passed" {
    echo 'setup_file() { false; }' >>"tests/$first.bats"
    learn start
    cp "lessons/$first/main.c" "$work/$first/main.c"
    learn check
    assert_equal "$status" 1
    : >"tests/$first.bats"
    learn check
    assert_equal "$status" 1
    learn
    refute_regex "$output" 'done'
}

@test "what the compiler says is shown as it is, and the file is named" {
    learn start
    write_main $first 'return nothing;'
    learn check
    assert_equal "$status" 1
    assert_equal "$output" ''
    assert_regex "$stderr" "work/$first/main.c:9:12: error: .nothing. undeclared"
    assert_equal "${stderr_lines[-1]}" \
        "scripts/check: work/$first/main.c does not compile: see above"
    write_main $first 'int nothing(void); return nothing();'
    learn check
    assert_regex "$stderr" "undefined reference to .nothing'"
    assert_equal "${stderr_lines[-1]}" \
        "scripts/check: the sources in work/$first do not build: see above"
}

@test "a folder without a C source is said so, and start puts the starter there" {
    learn start
    mv "$work/$first/main.c" "$work/$first/main.txt"
    learn check
    assert_equal "$status" 1
    assert_equal "$stderr" "scripts/learn: there is no C source in work/$first; \
scripts/learn start 01 puts the starter there"
    learn start
    cmp "$copy/scripts/starter/main.c" "$work/$first/main.c"
}

@test "a program that hangs is stopped; it says where, and the other checks are not tried" {
    learn start
    write_main $first 'puts("not yet"); fflush(stdout); fork(); for (;;) pause();'
    limit=1 learn check
    assert_equal "$status" 1
    assert_line '0 of 3 checks passed; not tried, since the program had to be stopped: 2'
    assert_line \
        '    it should have ended; after 1 seconds it was still running, and was stopped'
    assert_equal "$(grep -c '        main waits in pause, main.c:9 (main)' <<<"$output")" 2
    assert_line '        not yet'
    assert_none_left
}

@test "a program that prints without end is stopped soon" {
    learn start
    write_main $first 'for (;;) puts("and so on");'
    learn check
    assert_equal "$status" 1
    assert_line '    it should have printed a few lines; it printed more than 32 MiB '\
'on standard output, and was stopped'
    assert_none_left
}

@test "a program that kills its process group kills nobody else" {
    learn start
    write_main $first 'kill(0, SIGKILL);'
    learn check
    assert_equal "$status" 1
    assert_line '    it was ended by signal 9, SIGKILL'
    assert_line '0 of 2 checks passed'
}

# ---- Help ------------------------------------------------------------------------------

@test "hints come one at a time, and after the last comes the first again" {
    learn start
    local number
    for number in 1 2; do
        learn hint
        assert_equal "$status" 0
        assert_line --index 0 "Hint $number of 2"
    done
    assert_equal "${lines[-1]}" \
        'That was the last one. scripts/learn diff shows what the course has.'
    learn hint
    assert_line --index 0 'Hint 1 of 2'
    learn hint 2
    assert_line 'Second.'
    learn hint 3
    assert_equal "$stderr" "scripts/learn: $first has hints 1 to 2"
    rm "scripts/hints/$first.md"
    learn hint
    assert_equal "$status" 1
    assert_equal "$stderr" \
        "scripts/learn: there are no hints for $first yet; its README says most"
}

@test "each lesson of the course has 4 to 6 hints; its checks name one, and a section" {
    local lesson count step
    for lesson in "$ROOT"/lessons/*/; do
        lesson=$(basename "$lesson")
        count=$(($(grep -c '^---$' "$ROOT/scripts/hints/$lesson.md") + 1))
        ((count >= 4 && count <= 6)) || fail "$lesson has $count hints"
        [[ $(grep -E '^(# Step|@test)' "$ROOT/tests/$lesson.bats") == '# Step'* ]] ||
            fail "the first checks of $lesson belong to no step"
        while IFS= read -r step; do
            [[ $step =~ '. Help: hint '([1-9])', "'(.*)'"'$ ]] || fail "$lesson: $step"
            ((BASH_REMATCH[1] <= count)) || fail "$lesson has no hint ${BASH_REMATCH[1]}"
            grep -qxF "## ${BASH_REMATCH[2]}" "$ROOT/lessons/$lesson/README.md" ||
                fail "$lesson/README.md has no '${BASH_REMATCH[2]}'"
        done < <(grep '^# Step' "$ROOT/tests/$lesson.bats")
    done
}

@test "diff compares mine with the course's" {
    learn start
    learn diff
    assert_equal "$status" 0
    assert_line "--- a/work/$first/main.c"
    assert_line "+++ b/lessons/$first/main.c"
    assert_line '-    puts("none");'
    assert_line '+    puts("one");'
    cp "lessons/$first/main.c" "$work/$first/main.c"
    learn diff
    assert_equal "$output" \
        "There is no difference: work/$first/main.c is what the course has."
    rm "$work/$first/main.c"
    learn diff
    assert_equal "$status" 1
    assert_equal "$stderr" \
        "scripts/learn: there is no main.c in work/$first to compare with the course's"
}

# ---- Putting something else in the place of my work ------------------------------------

@test "solution and reset keep mine, in a new folder each time" {
    learn start
    echo '/* mine */' >"$work/$first/main.c"
    echo '/* queue */' >"$work/$first/queue.c"
    echo 'notes' >"$work/$first/notes.txt"
    learn solution --yes
    assert_equal "$status" 0
    assert_line "Your version is kept in work/$first.1."
    cmp "lessons/$first/main.c" "$work/$first/main.c"
    assert_equal "$(ls "$work/$first")" $'main.c\nnotes.txt'
    assert_equal "$(cat "$work/$first.1"/*)" $'/* mine */\n/* queue */'
    echo '/* again */' >"$work/$first/main.c"
    learn reset --yes
    assert_line "Your version is kept in work/$first.2."
    cmp scripts/starter/main.c "$work/$first/main.c"
    assert_equal "$(<"$work/$first.1/main.c")" '/* mine */'
    assert_equal "$(<"$work/$first.2/main.c")" '/* again */'
}

@test "a solution that was seen is noted" {
    learn start
    learn solution --yes
    assert_equal "$(tail -n 1 "$work/progress")" "solution $first"
    learn
    assert_line '> Lesson 1, one                      begun, solution seen'
}

@test "reset makes a lesson that was done one that is not" {
    learn start
    printf 'done %s\n' $first >>"$work/progress"
    learn reset --yes
    learn
    assert_line '> Lesson 1, one                      begun'
}

@test "solution and reset change nothing unless they are told yes" {
    learn start
    echo '/* mine */' >"$work/$first/main.c"
    local word
    for word in solution reset; do
        learn $word
        assert_equal "$status" 2
        assert_equal "$stderr" 'scripts/learn: there is no terminal to ask at; '\
'--yes says that you are sure (--help says more)'
    done
    assert_equal "$(<"$work/$first/main.c")" '/* mine */'
    assert_equal "$(ls "$work")" "$first"$'\nprogress'
}

@test "nothing is lost if mine cannot be moved, or the new one not copied" {
    learn start
    echo '/* mine */' >"$work/$first/main.c"
    mkdir "$BATS_TEST_TMPDIR/bin"
    printf '#!/bin/sh\nexit 1\n' >"$BATS_TEST_TMPDIR/bin/mv"
    chmod +x "$BATS_TEST_TMPDIR/bin/mv"
    PATH=$BATS_TEST_TMPDIR/bin:$PATH learn solution --yes
    assert_equal "$status" 1
    assert_equal "$(<"$work/$first/main.c")" '/* mine */'
    cp "$BATS_TEST_TMPDIR/bin/mv" "$BATS_TEST_TMPDIR/bin/cat"
    rm "$BATS_TEST_TMPDIR/bin/mv"
    PATH=$BATS_TEST_TMPDIR/bin:$PATH learn solution --yes
    assert_equal "$status" 1
    assert_equal "$(<"$work/$first/main.c")" '/* mine */'
}

@test "Ctrl-C between the two moves loses nothing" {
    learn start
    echo '/* mine */' >"$work/$first/main.c"
    # This mv interrupts the script, as Ctrl-C does, and then does what it should.
    mkdir "$BATS_TEST_TMPDIR/bin"
    printf '#!/bin/sh\nkill -INT $PPID\nexec %s "$@"\n' "$(type -P mv)" \
        >"$BATS_TEST_TMPDIR/bin/mv"
    chmod +x "$BATS_TEST_TMPDIR/bin/mv"
    PATH=$BATS_TEST_TMPDIR/bin:$PATH learn solution --yes
    assert_equal "$(<"$work/$first.1/main.c")" '/* mine */'
    cmp "lessons/$first/main.c" "$work/$first/main.c"
}

# ---- In a terminal ---------------------------------------------------------------------

# open_terminal [COLUMNS ROWS]: opens one, with a shell in the copy. What appears on it comes
# through descriptor 5.
open_terminal() {
    mkfifo "$BATS_TEST_TMPDIR/screen"
    exec 5<>"$BATS_TEST_TMPDIR/screen"
    in_the_copy NO_COLOR=yes tmux -S "$BATS_TEST_TMPDIR/tmux" -f /dev/null \
        new-session -d -x "${1:-120}" -y "${2:-50}" 'exec bash --norc --noprofile -i'
    terminal pipe-pane "exec cat >'$BATS_TEST_TMPDIR/screen'"
    seen=''
    type_line 'PS1="status \$?: "'
    expect 'status 0: '
}

terminal() {
    tmux -S "$BATS_TEST_TMPDIR/tmux" "$@" 3>&- 4>&- 5>&-
}

# press KEY...: by the names that tmux has for keys.
press() {
    terminal send-keys "$@"
}

type_line() {
    terminal send-keys -l "$1"
    press Enter
}

# expect TEXT: waits until it has appeared on the terminal since the last time; what came until
# then is in $before.
expect() {
    local letter
    until [[ $seen == *"$1" ]]; do
        IFS= read -r -N 1 -t 120 -u 5 letter || fail "'$1' does not appear; there is: $seen"
        seen+=$letter
    done
    before=$seen
    seen=''
}

# ends_with COMMAND STATUS [TEXT]: types the command, and waits until it has said the text
# and ended with this status.
ends_with() {
    type_line "$1"
    [[ -z ${3:-} ]] || expect "$3"
    expect "status $2: "
}

teardown() {
    if [[ -e $BATS_TEST_TMPDIR/tmux ]]; then
        terminal kill-server || true
        assert_none_left
    fi
}

# save FILE LESSON: as editors do: a new file takes the place of the old one.
save() {
    cp "$1" "$work/$2/.main.c.new"
    mv "$work/$2/.main.c.new" "$work/$2/main.c"
}

# quick_checks: puts a script in the place of scripts/check that passes what the course has, in a
# moment. For what is about scripts/learn alone.
quick_checks() {
    cat >scripts/check <<'END'
#!/bin/sh
printf 'building...\n'
cmp -s "$5/main.c" "lessons/$4/main.c" && echo 'ok      it prints one' &&
    echo "done $4" >>work/progress && exit
echo 'FAILED  it prints one'
exit 1
END
}

@test "texts fold at the terminal's width, and start shows what fits" {
    open_terminal 60 50
    type_line 'scripts/learn start'
    expect 'Your program'
    [[ $before == *'The idea of One.'* ]] || fail "there is: $before"
    [[ $before == *$'Print One, and nothing else. This is a long line, which has\r\n'* ]] ||
        fail "there is: $before"
    terminal resize-window -x 60 -y 12
    type_line 'rm -r work; stty size'
    expect $'12 60\r\n'
    type_line 'scripts/learn start'
    expect 'Your program'
    [[ $before == *'Print One'* && $before != *'The idea'* ]] || fail "there is: $before"
}

@test "a student asks for the difference and the solution at a terminal" {
    quick_checks
    open_terminal
    ends_with 'scripts/learn start' 0 "Your program: work/$first/main.c"
    ends_with 'scripts/learn check' 1 'FAILED  it prints one'
    type_line 'scripts/learn solution'
    expect '[y/N] '
    type_line n
    expect 'Nothing was changed.'
    cmp scripts/starter/main.c "$work/$first/main.c"
    type_line 'scripts/learn solution'
    expect '[y/N] '
    type_line y
    expect "Your version is kept in work/$first.1."
    expect 'status 0: '
    ends_with 'scripts/learn check' 0 'scripts/learn start begins lesson 2, two.'
    type_line 'scripts/learn reset'
    expect '[y/N] '
    press C-c
    expect 'status 130: '
    cmp "lessons/$first/main.c" "$work/$first/main.c"
    ends_with 'scripts/learn' 0 'Lesson 1, one                      done, solution seen'
}

# begin_watch: watches lesson 1.
begin_watch() {
    learn start
    open_terminal
    type_line 'stty -g >before'
    expect 'status 0: '
    type_line 'scripts/learn watch'
    expect 'building...'
    expect 'FAILED  it prints one'
    expect '[Enter] check   [h] hint   [d] diff   [q] quit'
    [[ $before != *'ok      '* ]] || fail 'what passes should not stay on a terminal'
}

# is_restored: the terminal is as it was before, and nothing of what watched is left.
is_restored() {
    type_line 'stty -g >after'
    expect 'status 0: '
    assert_equal "$(<after)" "$(<before)"
    assert_none_left
    assert_equal "$(ls -A "$TMPDIR")" ''
}

@test "watch checks at every save, in the place of the old file or in it, and at Enter" {
    quick_checks
    begin_watch
    write_main $first 'puts("mine");'
    expect 'FAILED  it prints one'
    expect '[q] quit'
    press Enter
    expect 'FAILED  it prints one'
    expect '[q] quit'
    save "lessons/$first/main.c" $first
    expect 'Lesson 1, one, is done.'
    expect '[q] quit'
    press q
    expect 'status 0: '
    is_restored
}

@test "watch begins the next lesson at n, once this one is done" {
    quick_checks
    begin_watch
    press n h
    expect 'Hint 1 of 2'
    expect '[q] quit'
    save "lessons/$first/main.c" $first
    expect '[n] next lesson   [q] quit'
    press n
    expect "Your program: work/$second/main.c"
    expect '[h] hint   [d] diff   [q] quit'
    save "lessons/$second/main.c" $second
    expect 'Lesson 2, two, is done. All lessons are done.'
    expect '[q] quit'
    press q
    expect 'status 0: '
    is_restored
}

@test "watch shows hints and the difference at a key, and then goes on" {
    printf '/* line %d */\n' {1..100} >>"lessons/$first/main.c"
    quick_checks
    begin_watch
    press h
    expect 'Hint 1 of 2'
    expect '[q] quit'
    press d
    expect '+    puts("one");'
    expect $':\e[K' # the pager has the keyboard now
    press q
    expect '[q] quit'
    save "lessons/$first/main.c" $first
    expect 'is done.'
    expect '[q] quit'
    press C-c
    expect 'status 130: '
    is_restored
}

@test "watch takes several saves in a row for one, and the last one counts" {
    quick_checks
    begin_watch
    local inotifywait number checks
    inotifywait=$(watchers '^inotifywait')
    kill -s STOP "$inotifywait"
    for ((number = 0; number < 50; number++)); do
        save scripts/starter/main.c $first
    done
    save "lessons/$first/main.c" $first
    kill -s CONT "$inotifywait"
    expect 'is done.'
    checks=$(grep -c building <<<"$before")
    ((checks < 25)) || fail "it has checked $checks times"
    expect '[q] quit'
    press q
    expect 'status 0: '
}

@test "watch begins again if a save comes while it checks" {
    limit=600
    begin_watch
    write_main $first 'for (;;) ;'
    expect '1 of 3: it prints one'
    press h # for later
    save "lessons/$first/main.c" $first
    expect 'is done.'
    expect 'Hint 1 of 2'
    expect '[q] quit'
    press q
    expect 'status 0: '
    is_restored
}

@test "watch leaves nothing behind if it is left, or its terminal closed, while it checks" {
    limit=600
    begin_watch
    write_main $first 'for (;;) ;'
    expect '1 of 3: it prints one'
    press C-c
    expect 'status 130: '
    is_restored
    type_line 'scripts/learn watch'
    expect '1 of 3: it prints one'
    terminal kill-server
    assert_none_left
    assert_equal "$(ls -A "$TMPDIR")" ''
}

@test "watch says so if the folder is removed, and begins only at a terminal" {
    quick_checks
    begin_watch
    rm -r "${work:?}/$first"
    expect "work/$first was removed; scripts/learn start 01 begins it again"
    expect 'status 1: '
    is_restored
    learn start
    learn watch
    assert_equal "$status" 2
    assert_equal "$stderr" 'scripts/learn: watch needs a terminal; '\
'scripts/learn check does not (--help says more)'
}
