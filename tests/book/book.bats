# The site that scripts/book makes, in Chromium. look.mjs looks at all of it in one go, and each
# check reads what it has found.

load ../helper

setup_file() {
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true
    export BUILD CHROMIUM FOUND=$BATS_FILE_TMPDIR/found MISSING=''
    CHROMIUM=$(command -v chromium-headless-shell chromium | head -n 1)
    [[ -n $CHROMIUM ]] || MISSING=Chromium
    cmp -s "$ROOT/book/package-lock.json" "$BUILD/book-work/installed" || MISSING="Node's packages"
    [[ -z $MISSING ]] || return 0
    "$ROOT/scripts/book"
    # It must not matter what the folder is called.
    cp -R "$BUILD/book" "$BATS_FILE_TMPDIR/the book"
    look "$BATS_FILE_TMPDIR/the book" 60
}

# look FOLDER SECONDS: what is wrong with the site there is in $FOUND from now on.
look() {
    timeout 500 node "$ROOT/tests/book/look.mjs" "$BUILD/book-work" "$CHROMIUM" "$@" >"$FOUND"
}

setup() {
    [[ -z $MISSING ]] || skip "without $MISSING nobody looks at the site: scripts/setup browser"
}

teardown() {
    [[ -z ${served:-} ]] || kill "$served"
}

# nothing_found THING: look.mjs has found no such problem.
nothing_found() {
    run jq --raw-output --arg thing "$1" '.[$thing] // [] | .[]' "$FOUND"
    assert_success
    assert_output ''
}

@test "the site has a page for each lesson, for each header and for what the READMEs link to" {
    local file
    for file in index.html lessons/{01-sequential,11-executor-cluster}/index.html \
        shared/{sync.h,executor/index,executor/waiting.c}.html tests/site/index.html LICENSE.html; do
        assert [ -s "$BUILD/book/$file" ]
    done
    assert_equal "$(jq '.pages | map(select(startswith("lessons") and endswith("index.html"))) | length' \
        "$FOUND")" "$(printf '%s\n' "$ROOT"/lessons/*/main.c | wc -l)"
}

@test "every page loads without an error" {
    nothing_found errors
}

@test "no page loads anything from elsewhere" {
    nothing_found elsewhere
}

@test "every link leads to a page, and to the place in it" {
    nothing_found links
}

@test "axe-core finds no violation, in the light and in the dark" {
    nothing_found violations
}

@test "a page on a phone of 360 pixels has no sideways scroll" {
    nothing_found sideways
}

@test "without JavaScript all can be read" {
    nothing_found hidden
}

@test "the first page weighs 150 KB at most, a lesson 300 KB, and nothing is compressed" {
    nothing_found sizes
}

@test "the search finds 'condition variable' and pthread_cond_wait in lesson 3" {
    nothing_found search
}

@test "?present shows one step after another, and Escape ends it" {
    nothing_found present
}

@test "what is copied of a session is its commands" {
    nothing_found copy
}

@test "a lesson's page has each line of its program, and of what scripts/diff says" {
    nothing_found differences
}

@test "each replay ends with the lines that the real run has printed" {
    nothing_found replays
}

# change FILE SED-COMMAND: in the wrong site. It has to change something.
change() {
    sed "$2" "$wrong/$1" >"$BATS_TEST_TMPDIR/changed"
    ! cmp -s "$BATS_TEST_TMPDIR/changed" "$wrong/$1" || fail "there is nothing to change in $1"
    cp "$BATS_TEST_TMPDIR/changed" "$wrong/$1"
}

@test "a wrong site is found out" {
    local wrong="$BATS_TEST_TMPDIR/wrong" lesson=lessons/03-thread-pool/index.html thing
    FOUND=$BATS_TEST_TMPDIR/found
    cp -R "$BATS_FILE_TMPDIR/the book" "$wrong"
    find "$wrong" -name '*.html' ! -path '*/lessons/0[123]-*' ! -path "$wrong/index.html" -delete
    change index.html 's|<p>|<script>nothing.there</script><img src="http://127.0.0.2:9/x.png"><p>|'
    change index.html 's|</main>|<p style="width: 700px">wide</p></main>|'
    change $lesson 's|<p>|<p class="late">|; s|</main>|<script>document.querySelectorAll(".late").forEach((p) => (p.className = ""))</script><style>.late { display: none }</style></main>|'
    change $lesson 's|    <del|<del|g'
    head -c 200000 /dev/zero | tr '\0' ' ' >>"$wrong/index.html"
    change book.js 's|/^\[$>\] /|/^/|'
    change present.js 's|current + 1)|current)|'
    change search.js 's|found.results.slice(0, 10)|[]|'
    change replay/replay.js 's|i >= state.lines|i > 2|'
    look "$wrong" 3
    for thing in errors elsewhere links violations sideways hidden sizes search present copy differences replays; do
        run jq --arg thing "$thing" '.[$thing] // [] | length' "$FOUND"
        assert_success
        refute_output 0 || fail "nothing was found: $thing"
    done
}

@test "scripts/book says what it does not know" {
    run --separate-stderr "$ROOT/scripts/book" --serv
    assert_failure 2
    assert_equal "$stderr" "scripts/book: '--serv' is not known here (--help says more)"
}

@test "scripts/book --serve serves the pages until it is ended" {
    local line='' address status=0
    mkfifo "$BATS_TEST_TMPDIR/said"
    "$ROOT/scripts/book" --serve >"$BATS_TEST_TMPDIR/said" 2>&1 3>&- &
    served=$!
    exec 4<"$BATS_TEST_TMPDIR/said"
    until [[ $line =~ http://localhost:[0-9]+/ ]]; do
        read -r -t 100 line <&4 || fail 'it never said where it serves them'
    done
    address=${BASH_REMATCH[0]}
    run curl --silent --fail "$address"
    assert_success
    kill "$served"
    wait "$served" || status=$?
    served=''
    assert_equal $status 143
    run curl --silent --fail "$address"
    assert_failure
}
