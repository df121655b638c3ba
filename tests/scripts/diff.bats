# What a lesson changes, as scripts/diff shows it.

load ../helper

setup() {
    unset PAGER LESS NO_COLOR COLUMNS
    export TERM=xterm GIT_PAGER=cat GIT_CONFIG_GLOBAL=/dev/null
    use_script "$ROOT/scripts/diff"
    cd "$BATS_TEST_TMPDIR" || return
}

use_script() {
    DIFF=$1
}

# diff_lessons [ARGUMENT...]: runs scripts/diff, without a terminal.
diff_lessons() {
    run --separate-stderr "$DIFF" "$@"
}

# on_terminal COLUMNS ARGUMENT...: runs it on a terminal of COLUMNS columns.
on_terminal() {
    run script --quiet --return --command \
        "stty cols $1; '$DIFF' ${*:2}" "$BATS_TEST_TMPDIR/typescript" </dev/null
    output=${output//$'\r'/}
    mapfile -t lines <<<"$output"
}

without_colour() {
    sed 's/\x1b\[[0-9;]*m//g'
}

lessons() {
    local folder
    for folder in "$ROOT"/lessons/[0-9]*/; do
        basename "$folder"
    done
}

# other_course FILE...: scripts/diff in a course of its own, in a folder with spaces in its
# name; each FILE holds its own name.
other_course() {
    local file course="$BATS_TEST_TMPDIR/another course"
    mkdir "$course"
    cp -r "$ROOT/scripts" "$course"
    for file in "$@"; do
        mkdir -p "$course/lessons/$(dirname "$file")"
        echo "$file" >"$course/lessons/$file"
    done
    use_script "$course/scripts/diff"
}

# assert_wrong_usage MESSAGE ARGUMENT...: one line says what is wrong, and nothing is shown.
assert_wrong_usage() {
    diff_lessons "${@:2}"
    assert_equal "$stderr" "scripts/diff: $1 (--help says more)"
    assert_equal "$output" ''
    assert_status 2
}

# ---- A patch ---------------------------------------------------------------------------

# before LESSON: the one that it goes on from; nothing for the first.
before() {
    case $1 in
        10-* | 11-*) lessons | grep '^08-' ;;
        *) lessons | grep -B 1 "^$1$" | grep -v "^$1$" || true ;;
    esac
}

@test "what a lesson changes is a patch that makes it of the one that it goes on from" {
    local lesson before
    for lesson in $(lessons); do
        before=$(before "$lesson")
        "$DIFF" "${lesson%%-*}" >"$lesson.patch"
        mkdir -p "$lesson/lessons/$before"
        if [[ -n $before ]]; then
            cp "$ROOT/lessons/$before/main.c" "$lesson/lessons/$before"
        fi
        (cd "$lesson" && git apply "../$lesson.patch")
        cmp "$lesson/lessons/$lesson/main.c" "$ROOT/lessons/$lesson/main.c"
    done
}

@test "the patch makes a lesson of the lesson before in anybody's folder too" {
    mkdir my
    cp "$ROOT/lessons/02-threads/main.c" my
    "$DIFF" 03 >03.patch
    (cd my && git apply -p3 ../03.patch)
    cmp my/main.c "$ROOT/lessons/03-thread-pool/main.c"
}

@test "without a terminal the patch has no colour and its paths are short" {
    diff_lessons 07
    assert_status 0
    assert_equal "$stderr" ''
    refute_regex "$output" $'\e'
    assert_line --index 0 'diff --git a/lessons/06-executor-threads/main.c b/lessons/07-executor-processes/main.c'
    assert_equal "$(grep '^[-+]' <<<"$output")" '--- a/lessons/06-executor-threads/main.c
+++ b/lessons/07-executor-processes/main.c
-#define PoolExecutor thread_pool_executor
+#define PoolExecutor process_pool_executor'
}

@test "the user's own way to look at diffs does not change the patch" {
    git config --file config diff.noprefix true
    git config --file config diff.external false
    git config --file config diff.context 0
    git config --file config diff.interHunkContext 100
    git config --file config diff.suppressBlankEmpty true
    git config --file config diff.indentHeuristic false
    git config --file config color.ui always
    diff_lessons --all
    local expected=$output
    GIT_CONFIG_GLOBAL=$PWD/config diff_lessons --all
    assert_status 0
    assert_equal "$output" "$expected"
}

