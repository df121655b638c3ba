# What scripts/common.bash does for all scripts if a signal comes at a bad moment.

load ../helper

# run_script: runs the script that is standard input; sees that no temporary file is left.
run_script() {
    local folder=$BATS_TEST_TMPDIR/temporary
    mkdir -p "$folder"
    {
        printf 'set -euo pipefail\nset -o functrace\n'
        printf 'source "%s/scripts/common.bash"\n' "$ROOT"
        cat
    } >"$BATS_TEST_TMPDIR/script"
    TMPDIR=$folder run bash "$BATS_TEST_TMPDIR/script" 3>&-
    assert_equal "$(ls -A "$folder")" ''
}

@test "a signal that comes when a script begins to clean up does not keep it from that" {
    local why
    # shellcheck disable=SC2016 # for the script
    for why in 'exit 0' 'false' 'kill -s HUP $$'; do
        run_script <<END
end_children() { echo 'it has ended its children'; }
make_temporary
trap '[[ \${FUNCNAME:-} != clean_up ]] || kill -s HUP \$\$' DEBUG
$why
END
        assert_equal "$why: $output" "$why: it has ended its children"
        assert_status 129
    done
}

@test "a signal that comes when a process was only just started ends that too" {
    local process
    run_script <<'END'
make_temporary
trap '[[ $BASH_COMMAND != "child=\$!" ]] || { echo $! >"$0.process"; kill -s TERM $$; }' DEBUG
run_and_wait sleep 60 &>/dev/null
echo 'it went on'
END
    process=$(<"$BATS_TEST_TMPDIR/script.process")
    [[ ! -e /proc/$process ]] || fail "process $process, sleep, is left"
    assert_equal "$output" ''
    assert_status 143
}
