# The benchmarks of scripts/bench, which sources this and has set the variables.
# shellcheck shell=bash disable=SC2034,SC2154

# ---- Measuring -------------------------------------------------------------------------

# progress WORD...: what is being done, on one line that is written again and again.
progress() {
    if [[ -t 2 ]]; then
        printf '\r\033[K%s: run %d of %d, %s' "$bench" "$run" "$repeat" "$*" >&2
    fi
}

end_progress() {
    if [[ -t 2 ]]; then
        printf '\r\033[K' >&2
    fi
}

# record FIGURE PROGRAM SIZE WORKERS VALUE: what was measured becomes a line of
# build/bench/NAME.csv.
record() {
    printf '%s,%s,%s,%s,%s,%s,%s\n' "$bench" "$1" "$2" "$3" "$4" "$run" "$5" \
        >>"$output/$bench.csv"
}

# calculate EXPRESSION: sets `value` to what awk makes of it.
calculate() {
    value=$(LC_ALL=C awk "BEGIN { printf \"%.6g\", $1 }")
}

# measure PROGRAM COMMAND...: runs the command. What it prints is in the file
# $temporary/output, and what it took in `seconds`, `cpu_seconds` and `bytes`. Returns
# false, and says why, if it failed: then there is no figure, but there are others.
measure() {
    local status=0
    run_and_wait "$programs/measure" "$temporary" "${@:2}" || status=$?
    if ((status > 0)); then
        give_up "$1" "it ended with status $status: $(tail -n 1 "$temporary/errors")"
        return 1
    fi
    read -r seconds cpu_seconds bytes <"$temporary/took"
}

# give_up PROGRAM WHY
give_up() {
    end_progress
    say "$bench: no figure from $1 in run $run: $2"
    worst=1
}

# ask PROGRAM COMMAND...: measures a command that prints a number; sets `number` to it.
ask() {
    measure "$@" || return 1
    number=$(<"$temporary/output")
    if [[ ! $number =~ ^[0-9]+\.[0-9]+$ ]]; then
        give_up "$1" "it printed '$number', which is not a number"
        return 1
    fi
}

# ask_cost PROGRAM COUNT COMMAND...: the command, with COUNT at its end, prints the seconds
# that COUNT tasks take; records the microseconds that one takes.
ask_cost() {
    progress "$1"
    ask "$1" "${@:3}" "$2" || return 0
    calculate "$number * 1e6 / $2"
    record us_a_task "$1" "$2" 2 "$value"
}

# ask_bytes PROGRAM COUNT COMMAND...: the same for the bytes that a pending task takes.
ask_bytes() {
    progress "$1, memory"
    ask "$1" "${@:3}" "$2" || return 0
    record bytes_a_pending_task "$1" "$2" 2 "$number"
}

# ask_floor NAME MODE: what a bare system call takes.
ask_floor() {
    progress "$1"
    ask "$1" "$programs/floor" "$2" "$floor_count" || return 0
    calculate "$number * 1e6"
    record us_a_task "$1" "$floor_count" 1 "$value"
}

# ---- tasks and processes ---------------------------------------------------------------

bench_tasks() {
    local peer
    find_peers GLib libuv 'Go futures' Go Python
    for ((run = 1; run <= repeat; run++)); do
        ask_cost executor "$task_count" "$programs/executor" threads
        ask_bytes executor "$task_count" "$programs/executor" pending
        for peer in "${peers[@]}"; do
            ask_task_peer "$peer"
        done
        ask_floor 'futex wake' wake
        ask_floor 'futex wake of a thread' handover
    done
}

ask_task_peer() {
    local count=$task_count time=time pending=pending command
    case $1 in
        GLib) command=("$programs/tasks/glib") ;;
        libuv) command=("$programs/tasks/libuv") ;;
        Go) command=("$programs/tasks/go") ;;
        'Go futures')
            command=("$programs/tasks/go")
            time=futures
            pending='pending-futures'
            ;;
        Python)
            command=("$python" "$sources/tasks/python.py")
            count=$((task_count / share))
            ;;
    esac
    ask_cost "$1" "$count" "${command[@]}" "$time"
    ask_bytes "$1" "$count" "${command[@]}" "$pending"
}

