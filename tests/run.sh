#!/bin/sh
# run.sh - runs test programs and sums their reports:  run.sh COMMAND ...
#
# Each command ends its output with "N passed, N failed, N skipped". One that crashes, hangs or ends with a
# status that its report does not explain counts as a failed test of its name. The last line is the sum.
set -u

log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
limit=
if command -v timeout >/dev/null; then limit='timeout 600'; fi
passed=0 failed=0 skipped=0 broken=

for command in "$@"; do
    name=${command#sh }
    name=${name%% *}
    name=${name##*/}
    # shellcheck disable=SC2086  # a command is words
    $limit $command >"$log" 2>&1
    status=$?
    report=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1)
    grep -vE '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log"
    # shellcheck disable=SC2086
    set -- ${report:-0 passed, 0 failed, 0 skipped}
    counted=$3
    if [ -z "$report" ] || { [ "$status" -ne 0 ] && [ "$3" -eq 0 ]; }; then
        echo "FAILED  $name ended with status $status$([ -n "$report" ] || echo ' and without a report')"
        counted=$(($3 + 1))
    fi
    echo "$name: $1 passed, $counted failed, $5 skipped"
    passed=$((passed + $1)) failed=$((failed + counted)) skipped=$((skipped + $5))
    [ "$counted" -eq 0 ] || broken="$broken $name"
done

[ -z "$broken" ] || echo "failures in:$broken"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
