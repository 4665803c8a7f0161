"""Conan recipe: `conan create examples/packaging/conan` from a checkout. The header alone is packaged; link
nothing."""
import os
import re

from conan import ConanFile
from conan.tools.files import copy, load


class SessrecConan(ConanFile):
    name = "sessrec"
    description = "Session-based recommendation in one C header"
    license = "Unlicense OR MIT-0"
    topics = ("recommendation", "gru4rec", "header-only")
    package_type = "header-library"
    no_copy_source = True
    _files = ("sessrec.h", "LICENSE")

    @property
    def _checkout(self):
        return os.path.abspath(os.path.join(self.recipe_folder, "..", "..", ".."))

    def set_version(self):
        text = load(self, os.path.join(self._checkout, "sessrec.h"))
        numbers = [re.search(rf"#define SESSREC_VERSION_{part} (\d+)", text) for part in ("MAJOR", "MINOR",
                "PATCH")]
        self.version = ".".join(number.group(1) for number in numbers)

    def export_sources(self):
        for file in self._files:
            copy(self, file, self._checkout, self.export_sources_folder)

    def package(self):
        copy(self, "sessrec.h", self.source_folder, os.path.join(self.package_folder, "include"))
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))

    def package_info(self):
        self.cpp_info.set_property("cmake_target_name", "sessrec::header")
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
        if self.settings.get_safe("os") != "Windows":
            self.cpp_info.system_libs = ["m", "pthread"]
