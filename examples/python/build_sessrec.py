"""What cffi needs to compile sessrec.h: its declarations, taken from the header itself so that they cannot
differ from it."""
import re
import sys
from pathlib import Path

import cffi

HERE = Path(__file__).resolve().parent
HEADER = next(path for path in (HERE / "sessrec.h", HERE.parent.parent / "sessrec.h") if path.exists())

# Functions in Python that the library calls: the progress of training, and scorers of your own.
CALLBACKS = """
extern "Python" int32_t sessrec_python_progress(void *user, const sessrec_progress *progress);
extern "Python" size_t sessrec_python_scratch(const void *self, int32_t rows);
extern "Python" int32_t sessrec_python_find(const void *self, const char *id);
extern "Python" const char *sessrec_python_id(const void *self, int32_t item);
extern "Python" void sessrec_python_begin(const void *self, void *state, const void *user, double time);
extern "Python" void sessrec_python_click(const void *self, int32_t rows, void *states, const int32_t *items,
                                          const double *times, void *scratch);
extern "Python" int32_t sessrec_python_list(const void *self, const void *state,
                                            const sessrec_recommendation **out, void *scratch);
"""

# Loops over events, which Python would be slow at.
LOOPS = r"""
typedef struct sessrec_python_events {
    int64_t count;
    sessrec_event *events;
} sessrec_python_events;

static void sessrec_python_record(void *user, const sessrec_event *event) {
    sessrec_python_events *to = (sessrec_python_events *)user;
    to->events[to->count++] = *event;
}

// Events whose ids are numbers or, where there are texts, what texts[number] says. users may be NULL. finish
// has the first failure.
static void sessrec_python_add(sessrec_log *log, int64_t count, const int64_t *const *numbers,
                               const char *const *const *texts, const double *times) {
    char room[3][24];
    const char *id[3] = {NULL, NULL, NULL};
    for (int64_t e = 0; e < count; ++e) {
        for (int role = 0; role < 3; ++role) {
            if (!numbers[role] || (e && numbers[role][e] == numbers[role][e - 1])) continue;
            const int64_t number = numbers[role][e];
            id[role] = texts[role] && number >= 0 ? texts[role][number] : room[role];
            if (id[role] == room[role]) snprintf(room[role], sizeof *room, "%lld", (long long)number);
            if (!role && number < 0) id[role] = NULL;
        }
        if (sessrec_log_add(log, id[0], id[1], id[2], times[e])) return;
    }
}

// Appends the sessions of a log to an index of neighbors; items [item_count of the log] has their numbers
// there.
static sessrec_result sessrec_python_append(const sessrec_scorer *knn, const sessrec_log *log,
                                            const int32_t *items, int32_t *room) {
    const sessrec_log_view view = sessrec_log_contents(log);
    sessrec_result result = SESSREC_OK;
    for (int32_t s = 0; s < view.session_count && !result; ++s) {
        const int64_t begin = view.session_begins[s], count = view.session_begins[s + 1] - begin;
        for (int64_t i = 0; i < count; ++i) room[i] = items[view.items[begin + i]];
        result = sessrec_knn_append(knn, room, (int32_t)count, view.times[begin + count - 1]);
    }
    return result;
}
"""
LOOPS_DECLARED = """
typedef struct sessrec_python_events {
    int64_t count;
    sessrec_event *events;
} sessrec_python_events;
void sessrec_python_record(void *user, const sessrec_event *event);
void sessrec_python_add(sessrec_log *log, int64_t count, const int64_t *const *numbers,
                        const char *const *const *texts, const double *times);
sessrec_result sessrec_python_append(const sessrec_scorer *knn, const sessrec_log *log, const int32_t *items,
                                     int32_t *room);
"""


def declarations(text):
    """The API of the header as cffi reads C: without comments, conditions and the seam for a GPU."""
    api = text[text.index("// >>api"):text.index("Stop here if you only use it")]
    api = re.sub(r"//[^\n]*", "", api)
    api = re.sub(r"#ifdef SESSREC_CUDA.*?#endif", "", api, flags=re.S)
    api = re.sub(r'#ifdef __cplusplus.*?#endif', "", api, flags=re.S)
    numbers = dict(re.findall(r"^#define (SESSREC_\w+) +(\d+)$", api, flags=re.M))
    api = re.sub(r"^[ \t]*#[^\n]*$", "", api, flags=re.M)
    for name, number in numbers.items():
        api = re.sub(rf"\b{name}\b", number, api)
    return re.sub(r"\bSESSREC_API\b", "", api) + "".join(f"#define {name} ...\n" for name in numbers)


builder = cffi.FFI()
builder.cdef(declarations(HEADER.read_text()) + CALLBACKS + LOOPS_DECLARED)
builder.set_source(
    "sessrec._library",
    '#define SESSREC_STATIC\n#define SESSREC_IMPLEMENTATION\n#include "sessrec.h"\n#include <stdio.h>\n'
    + LOOPS,
    include_dirs=[str(HEADER.parent)],
    libraries=[] if sys.platform == "win32" else ["m", "pthread"],
    extra_compile_args=[] if sys.platform == "win32" else ["-O2"],
    py_limited_api=True,
)

if __name__ == "__main__":
    builder.compile(verbose=True)
