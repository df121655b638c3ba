# scripts/grade: a teacher grades what learners have done.

load ../helper

# The course is a copy whose path has a space in it, and lesson 1 has one check only: this
# is about scripts/grade. All programs are the course's own, with something before main.
setup_file() {
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true
    export COURSE="$BATS_FILE_TMPDIR/the course" CLASS=$BATS_FILE_TMPDIR/class
    local checks=$COURSE/tests/01-sequential.bats
    mkdir "$COURSE" "$CLASS"
    cp -a "$ROOT"/{Makefile,lessons,scripts,shared,tests} "$COURSE"
    if [[ -x $ROOT/build/site ]]; then
        mkdir "$COURSE/build"
        cp -a "$ROOT"/build/{*.so,libshared.a,timeline,lessons,scripts,shared,site,tests,[0-9]*} \
            "$COURSE/build"
    fi
    awk '/^@test/ && count++ { exit } { print }' "$ROOT/tests/01-sequential.bats" >"$checks"
}

setup() {
    export TMPDIR=$BATS_TEST_TMPDIR/temporary
    mkdir "$TMPDIR"
    cd "$CLASS" || return
}

# What was begun has ended and left nothing, however the check went.
teardown() {
    stop_program
    rm -rf "${CLASS:?}"/*
}

# person WORK [C]: what standard input says is done before the course's program begins.
person() {
    mkdir -p "$1/01-sequential"
    {
        printf "#include <%s.h>\n" signal sys/prctl unistd
        cat "$ROOT/lessons/01-sequential/main.c"
        printf '__attribute__((constructor)) static void first(void)\n{\n%s\n}\n' "${2:-}"
    } >"$1/01-sequential/main.c"
}

# grade [WORD...]: sets status, output and stderr.
grade() {
    run --separate-stderr as_from_a_shell "$COURSE/scripts/grade" --plain --lesson 1 "$@"
    assert_equal "$(ls -A "$TMPDIR")" ''
}

as_from_a_shell() {
    local path=${first:+$first:}${PATH//"$BATS_LIBEXEC:"/} # bats itself, not a part of it
    env -i PATH="$path" HOME="$CLASS/home" TMPDIR="$TMPDIR" \
        LIMIT="${limit:-60}" "$@" </dev/null 3>&- 4>&-
}

# What the XML says of each person, by a parser.
results() {
    /usr/bin/python3 - "$1" <<'END'
import sys
import xml.etree.ElementTree

for suite in xml.etree.ElementTree.parse(sys.argv[1]).iter('testsuite'):
    for case in suite.iter('testcase'):
        kinds = [f'{child.tag}: {child.get("message", "")}' for child in case] or ['passed']
        print(suite.get('name'), case.get('name'), *kinds, sep='|')
END
}

# The address of a server on this machine, from within C.
outside() {
    printf '{.sin_family = AF_INET, .sin_port = htons(%d), .sin_addr = {htonl(0x7f000001)}}' \
        "${SITE##*:}"
}

@test "a right program passes, and a wrong one costs only its own row" {
    person right
    person wrong '_exit(3);'
    person broken 'this is not C'
    person "it's \"two\" <&>,"
    person hangs 'for (;;) pause();'
    person kills 'kill(-1, 9);'
    person last/work
    mkdir nothing
    grade --junit right wrong broken "it's \"two\" <&>," kills last/work nothing
    assert_equal "$status" 0
    printf '%s\n' "$output" >"$BATS_TEST_TMPDIR/xml"
    assert_equal "$(results "$BATS_TEST_TMPDIR/xml")" \
        "right|01-sequential|passed
wrong|01-sequential|failure: failed: 0 of 1 checks passed
broken|01-sequential|failure: does not compile: scripts/check: /tmp/work/main.c does not \
compile: see above
it's \"two\" <&>,|01-sequential|passed
kills|01-sequential|failure: killed: it killed its checks
last|01-sequential|passed
nothing|01-sequential|skipped: "
    limit=1 grade hangs broken
    assert_equal "$output" 'who     01                hints  solutions
hangs   0 of 1            0      0
broken  does not compile  0      0'
}

@test "a program cannot write outside, connect outside, or take all there is" {
    start_site
    mkdir home
    person tries "
    const char *files[] = {\"/etc/x\", \"/usr/x\", \"/x\", \"/dev/x\", \"$CLASS/home/x\",
        \"/tmp/work/x\", \"/tmp/course/x\", \"/tmp/build/x\"};
    for (int i = 0; i < 8; i++)
        if (open(files[i], O_CREAT | O_WRONLY, 0666) >= 0)
            _exit(10 + i);
    struct sockaddr_in address = $(outside);
    if (connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&address,
            sizeof address) == 0)
        _exit(20);
    if (malloc(3L << 30) != NULL)
        _exit(21);
    char name[] = \"/tmp/fillXXXXXX\";
    int count = 0, pids[1500];
    while (count < 40 && posix_fallocate(mkstemp(name), 0, 30 << 20) == 0) {
        strcpy(name, \"/tmp/fillXXXXXX\");
        count++;
    }
    if (count == 40)
        _exit(22);
    if (system(\"rm /tmp/fill*\") != 0)
        _exit(23);
    for (count = 0; count < 1500 && (pids[count] = fork()) > 0; count++)
        ;
    if (count < 1500 && pids[count] == 0)
        for (;;)
            pause();
    if (count == 1500)
        _exit(24);
    while (count-- > 0)
        kill(pids[count], SIGKILL);
    while (wait(NULL) > 0)
        ;"
    sed -i '1i #include <arpa/inet.h>\n#include <fcntl.h>\n#include <signal.h>
        1i #include <stdlib.h>\n#include <string.h>\n#include <sys/wait.h>\n#include <unistd.h>' \
        tries/01-sequential/main.c
    grade --junit tries
    stop_site
    printf '%s\n' "$output" >"$BATS_TEST_TMPDIR/xml"
    assert_equal "$(results "$BATS_TEST_TMPDIR/xml")" 'tries|01-sequential|passed' || fail "$output"
    assert_equal "$(ls home tries/01-sequential)" 'home:

tries/01-sequential:
main.c'
}

@test "the table and the CSV count hints and solutions" {
    person "Ada, \"x\"" 'not C'
    printf '%s\n' 'hint 01-sequential' 'hint 02-threads' 'hint 01-sequential' \
        'solution 01-sequential' 'nonsense' >"Ada, \"x\"/progress"
    mkdir bob
    grade "Ada, \"x\"" bob
    assert_equal "$output" 'who       01                hints  solutions
Ada, "x"  does not compile  2      1
bob       -                 0      0'
    grade --csv "Ada, \"x\""
    assert_equal "$output" '"who","lesson","result","detail","hints","solutions"
"Ada, ""x""","01-sequential","does not compile","scripts/check: /tmp/work/main.c does not compile: see above",2,1'
    assert_equal "$status" 0
}

@test "what cannot be graded is said, and why" {
    mkdir ada bob
    ln -s / ada/01-sequential
    grade ada nobody bob
    assert_equal "$status" 1
    assert_equal "$output" 'who  01          hints  solutions
ada  not graded  0      0
bob  -           0      0'
    assert_regex "$stderr" "scripts/grade: 'nobody' is not a folder, so it was not graded"
    assert_regex "$stderr" 'ada, 01-sequential was not graded: it is a symbolic link'
}

# await COMMAND...: tries it until it succeeds.
await() {
    timeout "$LIMIT" bash -c 'until "$@"; do sleep 0.1; done' - "$@" ||
        fail "after $LIMIT seconds it still fails: $*"
}

# has_process NAME
has_process() {
    grep --quiet --no-messages --line-regexp "$1" /proc/[0-9]*/comm
}

