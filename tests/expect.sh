# expect.sh - sourced by the test scripts: counts what they expect, and works in a folder $work that goes away
# at the end.

root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0

# expect "a sentence that says what is true" COMMAND ...: the command must succeed; what it printed is shown
# if it does not.
expect() {
    sentence=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED  $sentence"
        head -n 20 "$work/log" | sed 's/^/        /'
    fi
}

# skip "what" "why"
skip() {
    skipped=$((skipped + 1))
    echo "skipped $1: $2"
}

have() { command -v "$1" >/dev/null 2>&1; }

# The closing line and the exit status.
report() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
}