bench_processes() {
    local peer mode
    find_peers 'Python submit' 'Python map' 'Python Pool'
    for ((run = 1; run <= repeat; run++)); do
        ask_cost executor "$process_task_count" "$programs/executor" processes
        for peer in "${peers[@]}"; do
            mode=${peer#Python }
            ask_cost "$peer" $((process_task_count / share)) \
                "$python" "$sources/processes/python.py" "${mode,}"
        done
        ask_floor 'write + read' socket
        ask_floor 'write + read in a process' message
    done
}

# ---- fetch and cpu ---------------------------------------------------------------------

# make_pages COUNT DELAY [SIZE [HOSTS]]: writes their URLs into $temporary/urls. With more
# than one host the pages are on all of them in turn.
make_pages() {
    LC_ALL=C awk -v count="$1" -v delay="$2" -v size="${3:-$page_size}" -v hosts="${4:-1}" \
        -v port="${site_address##*:}" 'BEGIN {
            for (i = 0; i < count; i++)
                printf "http://127.0.0.%d:%d/page/%d?delay=%d&size=%d\n", i % hosts + 1,
                    port, i + 1, delay, size
        }' >"$temporary/urls"
}

# Sets `ticks` to the CPU time that the site has had so far.
read_site_ticks() {
    local stat
    stat=$(<"/proc/$site/stat")
    read -r -a stat <<<"${stat##*) }"
    ticks=$((stat[11] + stat[12])) # utime and stime (proc(5))
}

# set_fetch_command PROGRAM WORKERS: sets `command` to what has it fetch the pages.
set_fetch_command() {
    local urls=$temporary/urls
    local status='%{http_code}\n'
    case $1 in
        curl)
            sed 's/.*/url = "&"\noutput = "\/dev\/null"/' "$urls" >"$temporary/config"
            command=(curl --silent --parallel --parallel-immediate --parallel-max "$2"
                --write-out "$status" --config "$temporary/config")
            ;;
        xargs)
            command=(xargs --arg-file="$urls" --max-procs="$2" --max-args=1
                curl --silent --output /dev/null --write-out "$status")
            ;;
        Go) command=("$programs/events/go" "$2" "$urls") ;;
        aiohttp) command=("$python" "$sources/events/titles.py" "$2" "$urls") ;;
        'bare sockets') command=("$programs/pages/bare" "$2" "$urls") ;;
        requests*)
            command=("$python" "$sources/pages/titles.py" "${1#requests }" "$2" "$urls")
            ;;
        *)
            command=("$build_folder/$1" --quiet --workers "$2" --file "$urls")
            ;;
    esac
}

# fetch PROGRAM WORKERS: has it fetch the pages, and sees that it has. Sets what measure
# sets, and `site_seconds` to the CPU time of the site.
fetch() {
    local command ticks before wanted got
    progress "$1, $2 workers"
    set_fetch_command "$@"
    read_site_ticks
    before=$ticks
    measure "$1" "${command[@]}" || return 1
    read_site_ticks
    calculate "($ticks - $before) / $(getconf CLK_TCK)"
    site_seconds=$value
    wanted=$(wc -l <"$temporary/urls")
    got=$(grep -cE $'^200$|\tPage [0-9]+$' "$temporary/output" || true)
    if ((got != wanted)); then
        give_up "$1" "it fetched $got of $wanted pages"
        return 1
    fi
}

bench_fetch() {
    local program
    find_peers curl xargs 'requests threads' 'requests processes'
    fetch_some "${lessons[0]}"
    make_pages "$page_count" "$page_delay"
    for ((run = 1; run <= repeat; run++)); do
        calculate "$page_count / $fetch_workers * $page_delay / 1000"
        record seconds ideal "$page_count" "$fetch_workers" "$value"
        progress 'forks'
        if ask forks "$programs/floor" forks "$fetch_workers"; then
            calculate "$value + $number"
            record seconds 'ideal and forks' "$page_count" "$fetch_workers" "$value"
        fi
        for program in "${lessons[@]:1}" 'bare sockets' "${peers[@]}"; do
            fetch "$program" "$fetch_workers" || continue
            record seconds "$program" "$page_count" "$fetch_workers" "$seconds"
            record site_cpu_seconds "$program" "$page_count" "$fetch_workers" \
                "$site_seconds"
        done
    done
}

# Lesson 1 takes its time. It gets a share of the pages, once, and what all of them would
# take is reckoned from that.
fetch_some() {
    local count=$((page_count / share))
    run=1
    make_pages "$count" "$page_delay"
    fetch "$1" 1 || return 0
    calculate "$seconds * $page_count / $count"
    record seconds "$1" "$count" 1 "$value"
}

