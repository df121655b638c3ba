# What several scripts share. It is sourced, not run.
# shellcheck shell=bash

repository=${BASH_SOURCE[0]%/scripts/*}

# say WORD...: a line for the person, on standard error.
say() {
    printf 'scripts/%s: %s\n' "${0##*/}" "$*" >&2
}

wrong_usage() {
    say "$* (--help says more)"
    exit 2
}

# find_lesson WORD: sets `lesson` to the name of the lesson that the word stands for: its
# number, or its folder's name.
find_lesson() {
    local number=${1%%-*} folder
    [[ $number =~ ^0*([0-9]+)$ ]] || wrong_usage "'$1' is not the number of a lesson"
    printf -v number '%02d' "${BASH_REMATCH[1]}"
    for folder in "$repository/lessons/$number"-*/; do
        if [[ -d $folder ]]; then
            # shellcheck disable=SC2034 # for who sources this
            lesson=$(basename -- "$folder")
            return
        fi
    done
    wrong_usage "there is no lesson $number"
}
