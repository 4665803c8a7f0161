#!/bin/sh
# test_firmware.sh - models as source code, and the core for tiny machines on the processors that compilers
# and emulators are there for:  test_firmware.sh PATH/TO/sessrec
#
# Every processor must give the integers that this one gives. What a click and a recommendation take, RAM,
# stack and flash are printed and must not be above their ceilings. With TABLE=1 the float models and the
# large ones are measured too, for bench/RESULTS.md.
set -u
. "$(dirname "$0")/expect.sh"

sessrec=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
folder=$root/examples/firmware
CC=${CC:-cc}

# ---- models ----

# make_model NAME ITEMS HIDDEN: NAME.model, floats with ids; NAME.S and NAME.h, 8 bits without
make_model() {
    awk -v items="$2" 'BEGIN {
        print "SessionId\tItemId\tTime"
        for (i = 0; i < 3 * items; ++i) print int(i / 6) "\t" i * 7 % items "\t" i
    }' >"$work/log.tsv"
    mkdir -p "$work/$1/float" && cd "$work/$1" &&
        "$sessrec" train "$work/log.tsv" -o made.model --layers "$3" --epochs 2 --batch 8 --negatives 8 \
            --threads 1 &&
        "$sessrec" export made.model --int8 --no-ids -o model.S &&
        "$sessrec" export made.model --int8 --no-ids -o model.h &&
        "$sessrec" export made.model -o float/model.S
}
here() {
    "$CC" -std=c99 -O2 -I"$work/$1" -DVISITOR_BYTES=2048 -o "$work/$1/here" "$folder/firmware.c" &&
        "$work/$1/here" | grep -E '^(item|score) ' >"$work/$1/expected" &&
        [ "$(wc -l <"$work/$1/expected")" -eq 48 ]
}
expect 'a model of 200 items is made and exported' make_model small 200 32
expect 'and used as a header' here small

refused() {  # STATUS TEXT COMMAND ...
    want=$1 text=$2
    shift 2
    "$@" >"$work/said" 2>&1
    [ $? -eq "$want" ] && grep -q "$text" "$work/said" || { cat "$work/said"; return 1; }
}
cd "$work/small" || exit 1
expect 'export needs an output' refused 2 'FILE' "$sessrec" export made.model
expect '--no-ids alone is refused' refused 2 'int8' "$sessrec" export made.model --no-ids -o x.model
expect 'a model is not replaced by its export' refused 2 'overwritten' \
    "$sessrec" export made.model --int8 -o made.model
cp made.model other.bin
expect 'nor by the bytes beside an assembler file' refused 2 'overwritten' \
    "$sessrec" export other.bin --int8 -o other.S
echo 'int mine;' >mine.h
expect 'a header that is not ours is not replaced' refused 1 'mine.h' "$sessrec" export made.model -o mine.h
expect 'a model without ids is not evaluated' refused 1 'no ids' "$sessrec" evaluate model.bin "$work/log.tsv"
expect '8 bits cannot be made of 8 bits' refused 1 'floats' "$sessrec" export model.bin --int8 -o x.q8
"$sessrec" export made.model --int8 -o made.q8 >/dev/null
expect 'a model of 8 bits with ids is evaluated' "$sessrec" evaluate made.model made.q8 "$work/log.tsv"
names_are() {
    "$sessrec" export made.model --int8 -o "$work/9-my.shop.h" && grep -q '_9_my_bytes\[' "$work/9-my.shop.h"
}
expect 'the array is called like the file' names_are

# ---- the same integers everywhere ----

# same_on "WHERE" MODEL COMPILER FLAGS -- RUN ...: builds the firmware and compares what it says
same_on() {
    model=$1 compiler=$2 flags=$3 runner=$4
    # shellcheck disable=SC2086
    "$compiler" -std=c99 -Os -Wall -Wextra -Werror -I"$work/$model" -DVISITOR_BYTES=2048 $flags \
        -o "$work/firmware" "$folder/firmware.c" &&
        timeout 60 $runner "$work/firmware" >"$work/said" 2>&1 </dev/null &&
        grep -E '^(item|score) ' "$work/said" | cmp - "$work/$model/expected" || { tail -n 3 "$work/said"
        return 1; }
}
for target in 'i686-linux-gnu-gcc -static,-msse2 qemu-i386' \
    'arm-linux-gnueabihf-gcc -static qemu-arm' 'aarch64-linux-gnu-gcc -static qemu-aarch64' \
    'riscv64-linux-gnu-gcc -static qemu-riscv64'; do
    # shellcheck disable=SC2086
    set -- $target
    if have "$1" && have "$3" && have timeout; then
        expect "the same integers: $1" same_on small "$1" "$(echo "$2" | tr , ' ')" "$3"
    else
        skip "the same integers: $1" "no $1 or no $3"
    fi
done
cat >"$work/wasi.mjs" <<'END'
import { WASI } from 'node:wasi'
import { readFileSync } from 'node:fs'
const wasi = new WASI({ version: 'preview1', args: [], env: {} })
const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]),
    { wasi_snapshot_preview1: wasi.wasiImport })
wasi.start(instance)
END
if have clang && have wasm-ld && have node && have timeout &&
    echo 'int main(void) { return 0; }' | clang --target=wasm32-wasi -x c - -o "$work/probe" 2>/dev/null; then
    expect 'the same integers: WebAssembly in node' same_on small clang '--target=wasm32-wasi' \
        "node --no-warnings $work/wasi.mjs"
else
    skip 'the same integers: WebAssembly in node' 'no clang, wasm-ld, wasi-libc or node'
fi

# ---- bare processors ----