bench_cpu() {
    local size
    find_peers curl xargs 'requests threads' 'requests processes'
    for ((run = 1; run <= repeat; run++)); do
        make_pages "$cpu_page_count" 0
        measure_cpu '' "${lessons[@]}" 'bare sockets' "${peers[@]}"
        for size in "${cpu_page_sizes[@]}"; do
            make_pages "$cpu_page_count" 0 "$size"
            measure_cpu "_at_$size" "${lessons[@]}" curl
            make_pages "$cpu_page_count" 0 "$size" "$cpu_hosts"
            measure_cpu "_at_${size}_on_many" "${lessons[@]}" curl
        done
    done
}

# measure_cpu SUFFIX PROGRAM...: the names of the figures end in the suffix.
measure_cpu() {
    local program
    for program in "${@:2}"; do
        is_here "$program" || continue
        fetch "$program" "$cpu_workers" || continue
        calculate "$cpu_seconds * 1000 / $cpu_page_count"
        record "cpu_ms_a_title$1" "$program" "$cpu_page_count" "$cpu_workers" "$value"
        record "site_cpu_seconds$1" "$program" "$cpu_page_count" "$cpu_workers" \
            "$site_seconds"
    done
}

# ---- events ----------------------------------------------------------------------------

bench_events() {
    local program count
    find_peers curl
    find_peers Go aiohttp
    hosts=0
    for ((run = 1; run <= repeat; run++)); do
        calculate "$events_delay / 1000"
        record seconds ideal "$events_page_count" "$events_page_count" "$value"
        for program in "${loops[@]}" 'bare sockets' "${peers[@]}"; do
            fetch_all_at_once "$program"
        done
        for program in "${loops[@]}" 'bare sockets'; do
            for count in "${events_at_once[@]}"; do
                fetch_at_once "$program" "$count" || true
            done
        done
        make_pages "$cpu_page_count" 0 "${cpu_page_sizes[0]}"
        measure_cpu '' "${loops[@]}" curl
        ask_suspended_bytes
    done
}

# What a task takes that waits for a future, and for nothing else.
ask_suspended_bytes() {
    progress 'suspended tasks'
    ask executor "$programs/executor" suspended "$suspended_count" || return 0
    record bytes_a_suspended_task executor "$suspended_count" "$suspended_count" "$number"
}

# A transfer's memory is the program's peak with all pages at once, less its peak with one
# page, divided by the number of pages.
fetch_all_at_once() {
    local most
    fetch_at_once "$1" "$events_page_count" || return 0
    record cpu_ms_a_page "$1" "$events_page_count" "$events_page_count" "$value"
    record seconds "$1" "$events_page_count" "$events_page_count" "$seconds"
    record site_cpu_seconds "$1" "$events_page_count" "$events_page_count" "$site_seconds"
    most=$bytes
    make_fresh_pages 1 "$events_delay"
    fetch "$1" 1 || return 0
    calculate "($most - $bytes) / $events_page_count / 1024"
    record kib_a_transfer "$1" "$events_page_count" "$events_page_count" "$value"
}

# fetch_at_once PROGRAM COUNT: has it fetch all the pages, COUNT at once. The delay is in
# proportion to COUNT, so that the ideal time is always the same. Sets what fetch sets, and
# `value` to the CPU milliseconds a page. The size that is recorded is COUNT.
fetch_at_once() {
    make_fresh_pages "$events_page_count" $((events_delay * $2 / events_page_count))
    fetch "$1" "$2" || return 1
    calculate "$cpu_seconds * 1000 / $events_page_count"
    record cpu_ms_a_transfer "$1" "$2" "$2" "$value"
}

# make_fresh_pages COUNT DELAY: the site closes each connection, so that each page needs one
# of its own, with few at once as with many. And the pages are on a host that no program has
# connected to before. For a minute, the kernel keeps connections that have ended
# (TIME_WAIT); with ten thousand of them to one host, connect(2) searches long for a free
# port: up to 0.05 ms a page, more than all else that bare sockets need.
make_fresh_pages() {
    hosts=$((hosts + 1))
    make_pages "$1" "$2" "$events_page_size"
    sed -i "s/127\.0\.0\.1/127.1.$((hosts / 250)).$((hosts % 250 + 1))/; s/\$/\&close=1/" \
        "$temporary/urls"
}

