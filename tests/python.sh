#!/bin/sh
# python.sh - builds the Python package in examples/python and runs its tests. Skipped by name where Python,
# or what the package is built with, is not there.
set -u
. "$(dirname "$0")/expect.sh"
PYTHON=${PYTHON:-python3}

in_python() { "$PYTHON" -c "$1" 2>/dev/null; }
tested() {
    sh "$root/examples/python/build.sh" "$root/build/python" || return 1
    PYTHONPATH=$root/build/python "$PYTHON" -m pytest -q -p no:cacheprovider "$root/examples/python/tests"
}
if ! have "$PYTHON"; then skip 'the Python package' "there is no $PYTHON"
elif ! in_python 'import cffi, setuptools, numpy, pytest'; then
    skip 'the Python package' "$PYTHON has no cffi, setuptools, numpy or pytest"
else
    expect "the Python package builds and passes its tests" tested
    for module in pandas polars tqdm safetensors onnx onnxruntime torch; do
        in_python "import $module" || skip "the Python package with $module" 'it is not installed'
    done
fi
report
