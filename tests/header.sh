#!/bin/sh
# header.sh - what a build with the header shows: the programs of its manual, inclusion in any way, symbols,
# macros, options. Uses CC, CXX and CFLAGS from the environment.
set -u
. "$(dirname "$0")/expect.sh"

CC=${CC:-cc} CXX=${CXX:-c++} CFLAGS=${CFLAGS:--O2}
libraries='-lm -lpthread'
cd "$work" || exit 1

# shellcheck disable=SC2086  # CC and CFLAGS are words
c99() { $CC -std=c99 $CFLAGS -I"$root" "$@"; }
# shellcheck disable=SC2086
cxx11() { $CXX -std=c++11 $CFLAGS -I"$root" "$@"; }

have_cxx=yes
have "${CXX%% *}" || have_cxx=

# ---- the programs of the manual ----------------------------------------------------------------------------

# In the manual a program stands between "// ---- program: NAME ----" and "// ---- output ----", what it
# prints before "// ---- end ----"; "//     " begins each line. Writes NAME.c and NAME.expected, prints the
# names.
extract_manual() {
    awk '
        /^\/\/ ---- program: .* ----$/ { name = $4; file = name ".c"; print name; next }
        /^\/\/ ---- output ----$/ { if (name) file = name ".expected"; printf "" > file; next }
        /^\/\/ ---- end ----$/ { file = name = ""; next }
        file { print (substr($0, 1, 7) == "//     " ? substr($0, 8) : substr($0, 3)) > file }
    ' "$root/sessrec.h"
}

# The C programs of the README; a block without main is a fragment. Prints the names.
extract_readme() {
    awk '
        /^```c$/ { file = "readme" ++n ".c"; main = 0; next }
        /^```/ { if (main) print substr(file, 1, length(file) - 2); if (file) close(file); file = ""; next }
        file { print > file; if (/int main/) main = 1 }
    ' "$root/README.md"
}

# run_program COMPILER NAME SOURCE
run_program() {
    # shellcheck disable=SC2086
    "$1" -O0 -o "$2.program" "$3" $libraries && "./$2.program" >"$2.actual" || return 1
    [ ! -f "$2.expected" ] || diff "$2.expected" "$2.actual"
}

# A log that such a program may read: two kinds of sessions that never mix.
awk 'BEGIN {
    print "SessionId\tItemId\tTime"
    for (s = 1; s <= 200; ++s) for (i = 0; i < 5; ++i)
        print s "\t" (s % 2 ? "red" : "blue") "-" (s + i) % 10 "\t" s * 1000 + i
}' >clicks.tsv

programs=$(extract_manual)
expect 'the manual has programs' [ -n "$programs" ]
for name in $programs; do
    expect "the manual's program $name prints what the manual says, as C99" run_program c99 "$name" "$name.c"
    cp "$name.c" "$name.cc"
    [ -z "$have_cxx" ] || expect "the manual's program $name prints what the manual says, as C++11" \
        run_program cxx11 "$name" "$name.cc"
done

if [ -f "$root/README.md" ]; then
    programs=$(extract_readme)
    expect 'the README has a program' [ -n "$programs" ]
    for name in $programs; do expect "the README's program $name runs" run_program c99 "$name" "$name.c"; done
else
    skip 'the programs of README.md' 'there is no README.md'
fi

# ---- inclusion ---------------------------------------------------------------------------------------------

cat >user.c <<'END'
#include "sessrec.h"
#include "sessrec.h"
int other(void);
int main(void) {
    return sessrec_version() && other() ? 0 : 1;
}
END
cat >before.c <<'END'
#define SESSREC_IMPLEMENTATION
#include "sessrec.h"
#undef SESSREC_IMPLEMENTATION
#include "sessrec.h"
int other(void);
int other(void) {
    return sessrec_result_text(SESSREC_OK) != 0;
}
END
cat >after.c <<'END'
#include "sessrec.h"
#define SESSREC_IMPLEMENTATION
#include "sessrec.h"
#include "sessrec.h"
int other(void);
int other(void) {
    return sessrec_result_text(SESSREC_OK) != 0;
}
END
printf '#define SESSREC_STATIC\n#define SESSREC_IMPLEMENTATION\n' | tee user_static.c >other_static.c
cat user.c >>user_static.c
sed '/IMPLEMENTATION/d' before.c >>other_static.c

# link_and_run COMPILER SOURCE ...
link_and_run() {
    compiler=$1
    shift
    # shellcheck disable=SC2086
    "$compiler" -O0 -o linked "$@" $libraries && ./linked
}
mixed_languages() {
    # shellcheck disable=SC2086
    c99 -O0 -c -o before.o before.c && sed 's/^int other/extern "C" int other/' user.c >mixed.cc &&
        cxx11 -O0 -o linked mixed.cc before.o $libraries && ./linked
}

# include_in LANGUAGE COMPILER SUFFIX
include_in() {
    for unit in user before after user_static other_static; do [ "$3" = c ] || cp "$unit.c" "$unit.$3"; done
    expect "the implementation may stand before the declarations, as $1" link_and_run "$2" "user.$3" \
        "before.$3"
    expect "the implementation may stand after the declarations, as $1" link_and_run "$2" "after.$3" "user.$3"
    expect "two units may each have a static copy, as $1" link_and_run "$2" "user_static.$3" "other_static.$3"
}

include_in C99 c99 c
if [ -n "$have_cxx" ]; then
    include_in C++11 cxx11 cc
    expect 'a C++ program may use an implementation in C' mixed_languages
else
    skip 'the header as C++' "no $CXX"
fi

# ---- symbols -----------------------------------------------------------------------------------------------

