# The site that scripts/book makes, in Chromium. look.mjs looks at all of it in one go, and each
# check reads what it has found.

load ../helper

setup_file() {
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true
    export BUILD FOUND=$BATS_FILE_TMPDIR/found MISSING=''
    local chromium packages=$BUILD/book-work
    chromium=$(command -v chromium-headless-shell chromium | head -n 1) || MISSING='Chromium'
    cmp -s "$ROOT/book/package-lock.json" "$packages/installed" || MISSING="Node's packages"
    [[ -z $MISSING ]] || return 0
    "$ROOT/scripts/book"
    # It must not matter what the folder is called.
    cp -R "$BUILD/book" "$BATS_FILE_TMPDIR/the book"
    timeout 300 node "$ROOT/tests/book/look.mjs" "$packages" "$chromium" \
        "$BATS_FILE_TMPDIR/the book" >"$FOUND"
}

setup() {
    [[ -z $MISSING ]] || skip "without $MISSING nobody looks at the site: scripts/setup browser"
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

@test "each replay ends with the lines that the real run has printed" {
    nothing_found replays
}
