"""Builds the extension from sessrec.h, which lies two folders up in a checkout and beside this file in a
source package."""
import re
import sys
from pathlib import Path

from setuptools import setup

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools before 70
    from wheel.bdist_wheel import bdist_wheel

sys.path.insert(0, str(Path(__file__).parent))
from build_sessrec import HEADER  # noqa: E402

numbers = re.findall(r"#define SESSREC_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", HEADER.read_text())


class AnyPython3(bdist_wheel):
    """The extension uses the limited API: one wheel for every Python from 3.9 on."""

    def get_tag(self):
        _, _, platform = super().get_tag()
        return "cp39", "abi3", platform


setup(
    version=".".join(numbers),
    cffi_modules=["build_sessrec.py:builder"],
    cmdclass={"bdist_wheel": AnyPython3},
    options={"bdist_wheel": {"py_limited_api": "cp39"}},
)
