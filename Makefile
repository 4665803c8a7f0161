# sessrec needs a C compiler and make, nothing else. `make help` lists what can be made.
#
# Every examples/NAME.c and bench/NAME.c becomes build/NAME, every tests/test_NAME.c build/test_NAME; tests/test_NAME.sh is run with
# the path of the command line, bench/NAME.sh with that of build/NAME. Warnings are errors in `make check` only, so that a compiler
# newer than this file can always build.

CFLAGS ?= -O2
BUILD ?= build
MPICC ?= mpicc
SECONDS ?= 60
PREFIX ?= /usr/local
NVCC ?= $(firstword $(shell command -v nvcc) $(wildcard /usr/local/cuda/bin/nvcc) nvcc)
# Machine code for Ampere and Hopper, PTX for what comes after; later minor versions run the code of their major one.
NVCC_FLAGS ?= -O3 -std=c++14 -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=[sm_90,compute_90]
NVCC_WARNINGS = -Werror all-warnings -Xcompiler -Wall,-Wextra,-Wconversion,-Wshadow
SANITIZERS ?= address,undefined
LIBRARIES = -lm -lpthread

# mpi_train needs mpicc and is made by its own rule.
EXAMPLES = $(patsubst examples/%.c,$(BUILD)/%,$(filter-out examples/mpi_train.c,$(wildcard examples/*.c)))
TESTS = $(patsubst tests/%.c,$(BUILD)/%,$(wildcard tests/test_*.c))
TEST_SCRIPTS = $(patsubst %,"sh % $(BUILD)/sessrec",$(wildcard tests/test_*.sh))
FUZZ_TARGETS = $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz_%,$(wildcard tests/fuzz/*.c))
FUZZ_COMMANDS = $(foreach target,$(FUZZ_TARGETS),"$(target) \
    $(wildcard $(patsubst $(BUILD)/fuzz_%,tests/fuzz/corpus/%/*,$(target)))")
TEST_PROGRAMS = $(TESTS) $(FUZZ_TARGETS) $(BUILD)/golden $(BUILD)/sessrec $(BUILD)/zoo
TEST_COMMANDS = $(TESTS) $(FUZZ_COMMANDS) $(TEST_SCRIPTS) "$(BUILD)/golden tests/golden"
# Line numbers only (-g1): with full debug information gcc takes minutes for the unrolled kernels under sanitizers.
SANITIZE = -O1 -g1 -fno-omit-frame-pointer -fsanitize=$(SANITIZERS) -fno-sanitize-recover=all
COMPILE = $(CC) $(CPPFLAGS) $(CFLAGS)

.PHONY: all help demo test check warnings embedded lanes sanitizers sanitized fuzz faults mutate coverage bench accuracy hrnn refresh \
    witness methods zoo examples service web install uninstall cuda test-cuda bench-cuda clean

all: $(BUILD)/header.o $(BUILD)/sessrec ## The header compiled by itself, and the command line build/sessrec (the default)

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

demo: $(BUILD)/sessrec ## Train on a made-up shop, compare with simple baselines, recommend
	@$(BUILD)/sessrec demo

test: all examples $(TEST_PROGRAMS) ## Every test that can run here; the last line says how many passed
	@CC="$(CC)" CXX="$(CXX)" CFLAGS="$(CFLAGS)" sh tests/run.sh $(TEST_COMMANDS) \
	    "sh tests/header.sh" \
	    "sh tests/packaging.sh" \
	    "sh tests/python.sh" \
	    "sh tests/service.sh" \
	    "sh tests/papers.sh $(BUILD)/sessrec" \
	    "sh tests/mpi.sh $(BUILD)/sessrec" \
	    "sh tests/web.sh $(BUILD)" \
	    "sh tests/cuda.sh cpu"

sanitized: $(TEST_PROGRAMS)
	@sh tests/run.sh $(TEST_COMMANDS)

check: warnings embedded lanes sanitizers ## Warnings as errors, stack, other machines and tools, and all tests under sanitizers

warnings:
	@sh tests/check.sh

embedded:
	@sh tests/embedded.sh

lanes:
	@CC="$(CC)" sh tests/lanes.sh

sanitizers:
	@mkdir -p $(BUILD)
	@echo 'int main(void) { return 0; }' >$(BUILD)/probe.c
	@if $(CC) $(SANITIZE) -o $(BUILD)/probe $(BUILD)/probe.c 2>/dev/null && $(BUILD)/probe; then \
	    $(MAKE) --no-print-directory BUILD=$(BUILD)/sanitized CFLAGS="$(SANITIZE)" sanitized; \
	else echo "skipped sanitizers: $(CC) cannot build or run a program with -fsanitize=$(SANITIZERS)"; fi

fuzz: ## Look for inputs that break the readers, SECONDS=60 for each target; needs clang
	@sh tests/fuzz.sh $(BUILD) $(SECONDS)

faults: $(BUILD)/test_faults ## Let memory, threads and system calls fail, and kill processes; strace helps
	@CC="$(CC)" sh tests/faults.sh $(BUILD)

mutate: ## Do the tests notice deliberate faults in the library? Takes long
	@CC="$(CC)" sh tests/mutate.sh

coverage: ## Which lines and branches of the header the tests run, by section; needs gcc and gcov
	@CC="$(CC)" sh tests/coverage.sh $(BUILD)

bench: $(BUILD)/speed ## Measure speed beside the machine's limits, PyTorch, OpenBLAS and pandas; LOG=FILE: of which the reading is measured
	@CC="$(CC)" sh bench/speed.sh $(BUILD)/speed $(LOG)

accuracy: $(BUILD)/accuracy ## Train published settings on the real logs in the folder SESSREC_DATA
	@sh bench/accuracy.sh $(BUILD)/accuracy

hrnn: $(BUILD)/hrnn ## Repeat the experiment of the HRNN paper, on made-up logs and on one in SESSREC_DATA
	@sh bench/hrnn.sh $(BUILD)/hrnn

refresh: $(BUILD)/refresh ## Let a model go on learning night after night, on the real logs in SESSREC_DATA
	@sh bench/refresh.sh $(BUILD)/refresh

witness: $(BUILD)/witness ## Compare losses with a second implementation in PyTorch, on a log in SESSREC_DATA
	@sh bench/witness.sh $(BUILD)/witness

methods: $(BUILD)/sessrec ## Compare every method, with signed ranks, on the real logs in the folder SESSREC_DATA
	@sh bench/methods.sh $(BUILD)/sessrec

zoo: $(BUILD)/zoo ## Train every architecture of examples/zoo on the real log in the folder SESSREC_DATA
	@sh bench/zoo.sh $(BUILD)/zoo

examples: $(EXAMPLES) $(BUILD)/zoo $(BUILD)/game ## The example programs

WASM = clang --target=wasm32-wasi -std=gnu99 -Wall -Wextra -Oz -mbulk-memory -msign-ext -mnontrapping-fptoint \
    -nostartfiles -Wl,--no-entry,--gc-sections,--strip-all,--compress-relocations -ffunction-sections -fdata-sections
# Unrolls nothing, which makes plain kernels 6 KB smaller and some 5 % slower.
WASM_SMALL = -mllvm -pragma-unroll-threshold=0 -Wno-pass-failed
WEB_FILES = $(filter-out %.c %.png %README.md,$(wildcard examples/web/*))

web: ## The page of examples/web, with its WebAssembly, in build/web; needs clang, wasm-ld and wasi-libc
	@if echo '#include <stdlib.h>' | $(WASM) -o /dev/null -x c - 2>/dev/null; then \
	    $(MAKE) --no-print-directory $(BUILD)/web/sessrec.wasm $(BUILD)/web/sessrec_train.wasm && \
	    cp $(WEB_FILES) $(BUILD)/web && echo "make web: serve $(BUILD)/web, for instance with python3 -m http.server"; \
	else echo "skipped make web: clang cannot compile for wasm32-wasi; install clang, lld, wasi-libc, libclang-rt-dev-wasm32"; fi

# *_train.wasm with training and with 128-bit vectors, unless it is *_plain_train.wasm; *_vectors.wasm with them, too.
$(BUILD)/web/%.wasm: examples/web/sessrec_web.c sessrec.h
	@mkdir -p $(@D)
	$(WASM) $(if $(findstring _train,$@),-DWEB_TRAINING) \
	    $(if $(findstring _plain,$@),,$(if $(findstring _,$(notdir $@)),-msimd128,$(WASM_SMALL))) -o $@ $<

cuda: ## Compile the GPU kernels to build/sessrec_cuda.o; needs the CUDA Toolkit
	@command -v $(NVCC) >/dev/null || \
	    { echo "make cuda: there is no nvcc; install the CUDA Toolkit or say make cuda NVCC=/path/to/nvcc"; exit 1; }
	@mkdir -p $(BUILD)
	$(NVCC) $(NVCC_FLAGS) $(NVCC_WARNINGS) -c -o $(BUILD)/sessrec_cuda.o sessrec_cuda.cu

test-cuda: ## Every test of the GPU kernels on a GPU; skipped by name where there is none
	@NVCC="$(NVCC)" NVCC_FLAGS="$(NVCC_FLAGS)" sh tests/cuda.sh gpu

bench-cuda: ## Measure training on a GPU; skipped by name where there is none
	@command -v $(NVCC) >/dev/null || { echo "skipped make bench-cuda: there is no nvcc"; exit 0; }; mkdir -p $(BUILD) && \
	    $(NVCC) $(NVCC_FLAGS) -DSESSREC_CUDA -o $(BUILD)/speed_cuda bench/speed.c sessrec_cuda.cu -lm -lpthread && $(BUILD)/speed_cuda

service: ## Recommendations over HTTP; MODEL=FILE, PORT=8000, WORKERS=1, STORE=redis://HOST or a file: see examples/service
	@MODEL="$(MODEL)" PORT="$(PORT)" WORKERS="$(WORKERS)" STORE="$(STORE)" sh examples/service/run.sh $(BUILD)

install: $(BUILD)/sessrec ## Header, library, pkg-config and CMake files, command line and man page below PREFIX
	@CC="$(CC)" CFLAGS="$(CFLAGS)" CPPFLAGS="$(CPPFLAGS)" LDFLAGS="$(LDFLAGS)" BUILD="$(BUILD)" \
	    PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" sh examples/packaging/install.sh install

uninstall: ## Remove what make install put there
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" sh examples/packaging/install.sh uninstall

clean: ## Remove everything that was built
	rm -rf $(BUILD)

$(BUILD):
	@mkdir -p $@

$(BUILD)/header.o: sessrec.h | $(BUILD)
	@printf '#define SESSREC_IMPLEMENTATION\n#include "sessrec.h"\n' >$(BUILD)/header.c
	$(COMPILE) -I. -c -o $@ $(BUILD)/header.c

$(BUILD)/zoo: examples/zoo/zoo.c $(BUILD)/header.o examples/sessrec.c $(wildcard examples/*.h examples/zoo/*.h)
	$(COMPILE) $(LDFLAGS) -o $@ $< $(BUILD)/header.o $(LIBRARIES)

$(BUILD)/mpi_train: examples/mpi_train.c sessrec.h | $(BUILD)
	$(MPICC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(LIBRARIES)

$(BUILD)/game: examples/game/game.c sessrec.h examples/game/bazaar.h examples/shop.h | $(BUILD)
	$(COMPILE) $(LDFLAGS) -o $@ $< $(LIBRARIES)

$(BUILD)/%: examples/%.c sessrec.h $(wildcard examples/*.h) | $(BUILD)
	$(COMPILE) $(LDFLAGS) -o $@ $< $(LIBRARIES)

# Programs that look inside the header compile it themselves; for all others it is compiled once.
$(BUILD)/%: tests/%.c $(BUILD)/header.o $(wildcard tests/*.h examples/*.[ch] examples/zoo/*.h examples/game/*.h)
	$(COMPILE) $(LDFLAGS) -o $@ $< $(if $(shell grep -e '^ *# *define SESSREC_IMPLEMENTATION' -e '"double.h"' $<),,$(BUILD)/header.o) $(LIBRARIES)

$(BUILD)/fuzz_%: tests/fuzz/%.c $(wildcard tests/fuzz/*.h) sessrec.h | $(BUILD)
	$(COMPILE) $(LDFLAGS) -o $@ $< $(LIBRARIES)

$(BUILD)/%: bench/%.c sessrec.h $(wildcard bench/*.h examples/*.h) | $(BUILD)
	$(COMPILE) $(LDFLAGS) -o $@ $< $(LIBRARIES)
