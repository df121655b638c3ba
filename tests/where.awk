# Reads what `eu-stack -s -i -p PROCESS` says (-v process=PROCESS), and tells in a line for each
# thread which line of the program's own sources it has come to, and what that line calls:
#
#     thread-2 waits in cond_wait, main.c:71 (take)
#
# A thread that is not in the program's own sources, but in a library's, has no line.

/^TID/ {
    thread = $2 + 0
    folder = "/proc/" process "/task/" thread
    getline name <(folder "/comm")
    getline state <(folder "/stat")
    sub(/.*\) /, "", state)
    if (thread == process && name !~ /-[0-9]+$/)
        name = "main"
    called = function_name = ""
    is_told = 0
}

# The calls, the last one first; below each stands its place in the sources, if it is known.
/^#/ {
    called = function_name
    function_name = $3
}

# The program's own sources have an absolute path, or begin with lessons/.
/^ +(lessons)?\// && $1 !~ /^\/(build|usr)\// && !is_told {
    is_told = 1
    split($0, place, ":")
    sub(/.*\//, "", place[1])
    sub(/^_*(GI_|libc_|interceptor_)?_*/, "", called) # the C library's own names
    sub(/pthread_(clock|timed)join.*/, "pthread_join", called)
    printf "%s %s%s, %s:%d (%s)\n", name, state ~ /^R/ ? "runs" : "waits",
        called == "" ? "" : " in " called, place[1], place[2], function_name
}
