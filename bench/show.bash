# What scripts/bench makes of its figures; it sources this and has set the variables.
# shellcheck shell=bash disable=SC2034,SC2154

# ---- The table -------------------------------------------------------------------------

# What a table says of each benchmark.
set_heading() {
    case $bench in
        tasks) heading="$task_count empty tasks, 2 workers" ;;
        processes) heading="$process_task_count tasks, 2 processes" ;;
        fetch)
            heading="seconds for $page_count pages of $page_size bytes"
            heading+=" at $page_delay ms, $fetch_workers workers"
            ;;
        cpu)
            heading="CPU milliseconds a title, $cpu_page_count pages of $page_size bytes,"
            heading+=" or fewer, $cpu_workers workers"
            ;;
        events)
            heading="$events_page_count pages of $events_page_size bytes"
            heading+=" at $events_delay ms, all at once, one thread"
            ;;
        cluster) heading="$cluster_task_count tasks, 2 workers, a server of its own" ;;
        scale) heading="us a task, with many tasks and with few" ;;
        explore) heading="wrong versions, until they are found" ;;
    esac
}

# What has to be known to read its table right.
print_notes() {
    case $bench in
        tasks) printf '  Python had %d tasks.\n' $((task_count / share)) ;;
        processes) printf '  Python had %d tasks.\n' $((process_task_count / share)) ;;
        fetch)
            printf '  %s had %d pages, once; its time is reckoned from that.\n' \
                "${lessons[0]}" $((page_count / share))
            ;;&
        fetch | cpu)
            echo '  The lessons and bare sockets stop reading at the title of so large a page; curl' \
                'and requests do not.'
            ;;&
        cpu)
            printf '  "many": the pages are on %d hosts in turn, else they are on one.\n' \
                "$cpu_hosts"
            ;;
        events)
            printf '  "%d at once": CPU ms a title, %d pages of %d bytes without delay.\n' \
                "$cpu_workers" "$cpu_page_count" "${cpu_page_sizes[0]}"
            printf '  "%d at once": CPU ms a page, compared with %d at once.\n' \
                "$events_page_count" "${events_at_once[0]}"
            ;;
        cluster)
            printf '  Python, Gearman and mpi4py had %d tasks.\n' \
                $((cluster_task_count / share))
            ;;
        explore)
            echo '  plain: runs as they are, one after the other; thread: the same with' \
                "ThreadSanitizer. Both are given up after $explore_seconds s."
            ;;
        scale)
            echo "  Times and memory, with few and many pages and workers: $output/scale*"
            ;;
    esac
    echo
}

# row LABEL FIGURE OURS PEER LIMIT: a line of the table. OURS and PEER are programs; @ and
# a size may follow. LIMIT is "ratio 0.6" (of ours to the peer's), "value 2.5" (of ours), or
# "-".
row() {
    printf '%s|%s|%s|%s|%s|%s\n' "$bench" "$@"
}

# rows LABEL FIGURE OURS PEER...: such lines, with nothing to reach.
rows() {
    local peer
    for peer in "${@:4}"; do
        row "$1" "$2" "$3" "$peer" -
    done
}

