# between.sh - sourced by the scripts that write tables into RESULTS.md.

# between FILE NAME TITLE TABLES: what stands between <!-- NAME --> and <!-- end of NAME --> in FILE becomes
# the content of the file TABLES. Where the marks are missing they are added at the end, under the heading
# TITLE.
between() {
    touch "$1"
    grep -q "^<!-- $2 -->\$" "$1" || printf '\n## %s\n\n<!-- %s -->\n<!-- end of %s -->\n' "$3" "$2" "$2" \
        >>"$1"
    awk -v tables="$4" -v name="$2" '
        $0 == "<!-- end of " name " -->" { inside = 0 }
        !inside { print }
        $0 == "<!-- " name " -->" { inside = 1; while ((getline line < tables) > 0) print line }' "$1" \
            >"$4.new" && cat "$4.new" >"$1"
}

# publish RESULTS NAME TITLE TABLES UPDATE OWN: the tables go to a file of their own, OWN; only where UPDATE
# is not empty into RESULTS, too.
publish() {
    cat "$4" >"$6"
    if [ -n "$5" ]; then between "$1" "$2" "$3" "$4"; else echo "written to $6; --update puts it into $1"; fi
}
