#!/bin/sh
# install.sh install|uninstall: what `make install` and `make uninstall` do. From the environment: PREFIX
# (default /usr/local), DESTDIR (put before every path, for packagers), BUILD (where `make` built), CC,
# CFLAGS, CPPFLAGS, LDFLAGS.
#
# Installed are the header; a static and a shared library, for those who would rather link than define
# SESSREC_IMPLEMENTATION; sessrec.pc for pkg-config; a CMake package; the command line with its man page and
# shell completion, both made from what `sessrec help` prints.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/examples/packaging
PREFIX=${PREFIX:-/usr/local} DESTDIR=${DESTDIR:-} BUILD=${BUILD:-build} CC=${CC:-cc}
case $PREFIX in /*) ;; *) echo "make install: PREFIX must be an absolute path, it is \"$PREFIX\""
exit 1 ;; esac
case $BUILD in /*) ;; *) BUILD=$root/$BUILD ;; esac

number() { awk -v name="SESSREC_VERSION_$1" '$1 == "#define" && $2 == name { print $3 }' "$root/sessrec.h"; }
major=$(number MAJOR) minor=$(number MINOR) patch=$(number PATCH)
version=$major.$minor.$patch
# Before 1.0 a new minor version may change the binary interface.
abi=$major.$minor

# Of every file: where it goes, below PREFIX. `install` and `uninstall` read the same list.
files="include/sessrec.h
lib/libsessrec.a
lib/libsessrec.so.$version
lib/libsessrec.so.$abi
lib/libsessrec.so
lib/pkgconfig/sessrec.pc
lib/cmake/sessrec/sessrec-config.cmake
lib/cmake/sessrec/sessrec-config-version.cmake
bin/sessrec
share/man/man1/sessrec.1
share/bash-completion/completions/sessrec
share/zsh/site-functions/_sessrec
share/doc/sessrec/README.md
share/doc/sessrec/LICENSE"

put() { # put FILE PLACE [MODE]
    mkdir -p "$DESTDIR$PREFIX/$(dirname "$2")"
    cp "$1" "$DESTDIR$PREFIX/$2"
    chmod "${3:-644}" "$DESTDIR$PREFIX/$2"
}

filled() { # filled TEMPLATE: with the version and the prefix in their places
    sed -e "s|@version@|$version|g" -e "s|@abi@|$abi|g" -e "s|@prefix@|$PREFIX|g" "$1"
}

install() {
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    printf '#define SESSREC_IMPLEMENTATION\n#include "sessrec.h"\n' >"$work/sessrec.c"
    # shellcheck disable=SC2086
    $CC ${CPPFLAGS:-} ${CFLAGS:--O2} -I"$root" -c -o "$work/sessrec.o" "$work/sessrec.c"
    ar rcs "$work/libsessrec.a" "$work/sessrec.o"
    # shellcheck disable=SC2086
    $CC ${CPPFLAGS:-} ${CFLAGS:--O2} ${LDFLAGS:-} -fPIC -shared -Wl,-soname,"libsessrec.so.$abi" -I"$root" \
        -o "$work/libsessrec.so" "$work/sessrec.c" -lm -lpthread
    filled "$here/sessrec.pc.in" >"$work/sessrec.pc"
    filled "$here/cmake/sessrec-config.cmake.in" >"$work/config.cmake"
    filled "$here/cmake/sessrec-config-version.cmake.in" >"$work/version.cmake"
    sh "$here/from-help.sh" man "$BUILD/sessrec" "$version" >"$work/sessrec.1"
    sh "$here/from-help.sh" bash "$BUILD/sessrec" >"$work/sessrec.bash"
    sh "$here/from-help.sh" zsh "$BUILD/sessrec" >"$work/_sessrec"

    put "$root/sessrec.h" include/sessrec.h
    put "$work/libsessrec.a" lib/libsessrec.a
    put "$work/libsessrec.so" "lib/libsessrec.so.$version" 755
    ln -sf "libsessrec.so.$version" "$DESTDIR$PREFIX/lib/libsessrec.so.$abi"
    ln -sf "libsessrec.so.$abi" "$DESTDIR$PREFIX/lib/libsessrec.so"
    put "$work/sessrec.pc" lib/pkgconfig/sessrec.pc
    put "$work/config.cmake" lib/cmake/sessrec/sessrec-config.cmake
    put "$work/version.cmake" lib/cmake/sessrec/sessrec-config-version.cmake
    put "$BUILD/sessrec" bin/sessrec 755
    put "$work/sessrec.1" share/man/man1/sessrec.1
    put "$work/sessrec.bash" share/bash-completion/completions/sessrec
    put "$work/_sessrec" share/zsh/site-functions/_sessrec
    put "$root/README.md" share/doc/sessrec/README.md
    put "$root/LICENSE" share/doc/sessrec/LICENSE
    echo "sessrec $version is in $DESTDIR$PREFIX"
}

uninstall() {
    for file in $files; do rm -f "$DESTDIR$PREFIX/$file"; done
    for folder in lib/cmake/sessrec share/doc/sessrec; do rmdir "$DESTDIR$PREFIX/$folder" 2>/dev/null || :
    done
    echo "sessrec is no longer in $DESTDIR$PREFIX"
}

case ${1:-} in
install | uninstall) "$1" ;;
*) echo "usage: install.sh install|uninstall"; exit 2 ;;
esac
