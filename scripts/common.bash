# What several scripts share. It is sourced, not run.
# shellcheck shell=bash

repository=${BASH_SOURCE[0]%/scripts/*}

# The Makefile knows BUILD too.
build_folder=${BUILD:-build}
if [[ $build_folder != /* ]]; then
    build_folder=$repository/$build_folder
fi

# The course's pages on the local site.
# shellcheck disable=SC2034 # for the scripts that source this
course_pages=(talkpython pythonbytes google realpython training)

# say WORD...: a line for the person, on standard error.
say() {
    printf 'scripts/%s: %s\n' "${0##*/}" "$*" >&2
}

fail() {
    say "$@"
    exit 1
}

wrong_usage() {
    say "$* (--help says more)"
    exit 2
}

# Prints the comment at the top of the script, and ends it.
show_help() {
    # shellcheck disable=SC2154 # each script sets it
    sed -n '/^# usage/,/^$/s/^# \{0,1\}//p' "$script"
    exit 0
}

# The first of the commands that there is: Debian names some with their version.
either() {
    command -v "$@" | head -n 1
}

# has_command NAME...: whether there is any one of them.
has_command() {
    command -v "$@" >/dev/null
}

# find_lesson WORD: sets `lesson` to the name of the lesson that the word stands for: its
# number, or its folder's name.
find_lesson() {
    local number=${1%%-*} folder
    [[ $number =~ ^0*([0-9]{1,9})$ ]] || wrong_usage "'$1' is not the number of a lesson"
    printf -v number '%02d' "${BASH_REMATCH[1]}"
    for folder in "$repository/lessons/$number"-*/; do
        if [[ -d $folder ]]; then
            # shellcheck disable=SC2034 # for the scripts that source this
            lesson=${folder%/} lesson=${lesson##*/}
            return
        fi
    done
    wrong_usage "there is no lesson $number"
}

# find_before LESSON: sets `before` to the lesson that this one goes on from; for the first,
# to nothing. Lessons 10 and 11 each change one line of lesson 8.
find_before() {
    local lesson=''
    case $1 in
        01-*) ;;
        10-* | 11-*) find_lesson 08 ;;
        *) find_lesson $((10#${1%%-*} - 1)) ;;
    esac
    # shellcheck disable=SC2034 # for the scripts that source this
    before=$lesson
}

# Fills `lessons` with the names of the folders in lessons/, in their order.
find_lessons() {
    local folder
    lessons=()
    for folder in "$repository"/lessons/[0-9]*-*/; do
        folder=${folder%/}
        [[ ! -e $folder/main.c ]] || lessons+=("${folder##*/}")
    done
    ((${#lessons[@]} > 0)) ||
        fail "there is no lesson in $repository/lessons; is the clone complete?"
}

# find_columns DEFAULT: sets `columns` and `rows` to what the terminal has that is standard
# output; where there is none, `columns` to the default, and `rows` to nothing.
find_columns() {
    columns='' rows=''
    if [[ -t 1 ]]; then
        # shellcheck disable=SC2034 # for the scripts that source this
        read -r rows columns < <(stty size <&3 2>/dev/null) || true
    fi 3>&1
    if [[ ! $columns =~ ^[1-9][0-9]*$ ]]; then
        columns=$1
    fi
}

# Sets `bats` to the command. Where the kernel moves addresses about by more than
# ThreadSanitizer can bear, it must not; some containers do not let us say so.
find_bats() {
    # shellcheck disable=SC2034 # for the scripts that source this
    bats=(bats)
    if setarch --addr-no-randomize true 2>/dev/null; then
        # shellcheck disable=SC2034
        bats=(setarch --addr-no-randomize bats)
    fi
}

# build_course GROUP: installs what the group of scripts/setup needs, and builds the course's
# programs and the local site.
build_course() {
    "$repository/scripts/setup" "$1"
    build_targets all
}

# build_targets TARGET...
build_targets() {
    make -C "$repository" --silent -j "$(nproc)" "$@" >&2 ||
        fail "the course's own programs do not build: is the clone complete?"
}

progress=$repository/work/progress # see scripts/learn

# note WHAT: adds to the learner's progress that this has happened to the lesson. A line that was cut
# off, on a full disk for instance, is ended first.
note() {
    local begin=''
    [[ ! -s $progress || -z $(tail -c 1 -- "$progress") ]] || begin=$'\n'
    printf '%s%s %s\n' "$begin" "$1" "$lesson" >>"$progress" ||
        fail "cannot write $progress: what you did is not noted, but your work is there"
}

# ---- What is running -------------------------------------------------------------------

# A signal ends the script, with the status that shells give, when it has cleaned up.
exit_on_signals() {
    trap 'exit_by_signal 130' INT
    trap 'exit_by_signal 143' TERM
    trap 'exit_by_signal 129' HUP
}

# exit_by_signal STATUS: for a trap. It cleans up by itself: if the EXIT trap has just begun, an
# `exit` ends that too. (Who closes a terminal sends SIGHUP twice, and ends its input.)
exit_by_signal() {
    if [[ -n $is_starting ]] && ((BASHPID == $$)); then
        signal_status=$1
        return
    fi
    trap - EXIT
    clean_up
    exit "$1"
}

is_starting=''   # whether something is being started that clean_up could not end yet
signal_status='' # what the script ends with when that is over, if there was a signal meanwhile

# is_started: what was started is known now, to clean_up too.
is_started() {
    is_starting=''
    [[ -z $signal_status ]] || exit_by_signal "$signal_status"
}

# Makes a folder that is there until the script ends, whatever the reason.
make_temporary() {
    temporary=$(mktemp -d)
    trap clean_up EXIT
    exit_on_signals
}

clean_up() {
    ((BASHPID == $$)) || return 0 # a child that was only just forked still has our traps
    trap '' INT TERM HUP PIPE
    end_children
    rm -rf -- "$temporary"
}

# Ends what the script has started. (Some have more to end, and a function of their own.)
end_children() {
    [[ -z $child ]] || stop INT "-$child" # run_and_wait was interrupted
    [[ -z $site ]] || stop TERM "$site"
}

child='' # the process group that run_and_wait waits for

# run_and_wait COMMAND...: runs it and waits for it, with a process group of its own, for
# two reasons: bash lets what runs in the background of a script ignore SIGINT, but not
# what has its own group; and while bash waits for it, a signal to this script is dealt
# with at once, not at the end.
run_and_wait() {
    local status=0
    is_starting=yes
    set -m
    "$@" </dev/null &
    child=$!
    set +m
    is_started
    { wait "$child" || status=$?; } 2>/dev/null # bash's own words about a crash
    child=''
    return "$status"
}

# stop SIGNAL PROCESS: sends the signal, waits for 5 seconds at most, then uses force. A
# process number with a minus sign before it means all of that group.
stop() {
    local tenths
    kill -s "$1" -- "$2" 2>/dev/null || return 0
    for ((tenths = 0; tenths < 50; tenths++)); do
        kill -s 0 -- "$2" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -s KILL -- "$2" 2>/dev/null || true
}

site='' # the process of the local site

# start_site FOLDER [OPTION...]: starts the site on a free port, with what it has to say in
# files in the folder, and sets `site_address`.
start_site() {
    # A proxy cannot reach this machine's own 127.0.0.1.
    unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
    export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1
    mkfifo -- "$1/address"
    is_starting=yes
    "$build_folder/site" --port 0 "${@:2}" >"$1/address" 2>"$1/site.log" </dev/null &
    site=$!
    is_started
    # shellcheck disable=SC2034 # for the scripts that source this
    if ! read -r -t 20 site_address <"$1/address"; then
        cat -- "$1/site.log" >&2
        fail "the local site $build_folder/site did not start, so nothing was run"
    fi
}
