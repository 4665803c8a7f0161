"""What cffi needs to compile sessrec.h: its declarations, taken from the header itself so that they cannot
differ from it."""
import re
import sys
from pathlib import Path

import cffi

HERE = Path(__file__).resolve().parent
HEADER = next(path for path in (HERE / "sessrec.h", HERE.parent.parent / "sessrec.h") if path.exists())

# Functions in Python that the library calls.
CALLBACKS = """
extern "Python" int32_t sessrec_python_progress(void *user, const sessrec_progress *progress);
extern "Python" void sessrec_python_event(void *user, const sessrec_event *event);
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
builder.cdef(declarations(HEADER.read_text()) + CALLBACKS)
builder.set_source(
    "sessrec._library",
    '#define SESSREC_STATIC\n#define SESSREC_IMPLEMENTATION\n#include "sessrec.h"\n',
    include_dirs=[str(HEADER.parent)],
    libraries=[] if sys.platform == "win32" else ["m", "pthread"],
    extra_compile_args=[] if sys.platform == "win32" else ["-O2"],
    py_limited_api=True,
)

if __name__ == "__main__":
    builder.compile(verbose=True)
