#!/bin/sh
# embedded.sh - what a small machine asks: how large the frames are, what has to be linked, and how much RAM
# and flash a recommender takes, measured on an emulated Cortex-M4. What there is no compiler or emulator for
# is skipped by name.
set -u
. "$(dirname "$0")/expect.sh"

printf '#define SESSREC_IMPLEMENTATION\n#include "%s/sessrec.h"\n' "$root" >"$work/header.c"

# ---- frames: 2 KB at most on the way from a model to a recommendation, 8 KB elsewhere ----

# frames_of NAME COMPILER ...: the frames in $work/NAME.su, one "function<tab>bytes" a line
frames_of() {
    name=$1
    shift
    rm -f "$work/$name.su"
    "$@" -fstack-usage -c -o "$work/$name.o" "$work/header.c" && [ -s "$work/$name.su" ] &&
        sed 's/^[^\t]*:\([^:\t]*\)\t\([0-9]*\).*/\1\t\2/' "$work/$name.su" |
        sed 's/\.\(part\|constprop\|isra\)[^\t]*//' >"$work/$name.frames"
}
# none_above BYTES NAME: prints those that are
none_above() { awk -F'\t' -v most="$1" '$2 > most { print $1 ": " $2; bad = 1 } END { exit bad }' \
    "$work/$2.frames"; }
# used_above BYTES NAME: the same of the functions that a build for recommendations has
used_above() {
    awk -F'\t' -v most="$1" 'NR == FNR { used[$1] = 1; next } used[$1] && $2 > most { print $1 ": " $2;
    bad = 1 } END { exit bad }' \
        "$work/small.frames" "$work/$2.frames"
}
check_frames() {
    compiler=$1
    have "$compiler" || { skip "the frames of $compiler" "no $compiler"; return; }
    shift
    if ! frames_of small "$compiler" "$@" -w -DSESSREC_NO_TRAINING -DSESSREC_NO_STDIO; then
        skip "the frames of $compiler" 'it cannot compile the header, or tell its frames'
        return
    fi
    expect "no frame is above 2 KB where a model only recommends: $compiler $*" none_above 2048 small
    [ "$compiler" = arm-none-eabi-gcc ] && return  # without threads and files
    frames_of whole "$compiler" "$@" -w
    expect "no frame of the whole header is above 8 KB: $compiler $*" none_above 8192 whole
    expect "and none above 2 KB where it recommends: $compiler $*" used_above 2048 whole
}
cpu='-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16'
check_frames gcc -O2
check_frames clang -O2
check_frames aarch64-linux-gnu-gcc -O2
# shellcheck disable=SC2086
check_frames arm-none-eabi-gcc $cpu -O2
# shellcheck disable=SC2086
check_frames arm-none-eabi-gcc $cpu -Os

# ---- what is linked ----

# With an allocator's hooks, and without training and files, nothing of malloc, printf or libm.
needs_only() {
    gcc -std=c99 -w -O2 -DSESSREC_NO_TRAINING -DSESSREC_NO_STDIO \
        '-DSESSREC_MALLOC(size)=((void)(size),(void*)0)' \
        '-DSESSREC_FREE(block)=((void)(block))' -c -o "$work/small.o" "$work/header.c" || return 1
    nm -u "$work/small.o" | awk '{ print $NF }' |
        grep -v -x -E -e '_GLOBAL_OFFSET_TABLE_|__cpu_(indicator_init|model)' \
            -e 'mem(chr|cmp|cpy|move|set)|str(cmp|len)' && return 1
    return 0
}
hooks_needed() { ! gcc -std=c99 -w '-DSESSREC_MALLOC(size)=((void*)0)' -fsyntax-only "$work/header.c"; }
# The hooks take the place of malloc in a build with everything, too.
takes_hooks() {
    printf '#include <stddef.h>\nvoid *mine(size_t);\nvoid yours(void *);\n' |
        cat - "$work/header.c" >"$work/hooks.c"
    gcc -std=c99 -w '-DSESSREC_MALLOC(size)=mine(size)' '-DSESSREC_FREE(block)=yours(block)' \
        -c -o "$work/hooks.o" "$work/hooks.c" &&
        ! nm -u "$work/hooks.o" | grep -w -E 'malloc|calloc|realloc|free|posix_memalign'
}
if have gcc && have nm; then
    expect 'with SESSREC_MALLOC and SESSREC_FREE recommending needs nothing but memcpy and its kin' needs_only
    expect 'and training calls no malloc either' takes_hooks
    expect 'one of the two hooks without the other is an error' hooks_needed
