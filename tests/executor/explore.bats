# The thread pool, explored: its cases hold in each schedule, and there are no races in it
# (scripts/explore).

load ../helper

# Most cases of these groups are short. (In the last one the explorer once found a worker that
# ended, since a task that it had seen was gone when it looked again.) Left out are those with
# thousands of tasks, and those that end while the pool frees itself in a thread of its own.
cases='(future|wait|as_completed|shutdown|deadlock|limits): |submit: as_many_workers_wake'
left_out='submitting_fast|takes_long|freed_once|may_free_the_executor'
schedules=9 # of each case

@test "the thread pool's cases hold whatever the schedule" {
    [[ -z ${SANITIZED:-} ]] || skip 'it is not for a sanitizer'
    local case count=0
    local folder=${BUILD#"$ROOT/"} # make wants no space in it
    flock "$ROOT/Makefile" make -C "$ROOT" --silent BUILD="$folder" "$folder/tests/executor_explored"
    while IFS= read -r case; do
        run "$ROOT/scripts/explore" --runs "$schedules" \
            --program "$BUILD/tests/executor_explored" "$case" 3>&-
        ((status == 0)) || fail "$case: $output"
        count=$((count + schedules))
    done < <("$BUILD/tests/executor_test" --list |
        grep -E "^thread pool: ($cases)" | grep -vE "$left_out")
    ((count >= 500)) || fail "these were only $count schedules"
}
