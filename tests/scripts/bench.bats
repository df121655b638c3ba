# What scripts/bench shows. No check judges a time: the sizes are small, and machines differ.

load ../helper

setup_file() {
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true
    make -C "$ROOT" --silent BUILD="$BUILD" bench
}

# A folder with a space in its name, where the scripts are not.
setup() {
    mkdir "$BATS_TEST_TMPDIR/a folder"
    cd "$BATS_TEST_TMPDIR/a folder" || return
    export BUILD
}

teardown() {
    stop_program
}

bench() {
    run --separate-stderr "$ROOT/scripts/bench" --output figures "$@"
}

# pretend: what was built is in a folder of its own from now on, where a check may change it,
# and is not built again.
pretend() {
    local peer
    mkdir -p build/bench/{tasks,events} commands
    ln -s "$BUILD"/[0-9s]* build
    ln -s "$BUILD"/bench/{executor,floor,measure,pages} build/bench
    for peer in "$BUILD"/bench/{tasks,events}/*; do
        [[ -d $peer || ! -x $peer ]] || ln -s "$peer" "build${peer#"$BUILD"}"
    done
    printf '#!/bin/sh\n' >commands/make
    chmod +x commands/make
    PATH=$PWD/commands:$PATH
    BUILD=$PWD/build
}

# replace PROGRAM LINE: it is a script of this line from now on.
replace() {
    rm -f "build/$1"
    printf '#!/bin/sh\n%s\n' "$2" >"build/$1"
    chmod +x "build/$1"
}

# summarize and table: what is made of the figures on standard input.
summarize() {
    awk -f "$ROOT/bench/median.awk" -f "$ROOT/bench/summary.awk"
}

table() {
    printf 'bench,figure,program,size,workers,run,value\n%s\n' "$1" >runs
    printf '%s\n' "$2" >rows
    run awk -f "$ROOT/bench/median.awk" -f "$ROOT/bench/table.awk" -v format=csv runs rows
}

@test "scripts/bench measures all of it, and each line of its table has a figure" {
    bench --quick --repeat 2
    assert_status 0
    local lesson size
    for lesson in "$ROOT"/lessons/0[3-7]-*; do
        lesson=$(basename "$lesson")
        assert_line --regexp "^  $lesson +[0-9.]+ +[0-9.]+  (bare sockets|ideal and forks) .* ratio <= 1.01 +(yes|no)$"
        assert_line --regexp "^  $lesson +[0-9.]+ +[0-9.]+  curl .* ratio <= 1.25 +(yes|no)$"
        for size in {2,6}0000{,', many'}; do
            assert_line --regexp "^  $lesson, $size +[0-9.]+ +[0-9.]+  curl .* ratio <= 1 +(yes|no)$"
        done
    done
    assert_line --regexp '^  us a task +[0-9.]+ .* GLib .* ratio <= 0.35 +(yes|no|not measured)$'
    assert_line --regexp '^  bytes a pending task +[0-9.]+ .* <= 161 +(yes|no)$'
    assert_line --regexp '^  us a task +[0-9.]+ .* <= 2.5 +(yes|no)$'
    assert_line --regexp '^  us a task +[0-9.]+ +[0-9.]+  Python submit .* ratio <= 0.025 +(yes|no)$'
    assert_line --regexp '^  us a task; floors +[0-9.]+ +[0-9.]+  futex wake of a thread '
    assert_line --regexp '^  us a task; floors +[0-9.]+ +[0-9.]+  write \+ read in a process '
    assert_equal "$(grep -cE '^  bare sockets; a floor +[0-9.]+ +[0-9.]+  (ideal|curl) ' <<<"$output")" 2
    for lesson in "$ROOT"/lessons/*-event*; do
        lesson=$(basename "$lesson")
        assert_line --regexp "^  $lesson, CPU ms a page +[0-9.]+ +[0-9.]+  bare sockets "
        assert_line --regexp "^  $lesson, 200 at once +[0-9.]+ +[0-9.]+  $lesson@10 "
        assert_line --regexp "^  $lesson, seconds +[0-9.]+ +[0-9.]+  bare sockets "
        assert_line --regexp "^  $lesson, KiB a transfer +[0-9.]+ +[0-9.]+  bare sockets "
        assert_line --regexp "^  $lesson, 3 at once +[0-9.]+ +[0-9.]+  curl "
    done
    assert_line --regexp '^  us a task +[0-9.]+ +[0-9.]+  Python .* ratio <= 0.6 +(yes|no)$'
    assert_line --regexp '^  us a task +[0-9.]+ +[0-9.]+  JetStream .* ratio <= 3 +(yes|no)$'
    assert_line --regexp '^  us there and back +[0-9.]+ +[0-9.]+  NATS request .* ratio <= 5 +(yes|no)$'
    assert_line --regexp '^  ms to open +[0-9.]+ +[0-9.]+  nats-server .* ratio <= 5 +(yes|no)$'
    assert_line --regexp '^  peak MiB, 200 tasks +[0-9.]+ +[0-9.]+  executor@100 .* ratio <= 1.1 +(yes|no)$'
    assert_line --regexp '^  threads +[0-9.]+ +[0-9.]+  threads@200 .* ratio <= 1.15 +(yes|no)$'
    assert_line --regexp '^  processes +[0-9.]+ +[0-9.]+  processes@200 .* ratio <= 1.15 +(yes|no)$'
    assert_equal "$(<figures/table.txt)" "$output"
    assert_equal "$(grep -cE '^ .*  (yes|no|not measured)$' <<<"$output")" 67
    assert_equal "$(grep -cE ',(yes|no|not measured)$' figures/table.csv)" 67
    # Nothing but figures, and each as often as it was to be measured.
    run awk -F , 'FNR > 1 && $7 !~ /^[0-9.]+(e-?[0-9]+)?$/' figures/{tasks,processes,fetch,cpu,events,cluster,scale}.csv
    assert_output ''
    run awk -F , 'FNR > 1 && $6 != 2' figures/{tasks,processes,cpu,events}-summary.csv
    assert_output ''
    [[ $(wc -l <figures/scale-summary.csv) -gt 50 ]] || fail 'there are figures missing'
}

@test "scripts/bench draws what it has measured" {
    bench --quick tasks scale
    assert_status 0
    local plot
    for plot in tasks scale-tasks scale-pages scale-workers; do
        assert_equal "$(grep -c '</svg>' "figures/$plot.svg")" 1
    done
    grep -q '>executor<' figures/tasks.svg
    grep -q '>07-executor-processes<' figures/scale-pages.svg
    assert_line --regexp '^tasks: '
    refute_line --regexp '^(processes|fetch|cpu): '
    [[ ! -e figures/fetch.csv ]] || fail 'it has measured what was not asked for'
}

@test "scripts/bench names the peers that are missing, and goes on without them" {
    local missing
    pretend
    ln -s /usr/bin/* commands 2>/dev/null || true
    rm -f commands/{curl,gnuplot} build/bench/{tasks,events}/*
    PATH=$PWD/commands bench --quick tasks fetch events
    assert_status 0
    for missing in tasks:\ {GLib,libuv,Go} fetch:\ {curl,xargs} events:\ {curl,Go} 'plots: gnuplot'; do
        assert_equal "$(grep -cF "scripts/bench: $missing is left out: " <<<"$stderr")" 1
    done
    assert_line --regexp '^  us a task +[0-9.]+ +-  GLib +ratio <= 0.35 +not measured$'
    assert_line --regexp '^  06-executor-threads +[0-9.]+ +[0-9.]+  ideal '
    assert_line --regexp '^  06-executor-threads +[0-9.]+ +-  curl$'
}

@test "scripts/bench has no figure from a program that fails, and says so at the end" {
    pretend
    replace bench/floor 'echo no floor >&2; exit 3'
    replace bench/tasks/libuv 'echo 12 minutes'
    bench --quick tasks
    assert_status 1
    assert_regex "$stderr" "tasks: no figure from futex wake in run 1: it ended with status 3: no floor"
    assert_regex "$stderr" "tasks: no figure from libuv in run 1: it printed '12 minutes', which is not a number"
    assert_line --regexp '^  us a task; floors +[0-9.]+ +-  futex wake$'
    assert_line --regexp '^  bytes a pending task +[0-9.]+ .* (yes|no)$'
}

@test "scripts/bench has no figure from a program that does not fetch all pages" {
    pretend
    replace 03-thread-pool "exec '$ROOT/build/03-thread-pool' --quiet --workers 2 --file /dev/null"
    bench --quick cpu
    assert_status 1
    assert_equal "$(grep -v 'noisy\|left out' <<<"$stderr" | head -n 1)" \
        'scripts/bench: cpu: no figure from 03-thread-pool in run 1: it fetched 0 of 20 pages'
    assert_line --regexp '^  03-thread-pool +- .*not measured$'
    assert_line --regexp '^  04-process-pool +[0-9.]+ '
}

@test "scripts/bench keeps what it has measured when it is interrupted, and leaves nothing behind" {
    local child
    pretend
    mkfifo reached
    replace 03-thread-pool "echo \$\$ >'$PWD/reached'; exec sleep 1000"
    export PROGRAM=$ROOT/scripts/bench
    begin --quick --output figures cpu
    read -r -t "$LIMIT" child <>reached
    end INT
    assert_status 130
    assert_regex "$stderr" "scripts/bench: interrupted; what was measured so far is in $PWD/figures$"
    assert_equal "$(cut -d , -f 2,3 figures/cpu.csv | grep cpu_ms_a_title)" \
        $'cpu_ms_a_title,01-sequential\ncpu_ms_a_title,02-threads'
    run ps --no-headers --format stat --pid "$child"
    refute_output --regexp '^[^Z]' # a zombie has ended, and waits for init
}

@test "a figure's summary has the median, and not the mean" {
    run summarize <<'CSV'
bench,figure,program,size,workers,run,value
tasks,us_a_task,GLib,10,2,1,9
tasks,us_a_task,Go,10,2,1,4
tasks,us_a_task,GLib,10,2,2,1
tasks,us_a_task,Go,10,2,2,1
tasks,us_a_task,GLib,10,2,3,2
CSV
    assert_output 'bench,figure,program,size,workers,runs,median,lowest,highest
tasks,us_a_task,GLib,10,2,3,2,1,9
tasks,us_a_task,Go,10,2,2,2.5,1,4'
}

@test "the ratio in the table is the median of the ratios of each run" {
    table 't,f,ours,1,1,1,6
t,f,theirs,1,1,1,10
t,f,ours,1,1,2,90
t,f,theirs,1,1,2,100
t,f,ours,1,1,3,100
t,f,theirs,1,1,3,250' 't|label|f|ours|theirs|ratio 0.6
t|label|f|ours|theirs|ratio 0.59
t|label|f|ours|theirs|-'
    assert_output 't,label,f,ours,90,theirs,100,0.6,0.4,0.9,ratio 0.6,yes
t,label,f,ours,90,theirs,100,0.6,0.4,0.9,ratio 0.59,no
t,label,f,ours,90,theirs,100,0.6,0.4,0.9,-,-'
}

@test "a row can be of one size, and of ours alone; what is missing is not judged" {
    table 't,f,ours,10,1,1,3
t,f,ours,20,1,1,4' 't|label|f|ours@20|ours@10|ratio 1.5
t|label|f|ours@20|-|value 4
t|label|f|ours@20|-|value 3.9
t|label|f|ours@20|nobody|ratio 9
t|label|f|nobody|-|value 9'
    assert_output 't,label,f,ours@20,4,ours@10,3,1.33333,1.33333,1.33333,ratio 1.5,yes
t,label,f,ours@20,4,-,,,4,4,value 4,yes
t,label,f,ours@20,4,-,,,4,4,value 3.9,no
t,label,f,ours@20,4,nobody,,,,,ratio 9,not measured
t,label,f,nobody,,-,,,,,value 9,not measured'
}

@test "scripts/bench explains itself, and says what it does not understand" {
    run "$ROOT/scripts/bench" --help
    assert_success
    assert_line --index 0 'usage: scripts/bench [options] [NAME...]'
    run "$ROOT/scripts/bench" nonsense
    assert_failure 2
    assert_output "scripts/bench: 'nonsense' is none of tasks processes fetch cpu events cluster scale explore (--help says more)"
    run "$ROOT/scripts/bench" --repeat 0
    assert_failure 2
    assert_output 'scripts/bench: --repeat needs a number from 1 to 9999 (--help says more)'
    run "$ROOT/scripts/bench" --output
    assert_failure 2
    assert_output 'scripts/bench: --output needs a folder (--help says more)'
}