else
    skip 'what is linked' 'no gcc or no nm'
fi

# ---- RAM and flash ----

target=arm-none-eabi-gcc emulate='qemu-system-arm -M mps2-an386 -nographic -semihosting -kernel'
if have timeout; then emulate="timeout 60 $emulate"; fi
cat >"$work/firmware.ld" <<'END'
MEMORY { FLASH (rx) : ORIGIN = 0, LENGTH = 4M  RAM (rw) : ORIGIN = 0x20000000, LENGTH = 32K }
ram_begin = ORIGIN(RAM); ram_end = ORIGIN(RAM) + LENGTH(RAM);
SECTIONS {
    .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) . = ALIGN(64);
        model_begin = .; KEEP(*(.model)) model_end = .; . = ALIGN(4); } >FLASH
    .ARM.exidx : { *(.ARM.exidx*) } >FLASH
    data_flash = LOADADDR(.data);
    .data : { data_begin = .; *(.data*) . = ALIGN(4); data_end = .; } >RAM AT>FLASH
    .bss (NOLOAD) : { *(.bss*) *(COMMON) . = ALIGN(4); bss_end = .; } >RAM
}
END
# build ITEMS HIDDEN SESSION_BYTES
build() {
    printf '.section .model, "a"\n.balign 64\n.incbin "%s"\n' "$work/shop.model" >"$work/model.s"
    # shellcheck disable=SC2086
    "$work/make" "$work/shop.model" "$1" "$2" && "$work/make" "$work/shop.model" >"$work/expected" &&
        "$target" $cpu -std=c99 -Os -Wall -Wextra -Werror -ffunction-sections -fdata-sections \
        -Wl,--gc-sections -nostartfiles \
            -DSESSION_BYTES="$3" -T "$work/firmware.ld" -o "$work/firmware" "$root/tests/embedded.c" \
            "$work/model.s"
}
# runs ITEMS HIDDEN SESSION_BYTES: the same recommendations as here, and 32 KB are enough
runs() {
    # shellcheck disable=SC2086
    build "$@" && $emulate "$work/firmware" >"$work/said" 2>&1 </dev/null
    grep '^item' "$work/said" >"$work/items"
    cmp "$work/items" "$work/expected" && grep -q '^stack' "$work/said" || { tail -n 3 "$work/said"
        return 1; }
    awk -v items="$1" -v hidden="$2" -v model="$(wc -c <"$work/shop.model")" -v text="$("${target%gcc}size" \
        "$work/firmware" | awk 'NR == 2 { print $1 }')" '
        { n[$1] = $2 }
        END {
            ram = n["handle"] + n["session"] + n["stack"]
            printf "        %5d items, H = %3d: RAM %5d bytes (handle %d, visitor %d, stack %d), " \
                "flash %d of code and %d of model\n",
                items, hidden, ram, n["handle"], n["session"], n["stack"], text - model, model
            exit !(ram > 0 && ram <= 32768)
        }' "$work/said" >"$work/row" || { cat "$work/row"; return 1; }
}
if have "$target" && have qemu-system-arm && have gcc; then
    expect 'the firmware'"'"'s model is made' gcc -std=c99 -O2 -o "$work/make" "$root/tests/embedded.c" \
        -lm -lpthread
    for size in '200 32 4096' '1000 64 4096' '1000 100 8192' '5000 100 8192'; do
        # shellcheck disable=SC2086
        set -- $size
        expect "a Cortex-M4 with 32 KB of RAM recommends from $1 items, H = $2, as this machine does" runs \
            "$@"
        cat "$work/row"
    done
else
    skip 'RAM and flash on a Cortex-M4' 'no arm-none-eabi-gcc or no qemu-system-arm'
fi
report