# ---- cluster ---------------------------------------------------------------------------

bench_cluster() {
    local ours=$programs/cluster/executor nats=$programs/cluster/nats peer
    find_peers Python Gearman mpi4py
    for ((run = 1; run <= repeat; run++)); do
        ask_cost executor "$cluster_task_count" "$ours" time
        ask_cost JetStream "$cluster_task_count" "$nats" stream
        for peer in "${peers[@]}"; do
            ask_cluster_peer "$peer" $((cluster_task_count / share))
        done
        ask_median us_there_and_back 1e6 executor "$cluster_single_count" "$ours" one
        ask_median us_there_and_back 1e6 'NATS request' "$cluster_single_count" \
            "$nats" request
        ask_median ms_to_open 1e3 executor "$cluster_open_count" "$ours" open
        ask_median ms_to_open 1e3 nats-server "$cluster_open_count" "$nats" start
    done
    map_tasks
}

# ask_cluster_peer PEER COUNT
ask_cluster_peer() {
    local command
    case $1 in
        Python) command=("$python" "$sources/processes/python.py" submit) ;;
        Gearman) command=("$programs/cluster/gearman") ;;
        mpi4py) # Open MPI asks whether root and more processes than CPUs are meant
            command=(env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
                mpiexec --oversubscribe -n 3 "$python" -m mpi4py.futures
                "$sources/cluster/mpi.py")
            ;;
    esac
    ask_cost "$1" "$2" "${command[@]}"
}

# ask_median FIGURE FACTOR PROGRAM COUNT COMMAND...: the command, with COUNT at its end,
# prints a median of so many in seconds; records it times the factor.
ask_median() {
    progress "$3, $1"
    ask "$3" "${@:5}" "$4" || return 0
    calculate "$number * $2"
    record "$1" "$3" "$4" 2 "$value"
}

# Once, since a million tasks take a while, and hardly anything can disturb a peak.
map_tasks() {
    local count
    run=1
    for count in "${cluster_map_counts[@]}"; do
        progress "executor, $count tasks through a window"
        ask executor "$programs/cluster/executor" map "$count" || continue
        calculate "$number / 1048576"
        record peak_mib executor "$count" 2 "$value"
    done
}

# ---- scale -----------------------------------------------------------------------------

bench_scale() {
    local kind count workers
    for ((run = 1; run <= repeat; run++)); do
        for count in "${scale_task_counts[@]}"; do
            for kind in threads processes; do
                scale_tasks "$kind" "$count" 2
            done
        done
        for workers in "${scale_worker_counts[@]}"; do
            for kind in threads processes; do
                scale_tasks "$kind" "$worker_task_count" "$workers" _by_workers
            done
        done
    done
    scale_pages
}

# Each once: the pages are many, and take so long that little can disturb them.
scale_pages() {
    local program count workers
    run=1
    for count in "${scale_page_counts[@]}"; do
        make_pages "$count" "$page_delay"
        for program in "${lessons[@]:1}"; do
            fetch "$program" "$fetch_workers" || continue
            record_scale "$program" "$count" "$fetch_workers" "$seconds" _of_pages
        done
    done
    make_pages "$worker_page_count" $((page_delay / 10))
    for workers in "${scale_worker_counts[@]}"; do
        for program in "${pools[@]}"; do
            fetch "$program" "$workers" || continue
            record_scale "$program" "$worker_page_count" "$workers" "$seconds" \
                _of_pages_by_workers
        done
    done
}

# scale_tasks KIND COUNT WORKERS [SUFFIX]: the names of the figures end in the suffix. Few
# tasks take too little time for a clock, so they are run in many rounds.
scale_tasks() {
    local rounds=$((worker_task_count / $2))
    rounds=$((rounds > 1 ? rounds : 1))
    progress "$1, $2 tasks, $3 workers"
    ask "$1" "$programs/executor" "$1" "$2" "$3" "$rounds" || return 0
    record_scale "$1" "$2" "$3" "$number" "${4:-}"
    calculate "$number * 1e6 / $2"
    record "us_a_task${4:-}" "$1" "$2" "$3" "$value"
}

# record_scale PROGRAM SIZE WORKERS SECONDS [SUFFIX]: records them, and the memory.
record_scale() {
    record "seconds${5:-}" "$1" "$2" "$3" "$4"
    calculate "$bytes / 1048576"
    record "peak_mib${5:-}" "$1" "$2" "$3" "$value"
}
