# What the READMEs say is true: their code stands in the sources, their sessions come out like
# that. tests/prose/README.md has the rules.

load helper

# The checks of the program that checks the READMEs have a course of their own, of two lessons
# and without Makefile: there is little to copy.
setup_file() {
    export SMALL_COURSE=$BATS_FILE_TMPDIR/course
    local identity=(-c user.name=checks -c user.email=checks@localhost)
    mkdir "$SMALL_COURSE"
    (cd "$ROOT" && cp --parents README.md lessons/0[12]-*/{main.c,trace.json} "$SMALL_COURSE")
    git -C "$SMALL_COURSE" init --quiet
    git -C "$SMALL_COURSE" add .
    git -C "$SMALL_COURSE" "${identity[@]}" commit --quiet --message 'As it is'
}

# is_true LESSON: its README is.
is_true() {
    run /usr/bin/python3 "$ROOT/tests/prose/check_readme.py" "$ROOT/lessons/$1/README.md"
    assert_output ''
    assert_success
}

# check: standard input is a README of the small course; checks it.
check() {
    COURSE=$SMALL_COURSE check_here
}

# check_here: the same, of this course.
check_here() {
    cat >"$BATS_TEST_TMPDIR/README.md"
    run /usr/bin/python3 "$ROOT/tests/prose/check_readme.py" "$BATS_TEST_TMPDIR/README.md"
}

# is_wrong LINE MESSAGE: the README is, in that line.
is_wrong() {
    assert_failure 1
    assert_equal "${lines[0]}" "$BATS_TEST_TMPDIR/README.md:$1: $2"
}

# assert_ended FILE: the process whose number is in the file runs no more. (A zombie has ended,
# and waits for init.)
assert_ended() {
    refute_regex "$(ps --no-headers --format stat --pid "$(<"$1")")" '^[^Z]'
}

@test "lesson 1's README is true" {
    is_true 01-sequential
}

@test "lesson 2's README is true" {
    is_true 02-threads
}

@test "lesson 3's README is true" {
    is_true 03-thread-pool
}

@test "lesson 4's README is true" {
    is_true 04-process-pool
}

@test "lesson 5's README is true" {
    is_true 05-crash-safe-pool
}

@test "lesson 6's README is true" {
    is_true 06-executor-threads
}

@test "lesson 7's README is true" {
    is_true 07-executor-processes
}

@test "lesson 8's README is true" {
    is_true 08-as-completed
}

@test "lesson 9's README is true" {
    is_true 09-event-loop
}

@test "lesson 10's README is true" {
    is_true 10-executor-events
}

@test "lesson 11's README is true" {
    is_true 11-executor-cluster
}

@test "the other READMEs are true" {
    local readme
    for readme in README.md CONTRIBUTING.md bench/README.md tests/site/README.md; do
        run /usr/bin/python3 "$ROOT/tests/prose/check_readme.py" "$ROOT/$readme"
        assert_output ''
        assert_success
    done
}

@test "each lesson's README has the same headings, in the same order" {
    local readme
    for readme in "$ROOT"/lessons/*/README.md; do
        assert_equal "$(grep '^##* ' "$readme" | sed 's/^# Lesson [0-9]*: .*/# Lesson N: name/')" \
            '# Lesson N: name
## What is new
## Your task
## Check yourself
## The difference in numbers
## A walk through the code
## Predict, then look
## Run it
## Break it
## Exercises
## Further reading'
    done
}