# bare MODEL FLAGS: builds $work/firmware for $compiler; the model lies in $work/MODEL
bare() {
    # shellcheck disable=SC2086
    cd "$work/$1" && "$compiler" $flags -std=c99 -Os -Wall -Wextra -Werror -ffunction-sections \
        -fdata-sections -Wl,--gc-sections \
        -nostartfiles -L"$folder" -T "$folder/$linker" -DMODEL_ASSEMBLED -DVISITOR_BYTES="$2" $3 \
        -o "$work/firmware" "$folder/firmware.c" "$work/$1/model.S"
}
# runs NAME MODEL VISITOR_BYTES MOST: as here, and no more than MOST: bytes of code, of RAM and stack, of
# flash, instructions of a click, of a recommendation
runs() {
    name=$1 model=$2 most=$4
    case $model in */float) float=-DMODEL_FLOAT ;; *) float= ;; esac
    # shellcheck disable=SC2086
    bare "$model" "$3" "$float" &&
        "$compiler" $flags -std=c99 -Os $float -c -o "$work/core.o" "$folder/core.c" || return 1
    # shellcheck disable=SC2086
    timeout 100 $emulate "$work/firmware" >"$work/said" 2>&1 </dev/null
    [ -n "$float" ] || grep -E '^(item|score) ' "$work/said" | cmp - "$work/$model/expected" || return 1
    grep -q '^stack' "$work/said" || { tail -n 3 "$work/said"; return 1; }
    code=$("${compiler%gcc}size" "$work/core.o" | awk 'NR == 2 { print $1 }')
    flash=$("${compiler%gcc}size" "$work/firmware" | awk 'NR == 2 { print $1 + $2 }')
    awk -v name="$name" -v model="$model" -v code="$code" -v flash="$flash" -v most="$most" '
        { n[$1] = $2 }
        END {
            printf "        %-10s %-12s code %5d, RAM %4d, stack %4d, flash %6d bytes; " \
                "instructions: click %7d, recommendation %8d\n", name, model, code, n["ram"], n["stack"],
                flash, n["click"], n["recommend"]
            split(most, limit, " ")
            bad = code > limit[1] || n["ram"] + n["stack"] > limit[2] || n["stack"] > 1024 ||
                flash > limit[3] || n["click"] > limit[4] || n["recommend"] > limit[5]
            if (bad) print "        above a ceiling: " most
            exit bad
        }' "$work/said" >"$work/row" || { cat "$work/row"; return 1; }
}
# measure NAME: all models on this processor. Ceilings: code, RAM and stack, flash, click, recommendation.
measure() {
    expect "$1: 200 items, H = 32, 8 bits" runs "$1" small 256 "4608 1536 26000 100000 100000"
    cat "$work/row"
    [ -n "${TABLE:-}" ] || return
    expect "$1: 200 items, H = 32, floats" runs "$1" small/float 640 "14000 2048 80000 9000000 9000000"
    cat "$work/row"
    expect "$1: 2,000 items, H = 64, 8 bits" runs "$1" large 448 "4608 2048 190000 400000 1600000"
    cat "$work/row"
    expect "$1: 2,000 items, H = 64, floats" runs "$1" large/float 1152 "14000 4096 700000 40000000 200000000"
    cat "$work/row"
}
expect 'a model of 2,000 items is made and exported' make_model large 2000 64
expect 'and used as a header' here large

linker=arm.ld compiler=arm-none-eabi-gcc
if have "$compiler" && have qemu-system-arm && have timeout; then
    options='-nographic -semihosting -icount shift=0 -kernel'
    wide='-Wl,--defsym=FLASH_SIZE=4M'
    flags="-mcpu=cortex-m0plus -mthumb $wide" emulate="qemu-system-arm -M mps2-an385 $options"
    measure 'Cortex-M0+'
    flags="-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 $wide"
    emulate="qemu-system-arm -M mps2-an386 $options"
    measure 'Cortex-M4'
    expect 'Cortex-M4: 200 items, H = 32, floats' runs Cortex-M4 small/float 640 \
        '6144 2048 80000 400000 400000'
    cat "$work/row"
    expect 'Cortex-M4: 2,000 items, H = 64, 8 bits' runs Cortex-M4 large 448 '4096 2048 190000 400000 1600000'
    cat "$work/row"
    flags='-mcpu=cortex-m3 -mthumb' emulate="qemu-system-arm -M mps2-an385 $options"
    expect 'Cortex-M3: 200 items, H = 32, 8 bits' runs 'Cortex-M3' small 256 '4096 1536 26000 100000 100000'
    flags='-mcpu=cortex-m0 -mthumb' emulate="qemu-system-arm -M microbit $options"
    expect 'a micro:bit, whose processor knows no other instructions' runs 'micro:bit' small 256 \
        '4096 1536 26000 100000 100000'
else
    skip 'Cortex-M0+, M3 and M4' 'no arm-none-eabi-gcc, no qemu-system-arm or no timeout'
fi
linker=riscv.ld compiler=riscv64-unknown-elf-gcc
flags='--specs=picolibc.specs -march=rv32imac -mabi=ilp32'
emulate='qemu-system-riscv32 -M virt -bios none -nographic -semihosting -icount shift=0 -kernel'
# shellcheck disable=SC2086
if have "$compiler" && have qemu-system-riscv32 && have timeout &&
    echo '#include <string.h>' | "$compiler" $flags -x c -fsyntax-only - 2>/dev/null; then
    measure 'RISC-V 32'
else
    skip 'RISC-V 32' 'no riscv64-unknown-elf-gcc with picolibc, no qemu-system-riscv32 or no timeout'
fi
report
