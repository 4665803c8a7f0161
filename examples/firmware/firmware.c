// firmware.c - a recommender without an operating system: the model in flash, one visitor in RAM
//
// Runs on a bare Cortex-M or RISC-V processor, and where it is compiled; README.md has the commands. It
// clicks and recommends, and says what that took.
#define SESSREC_TINY
#define SESSREC_IMPLEMENTATION
#include "../../sessrec.h"

#include "machine.h"

#ifdef MODEL_ASSEMBLED  // sessrec export ... -o model.S
extern const unsigned char model_bytes[], model_end[];
#  define MODEL_SIZE ((size_t)(model_end - model_bytes))
#else                   // sessrec export ... -o model.h
#  include "model.h"
#  define MODEL_SIZE sizeof model_bytes
#endif
#ifdef MODEL_FLOAT
#  define OPEN sessrec_tiny_open_float
#else
#  define OPEN sessrec_tiny_open
#endif
#ifndef VISITOR_BYTES   // sessrec_tiny_size of the model, for 20 remembered items
#  define VISITOR_BYTES 256
#endif
enum { REMEMBER = 20, CLICKS = 8, TOP = 3 };

static sessrec_tiny model;
static int32_t visitor[VISITOR_BYTES / 4];

int main(void) {
    sessrec_tiny_item best[TOP];
    uint32_t click = 0, recommend = 0;
    const sessrec_result opened = OPEN(model_bytes, MODEL_SIZE, &model);
    const size_t needed = opened ? 0 : sessrec_tiny_size(&model, REMEMBER);
    machine_say("open", opened);
    machine_say("handle", (int32_t)sizeof model);
    machine_say("visitor", (int32_t)needed);
    if (opened || needed > sizeof visitor || sessrec_tiny_begin(&model, REMEMBER, visitor)) return 1;
    for (int32_t i = 0; i < CLICKS; ++i) {
        const int32_t item = (i * i * 7 + 3) % model.info.item_count;
        const uint32_t begin = machine_ticks();
        if (sessrec_tiny_click(&model, visitor, item)) return 1;
        const uint32_t middle = machine_ticks();
        const int32_t count = sessrec_tiny_recommend(&model, visitor, TOP, best);
        recommend += machine_between(middle, machine_ticks());
        click += machine_between(begin, middle);
        for (int32_t r = 0; r < count; ++r) {
            machine_say("item", best[r].item);
            machine_say("score", best[r].score);
        }
    }
    machine_say("click", (int32_t)(click / CLICKS));
    machine_say("recommend", (int32_t)(recommend / CLICKS));
    return 0;
}
