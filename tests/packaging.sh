#!/bin/sh
# packaging.sh - installs sessrec into an empty folder and builds a program against it in every way that a
# tool of this machine knows: pkg-config, CMake, Meson, Conan. A tool that is not there is skipped by name.
set -u
. "$(dirname "$0")/expect.sh"
CC=${CC:-cc} PREFIX=$work/usr PKG_CONFIG_PATH=$work/usr/lib/pkgconfig LD_LIBRARY_PATH=$work/usr/lib
CFLAGS=-O0  # how fast the programs are does not matter here
export PREFIX PKG_CONFIG_PATH LD_LIBRARY_PATH CFLAGS
version=$(awk '/^#define SESSREC_VERSION_(MAJOR|MINOR|PATCH) / { v = v s $3; s = "." } END { print v }' \
    "$root/sessrec.h")

cat >"$work/program.c" <<'END'
#include "sessrec.h"
#include <stdio.h>
int main(void) {
    sessrec_config config = sessrec_config_default();
    sessrec_knn_config neighbors = sessrec_knn_config_default();
    printf("%s\n", sessrec_config_check(&config, NULL) || sessrec_knn_preset("vmis", &neighbors) ? "no"
                                                                                     : sessrec_version());
    return 0;
}
END
{ echo '#define SESSREC_IMPLEMENTATION' && cat "$work/program.c"; } >"$work/header.c"

prints_version() { [ "$("$1")" = "$version" ]; }
in_project() { make -C "$root" --no-print-directory "$@"; }

# ---- make install ------------------------------------------------------------------------------------------
expect "make install puts everything below PREFIX" in_project install
for file in include/sessrec.h lib/libsessrec.a lib/libsessrec.so lib/pkgconfig/sessrec.pc \
    share/man/man1/sessrec.1 \
    lib/cmake/sessrec/sessrec-config.cmake share/bash-completion/completions/sessrec \
        share/doc/sessrec/LICENSE; do
    expect "$file is installed" test -s "$PREFIX/$file"
done
expect "the installed command line runs" "$PREFIX/bin/sessrec" help
expect "make install refuses a PREFIX that is not absolute" sh -c '! PREFIX=here make -C "$0" install' "$root"
if have bash; then expect "bash reads the completion" bash \
    -n "$PREFIX/share/bash-completion/completions/sessrec"; fi
by_hand() {
    $CC -o "$work/static" "$work/program.c" -I"$PREFIX/include" "$PREFIX/lib/libsessrec.a" -lm -lpthread &&
        prints_version "$work/static"
}
expect "a program links the static library" by_hand

# ---- pkg-config --------------------------------------------------------------------------------------------
by_pkg_config() {
    # shellcheck disable=SC2046
    $CC -o "$work/shared" "$work/program.c" $(pkg-config --cflags --libs sessrec) &&
        prints_version "$work/shared"
}
if have pkg-config; then expect "a program finds the library by pkg-config" by_pkg_config
else skip 'a program by pkg-config' 'there is no pkg-config'; fi

# ---- CMake -------------------------------------------------------------------------------------------------
cmake_project() { # cmake_project NAME CONTENT: configures and builds
    mkdir -p "$work/$1"
    printf 'cmake_minimum_required(VERSION 3.14)\nproject(program C)\n%s\n' "$2" >"$work/$1/CMakeLists.txt"
    cmake -S "$work/$1" -B "$work/$1/build" -DCMAKE_PREFIX_PATH="$PREFIX" && cmake --build "$work/$1/build"
}
by_find_package() {
    cmake_project find "find_package(sessrec ${version%.*} REQUIRED)
        foreach(kind sessrec static header)
            add_executable(by_\${kind} ../program.c)
            target_link_libraries(by_\${kind} sessrec::\${kind})
        endforeach()
        set_source_files_properties(../program.c TARGET_DIRECTORY by_header
            PROPERTIES COMPILE_DEFINITIONS \"\")
        target_compile_definitions(by_header PRIVATE SESSREC_IMPLEMENTATION)" &&
        prints_version "$work/find/build/by_sessrec" && prints_version "$work/find/build/by_static" &&
        prints_version "$work/find/build/by_header"
}
by_fetch_content() {
    cmake_project fetch "include(FetchContent)
        FetchContent_Declare(sessrec SOURCE_DIR \"$root\" SOURCE_SUBDIR examples/packaging/cmake)
        FetchContent_MakeAvailable(sessrec)
        add_executable(program ../program.c)
        target_link_libraries(program PRIVATE sessrec::sessrec)" && prints_version "$work/fetch/build/program"
}
older_is_refused() { ! cmake_project older 'find_package(sessrec 99.0 REQUIRED)'; }
if have cmake; then
    expect "find_package gives the shared library, the static one, and the header alone" by_find_package
    expect "find_package refuses an installation that is older than what is asked for" older_is_refused
    expect "FetchContent builds from a checkout" by_fetch_content
else
    skip 'a program by CMake' 'there is no cmake'
fi

# ---- Meson, Conan ------------------------------------------------------------------------------------------
by_meson() {
    mkdir -p "$work/meson/subprojects/sessrec"
    cp "$root/sessrec.h" "$root/examples/packaging/meson/meson.build" "$work/meson/subprojects/sessrec"
    cp "$work/header.c" "$work/meson"
    cat >"$work/meson/meson.build" <<'END'
project('program', 'c')
executable('header', 'header.c', dependencies: dependency('sessrec', fallback: ['sessrec', 'sessrec_dep']))
END
    meson setup --wrap-mode=forcefallback "$work/meson/build" "$work/meson" &&
        ninja -C "$work/meson/build" && prints_version "$work/meson/build/header"
}
if have meson && have ninja; then expect "Meson takes a checkout as a subproject" by_meson
else skip 'a program by Meson' 'there is no meson, or no ninja'; fi

by_conan() {
    CONAN_HOME=$work/conan
    export CONAN_HOME
    conan profile detect && conan create "$root/examples/packaging/conan" && conan list "sessrec/$version" |
        grep "sessrec/$version"
}
if have conan; then expect "Conan makes its package" by_conan
else skip 'a Conan package' 'there is no conan'; fi

# ---- make uninstall ----------------------------------------------------------------------------------------
nothing_left() { in_project uninstall && [ -z "$(find "$PREFIX" -type f -o -type l)" ]; }
expect "make uninstall leaves no file" nothing_left
report
