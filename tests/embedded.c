// embedded.c - a recommender on a Cortex-M4: the model stays in flash, RAM holds its handle, one visitor and
// the stack. The target, compiled with SESSION_BYTES, says through semihosting how much each of them took.
// Without it this runs where it is compiled, and writes the model (PATH ITEMS HIDDEN), or with PATH alone
// what the target must recommend. tests/embedded.sh builds and runs both.
#define SESSREC_IMPLEMENTATION
#ifdef SESSION_BYTES
#  define SESSREC_NO_TRAINING
#  define SESSREC_NO_STDIO
#  define SESSREC_MALLOC(size) ((void)(size), (void *)0)
#  define SESSREC_FREE(block) ((void)(block))
#endif
#include "../sessrec.h"

enum { REMEMBER = 20, CLICKS = 8, TOP = 3 };

// The library takes one block, for the handle of a model; it is never given back.
typedef struct arena {
    size_t size, used;
    unsigned char *bytes;
} arena;

static void *take(void *user, size_t bytes) {
    arena *a = (arena *)user;
    if (bytes > a->size - a->used) return NULL;
    a->used += bytes;
    return a->bytes + a->used - bytes;
}
static void leave(void *user, void *block) {
    (void)user;
    (void)block;
}

typedef void (*say)(const char *what, long value);

// The clicks of a visitor, who goes through bytes half way. Returns NULL or what failed.
static const char *visit(const void *model_bytes, size_t size, arena *handle, unsigned char *memory,
                         size_t room, say out) {
    static unsigned char state[1024];
    const sessrec_allocator memory_of = {take, leave, handle};
    sessrec_query query = sessrec_query_default();
    sessrec_recommendation best[TOP];
    sessrec_model *model;
    sessrec_session *visitor;
    int32_t count;
    if (sessrec_model_import(model_bytes, size, &memory_of, &model, NULL)) return "import";
    const int32_t items = sessrec_model_describe(model).item_count;
    query.k = TOP;
    if (sessrec_session_init(model, REMEMBER, memory, room, &visitor, NULL)) return "init";
    for (int32_t i = 0; i < CLICKS; ++i) {
        const size_t bytes = sessrec_session_export_size(visitor);
        if (sessrec_session_click(visitor, (i * i * 7 + 3) % items)) return "click";
        if (sessrec_session_recommend(visitor, &query, best, &count, NULL)) return "recommend";
        for (int32_t r = 0; r < count; ++r) out("item", best[r].item);
        if (bytes > sizeof state || sessrec_session_export(visitor, state, bytes)) return "export";
        sessrec_session_end(visitor);
        if (sessrec_session_import(visitor, state, bytes)) return "import of the state";
    }
    out("session", (long)sessrec_session_size(model, REMEMBER));
    return NULL;
}

#ifndef SESSION_BYTES
#  include <stdio.h>

static void print(const char *what, long value) {
    if (what[0] == 'i') printf("item %ld\n", value);
}

int main(int argc, char **argv) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    const sessrec_model *made = NULL;
    sessrec_model *model = NULL;
    if (argc == 4) {
        const int items = atoi(argv[2]);
        sessrec_trainer *trainer = NULL;
        sessrec_log *log = NULL;
        sessrec_config config = sessrec_config_default();
        config.hidden[0] = atoi(argv[3]);
        config.batch_size = 8;
        config.negatives = 8;
        int failed = sessrec_log_create(NULL, &log, &err) != SESSREC_OK;
        for (int i = 0; i < 3 * items; ++i)
            failed |= sessrec_log_add_numbers(log, -1, i / 6, i * 7 % items, i) != SESSREC_OK;
        failed |= sessrec_log_finish(log, &err) || sessrec_trainer_create(&config, log, &trainer, &err) ||
                  sessrec_trainer_model(trainer, &made, &err) || sessrec_model_write(made, argv[1], &err);
        sessrec_trainer_destroy(trainer);
        sessrec_log_destroy(log);
        if (failed) fprintf(stderr, "%s\n", err.text);
        return failed;
    }
    if (argc != 2 || sessrec_model_read(argv[1], NULL, &model, &err)) return 1;
    const size_t size = sessrec_model_export_size(model);
    unsigned char *bytes = (unsigned char *)malloc(size + 64), *memory = (unsigned char *)malloc(65536),
                  *aligned = bytes + (64 - (uintptr_t)bytes % 64) % 64;
    arena handle = {65536, 0, (unsigned char *)malloc(65536)};
    const char *failed = "export of the model";
    if (!sessrec_model_export(model, aligned, size))
        failed = visit(aligned, size, &handle, memory, 65536, print);
    if (failed) fprintf(stderr, "%s failed\n", failed);
    free(bytes);
    free(memory);
    free(handle.bytes);
    sessrec_model_destroy(model);
    return failed != NULL;
}

#else  // the target

extern const unsigned char model_begin[], model_end[];
extern uint32_t ram_begin[], ram_end[], data_flash[], data_begin[], data_end[], bss_end[];

// Semihosting: the emulator, or a debugger, does what r0 asks for.
static void call(uint32_t number, const void *argument) {
    register uint32_t r0 __asm__("r0") = number;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

static void report(const char *what, long value) {
    char digits[12];
    char *at = digits + sizeof digits;
    *--at = 0;
    *--at = '\n';
    do *--at = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    *--at = ' ';
    call(4, what);
    call(4, at);
}

static unsigned char handle_bytes[2048], visitor[SESSION_BYTES];

static void run(void) {
    arena handle = {sizeof handle_bytes, 0, handle_bytes};
    const char *failed = visit(model_begin, (size_t)(model_end - model_begin), &handle, visitor,
                               sizeof visitor, report);
    if (failed) call(4, failed), call(4, " failed\n");
    report("handle", (long)handle.used);
}

void reset(void);
void reset(void) {
    uint32_t here, *at = ram_begin, *from = data_flash;
    *(volatile uint32_t *)0xe000ed88u |= 0xfu << 20;  // the floating-point unit is on
    for (at = data_begin; at < data_end;) *at++ = *from++;
    for (; at < bss_end;) *at++ = 0;
    // so that it is seen how deep the stack was
    for (; (uintptr_t)at < (uintptr_t)&here - 256; ++at) *at = 0xa5a5a5a5u;
    run();
    for (at = bss_end; *at == 0xa5a5a5a5u;) ++at;
    report("stack", (long)((char *)ram_end - (char *)at));
    call(0x18, (const void *)0x20026u);  // the end, and all is well
    for (;;) {}
}

__attribute__((section(".vectors"), used)) static void (*const vectors[2])(void) = {
    (void (*)(void))(uintptr_t)ram_end, reset};
#endif
