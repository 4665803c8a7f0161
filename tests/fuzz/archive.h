// archive.h - for targets whose input is one archive: how a changed one is made whole again, and forged
#include "fuzz.h"

static void sessrec_fuzz_seal(uint8_t *data, size_t size) {
    seal_archive(data, size);
}
static void sessrec_fuzz_forge(uint8_t *data, size_t size, uint32_t random) {
    forge_archive(data, size, random);
}
