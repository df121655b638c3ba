# What a fetch promises, with servers that are not what they should be (shared/http.h).

load ../helper

setup_file() {
    use_program 01-sequential
    start_site
}

teardown_file() {
    stop_site
}

setup() {
    reset_site
}

teardown() {
    stop_program
}

@test "404 and 500 are errors" {
    fetch "$SITE/status/404"
    assert_error 'HTTP status 404'
    fetch "$SITE/status/500"
    assert_error 'HTTP status 500'
}

@test "ten redirects are followed, eleven are not" {
    fetch "$SITE/redirect/10"
    assert_title 'Page 0'
    fetch "$SITE/redirect/11"
    assert_error 'more than 10 redirects'
}

@test "a redirect to itself ends" {
    fetch "$SITE/redirect/loop"
    assert_error 'more than 10 redirects'
}

@test "a redirect leads to http and https only" {
    fetch "$SITE/redirect/to?url=file:///etc/passwd"
    assert_error 'redirected to what is neither http nor https'
    fetch "$SITE/redirect/to?url=ftp://127.0.0.1/"
    assert_error 'redirected to what is neither http nor https'
    fetch "$SITE/redirect/to?url=http://:/"
    assert_error 'redirected to a malformed URL'
    fetch "${SITE#http://}/redirect/to?url=$SITE/page/7"
    assert_title 'Page 7'
    assert_regex "$stderr" "^Getting title from ${SITE#http://}/redirect/to\\?url=$SITE/page/7,"
}

@test "a refused connection is an error" {
    fetch http://127.0.0.1:1/
    assert_error 'cannot connect: Connection refused'
}

@test "descriptors that have run out are an error" {
    [[ -z ${SANITIZED:-} ]] || skip 'LeakSanitizer and strace cannot both trace a program'
    fetch_by strace --follow-forks -qq --output="$BATS_TEST_TMPDIR/trace" \
        --inject=socket:error=EMFILE "$PROGRAM" http://127.0.0.1:1/
    assert_error 'cannot connect: Too many open files'
}

@test "a name that does not resolve is an error" {
    RES_OPTIONS='attempts:1 timeout:1' fetch http://no-such-host.invalid/
    assert_error 'the host name does not resolve'
}

@test "a connection that is reset in the middle is an error" {
    fetch "$SITE/reset"
    assert_error 'the connection broke: Connection reset by peer'
}

@test "a connection that closes in the middle is an error" {
    fetch "$SITE/short"
    assert_error 'the connection closed in the middle of the page'
}

@test "a server that never answers costs the timeout" {
    fetch --timeout 0.5 "$SITE/silent"
    assert_error 'timed out after 0.5 s'
}

@test "a body that drips past the timeout costs the timeout" {
    fetch --timeout 1.2 "$SITE/drip?every=100"
    assert_error 'timed out after 1.2 s'
}

@test "a body without end is an error" {
    fetch "$SITE/endless"
    assert_error 'no title in the first 4 MiB'
}

@test "a gzip bomb of 1 GiB is an error, and takes no memory" {
    # The limit is on all of the address space, so it is well above what is in use.
    if [[ -z ${SANITIZED:-} ]]; then
        ulimit -v 400000
    fi
    fetch "$SITE/bomb"
    assert_error 'no title in the first 4 MiB'
}

@test "a page of gzip is read" {
    fetch "$SITE/gzip/5"
    assert_title 'Page 5'
}

@test "a page that cannot be unpacked is an error" {
    fetch "$(say '<title>x</title>' encoding=gzip)"
    assert_error 'the page cannot be unpacked'
    fetch "$(say '<title>x</title>' encoding=gzip,gzip)"
    assert_error 'packed more than once'
}