@test "any two lessons can be compared, in either order" {
    diff_lessons 07 06
    assert_line '-#define PoolExecutor process_pool_executor'
    assert_line '+#define PoolExecutor thread_pool_executor'
    diff_lessons 3 06-executor-threads --stat
    assert_regex "$output" '^lessons/06-executor-threads/main.c +\+[0-9]+ +-[0-9]+$'
    diff_lessons 05 05
    assert_equal "$output$stderr" ''
    assert_status 0
}

@test "it compares all the C files of a lesson, and nothing else" {
    other_course 01-a/{main.c,old.h,same.c,README.md} 02-b/{main.c,new.c,README.md,data.txt}
    cp "$BATS_TEST_TMPDIR/another course/lessons/"{01-a,02-b}/same.c
    diff_lessons 02
    assert_equal "$(grep '^[-+]' <<<"$output")" '--- a/lessons/01-a/main.c
+++ b/lessons/02-b/main.c
-01-a/main.c
+02-b/main.c
--- /dev/null
+++ b/lessons/02-b/new.c
+02-b/new.c
--- a/lessons/01-a/old.h
+++ /dev/null
-01-a/old.h'
    diff_lessons 02 --stat
    assert_equal "$(tr -s ' ' <<<"$output")" 'lessons/02-b/main.c +1 -1
lessons/02-b/new.c +1 -0
lessons/01-a/old.h +0 -1'
}

