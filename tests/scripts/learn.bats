# scripts/learn: a learner follows the course with it.

load ../helper

# Each check has a copy of the course, whose path has a space in it, and what is built
# already comes along. It also has a folder for temporary files, which has to be empty again
# after each command.
setup() {
    local sanitizer
    copy="$BATS_TEST_TMPDIR/the course"
    work=$copy/work
    export TMPDIR=$BATS_TEST_TMPDIR/temporary
    mkdir "$copy" "$TMPDIR"
    cp -a "$ROOT"/{Makefile,README.md,lessons,scripts,shared,tests} "$copy"
    if [[ -x $ROOT/build/site ]]; then
        mkdir "$copy/build"
        cp -a "$ROOT"/build/{libshared.a,lessons,shared,site,tests,[0-9]*} "$copy/build"
        for sanitizer in address thread; do
            if [[ -e $ROOT/build/$sanitizer/libshared.a ]]; then
                mkdir "$copy/build/$sanitizer"
                cp -a "$ROOT/build/$sanitizer"/{libshared.a,shared} "$copy/build/$sanitizer"
            fi
        done
    fi
    cd "$copy" || return
}

# in_the_copy COMMAND [ARGUMENT...]: runs it as from a shell: without what bats has set.
in_the_copy() {
    local path=${PATH//"$BATS_LIBEXEC:"/} # bats itself, not a part of it
    env -i PATH="$path" HOME="$HOME" TERM=screen TMPDIR="$TMPDIR" \
        BATS_LIB_PATH="$BATS_LIB_PATH" LIMIT="${limit:-10}" "$@" </dev/null 3>&- 4>&-
}

# learn [WORD...]: sets status, output and stderr.
learn() {
    run --separate-stderr in_the_copy "$copy/scripts/learn" "$@"
    assert_equal "$(ls -A "$TMPDIR")" ''
    [[ ! -d $work ]] || assert_equal "$(find "$work" -name '.copy*')" ''
}

# keep_checks LESSON PATTERN: of the lesson's checks only those whose names match: these
# checks are about scripts/learn, and would take minutes with all of them.
keep_checks() {
    local file=$copy/tests/$1.bats
    awk -v pattern="$2" '/^@test/ { wanted = $0 ~ pattern }
        /^@test/, /^}$/ { if (wanted) print; next }
        { print }' "$file" >"$BATS_TEST_TMPDIR/checks"
    cp "$BATS_TEST_TMPDIR/checks" "$file"
    grep -q '^@test' "$file"
}

# write_main LESSON: what standard input says is the learner's program.
write_main() {
    cat >"$work/$1/main.c"
}

# assert_none_left: of what was started in this check's folder nothing runs any more, or it
# ends within 5 seconds. (Others may run the same at once: what watches is known by the folder
# that it was started in.)
assert_none_left() {
    local process
    for process in $(pgrep --full -- "$TMPDIR/|$copy/build/" || true) $(watchers); do
        timeout 5 tail --pid="$process" --sleep-interval=0.02 --follow /dev/null ||
            fail "process $process is left: $(ps --no-headers --format comm "$process")"
    done
}

watchers() {
    local process
    for process in $(pgrep --full '^inotifywait|scripts/learn( |$)' || true); do
        if [[ $(readlink "/proc/$process/cwd" || true) == "$copy" ]]; then
            printf '%s\n' "$process"
        fi
    done
}

first=01-sequential
second=02-threads

# ---- Where am I? -----------------------------------------------------------------------

@test "without a word it lists the lessons that there are, and what to do next" {
    mkdir "$copy/lessons/08-as-completed"
    cp "$copy/lessons/06-executor-threads/main.c" "$copy/lessons/08-as-completed"
    learn
    assert_equal "$status" 0
    assert_equal "$stderr" ''
    assert_line --index 0 '  Lesson 1, sequential'
    assert_line --index 7 '  Lesson 8, as completed'
    assert_equal "${lines[-1]}" 'scripts/learn start begins lesson 1, sequential.'
    assert [ ! -e "$work" ]
}

@test "it marks the lessons that are done, and the one that was begun last" {
    learn start 3
    printf 'done 01-sequential\n' >>"$work/progress"
    learn
    assert_line '  Lesson 1, sequential               done'
    assert_line '  Lesson 2, threads'
    assert_line '> Lesson 3, thread pool              begun'
    assert_line 'Your program: work/03-thread-pool/main.c'
}