# The lines of the benchmark $bench. The limits are what the course has set out to reach.
list_rows() {
    local lesson kind size
    local executor=06-executor-threads
    local -a pages=(xargs 'requests threads' 'requests processes')
    case $bench in
        tasks)
            row 'us a task' us_a_task executor GLib 'ratio 0.35'
            rows 'us a task' us_a_task executor libuv 'Go futures' Go Python
            rows 'us a task; floors' us_a_task executor 'futex wake' \
                'futex wake of a thread'
            row 'bytes a pending task' bytes_a_pending_task executor - 'value 161'
            rows 'bytes a pending task' bytes_a_pending_task executor GLib libuv \
                'Go futures' Go Python
            ;;
        processes)
            row 'us a task' us_a_task executor - 'value 2.5'
            row 'us a task' us_a_task executor 'Python submit' 'ratio 0.025'
            rows 'us a task' us_a_task executor 'Python map' 'Python Pool'
            rows 'us a task; floors' us_a_task executor 'write + read' \
                'write + read in a process'
            ;;
        fetch)
            for lesson in "${lessons[@]}"; do
                row "$lesson" seconds "$lesson" ideal -
            done
            for lesson in "${pools[@]}"; do
                row "$lesson" seconds "$lesson" "$(floor_of "$lesson")" 'ratio 1.01'
            done
            row 'ideal and forks; a floor' seconds 'ideal and forks' ideal -
            row 'bare sockets; a floor' seconds 'bare sockets' ideal -
            rows "$executor" seconds "$executor" curl "${pages[@]}"
            rows "the site's CPU" site_cpu_seconds "$executor" curl
            ;;
        cpu)
            for lesson in "${lessons[@]}"; do
                row "$lesson" cpu_ms_a_title "$lesson" curl "$(limit_of "$lesson" 1.25)"
            done
            row 'bare sockets; a floor' cpu_ms_a_title 'bare sockets' curl -
            rows "$executor" cpu_ms_a_title "$executor" 'bare sockets' "${pages[@]}"
            for size in "${cpu_page_sizes[@]}"; do
                cpu_rows "$size" cpu_ms_a_title_at_"$size"
                cpu_rows "$size, many" cpu_ms_a_title_at_"${size}_on_many"
            done
            ;;
        events)
            for lesson in "${loops[@]}"; do
                event_rows "$lesson"
            done
            row 'bytes a suspended task' bytes_a_suspended_task executor - 'value 5120'
            row "bare sockets, $events_page_count at once" cpu_ms_a_transfer \
                "bare sockets@$events_page_count" "bare sockets@${events_at_once[0]}" -
            row 'bare sockets, seconds' seconds 'bare sockets' ideal -
            ;;
        cluster)
            row 'us a task' us_a_task executor Python 'ratio 0.6'
            row 'us a task' us_a_task executor JetStream 'ratio 3'
            rows 'us a task' us_a_task executor Gearman mpi4py
            row 'us there and back' us_there_and_back executor 'NATS request' 'ratio 5'
            row 'ms to open' ms_to_open executor nats-server 'ratio 5'
            row "peak MiB, ${cluster_map_counts[1]} tasks" peak_mib \
                "executor@${cluster_map_counts[1]}" "executor@${cluster_map_counts[0]}" \
                'ratio 1.1'
            ;;
        explore) list_explore_rows ;;
        scale)
            for kind in threads processes; do
                row "$kind" us_a_task "$kind@${scale_task_counts[-1]}" \
                    "$kind@${scale_task_counts[1]}" 'ratio 1.15'
            done
            ;;
    esac
}

# cpu_rows WORDS FIGURE: of all lessons, with what is special about the figure in words.
cpu_rows() {
    local lesson
    for lesson in "${lessons[@]}"; do
        row "$lesson, $1" "$2" "$lesson" curl "$(limit_of "$lesson" 1)"
    done
}

# event_rows LESSON: lesson 9's loop is there to compare; lesson 10's has limits.
event_rows() {
    row "$1, CPU ms a page" cpu_ms_a_page "$1" aiohttp "$(event_limit "$1" 'ratio 0.25')"
    row "$1, CPU ms a page" cpu_ms_a_page "$1" Go "$(event_limit "$1" 'ratio 0.667')"
    row "$1, CPU ms a page" cpu_ms_a_page "$1" 'bare sockets' \
        "$(event_limit "$1" 'ratio 2')"
    row "$1, $events_page_count at once" cpu_ms_a_transfer "$1@$events_page_count" \
        "$1@${events_at_once[0]}" "$(event_limit "$1" 'ratio 1.3')"
    row "$1, $cpu_workers at once" cpu_ms_a_title "$1" curl "$(event_limit "$1" 'ratio 1')"
    row "$1, seconds" seconds "$1" 'bare sockets' "$(event_limit "$1" 'ratio 1.5')"
    row "$1, KiB a transfer" kib_a_transfer "$1" aiohttp "$(event_limit "$1" 'value 22')"
    rows "$1, KiB a transfer" kib_a_transfer "$1" Go 'bare sockets'
}

# event_limit LESSON LIMIT
event_limit() {
    if [[ $1 == *-executor-* ]]; then
        echo "$2"
    else
        echo -
    fi
}