has_no_process() {
    ! has_process "$1"
}

@test "Ctrl-C ends what runs in the sandboxes too, and leaves nothing behind" {
    local name=graded-$BASHPID
    export -f has_process has_no_process
    export PROGRAM=$COURSE/scripts/grade
    person stuck "prctl(PR_SET_NAME, \"$name\"); for (;;) pause();"
    begin_by env --ignore-environment PATH="$PATH" HOME="$CLASS/home" TMPDIR="$TMPDIR" \
        LIMIT=1000 "$PROGRAM" --plain --lesson 1 stuck
    await has_process "$name"
    end INT
    assert_status 130
    await has_no_process "$name"
    assert_equal "$(ls -A "$TMPDIR")" ''
}

@test "where there can be no sandbox, nothing is run" {
    person ada
    mkdir bin
    printf '#!/bin/sh\necho "bwrap: No permissions" >&2\nexit 1\n' >bin/bwrap
    chmod +x bin/bwrap
    first=$PWD/bin grade ada
    assert_equal "$status" 1
    assert_equal "$output" ''
    assert_equal "${stderr##*$'\n'}" "scripts/grade: bubblewrap cannot make a sandbox here, so \
nothing was run (bwrap: No permissions)"
}

@test "wrong usage has one line" {
    local words
    for words in '' '--nonsense' '--limit x ada' '--lesson 99 ada' '--lesson'; do
        # shellcheck disable=SC2086 # several words
        run --separate-stderr "$ROOT/scripts/grade" $words
        assert_equal "$status" 2
        assert_equal "$(wc -l <<<"$stderr")" 1
    done
    run "$ROOT/scripts/grade" --help
    assert_equal "$status" 0
    assert_line --index 0 'usage: scripts/grade [options] FOLDER...'
}
