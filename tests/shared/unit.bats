# The library's functions, called from C (cmocka).

load ../helper

setup_file() {
    start_site
}

teardown_file() {
    stop_site
}

@test "channel.h: a message arrives whole, whatever interrupts it" {
    run "$BUILD/tests/channel_test"
    assert_success
}

@test "charset.h and text.h: what browsers make of a page's bytes" {
    run "$BUILD/tests/charset_test"
    assert_success
}

@test "prescan.h: what a page declares in its first bytes" {
    run "$BUILD/tests/prescan_test"
    assert_success
}

@test "html.h: what a document says" {
    run "$BUILD/tests/html_test"
    assert_success
}

@test "http.h: one client a worker, with threads and after fork()" {
    run "$BUILD/tests/http_test"
    assert_success
}

@test "fiber.h and loop.h: what waits is suspended, and resumed" {
    run "$BUILD/tests/fiber_test"
    assert_success
}

@test "processes.h: how a child ended, in words" {
    run "$BUILD/tests/processes_test"
    assert_success
}

@test "turn.h: one turn for a program's threads and processes" {
    run "$BUILD/tests/turn_test"
    assert_success
}
