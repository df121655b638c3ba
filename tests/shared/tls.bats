# Certificates, with throw-away ones (shared/http.h).

load ../helper

setup_file() {
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true # one site after the other
    use_program 01-sequential
    make_certificate right IP:127.0.0.1
    make_certificate other IP:127.0.0.1
    make_certificate wrong DNS:example.org
}

teardown() {
    stop_site
}

# make_certificate NAME SUBJECT: a certificate that vouches for itself.
make_certificate() {
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1" \
        -addext "subjectAltName=$2" -keyout "$BATS_FILE_TMPDIR/$1.key" \
        -out "$BATS_FILE_TMPDIR/$1.pem" 2>"$BATS_FILE_TMPDIR/openssl.log"
}

# serve_with NAME: the site shows this certificate.
serve_with() {
    start_site --tls --certificate "$BATS_FILE_TMPDIR/$1.pem" --key "$BATS_FILE_TMPDIR/$1.key"
}

@test "a certificate that nobody vouches for is an error" {
    serve_with right
    fetch "$SITE/page/1"
    assert_error 'certificate not trusted: it is signed by itself'
    fetch --cacert "$BATS_FILE_TMPDIR/other.pem" "$SITE/page/1"
    assert_error_like '^certificate not trusted: .'
}

@test "--cacert vouches for a certificate, and a connection is used again" {
    serve_with right
    fetch --cacert "$BATS_FILE_TMPDIR/right.pem" "$SITE/page/1" "$SITE/page/2"
    assert_equal "$(cut -f 2 <<<"$output")" 'Page 1
Page 2'
    assert_status 0
    assert_stat connections 1 connections
}

@test "with --cacert, the system's certificates do not count" {
    serve_with right
    fetch_by strace --follow-forks --trace=%file --output="$BATS_TEST_TMPDIR/calls" \
        "$PROGRAM" --cacert "$BATS_FILE_TMPDIR/other.pem" "$SITE/page/1"
    assert_status 1
    run grep -c "/other.pem" "$BATS_TEST_TMPDIR/calls"
    refute_output 0
    run grep -E '/(ssl|pki)/certs' "$BATS_TEST_TMPDIR/calls"
    assert_output ''
}

@test "a certificate for another name is an error" {
    serve_with wrong
    fetch --cacert "$BATS_FILE_TMPDIR/wrong.pem" "$SITE/page/1"
    assert_error 'certificate not trusted: it is for another host'
}

@test "a file without a certificate is an error of each page" {
    serve_with right
    fetch --cacert /dev/null "$SITE/page/1"
    assert_error 'there are no certificates in /dev/null'
}

@test "50 threads fetch over TLS at once" {
    serve_with right
    local urls=()
    for ((i = 0; i < 50; i++)); do
        urls+=("$SITE/gather/50")
    done
    run --separate-stderr "$BUILD/02-threads" --cacert "$BATS_FILE_TMPDIR/right.pem" \
        "${urls[@]}"
    assert_equal "$(grep -c 'Gathered 50$' <<<"$output")" 50
    assert_status 0
}

# phases_of FILE: of its pages, in order.
phases_of() {
    jq --compact-output '[.[] | select(.cat == "phase").name]' "$1"
}

@test "a trace has the phase in which TLS is agreed on" {
    serve_with right
    cd "$BATS_TEST_TMPDIR"
    fetch --trace agreed --cacert "$BATS_FILE_TMPDIR/right.pem" "$SITE/page/1"
    assert_equal "$(phases_of agreed)" '["name lookup","connect","TLS","first byte","body"]'
    fetch --trace refused "$SITE/page/1"
    # To older versions of libcurl there is no connection yet then.
    assert_regex "$(phases_of refused)" '^\["name lookup","connect"(,"TLS")?\]$'
}