@test "when all lessons are done it says so" {
    mkdir "$work"
    (cd "$copy/lessons" && printf 'done %s\n' */ | tr -d /) >"$work/progress"
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

@test "a leak, and a race, that the checks do not see, the sanitizers do" {
    keep_checks $first 'at the end how many'
    learn start
    sed '/result_free/d' "lessons/$first/main.c" | write_main $first
    learn check
    assert_equal "$status" 1
    assert_line '1 of 1 checks passed'
    assert_line --regexp '^ +SUMMARY: AddressSanitizer: [0-9]+ byte\(s\) leaked'
    keep_checks $second 'at the end how many'
    learn start 2
    cp "lessons/$second/main.c" "$work/$second"
    (cd "$work/$second" && git apply "$ROOT/tests/wrong/$second/counts-without-a-lock.patch")
    learn check
    assert_equal "$status" 1
    assert_line '1 of 1 checks passed'
    assert_line --regexp '^ +SUMMARY: ThreadSanitizer: data race'
}

@test "the progress outlives lines that nobody understands, and one that was cut off" {
    learn start
    printf 'done 99-nothing\ndone\n\n\377\0x\ndone 01-sequ' >>"$work/progress"
    learn hint
    learn
    assert_line '> Lesson 1, sequential               begun'
    learn hint
    assert_line --index 0 'Hint 2 of 5'
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
    for words in 'begin' '--all' 'start 1 2' 'check 1' 'hint hint' 'diff --yes' 'reset 1' \
        'solution --yes --yes' 'start x' 'start 99999999999999999999'; do
        # shellcheck disable=SC2086 # several words
        learn $words
        assert_equal "$status" 2
        assert_equal "$output" ''
        assert_equal "$(wc -l <<<"$stderr")" 1
    done
    assert [ ! -e "$work" ]
}

# ---- Beginning a lesson ----------------------------------------------------------------

@test "each lesson begins as the finished one before it" {
    local before=scripts/starter lesson
    for lesson in lessons/*/; do
        lesson=$(basename "$lesson")
        learn start "$lesson"
        assert_equal "$status" 0
        cmp "$copy/$before/main.c" "$work/$lesson/main.c"
        before=lessons/$lesson
    done
    # Whoever has done the lesson before still gets the course's.
    echo '/* mine */' >"$work/$first/main.c"
    rm -r "${work:?}/$second"
    learn start 2
    cmp "$copy/lessons/$first/main.c" "$work/$second/main.c"
}

@test "lesson 1 begins with a program that prints its URLs" {
    FROM="$copy/scripts/starter" TO="$BATS_TEST_TMPDIR/starter" \
        make -C "$copy" --silent program BUILD=build CFLAGS='-O2 -Werror'
    run "$BATS_TEST_TMPDIR/starter" http://a/ http://b/
    assert_equal "$status" 0
    assert_equal "$output" $'http://a/\nhttp://b/'
}

@test "start shows the first part of the README, and no more" {
    printf '# Lesson 1: one\n\nThe idea.\n\n## The code\n\nCode.\n' >"lessons/$first/README.md"
    learn start
    assert_line '# Lesson 1: one'
    assert_line 'The idea.'
    refute_line 'Code.'
    printf '# Lesson 1\n\n## What is new\n\nThe idea.\n\n## The difference in numbers\n\n5\n' \
        >"lessons/$first/README.md"
    learn start
    assert_line 'The idea.'
    refute_line '5'
}

@test "to start twice leaves what was written as it is" {
    learn start
    echo '/* mine */' >"$work/$first/main.c"
    learn start
    assert_equal "$status" 0
    assert_line "You have begun lesson 1, sequential already: work/$first is as you left it."
    assert_equal "$(<"$work/$first/main.c")" '/* mine */'
    learn start 2
    learn start 1
    assert_equal "$(<"$work/$first/main.c")" '/* mine */'
    learn
    assert_line '> Lesson 1, sequential               begun'
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

@test "a check that fails says what should be and what is, and the lesson is not done" {
    keep_checks $first 'one page at a time|at the end how many'
    learn start
    cp "lessons/$second/main.c" "$work/$first/main.c"
    learn check
    assert_equal "$status" 1
    assert_line --index 1 'FAILED  it fetches one page at a time'
    assert_line --index 2 "        with three pages to fetch the site saw 3 requests at once; \
at most 1 may be in flight"
    assert_equal "${lines[-1]}" '1 of 2 checks passed'
    refute_regex "$output" 'in test file|bats'
    learn
    refute_regex "$output" 'done'
}

@test "of several checks that fail only the first is explained" {
    keep_checks $first 'in the order given|at the end how many'
    learn start
    learn check
    assert_equal "$status" 1
    assert_line --index 1 \
        'FAILED  it prints a line for each page, URL, tab and title, in the order given'
    assert_regex "${lines[2]}" \
        '^        line 1 of its standard output should be "[^ ]*/page/3	Page 3"; it is "[^ ]*/page/3"$'
    assert_equal "$(grep -c 'should be "' <<<"$output")" 1
    assert_equal "$(tail -n 4 <<<"$output")" "FAILED  it fetches the pages in the order given
FAILED  it tells at the end how many pages it has fetched
0 of 3 checks passed
scripts/check 01 work/$first explains all that failed"
}

@test "when the checks pass, the lesson is done and the next is offered" {
    keep_checks $first 'at the end how many'
    learn start
    cp "lessons/$first/main.c" "$work/$first/main.c"
    learn check
    assert_equal "$status" 0
    assert_equal "${lines[-1]}" \
        'Lesson 1, sequential, is done. scripts/learn start begins lesson 2, threads.'
    assert [ -x "$work/$first/program" ]
    learn
    assert_line '> Lesson 1, sequential               done'
    learn start
    assert_line "Your program: work/$second/main.c"
}

@test "checks that did not run have not passed" {
    echo 'setup_file() { false; }' >>"$copy/tests/$first.bats"
    learn start
    cp "lessons/$first/main.c" "$work/$first/main.c"
    learn check
    assert_equal "$status" 1
    : >"$copy/tests/$first.bats"
    learn check
    assert_equal "$status" 1
    assert_equal "${lines[-1]}" '0 of 0 checks passed'
    learn
    refute_regex "$output" 'done'
}

@test "what the compiler says is shown as it is, and the file is named" {
    learn start
    echo 'int main(void) { return nothing; }' | write_main $first
    learn check
    assert_equal "$status" 1
    assert_equal "$output" ''
    assert_regex "$stderr" "work/$first/main.c:1:25: error: .nothing. undeclared"
    assert_equal "${stderr_lines[-1]}" \
        "scripts/check: work/$first/main.c does not compile: see above"
    echo 'int nothing(void); int main(void) { return nothing(); }' | write_main $first
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

@test "a program that does not end is stopped, and the checks that are left are not tried" {
    learn start
    echo '#include <unistd.h>
        int main(void) { fork(); for (;;) pause(); }' | write_main $first
    limit=1 learn check
    assert_equal "$status" 1
    assert_line --index 2 \
        '        it should have ended; after 1 seconds it was still running, and was stopped'
    assert_equal "${lines[-1]}" \
        '0 of 12 checks passed; not tried, since the program had to be stopped: 11'
    assert_none_left
}

@test "a program that prints without end is stopped soon" {
    learn start
    echo '#include <stdio.h>
        int main(void) { for (;;) puts("and so on"); }' | write_main $first
    limit=60 learn check
    assert_equal "$status" 1
    assert_line --index 2 '        it should have printed a few lines; it printed more than 32 MiB '\
'on standard output, and was stopped'
    assert_none_left
}

@test "a program that kills its process group kills nobody else" {
    keep_checks $first 'at the end how many|Ctrl-C ends it'
    learn start
    echo '#include <signal.h>
        int main(void) { kill(0, SIGKILL); }' | write_main $first
    learn check
    assert_equal "$status" 1
    assert_line '        it was ended by signal 9, SIGKILL'
    assert_line '0 of 2 checks passed'
}

# ---- Help ------------------------------------------------------------------------------

@test "hints come one at a time, and after the last comes the first again" {
    learn start
    local number
    for number in 1 2 3 4 5; do
        learn hint
        assert_equal "$status" 0
        assert_line --index 0 "Hint $number of 5"
    done
    assert_equal "${lines[-1]}" \
        'That was the last one. scripts/learn diff shows what the course has.'
    learn hint
    assert_line --index 0 'Hint 1 of 5'
    learn start 2
    learn hint
    assert_line --index 0 'Hint 1 of 6'
}

@test "each lesson has 4 to 6 hints, and a lesson without hints says so" {
    local lesson count
    for lesson in "$ROOT"/lessons/*/; do
        count=$(($(grep -c '^---$' "$ROOT/scripts/hints/$(basename "$lesson").md") + 1))
        ((count >= 4 && count <= 6)) || fail "$lesson has $count hints"
    done
    learn start
    rm "scripts/hints/$first.md"
    learn hint
    assert_equal "$status" 1
    assert_equal "$stderr" \
        "scripts/learn: there are no hints for $first yet; its README says most"
}

@test "diff compares mine with the course's" {
    learn start
    learn diff
    assert_equal "$status" 0
    assert_line "--- a/work/$first/main.c"
    assert_line "+++ b/lessons/$first/main.c"
    assert_line '-        puts(arguments.urls[i]);'
    assert_line '+    page->title = get_title(page->url);'
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

@test "without git, diff does with diff" {
    learn start
    mkdir "$BATS_TEST_TMPDIR/bin"
    local name
    for name in env bash readlink basename mktemp rm tr diff dirname; do
        ln -s "$(type -P $name)" "$BATS_TEST_TMPDIR/bin/$name"
    done
    PATH=$BATS_TEST_TMPDIR/bin learn diff
    assert_equal "$status" 0
    assert_line '+    page->title = get_title(page->url);'
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

@test "reset makes a lesson that was done one that is not" {
    learn start
    printf 'done %s\n' $first >>"$work/progress"
    learn reset --yes
    learn
    assert_line '> Lesson 1, sequential               begun'
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
    assert_equal "$(ls "$work")" $'01-sequential\nprogress'
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

# open_terminal: opens one, with a shell in the copy. What appears on it comes
# through descriptor 5.
open_terminal() {
    local path=${PATH//"$BATS_LIBEXEC:"/}
    mkfifo "$BATS_TEST_TMPDIR/screen"
    exec 5<>"$BATS_TEST_TMPDIR/screen"
    in_the_copy NO_COLOR=yes tmux -S "$BATS_TEST_TMPDIR/tmux" -f /dev/null \
        new-session -d -x 120 -y 50 'exec bash --norc --noprofile -i'
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

# expect TEXT: waits until it has appeared on the terminal since the last time.
expect() {
    local end=$((SECONDS + 30)) letter
    until [[ $seen == *"$1" ]]; do
        if ! IFS= read -r -N 1 -t 30 -u 5 letter || ((SECONDS > end)); then
            fail "'$1' does not appear; there is: $seen"
        fi
        seen+=$letter
    done
    [[ -n ${keep_seen:-} ]] || seen=''
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
    fi
    assert_none_left
}

# save FILE LESSON: as editors do: a new file takes the place of the old one.
save() {
    cp "$1" "$work/$2/.main.c.new"
    mv "$work/$2/.main.c.new" "$work/$2/main.c"
}

@test "a student follows lessons 1 to 3 at a terminal" {
    keep_checks $first 'in the order given|at the end how many'
    keep_checks $second 'in the order given|which thread has it|at the end how many'
    keep_checks 03-thread-pool 'in the order given|more requests than workers'
    open_terminal
    ends_with 'scripts/learn start' 0 "Your program: work/$first/main.c"
    ends_with 'scripts/learn check' 1 'FAILED  it prints a line for each page'
    save "lessons/$first/main.c" $first
    ends_with 'scripts/learn check' 0 'scripts/learn start begins lesson 2, threads.'

    ends_with 'scripts/learn start' 0 "It begins as lessons/$first/main.c"
    ends_with 'scripts/learn hint' 0 'Hint 1 of 6'
    sed '/worker_set_next_name/d' "lessons/$second/main.c" >"$BATS_TEST_TMPDIR/main.c"
    save "$BATS_TEST_TMPDIR/main.c" $second
    ends_with 'scripts/learn check' 1 'worker: main"'
    type_line 'scripts/learn diff'
    expect 'worker_set_next_name("thread");'
    expect 'status 0: '
    type_line 'scripts/learn solution'
    expect '[y/N] '
    type_line n
    expect 'Nothing was changed.'
    cmp "$BATS_TEST_TMPDIR/main.c" "$work/$second/main.c"
    type_line 'scripts/learn solution'
    expect '[y/N] '
    type_line y
    expect "Your version is kept in work/$second.1."
    expect 'status 0: '
    cmp "$BATS_TEST_TMPDIR/main.c" "$work/$second.1/main.c"
    ends_with 'scripts/learn check' 0 'scripts/learn start begins lesson 3, thread pool.'

    ends_with 'scripts/learn start' 0 "It begins as lessons/$second/main.c"
    type_line 'scripts/learn watch'
    expect 'with 3 workers the site saw 12 requests at once; at most 3 may be in flight'
    expect '[q] quit'
    save "lessons/03-thread-pool/main.c" 03-thread-pool
    expect 'Lesson 3, thread pool, is done.'
    press q
    expect 'status 0: '
    type_line 'scripts/learn reset'
    expect '[y/N] '
    press C-c
    expect 'status 130: '
    cmp "lessons/03-thread-pool/main.c" "$work/03-thread-pool/main.c"
    ends_with 'scripts/learn' 0 'Lesson 3, thread pool              done'
}

# begin_watch: watches lesson 1, of whose checks one is left.
begin_watch() {
    keep_checks $first 'at the end how many'
    learn start
    open_terminal
    type_line 'stty -g >before'
    expect 'status 0: '
    type_line 'scripts/learn watch'
    expect 'FAILED  it tells at the end'
    expect '[h] hint   [d] diff   [q] quit'
}

# is_restored: the terminal is as it was before, and nothing of what watched is left.
is_restored() {
    type_line 'stty -g >after'
    expect 'status 0: '
    assert_equal "$(<after)" "$(<before)"
    assert_none_left
    assert_equal "$(ls -A "$TMPDIR")" ''
}

@test "watch checks at every save, in the place of the old file or in it" {
    begin_watch
    echo 'int main(void) { return nothing; }' >"$work/$first/main.c"
    expect 'undeclared'
    expect "work/$first/main.c does not compile"
    expect '[q] quit'
    save "lessons/$first/main.c" $first
    expect 'Lesson 1, sequential, is done.'
    expect '[q] quit'
    press q
    expect 'status 0: '
    is_restored
}

@test "watch shows hints and the difference at a key, and then goes on" {
    begin_watch
    press h
    expect 'Hint 1 of 5'
    expect '[q] quit'
    press h
    expect 'Hint 2 of 5'
    expect '[q] quit'
    press d
    expect 'get_title(page->url);'
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
    begin_watch
    for _ in {1..20}; do
        save scripts/starter/main.c $first
    done
    save "lessons/$first/main.c" $first
    expect_to_read 'is done.'
    ((checks < 15)) || fail "it has checked $checks times"
    expect '[q] quit'
    press q
    expect 'status 0: '
}

# expect_to_read TEXT: like expect; sets `checks` to how many checks have begun before that.
expect_to_read() {
    local before
    keep_seen=yes expect "$1"
    before=${seen//Checking/}
    checks=$(((${#seen} - ${#before}) / 8))
    seen=''
}

@test "watch begins again if a save comes while it checks" {
    limit=600
    begin_watch
    echo 'int main(void) { for (;;) ; }' >"$work/$first/main.c"
    expect '1 of 1: it tells at the end'
    press h # for later
    save "lessons/$first/main.c" $first
    expect 'is done.'
    expect 'Hint 1 of 5'
    expect '[q] quit'
    press q
    expect 'status 0: '
    is_restored
}

@test "watch leaves nothing behind if it is left, or its terminal closed, while it checks" {
    limit=600
    begin_watch
    echo 'int main(void) { for (;;) ; }' >"$work/$first/main.c"
    expect '1 of 1: it tells at the end'
    press C-c
    expect 'status 130: '
    is_restored
    type_line 'scripts/learn watch'
    expect '1 of 1: it tells at the end'
    terminal kill-server
    assert_none_left
    assert_equal "$(ls -A "$TMPDIR")" ''
}

@test "watch says so if the folder is removed, and begins only at a terminal" {
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
