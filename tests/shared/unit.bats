# The library's functions, called from C (cmocka).

load ../helper

setup_file() {
    start_site
}

teardown_file() {
    stop_site
}

# passes NAME: the test passes, and ends.
passes() {
    run timeout "$((LIMIT * 10))" "$BUILD/tests/$1"
    assert_success
}

@test "channel.h: a message arrives whole, whatever interrupts it" {
    passes channel_test
}

@test "charset.h and text.h: what browsers make of a page's bytes" {
    passes charset_test
}

@test "prescan.h: what a page declares in its first bytes" {
    passes prescan_test
}

@test "html.h: what a document says" {
    passes html_test
}

@test "http.h: one client a worker, with threads and after fork()" {
    passes http_test
}

@test "fiber.h and loop.h: what waits is suspended, and resumed" {
    passes fiber_test
}

@test "processes.h: how a child ended, in words" {
    passes processes_test
}

@test "turn.h: one turn for a program's threads and processes" {
    passes turn_test
}