@test "each lesson asks two or three questions before its run, with folded answers" {
    local readme
    for readme in "$ROOT"/lessons/*/README.md; do
        assert_regex "$(sed -n '/^## Predict/,/^## Run it/p' "$readme" | grep -c '^<details>')" '^[23]$'
    done
}

@test "code that stands in the source is right, wherever it is indented, with ... between" {
    check <<'END'
```c lessons/02-threads/main.c
    struct page *page = argument;
    ...
        result_free(&pages[i].title);
    }
    free(pages);
```
```c lessons/02-threads/main.c
if (page->has_thread)
    thread_join(page->thread);
```
END
    assert_output ''
    assert_success
}

@test "code that does not stand in the source is wrong" {
    check <<'END'
```c lessons/02-threads/main.c
static void fetch(struct page *page)
{
    page->title = get_title(page->url);
}
```
END
    is_wrong 4 'the code has another line there:'
    assert_line --index 1 '  here: page->title = get_title(page->url);'
    assert_line --index 2 --regexp '^  lessons/02-threads/main.c:[0-9]+: report_begin\(page->url\);$'
}

@test "code that is indented otherwise, or in another order, is wrong" {
    check <<'END'
```c lessons/02-threads/main.c
    if (page->has_thread)
    thread_join(page->thread);
```
END
    assert_failure 1
    assert_line --index 0 --regexp 'README.md:2: these lines are indented otherwise in lessons/'
    check <<'END'
```c lessons/02-threads/main.c
    free(pages);
...
static void *work(void *argument)
```
END
    assert_failure 1
    assert_line --index 0 --partial 'README.md:4: no line of lessons/02-threads/main.c is this'
}

@test "code that names no file, or none that is there, is wrong" {
    check <<<$'text\n\n```c\nint x;\n```'
    is_wrong 3 'which file is this? Write ```c lessons/NN-name/main.c'
    check <<<$'```c lessons/02-threads/mian.c\nint x;\n```'
    is_wrong 1 'there is no file lessons/02-threads/mian.c'
}

@test "code and commands that nobody would check are wrong" {
    check <<<$'```sh\n$ make\n```'
    is_wrong 1 "nobody checks a block of kind 'sh': it can be c FILE, diff FILE or console"
    check <<<$'text\n\n    $ make'
    is_wrong 3 'nobody checks this, put it into a fenced block: $ make'
    check <<<$'text\n\n    int x;'
    is_wrong 3 'nobody checks this, put it into a fenced block: int x;'
    check <<<$'```console\n$ true'
    is_wrong 1 'this block has no end'
}

@test "a link that leads nowhere is wrong, in the prose" {
    touch "$BATS_TEST_TMPDIR/there"
    check <<<$'text\n[it](there) and [out](https://example.org/), ![no picture](not/there)'
    is_wrong 2 'this leads nowhere: not/there'
}

@test "a number that a trace says otherwise is wrong, with the decimals that are shown" {
    local took asked='<!-- trace 01: seconds -->'
    took=$(jq -L "$ROOT/tests/prose" 'include "trace"; seconds' "$ROOT"/lessons/01-*/trace.json)
    check <<<"0.1, and 2$asked, $(printf %.2f "$took")$asked seconds"
    assert_output ''
    assert_success
    check <<<$'text\n'"$(printf %.2f "$took"), 0.13$asked"
    is_wrong 2 "the trace of lesson 01 says $(printf %.2f "$took") here, not 0.13"
    check <<<"10$asked"
    is_wrong 1 "the trace of lesson 01 says 2 here, not 10"
}

@test "a word that a trace says otherwise is wrong" {
    check <<<'`main`<!-- trace 01: pages[0].worker -->, and `pythonbytes`<!-- trace 01: before("google") -->'
    assert_output ''
    assert_success
    check <<<'`talkpython`<!-- trace 01: before("google") -->'
    is_wrong 1 'the trace of lesson 01 says pythonbytes here, not talkpython'
    check <<<'google<!-- trace 01: before("realpython") -->'
    is_wrong 1 'the trace of lesson 01 says google here, not nothing'
}

@test "a question to a trace that has no answer is wrong" {
    check <<<'1<!-- trace 03: seconds -->'
    is_wrong 1 'there is no trace of lesson 03'
    check <<<'1<!-- trace: seconds -->'
    is_wrong 1 'this is not <!-- trace NN: EXPRESSION -->, on one line'
    check <<<'5<!-- trace 01: pages[].begin -->'
    is_wrong 1 'this is not one value, but 5: pages[].begin'
    check <<<'1<!-- trace 01: second -->'
    assert_failure 1
    assert_line --index 0 --partial 'README.md:1: jq cannot tell second: '
}

@test "a folded answer that asks no trace is wrong" {
    check <<<$'<details><summary>Answer</summary>\n\n5 pages\n\n</details>'
    is_wrong 5 'nothing in this answer is compared with a trace'
    check <<<$'<details>\n5<!-- trace 01: pages | length -->\n</details>'
    assert_output ''
    assert_success
}

@test "a session goes on in one shell from block to block, in the course's folder" {
    check <<'END'
```console
$ word=cat; ls README.md; ls no/such/file; false
README.md
...
```
text
```console
$ echo $?
1
$ printf 'a\nb\n' |
> $word
a
b
```
END
    assert_output ''
    assert_success
}

@test "output that is another is wrong, line by line" {
    check <<<$'```console\n$ seq 3\n1\n3\n```'
    is_wrong 4 'this line does not come: seq 3'
    check <<<$'```console\n$ seq 3\n1\n2\n```'
    is_wrong 4 'more lines come: seq 3'
    check <<<$'```console\n$ seq 3\n```'
    is_wrong 2 'more lines come: seq 3'
    check <<<$'```console\n$ seq 3\n1\n2\n3\n4\n```'
    is_wrong 6 'this line does not come: seq 3'
    check <<<$'```console\n$ seq 9\n1\n...\n7\n9\n```'
    is_wrong 6 'this line does not come: seq 9'
    check <<<$'```console\n$ echo to standard error >&2\n```'
    is_wrong 2 'more lines come: echo to standard error >&2'
}