@test "what is not HTML is an error" {
    fetch "$SITE/png"
    assert_error 'not HTML: image/png'
    fetch "$(say '<title>x</title>' type=text/plain)"
    assert_error 'not HTML: text/plain'
    fetch "$(say '<title>x</title>' 'type=text/html-sandboxed')"
    assert_error 'not HTML: text/html-sandboxed'
    fetch "$(say '<title>XHTML</title>' 'type=Application/XHTML%2BXML;charset=utf-8')"
    assert_title 'XHTML'
    fetch "$SITE/untyped"
    assert_title 'Untyped'
}

@test "a content type cannot print what it likes" {
    fetch "$(say x "type=text/plain;%1B[2J")"
    assert_error 'not HTML: text/plain'
    fetch "$(say x "type=text/$(printf '%0200d' 0)")"
    assert_error "not HTML: text/$(printf '%075d' 0)"
}

@test "a URL without a scheme is taken as http, whatever its name begins with" {
    fetch "${SITE#http://}/page/1"
    assert_title 'Page 1'
    assert_equal "$output" "${SITE#http://}/page/1	Page 1"
    fetch ftp.localhost:1/
    assert_regex "$stderr" 'error: ftp.localhost:1/: cannot connect: '
}

@test "other schemes are errors" {
    fetch ftp://127.0.0.1/
    assert_error 'neither http nor https'
    fetch file:///etc/passwd
    assert_error 'neither http nor https'
    fetch gopher://127.0.0.1/
    assert_error 'neither http nor https'
}

@test "a URL that is none is an error" {
    fetch ''
    assert_equal "$(grep ^error <<<"$stderr")" 'error: : empty URL'
    assert_status 1
    fetch 'http://'
    assert_error 'malformed URL'
    fetch "$SITE/page/1 2"
    assert_equal "$(grep ^error <<<"$stderr")" "error: $SITE/page/1 2: malformed URL"
    fetch 'http://a b/'
    assert_equal "$(grep ^error <<<"$stderr")" 'error: http://a b/: malformed URL'
}

@test "a password in a URL is not told" {
    local host=${SITE#http://} url urls=()
    for url in "http://name:secret@$host/" "http:/name:secret@$host/" "name:secret@$host/" \
        "http:///name:secret@$host/" "HTTP://name:se:cret@secret@$host/" "//name:secret@$host/" \
        "http:name:secret@$host/" "http://:secret@$host/" "http://secret@$host/" \
        "http://name:sec/secret@$host/" "http://name:a?secret@$host/" "ftp://name:secret@$host/" \
        "http://name:secret@[::1]:1/" "http://name:secret@$host /"; do
        urls+=("${url}status/404" "${url}page/1")
    done
    fetch --trace "$BATS_TEST_TMPDIR/trace" --timeline "${urls[@]}"
    assert_status 1
    refute_regex "$stderr" secret
    refute_regex "$(<"$BATS_TEST_TMPDIR/trace")" secret
    assert_regex "$stderr" "Getting title from $host/page/1, PID: "
    assert_regex "$stderr" "error: http://$host/status/404: HTTP status 404"
    assert_regex "$stderr" "error: ftp://$host/page/1: neither http nor https"
}

@test "what looks like a password in a path is told" {
    fetch "$SITE/status/404/name:@secret?a:b@c" "$SITE/status/404"
    assert_regex "$stderr" "error: $SITE/status/404/name:@secret\\?a:b@c: HTTP status 404"
}

@test "a password of a proxy is not told" {
    fetch_by env http_proxy="http://name:secret@a proxy" "$PROGRAM" "$SITE/page/1"
    assert_status 1
    refute_regex "$stderr" secret
    fetch_by env http_proxy="http://name:secret@127.0.0.1:1" "$PROGRAM" "$SITE/page/1"
    assert_error 'cannot connect: Connection refused'
    fetch_by env http_proxy="http://name:secret@no-such-host.invalid" \
        RES_OPTIONS='attempts:1 timeout:1' "$PROGRAM" "$SITE/page/1"
    assert_error "the proxy's name does not resolve"
}

@test "one bad URL after the other disturbs none of the good ones" {
    local urls=() expected='' number=0 bad
    for bad in "$SITE/reset" "$SITE/short" "$SITE/bomb" "$SITE/endless" "$SITE/png" \
        ftp://x/ http://127.0.0.1:1/ "$SITE/status/500" "$SITE/redirect/loop"; do
        urls+=("$bad" "$SITE/page/$number")
        expected+="$SITE/page/$number	Page $number"$'\n'
        number=$((number + 1))
    done
    fetch "${urls[@]}"
    assert_equal "$output" "${expected%$'\n'}"
    assert_equal "$(grep -c ^error <<<"$stderr")" "$number"
}

@test "pages of one server come over one connection" {
    fetch "$SITE/page/1" "$SITE/page/2" "$SITE/empty" "$SITE/page/3?size=10000" \
        "$SITE/page/4?size=60000" "$SITE/gzip/5" "$SITE/page/6"
    assert_status 0
    assert_stat requests 7 requests
    assert_stat connections 1 connections
}

@test "a page of which much is left costs its connection" {
    fetch "$SITE/page/1?size=1000000" "$SITE/page/2"
    assert_status 0
    assert_stat connections 2 connections
}

@test "no more than 100 KB of a page come whose title is in the first kilobyte" {
    fetch "$SITE/big/4000000"
    assert_title Big
    wait_for in_flight=0
    local sent
    sent=$(ask /stats | jq .bytes_sent)
    [[ $sent -gt 0 && $sent -lt 100000 ]] ||
        fail "expected fewer than 100000 bytes, the site has sent $sent"
}

@test "the title is told while the page goes on" {
    local stalled
    stalled=$(say '<title>Early</title>' | sed 's|/say|/stall|')
    fetch --timeout 60 "$stalled"
    assert_title Early
    # And though little seems to be left.
    fetch --timeout 60 "$stalled&announce=1000"
    assert_title Early
}

# replies_are_right GROUP: of replies.py.
replies_are_right() {
    run /usr/bin/python3 "$ROOT/tests/shared/replies.py" "$PROGRAM" "$1"
    assert_success
    assert_output --regexp '^[1-9][0-9]* replies, 0 wrong$'
}

@test "a page is unpacked as browsers do it" {
    replies_are_right coding
}

@test "codings count wherever they stand" {
    replies_are_right count
}

@test "a header that is cut, too long or none at all is an error" {
    replies_are_right header
}

@test "a content type is read as browsers do it" {
    replies_are_right type
}

# converses NAME: the conversation of that name in conversations.py goes as it should.
converses() {
    run /usr/bin/python3 "$ROOT/tests/shared/conversations.py" "$PROGRAM" "$1"
    assert_output ''
    assert_success
}

@test "what came before a request is not taken for its answer" {
    converses a_reply_too_many
    converses a_reply_too_many_over_tls
    converses a_reply_while_the_connection_is_idle
}

@test "a connection that was closed while it was idle costs nothing" {
    converses a_connection_that_is_closed_while_idle
}

@test "a cookie is kept from redirect to redirect, and not from page to page" {
    converses a_cookie_and_a_redirect_to_itself
}

@test "a host name may be in any script, whatever the locale" {
    converses a_host_name_beyond_ascii
}

@test "a redirect fails for what is wrong with where it leads" {
    converses a_redirect_to_what_is_not_http
}

@test "a proxy that refuses is an error that says so" {
    converses a_proxy_that_refuses
}

@test "a URL of megabytes is an error of its own" {
    converses a_url_that_is_too_long
}

@test "a time limit that is over at once is what is to blame" {
    local urls=()
    for _ in {1..50}; do
        urls+=("$SITE/page/1")
    done
    fetch --timeout 1e-320 "${urls[@]}"
    assert_equal "$(grep '^error' <<<"$stderr" | sort | uniq -c | sed 's/^ *//')" \
        "50 error: $SITE/page/1: timed out after 9.99989e-321 s"
}