# Without position independence, as constant tables of pointers would pass for writable data.
object() {
    # shellcheck disable=SC2086
    $CC -std=c99 -O1 -I"$root" -fno-pie "$@" 2>/dev/null || $CC -std=c99 -O1 -I"$root" "$@"
}

# no_symbol FILE PATTERN: prints the symbols whose "name type" matches, and fails if there is one.
no_symbol() {
    nm -P "$1" | awk '{ print $1, $2 }' | grep -E "$2" && return 1
    return 0
}
only_public_symbols() {
    nm -P -g "$1" | awk '$2 ~ /^[A-TV-Z]$/ && $1 !~ /^_?(sessrec_[a-z]|other$)/ { print; found = 1 } END {
        exit found }'
}

if have nm; then
    expect 'the implementation compiles to an object' object -c -o symbols.o before.c
    expect 'every external symbol begins with sessrec_ and is public' only_public_symbols symbols.o
    expect 'there is no global data that could be written' no_symbol symbols.o ' [BCDGSbdgs]$'
    expect 'a static copy compiles to an object' object -c -o static.o other_static.c
    expect 'a static copy has no external symbol' no_symbol static.o '^_?sessrec_.* [A-TV-Z]$'
else
    skip 'the symbols of the object' 'no nm'
fi

# ---- license -----------------------------------------------------------------------------------------------

same_license() { sed -n '/^\/\/ LICENSE$/,$ { s/^\/\/ \{0,1\}//; p; }' "$root/sessrec.h" | tail -n +3 |
    diff - "$root/LICENSE"; }
expect 'the header ends with both licenses, word for word' same_license

# every_function_gets_null: prints the public functions that tests/test_null.c does not call.
every_function_gets_null() {
    sed -n 's/^SESSREC_API .*[ *]\(sessrec_[a-z0-9_]*\)(.*/\1/p' "$root/sessrec.h" | sort -u |
        while read -r function; do
        grep -q "[^a-z_]$function(" "$root/tests/test_null.c" || echo "$function"
    done | grep . && return 1
    return 0
}
expect 'every public function is called with NULL in tests/test_null.c' every_function_gets_null

# ---- macros and options ------------------------------------------------------------------------------------

# One whose name somebody else may use is set aside first, and comes back at the end.
only_own_macros() {
    awk '/^[ \t]*#[ \t]*pragma push_macro/ { split($0, part, "\""); aside[part[2]] = 1 }
    /^[ \t]*#[ \t]*define[ \t]/ {
        sub(/^[ \t]*#[ \t]*define[ \t]+/, "")
        sub(/[^A-Za-z0-9_].*/, "")
        if ($0 !~ /^(SESSREC_|sessrec__)/ && $0 != "WIN32_LEAN_AND_MEAN") defined[$0] = 1
    } END {
        for (name in defined) if (!(name in aside)) { print name; found = 1 }
        exit found
    }' "$root/sessrec.h"
}
no_private_macro_left() {
    c99 -dM -E before.c | awk 'tolower($2) ~ /^sessrec__/ && $2 !~ /^SESSREC__IMPLEMENTED/ {
        print; found = 1 } END { exit found }'
}

# Macros that other people's headers define: windows.h, rpcndr.h, Qt, stb_vorbis, complex.h, tgmath.h,
# firmware. None may break the header, and all must still be there after it.
strange='A B C D E F G H I J K L M N O P Q R S T U V W X Y Z small near far slots signals emit interface hyper
    IN OUT PI ROWS DEPTH ALIGN BLOCK WIDE'
{
    printf '#include <%s>\n' limits.h math.h stdarg.h stddef.h stdint.h stdio.h stdlib.h string.h time.h \
        pthread.h
    for name in $strange _B _C _L _U _X; do echo "#define $name 9 9"; done
    echo '#define max(a, b) ((a) > (b) ? (a) : (b))'
    echo '#define min(a, b) ((a) < (b) ? (a) : (b))'
    echo '#define free(p) free(p)'
    for name in log exp sqrt; do echo "#define $name(x) $name(x)"; done
    cat before.c
    for name in $strange max min free exp; do printf '#ifndef %s\n#error\n#endif\n' "$name"; done
    echo 'int after[max(1, 2)];'
} >strange.c
sed 's/^int other/extern "C" &/' strange.c >strange.cc
expect 'no macro of other people breaks it as C99, or is gone afterwards' c99 -c -o strange.o strange.c
[ -z "$have_cxx" ] || expect 'no macro of other people breaks it as C++11, or is gone afterwards' cxx11 \
    -c -o strange.o strange.cc
sed '/IMPLEMENTATION/d' strange.c >declared.c
expect 'nor its declarations' c99 -c -o strange.o declared.c

expect 'every macro of the header begins with SESSREC_, or sessrec__ if it is private' only_own_macros
expect 'no private macro outlives the implementation, but its guard' no_private_macro_left

for training in '' -DSESSREC_NO_TRAINING; do
    for stdio in '' -DSESSREC_NO_STDIO; do
        for threads in '' -DSESSREC_NO_THREADS; do
            for simd in '' -DSESSREC_NO_SIMD; do
                options="$training $stdio $threads $simd"
                # shellcheck disable=SC2086
                expect "it compiles with the options:$options" c99 -fsyntax-only $options before.c
            done
        done
    done
done

without_libraries() {
    # shellcheck disable=SC2086
    $CC -std=c99 -I"$root" -DSESSREC_NO_TRAINING -DSESSREC_NO_STDIO -o bare user.c before.c && ./bare
}
expect 'without training and stdio it needs neither libm nor a thread library' without_libraries

report