# limit_of LESSON RATIO: lessons with a pool have something to reach.
limit_of() {
    if [[ " ${pools[*]} " == *" $1 "* ]]; then
        echo "ratio $2"
    else
        echo -
    fi
}

# floor_of LESSON: what no lesson of its kind can do without.
floor_of() {
    case $1 in
        *process* | *crash* | *completed* | *cluster*) echo 'ideal and forks' ;;
        *) echo 'bare sockets' ;;
    esac
}

# statistics NAME ARGUMENT...: runs awk on bench/NAME.awk.
statistics() {
    LC_ALL=C awk -f "$sources/median.awk" -f "$sources/$1.awk" "${@:2}"
}

# print_table FORMAT: of all that was measured in this session, as text or as CSV.
print_table() {
    local bench heading
    if [[ $1 == csv ]]; then
        printf '%s,' bench label figure ours 'our value' peer "peer's value" ratio lowest \
            highest 'to reach'
        echo reached
    fi
    for bench in "${benches[@]}"; do
        set_heading
        list_rows >"$temporary/rows"
        statistics table -v format="$1" -v heading="$bench: $heading" \
            "$output/$bench.csv" "$temporary/rows"
        if [[ $1 == text ]]; then
            print_notes
        fi
    done
}

# Median and spread of each figure: build/bench/NAME-summary.csv.
summarize() {
    local bench
    for bench in "${benches[@]}"; do
        statistics summary "$output/$bench.csv" >"$output/$bench-summary.csv"
    done
}

# ---- The plots -------------------------------------------------------------------------

# series FIGURE COLUMN: of the benchmark's summary, what gnuplot draws: a line for each
# program, with the size or the number of workers and the median.
series() {
    LC_ALL=C awk -F , -v figure="$1" -v column="$2" '
        $2 == figure && !seen[$3]++ { names[++count] = $3 }
        $2 == figure { lines[$3] = lines[$3] $column "\t" $7 "\n" }
        END {
            for (i = 1; i <= count; i++)
                printf "\"%s\"\n%s\n\n", names[i], lines[names[i]]
        }' "$output/$bench-summary.csv"
}

# plot_bars FIGURE TITLE
plot_bars() {
    LC_ALL=C awk -F , -v OFS='\t' -v figure="$1" '
        $2 == figure { print $3, $7, $8, $9 }' "$output/$bench-summary.csv" \
        >"$temporary/plot"
    [[ -s $temporary/plot ]] || return 0
    plot bars.gnuplot "$output/$bench.svg" "$2" "$temporary/plot"
}

# plot_lines NAME COLUMN XLABEL FIGURE TITLE FIGURE TITLE: two plots side by side.
plot_lines() {
    series "$4" "$2" >"$temporary/left"
    series "$6" "$2" >"$temporary/right"
    [[ -s $temporary/left && -s $temporary/right ]] || return 0
    plot lines.gnuplot "$output/$1.svg" "$3" "$temporary/left" "$5" "$temporary/right" "$7"
}

# plot SCRIPT OUTPUT ARGUMENT...
plot() {
    if ! run_and_wait gnuplot -c "$sources/$1" "${@:2}" 2>"$temporary/errors"; then
        say "$bench: no plot: gnuplot says: $(grep . "$temporary/errors" | tail -n 1)"
        worst=1
    fi
}

draw_plots() {
    local bench=plots
    find_peers gnuplot
    ((${#peers[@]} > 0)) || return 0
    for bench in "${benches[@]}"; do
        set_heading
        case $bench in
            tasks | processes | cluster) plot_bars us_a_task "microseconds a task: $heading" ;;
            fetch) plot_bars seconds "$heading" ;;
            cpu) plot_bars cpu_ms_a_title "$heading" ;;
            events) plot_bars cpu_ms_a_page "CPU milliseconds a page: $heading" ;;
            scale)
                plot_lines scale-tasks 4 tasks seconds seconds peak_mib 'peak MiB'
                plot_lines scale-pages 4 pages seconds_of_pages seconds \
                    peak_mib_of_pages 'peak MiB'
                plot_lines scale-workers 5 workers \
                    seconds_by_workers "seconds for $worker_task_count tasks" \
                    seconds_of_pages_by_workers "seconds for $worker_page_count pages"
                ;;
        esac
    done
}
