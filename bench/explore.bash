# What scripts/bench explore measures; scripts/bench sources this and has set the variables.
# shellcheck shell=bash disable=SC2034,SC2154

# A program is built three times: to be explored, as it is, and with ThreadSanitizer. All have
# the pages of tests/explore/pages.c, which are there at once.

# The arguments of the lesson's program, and what it prints then.
explore_arguments() {
    local number url
    arguments=(--quiet)
    [[ $1 == 02-* ]] || arguments+=(--workers 3)
    for number in 1/gather/3 2/gather/3 3/gather/3 4 5; do
        url=http://pages/$number
        arguments+=("$url")
        printf '%s\tTitle of %s\n' "$url" "$url"
    done >"$temporary/expected"
}

# build_three NAME FOLDER
build_three() {
    export FROM=$2
    if ! { TO=$temporary/$1 make -C "$repository" --silent explored >&2 &&
        TO=$temporary/$1.plain make -C "$repository" --silent with-pages >&2 &&
        TO=$temporary/$1.thread make -C "$repository" --silent with-pages \
            BUILD="$build_folder/thread" SANITIZE=thread >&2; }; then
        fail "$1 does not build"
    fi
}

# Fills `wrong` with the names of the wrong versions whose fault depends on the schedule, and
# `lesson_of` with what they are made of.
build_wrong_versions() {
    local patch name lesson
    declare -gA lesson_of=()
    wrong=()
    while IFS= read -r patch; do
        lesson=$(basename "$(dirname "$patch")")
        name=$(basename "$patch" .patch)
        if [[ $lesson == explore ]]; then
            lesson=$(cd "$repository/lessons" && echo "${name%%-*}"-*)
            name=${name#*-}
        fi
        name=${lesson%%-*}-$name
        cp -r "$repository/lessons/$lesson" "$temporary/source-$name"
        (cd "$temporary/source-$name" && git apply "$patch") || fail "$patch does not apply"
        build_three "$name" "$temporary/source-$name"
        wrong+=("$name")
        lesson_of[$name]=$lesson
    done < <(grep -rl '^Explored: ' "$repository/tests/wrong" | sort)
}

# explore_program NAME FROM RUNS STATUS: sets `tried`, up to the first that failed, and `seconds`.
# Returns false, and says why, if it does not end with this status: 0 none failed, 1 one did.
explore_program() {
    local begin=$EPOCHREALTIME status=0
    env EXPLORE="$temporary" EXPLORE_FROM="$2" EXPLORE_RUNS="$3" LD_PRELOAD=explore.so \
        LD_LIBRARY_PATH="$build_folder" "$temporary/$1" "${arguments[@]}" || status=$?
    seconds_since "$begin"
    if ((status != $4)); then
        give_up "$1" "of $3 schedules: $(explorer_status_in_words "$status")"
        return 1
    fi
    read -r _ _ failed tried _ <"$temporary/report"
    # How many it took until then: a race is not the last.
    if ((status == 1)); then
        tried=$((failed == 0 ? 1 : failed - $2 + 2))
    fi
}

explorer_status_in_words() {
    case $1 in
        0) echo 'none failed' ;;
        1) echo 'one failed' ;;
        *) echo "the explorer ended with status $1" ;;
    esac
}

# seconds_since BEGIN: in `seconds`.
seconds_since() {
    calculate "$EPOCHREALTIME - $1"
    seconds=$value
}

# is_right NAME: a run as it is. One that hangs is stopped; what bash says of one that crashes
# is left out.
is_right() {
    local status=0
    { timeout 2 "$temporary/$1" "${arguments[@]}" >"$temporary/out" || status=$?; } 2>/dev/null
    ((status == 0)) && cmp --silent "$temporary/out" "$temporary/expected"
}

# find_by_runs NAME KIND: runs it until it fails; `seconds` is the limit if it does not.
find_by_runs() {
    local begin=$EPOCHREALTIME
    seconds=0
    while is_right "$1.$2"; do
        seconds_since "$begin"
        if LC_ALL=C awk "BEGIN { exit !($seconds > $explore_seconds) }"; then
            seconds=$explore_seconds
            return
        fi
    done
    seconds_since "$begin"
}

explore_cost() {
    local begin i
    progress "lesson 3"
    explore_arguments 03
    if explore_program right 1 "$explore_schedules" 0; then
        calculate "$seconds * 1000 / $tried"
        record ms_a_schedule explorer "$tried" 3 "$value"
    fi
    begin=$EPOCHREALTIME
    for ((i = 0; i < explore_plain_runs; i++)); do
        is_right right.plain || give_up 'plain run' 'it failed'
    done
    seconds_since "$begin"
    calculate "$seconds * 1000 / $explore_plain_runs"
    record ms_a_schedule 'plain run' "$explore_plain_runs" 3 "$value"
}

bench_explore() {
    local name kind
    progress 'building'
    build_three right "$repository/lessons/03-thread-pool"
    build_wrong_versions
    for ((run = 1; run <= repeat; run++)); do
        explore_cost
        for name in "${wrong[@]}"; do
            progress "$name"
            explore_arguments "${lesson_of[$name]}"
            if explore_program "$name" $((run * 1000)) 1000 1; then
                record schedules "$name" 1000 3 "$tried"
                record seconds "$name" 1000 3 "$seconds"
            fi
            for kind in plain thread; do
                find_by_runs "$name" "$kind"
                record seconds "$name $kind" 1000 3 "$seconds"
            done
        done
    done
}

# The lines of its table.
list_explore_rows() {
    local name
    row 'ms a schedule' ms_a_schedule explorer 'plain run' 'ratio 5'
    for name in "${wrong[@]}"; do
        row "$name, schedules" schedules "$name" - 'value 50'
        rows "$name, seconds" seconds "$name" "$name plain" "$name thread"
    done
}
