# The command line that all lessons have (shared/arguments.h).

load ../helper

setup_file() {
    use_program 01-sequential
    start_site
}

teardown_file() {
    stop_site
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

# refuses ARGUMENT... -- MESSAGE: wrong usage has one line, status 2, and does nothing.
refuses() {
    local message=${*: -1}
    set -- "${@:1:$#-2}"
    fetch "$@"
    assert_equal "$stderr" "$(basename "$PROGRAM"): $message (--help says more)"
    assert_equal "$output" ''
    assert_status 2
}

@test "--help answers on standard output, with all options, and fetches nothing" {
    fetch --help
    assert_status 0
    assert_equal "$stderr" ''
    local option
    for option in --file --workers --timeout --quiet --cacert --timeline --trace --help; do
        assert_regex "$output" "  +(-[a-z],)? +$option "
    done
    fetch -h "$SITE/page/1"
    assert_regex "$output" '^Usage: '
}

@test "wrong usage has one line that says what is wrong" {
    local workers='--workers takes a whole number from 1 to 1000000, not'
    refuses -w 0 -- "$workers '0'"
    refuses -w x -- "$workers 'x'"
    refuses --workers=-3 -- "$workers '-3'"
    refuses -w 8x -- "$workers '8x'"
    refuses -w '' -- "$workers ''"
    refuses -w 99999999999999999999 -- "$workers '99999999999999999999'"
    local timeout='--timeout takes seconds, more than 0 and at most 1000000, not'
    refuses -t -1 -- "$timeout '-1'"
    refuses -t 0 -- "$timeout '0'"
    refuses -t nan -- "$timeout 'nan'"
    refuses -t inf -- "$timeout 'inf'"
    refuses -t 5s -- "$timeout '5s'"
    refuses --deadline 1 -- "there is no option '--deadline'"
    refuses --nonsense -- "there is no option '--nonsense'"
    refuses -z -- "there is no option '-z'"
    refuses -qz "$SITE/page/1" -- "there is no option '-z'"
    refuses --quiet=yes -- "there is no option '--quiet=yes'"
    refuses "$SITE/page/1" -t -- '-t needs a value'
    refuses --file -- '--file needs a value'
    refuses --trace -- '--trace needs a value'
    refuses --trace nowhere/x -- 'cannot write nowhere/x: No such file or directory'
    refuses --cacert nowhere.pem -- 'cannot open nowhere.pem: No such file or directory'
}

@test "a program that has a deadline refuses what is none" {
    PROGRAM=$BUILD/08-as-completed
    local deadline='--deadline takes seconds, more than 0 and at most 1000000, not'
    refuses --deadline 0 -- "$deadline '0'"
    refuses --deadline nan -- "$deadline 'nan'"
    refuses --deadline 5s -- "$deadline '5s'"
    refuses --deadline -- '--deadline needs a value'
}

@test "a file of URLs that cannot be read is wrong usage" {
    refuses -f nowhere.txt -- 'cannot open nowhere.txt: No such file or directory'
    mkdir folder
    refuses -f folder -- 'cannot read folder: Is a directory'
}

@test "URLs come from files and from the command line, in the order given" {
    echo "$SITE/page/2" >two
    echo "$SITE/page/4" >four
    fetch "$SITE/page/1" -f two "$SITE/page/3" --file=four -q -- "$SITE/page/5"
    assert_equal "$(cut -f 2 <<<"$output")" 'Page 1
Page 2
Page 3
Page 4
Page 5'
    assert_status 0
}

@test "a file of URLs may have blank lines, comments, white space, and lines of any end" {
    printf '\xEF\xBB\xBF' >urls
    printf '%s\r\n' "$SITE/page/1" '' '# a comment' "  $SITE/page/2  " >>urls
    printf '%s' "$SITE/page/3#fragment" >>urls
    fetch --file urls
    assert_equal "$output" "$SITE/page/1	Page 1
$SITE/page/2	Page 2
$SITE/page/3#fragment	Page 3"
    assert_status 0
}

@test "standard input can be the file of URLs" {
    printf '%s\n' "$SITE/page/1" "$SITE/page/2" >urls
    fetch --file - <urls
    assert_equal "$output" "$SITE/page/1	Page 1
$SITE/page/2	Page 2"
}

@test "a line with a NUL is one malformed URL, and costs no other" {
    printf '%s\0x\n%s\n' "$SITE/page/1" "$SITE/page/2" >urls
    fetch --file urls
    assert_equal "$output" "$SITE/page/2	Page 2"
    assert_regex "$stderr" "error: $SITE/page/1x: malformed URL"
    assert_status 1
}

@test "an empty file of URLs is no page, not the five of the course" {
    fetch --file /dev/null
    assert_equal "$output" ''
    assert_regex "$stderr" '^0 of 0 pages fetched'
    assert_status 0
}

@test "100,000 lines are 100,000 pages, and a bad one costs no other" {
    # Those that are refused before a connection is made are quick.
    { seq -f 'ftp://example.org/%.0f' 50000
      echo "$SITE/page/1"
      seq -f 'ftp://example.org/%.0f' 50001 99998
      echo "$SITE/page/2"; } >urls
    fetch --file urls --quiet
    assert_equal "$output" "$SITE/page/1	Page 1
$SITE/page/2	Page 2"
    assert_equal "$(grep -c '^error: ftp://example.org/[0-9]*: neither http nor https$' \
        <<<"$stderr")" 99998
    assert_status 1
}

@test "without a URL it fetches the five sites of the course" {
    # A proxy that refuses them all is the only way to see it without them.
    https_proxy=$SITE fetch --timeout 5
    assert_equal "$(sed -n 's/^error: \([^ ]*\): .*/\1/p' <<<"$stderr")" \
        'https://talkpython.fm
https://pythonbytes.fm
https://google.com
https://realpython.com
https://training.talkpython.fm'
    assert_status 1
}
