// core.c - nothing but the recommender, to measure its code:  size core.o
#define SESSREC_TINY
#define SESSREC_IMPLEMENTATION
#include "../../sessrec.h"

int32_t core_run(const void *bytes, size_t size, sessrec_tiny *model, void *visitor, int32_t item,
                 sessrec_tiny_item *out);
int32_t core_run(const void *bytes, size_t size, sessrec_tiny *model, void *visitor, int32_t item,
                 sessrec_tiny_item *out) {
#ifdef MODEL_FLOAT
    if (sessrec_tiny_open_float(bytes, size, model)) return 0;
#else
    if (sessrec_tiny_open(bytes, size, model)) return 0;
#endif
    if (sessrec_tiny_begin(model, 20, visitor) || sessrec_tiny_click(model, visitor, item)) return 0;
    return sessrec_tiny_recommend(model, visitor, 5, out);
}
