# A run that can be watched: book/replay. The checks themselves are in JavaScript, as it is.

load ../helper

# passes FILE: node's test runner finds nothing wrong; what it says is shown if it does.
passes() {
    run node --test "$ROOT/tests/book/$1"
    assert_success
}

@test "a replay knows of a trace what happened when" {
    command -v node >/dev/null || skip 'there is no node: scripts/setup browser installs it'
    passes replay_model.test.mjs
}

@test "a replay plays, pauses, steps and compares, for everybody, in Chromium" {
    export PACKAGES=${PACKAGES:-$BUILD/book-work} CHROMIUM
    CHROMIUM=$(command -v chromium-headless-shell chromium | head -n 1)
    [[ -n $CHROMIUM ]] || skip 'there is no Chromium: scripts/setup browser installs it'
    [[ -d $PACKAGES/node_modules/playwright-core ]] ||
        skip "there is no playwright-core in $PACKAGES: scripts/setup browser installs it"
    passes replay_page.test.mjs
}