@test "the workers' beginnings may come in any order, but not be others or more" {
    local begin='Getting title from a/b, PID: 1, worker: thread'
    local print="printf '$begin-1\nx\n$begin-2\n'"
    check <<<$'```console\n$ '"$print"$'\n'"$begin-2"$'\n'"$begin-1"$'\nx\n```'
    assert_output ''
    check <<<$'```console\n$ '"$print"$'\nx\n'"$begin-1"$'\n```'
    is_wrong 4 "more lines come: $print"
    check <<<$'```console\n$ '"$print"$'\nx\n'"$begin-1"$'\n'"${begin/b/c}-2"$'\n```'
    is_wrong 5 "this line does not come: $print"
    check <<<$'```console\n$ '"$print"$'\nx\n'"$begin-1"$'\n'"$begin-1"$'\n```'
    is_wrong 3 "each worker counted once, 1 are shown, 2 come: $print"
    check <<<$'```console\n$ '"$print"$'\nx\n'"$begin-1"$'\n'"${begin/1/2}-2"$'\n```'
    is_wrong 3 "each PID counted once, 2 are shown, 1 come: $print"
}

@test "the port of the local site is 8080, whatever it is" {
    check_here <<'END'
```console
$ build/site --port 8080 &
http://127.0.0.1:8080
$ build/01-sequential -q http://127.0.0.1:8080/page/1
http://127.0.0.1:8080/page/1	Page 1
```
END
    assert_output ''
    assert_success
}

@test "the port of a NATS server is 4333, whatever it is, and a build is any" {
    check <<'END'
```console
$ echo "build 0123456789abcdef, at 127.0.0.1:4333"
build fedcba9876543210, at 127.0.0.1:4333
$ ((4333 == 4332 + 1)) || echo another
another
```
END
    assert_output ''
    assert_success
}

@test "an experiment holds until it is undone" {
    check_here <<'END'
```diff lessons/01-sequential/main.c
 {
-    report_begin(page->url);
+    report_wait("begun");
@@
-/* A page, and what became of it. */
```
```console
$ make
$ build/01-sequential ftp://x
begun
error: ftp://x: neither http nor https
0 of 1 pages fetched in 0.00 s
$ git checkout lessons
Updated 1 path from the index
$ make; build/01-sequential ftp://x
Getting title from x, PID: 1, worker: main
...
```
END
    assert_output ''
    assert_success
}

@test "an experiment that cannot be made, or is not undone, is wrong" {
    check <<<$'```diff lessons/01-sequential/main.c\n {\n-    no such line\n+    x\n```'
    is_wrong 2 'what shall be changed stands 0 times in lessons/01-sequential/main.c, not once: {'
    check <<<$'```diff lessons/01-sequential/main.c\n-{\n```'
    is_wrong 2 'what shall be changed stands 3 times in lessons/01-sequential/main.c, not once: {'
    check <<<$'```diff lessons/01-sequential/main.c\n static void fetch(struct page *page)\n```'
    is_wrong 2 'this changes nothing'
    check <<<$'```diff lessons/01-sequential/main.c\nstatic void fetch(struct page *page)\n```'
    is_wrong 2 'begins with neither space, - nor +: static void fetch(struct page *page)'
    check <<<$'```diff lessons/01-sequential/main.c\n-#include "report.h"\n```'
    is_wrong 2 'this is not undone at the end:'
    run git -C "$SMALL_COURSE" diff --exit-code
    assert_success
}

@test "a command that does not end is stopped, with all that was started before" {
    export LIMIT=1
    check <<END
\`\`\`console
\$ sleep 1000 & echo \$! >"$BATS_TEST_TMPDIR/first"
\$ echo before; timeout 1000 bash -c 'echo \$\$ >"$BATS_TEST_TMPDIR/second"; sleep 1000'
before
\`\`\`
END
    assert_failure 1
    assert_line --index 0 --partial 'README.md:3: has not ended after 1 seconds: echo before; timeout'
    assert_line '    before'
    assert_ended "$BATS_TEST_TMPDIR/first"
    assert_ended "$BATS_TEST_TMPDIR/second"
}

@test "a check that is interrupted leaves nothing behind" {
    local readme=$BATS_TEST_TMPDIR/README.md begun=$BATS_TEST_TMPDIR/begun
    mkfifo "$begun"
    printf '```console\n$ sleep 1000 & echo $! >"%s"\n$ sleep 1000\n```\n' "$begun" >"$readme"
    COURSE=$SMALL_COURSE TMPDIR=$BATS_TEST_TMPDIR \
        /usr/bin/python3 "$ROOT/tests/prose/check_readme.py" "$readme" 3>&- &
    cat "$begun" >"$BATS_TEST_TMPDIR/first"
    kill $!
    local status=0
    wait $! || status=$?
    assert_equal "$status" 143
    assert_ended "$BATS_TEST_TMPDIR/first"
    assert_equal "$(find "$BATS_TEST_TMPDIR" -name course)" ''
}

@test "a command that ends the shell, or prints without end, is wrong" {
    check <<<$'```console\n$ true\n$ exit 3\n$ true\n```'
    is_wrong 3 'the shell has ended: exit 3'
    check <<<$'```console\n$ yes\n```'
    is_wrong 2 'prints more than 1000000 bytes: yes'
}
