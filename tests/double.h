// double.h - compiles the header, and what is included after it, with every float a double. What stands on
// float's bits has a branch for it there.
#define SESSREC__DOUBLE                                                                                      \
  SESSREC__DOUBLE  // names itself, because an enumerator of the header has the same name
#define SESSREC_NO_SIMD
#define SESSREC_NO_THREADS

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__unix__) || defined(__APPLE__)
#  include <sys/time.h>
#  include <unistd.h>
#endif

#ifdef __clang__
#  pragma clang diagnostic ignored "-Wkeyword-macro"
#endif
#define float double
#define nextafterf nextafter
#define SESSREC_IMPLEMENTATION
#include "models.h"