@test "lesson 1 is compared with nothing, 10 and 11 with lesson 8, others with the one before" {
    other_course {01-a,02-b,08-c,09-d,10-e,11-f}/main.c
    local lesson
    for lesson in '01 ' '02 01-a' '09 08-c' '10 08-c' '11 08-c'; do
        diff_lessons "${lesson% *}"
        assert_equal "$(grep '^-[^-]' <<<"$output")" \
            "$([[ -z ${lesson#* } ]] || echo "-${lesson#* }/main.c")"
        assert_line --regexp "^[+]${lesson% *}-./main.c$"
    done
}

@test "the whole story has each lesson's patch under its name" {
    local lesson before expected=''
    for lesson in $(lessons); do
        before=$(before "$lesson")
        expected+="== $lesson${before:+, after $before}"$'\n'$("$DIFF" "$lesson")$'\n'
    done
    diff_lessons --all
    assert_status 0
    assert_equal "$output"$'\n' "$expected"
}

@test "it works from any folder, in a folder with spaces, through a link" {
    other_course {01-a,02-b}/main.c
    ln -s "$DIFF" link
    use_script "$PWD/link"
    cd /
    diff_lessons 02
    assert_line '+02-b/main.c'
}

@test "a reader who leaves ends it without a word" {
    run --separate-stderr bash -c '"$1" --all | head -n 1' - "$DIFF"
    assert_equal "$output" '== 01-sequential'
    assert_equal "$stderr" ''
}

# ---- On a terminal ---------------------------------------------------------------------

@test "on a terminal it is in colour, with the words marked that changed" {
    on_terminal 100 07
    assert_status 0
    assert_line $'\e[31m-#define PoolExecutor \e[7mthread\e[27m_pool_executor\e[m'
    assert_line $'\e[32m+#define PoolExecutor \e[7mprocess\e[27m_pool_executor\e[m'
    without_colour <<<"$output" >shown
    "$DIFF" 07 | grep -vE '^(diff|index) ' >changes
    diff shown changes
}

@test "whole words are marked, in lines that are alike and in the same order" {
    other_course {01-a,02-b}/main.c
    printf '%s\n' 'first = take(10);' 'second = take(20);' 'quite another line' \
        >"another course/lessons/01-a/main.c"
    printf '%s\n' 'second = take(22);' 'first = take(12);' >"another course/lessons/02-b/main.c"
    on_terminal 100 02
    assert_equal "$(tail -n 5 <<<"$output")" $'\e[31m-first = take(\e[7m10\e[27m);\e[m
\e[31m-second = take(20);\e[m
\e[31m-quite another line\e[m
\e[32m+second = take(22);\e[m
\e[32m+first = take(\e[7m12\e[27m);\e[m'
}

@test "NO_COLOR and a terminal that knows no colours have none" {
    NO_COLOR=1 on_terminal 100 07
    refute_regex "$output" $'\e'
    assert_line '+#define PoolExecutor process_pool_executor'
    TERM=dumb on_terminal 100 07 --side
    refute_regex "$output" $'\e'
    NO_COLOR='' on_terminal 100 07 --stat
    assert_regex "$output" $'\e\[32m +\+1\e\[m'
}

@test "on a terminal it goes through the pager that git would take, else not" {
    local pager='sed "s/^/paged: /"'
    GIT_PAGER=$pager PAGER=false on_terminal 100 07
    assert_line --index 0 $'paged: \e[1m--- a/lessons/06-executor-threads/main.c\e[m'
    unset GIT_PAGER
    PAGER=$pager on_terminal 100 07
    assert_line --index 0 --partial 'paged: '
    git config --file config core.pager "$pager"
    GIT_CONFIG_GLOBAL=$PWD/config PAGER=false on_terminal 100 07
    assert_line --index 0 --partial 'paged: '
    GIT_PAGER=$pager diff_lessons 07
    refute_line --partial 'paged: '
}

@test "less ends by itself when all fits on the screen, and knows colours" {
    printf '%s\n' '#!/bin/sh' 'echo "LESS=$LESS"' 'exec cat' >less
    chmod +x less
    PATH=$PWD:$PATH GIT_PAGER=less on_terminal 100 07
    assert_line --index 0 'LESS=FRX'
    PATH=$PWD:$PATH GIT_PAGER=less LESS=S on_terminal 100 07
    assert_line --index 0 'LESS=S'
}

@test "it does without a pager that is not there" {
    GIT_PAGER=no-such-pager on_terminal 100 07
    assert_status 0
    assert_line --partial PoolExecutor
}

@test "who leaves the pager early has seen enough, but a pager that fails is told" {
    GIT_PAGER='head -n 1' on_terminal 100 --all
    assert_status 0
    assert_equal "$output" $'\e[1m== 01-sequential\e[m'
    GIT_PAGER='exit 3; false' on_terminal 100 07
    assert_status 1
    assert_line "scripts/diff: it could not be shown with 'exit 3; false'"
}

# ---- --stat and --side -----------------------------------------------------------------

# count SIGN FILE: how many lines begin with it.
count() {
    grep -c "^[$1]" "$2" || true
}

@test "--stat has a line for each file, with the lines added and removed" {
    local lesson expected=''
    for lesson in $(lessons); do
        "$DIFF" "$lesson" | sed '1,/^@@/d; /^@@/d' >changes
        expected+="lessons/$lesson/main.c +$(count + changes) -$(count - changes)"$'\n'
    done
    diff_lessons --all --stat
    assert_equal "$(tr -s ' ' <<<"$output")"$'\n' "$expected"
    diff_lessons 07 --stat
    assert_equal "$(tr -s ' ' <<<"$output")" 'lessons/07-executor-processes/main.c +1 -1'
}

@test "side by side each line stands beside what became of it" {
    COLUMNS=100 diff_lessons 07 --side
    assert_status 0
    assert_equal "$(grep -F PoolExecutor <<<"$output" | head -n 1)" "$(printf '%-48s | %s' \
        '#define PoolExecutor thread_pool_executor' '#define PoolExecutor process_pool_executor')"
    on_terminal 100 07 --side
    assert_line --partial $'PoolExecutor \e[7mthread\e[27m_pool'
    assert_line --partial $'PoolExecutor \e[7mprocess\e[27m_pool'
    assert_equal "$(without_colour <<<"$output")" "$(COLUMNS=100 "$DIFF" 07 --side)"
}

# half COLUMNS: what the lines of code that it reads have there, as one word.
half() {
    grep -vE '^(lessons/|/dev/null|line [0-9]+ +line [0-9]+$)' | cut -c "$1" | tr -d ' \n'
}

@test "side by side nothing is lost and no line is too long, however narrow the terminal" {
    local columns lesson width
    for columns in 80 101; do
        width=$(((columns - 3) / 2))
        for lesson in $(lessons); do
            "$DIFF" "$lesson" | sed '1,/^@@/d; /^@@/d' >changes
            COLUMNS=$columns diff_lessons "$lesson" --side
            assert_equal "$(half 1-$width <<<"$output")" \
                "$(grep '^[ -]' changes | cut -c 2- | tr -d ' \n')"
            assert_equal "$(half $((width + 4))- <<<"$output")" \
                "$(grep '^[ +]' changes | cut -c 2- | tr -d ' \n')"
            assert [ "$(wc -L <<<"$output")" -le "$columns" ]
        done
    done
}

@test "side by side is as wide as the terminal, and has room for the code without one" {
    on_terminal 90 03 --side
    assert_equal "$(without_colour <<<"$output" | wc -L)" 89
    diff_lessons 03 --side
    assert_equal "$(grep -c '|.*build/03-thread-pool.*example.com/$' <<<"$output")" 1
}

# ---- --html ----------------------------------------------------------------------------

# assert_self_contained FILE: nothing in the page makes a browser ask for something else.
assert_self_contained() {
    local found
    if found=$(grep -niE -e '<(link|img|iframe|base|script[^>]+src)' \
        -e '(src|href)=.?(https?:)?//|@import +["u]|url\(.?(https?:)?//' "$1"); then
        fail "$1 asks for what is not in it: ${found:0:500}"
    fi
}

# text_of FILE: what the page's <pre> elements hold.
text_of() {
    sed -n '/^<pre/,/^<\/pre>/p' "$1" |
        sed '/^<\/*pre/d; s/<[^>]*>//g; s/&lt;/</g; s/&gt;/>/g; s/&amp;/\&/g'
}

@test "the page holds what the terminal shows, and needs nothing from elsewhere" {
    diff_lessons 03 --html page.html
    assert_status 0
    assert_equal "$output$stderr" ''
    assert_self_contained page.html
    grep -q '<title>03-thread-pool, after 02-threads</title>' page.html
    grep -q '<span class="removed">.*<span class="mark">the thread' page.html
    diff <(text_of page.html) <("$DIFF" 03 | grep -vE '^(diff|index) ')
}

@test "the page can be of the whole story, side by side, or of the numbers" {
    diff_lessons --all --html=all.html
    assert_equal "$(sed -n 's/<h2>\([^,<]*\).*/\1/p' all.html)" "$(lessons)"
    diff <(text_of all.html) <("$DIFF" --all | grep -vE '^(diff|index|new file|==) ')
    diff_lessons --all --side --html side.html
    diff <(text_of side.html) <("$DIFF" --all --side | grep -v '^==')
    diff_lessons --all --stat --html stat.html
    diff <(text_of stat.html) <("$DIFF" --all --stat)
}

@test "a page that cannot be written is an error" {
    diff_lessons 03 --html no-such-folder/page.html
    assert_equal "$stderr" "scripts/diff: cannot write the page to '$PWD/no-such-folder/page.html'"
    assert_status 1
    diff_lessons 03 --html /dev/full
    assert_equal "$stderr" "scripts/diff: cannot write the page to '/dev/full'"
    assert_status 1
}

# ---- Mistakes --------------------------------------------------------------------------

@test "wrong usage is told in a line" {
    assert_wrong_usage 'which lesson?'
    assert_wrong_usage 'which lesson?' --stat
    assert_wrong_usage 'there is no lesson 77' 77
    assert_wrong_usage 'there is no lesson 77' 03 77
    assert_wrong_usage "'threads' is not the number of a lesson" threads
    assert_wrong_usage "too many words: '05'" 03 04 05
    assert_wrong_usage "--all is all lessons: '03' is too much" --all 03
    assert_wrong_usage '--stat or --side, not both' --stat --side 03
    assert_wrong_usage '--html needs the name of a file' 03 --html
    assert_wrong_usage "there is no option '--word'" --word 03
}

@test "--help answers" {
    diff_lessons --help
    assert_status 0
    assert_line --index 0 'usage: scripts/diff [options] LESSON [LESSON]'
}

@test "without git it says what to do" {
    mkdir few
    ln -s "$(command -v bash)" "$(command -v readlink)" "$(command -v env)" few
    run --separate-stderr env PATH="$PWD/few" "$DIFF" 03
    assert_equal "$stderr" 'scripts/diff: git is missing: scripts/setup run installs it'
    assert_status 1
}

@test "make knows it too" {
    run make -C "$ROOT" --silent --no-print-directory diff-07
    assert_equal "$output" "$("$DIFF" 07)"
}

# ---- The table in README.md ------------------------------------------------------------

# check_table README: each lesson's row ends with the lines that it adds and removes.
check_table() {
    local lesson row numbers
    for lesson in $(lessons); do
        numbers=$("$DIFF" "$lesson" --stat |
            awk '{ added += $2; removed -= $3 } END { print "+" added " −" removed }')
        row=$(grep -F "(lessons/$lesson/README.md)" "$1") ||
            fail "$1 has no row for $lesson" || return
        [[ $row == *"| $numbers |" ]] ||
            fail "the row of $lesson has to end with $numbers: $row" || return
    done
}

@test "the README's table says how many lines each lesson adds and removes" {
    check_table "$ROOT/README.md"
}

@test "a table with a wrong number, or without a lesson, is found" {
    sed '/03-thread-pool/s/ −[0-9]* |$/ −1 |/' "$ROOT/README.md" >wrong
    run check_table wrong
    assert_status 1
    assert_regex "$output" 'the row of 03-thread-pool has to end with \+[0-9]+ −[0-9]+: .* −1 \|$'
    sed '/04-process-pool/d' "$ROOT/README.md" >missing
    run check_table missing
    assert_status 1
    assert_regex "$output" 'missing has no row for 04-process-pool'
}
