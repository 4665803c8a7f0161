// all.h - every architecture of the zoo
#ifndef ZOO_ALL_H
#define ZOO_ALL_H

#include "bert4rec.h"
#include "bprmf.h"
#include "bst.h"
#include "caser.h"
#include "fpmc.h"
#include "lru.h"
#include "sasrec.h"
#include "srgnn.h"
#include "stamp.h"

static const zoo_model *const zoo_kinds[] = {&zoo_sasrec, &zoo_lru,   &zoo_bst,   &zoo_bert4rec, &zoo_srgnn,
                                            &zoo_stamp,  &zoo_caser, &zoo_fpmc, &zoo_bprmf};
enum { ZOO_KINDS = (int)(sizeof zoo_kinds / sizeof *zoo_kinds) };

#endif // ZOO_ALL_H
