"""Counters in the text format of Prometheus, summed over the workers of an instance.

The workers share a file that is mapped into memory, in which each has a row of numbers of its own.
"""
from __future__ import annotations

import fcntl
import mmap
import os
import struct
from typing import Dict, List

WORKERS = 64                  # rows in the file
BOUNDS = (.001, .002, .003, .005, .007, .01, .02, .05, .1, .5)
COUNTERS = {
    "requests": "Requests to recommend, also those that failed",
    "failures": "Requests that were answered with an error of the service (5xx)",
    "refusals": "Requests that were answered with an error of the client (4xx)",
    "clicks": "Clicks, also on unknown items",
    "unknown_clicks": "Clicks on items that the model does not know",
    "batches": "Passes through the item table; requests per pass say how well they are batched",
    "conflicts": "Records that another instance changed in between, so that they were read again",
    "store_failures": "Calls of the store that failed",
    "reloads": "Models that were loaded after the first",
    "reload_failures": "Model files that could not be loaded, so that the model before stayed",
    "seconds_sum": "",
}
SLOTS = [*COUNTERS, *(f"seconds_{bound}" for bound in (*BOUNDS, "inf"))]
ROW = 8 * len(SLOTS)


class Metrics:
    def __init__(self, path: str):
        self.file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.truncate(path, ROW * WORKERS) if os.fstat(self.file).st_size < ROW * WORKERS else None
        self.map = mmap.mmap(self.file, ROW * WORKERS)
        self.row = self._claim() * ROW
        self.place = {name: i for i, name in enumerate(SLOTS)}

    def _claim(self) -> int:
        """A row that no running worker has; it goes on from what a former worker counted there."""
        for row in range(WORKERS):
            try:
                fcntl.lockf(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, row)
                return row
            except OSError:
                continue
        raise RuntimeError(f"more than {WORKERS} workers share one file of metrics")

    def add(self, name: str, value: float = 1) -> None:
        at = self.row + 8 * self.place[name]
        struct.pack_into("<d", self.map, at, struct.unpack_from("<d", self.map, at)[0] + value)

    def took(self, seconds: float) -> None:
        self.add("seconds_sum", seconds)
        self.add(f"seconds_{next((bound for bound in BOUNDS if seconds <= bound), 'inf')}")

    def sums(self) -> Dict[str, float]:
        rows = [struct.unpack_from(f"<{len(SLOTS)}d", self.map, ROW * row) for row in range(WORKERS)]
        return {name: sum(row[i] for row in rows) for i, name in enumerate(SLOTS)}

    def text(self, **gauges: float) -> str:
        sums, lines = self.sums(), []  # type: Dict[str, float], List[str]
        for name, help_text in COUNTERS.items():
            if help_text:
                lines += [f"# HELP sessrec_{name}_total {help_text}", f"# TYPE sessrec_{name}_total counter",
                          f"sessrec_{name}_total {sums[name]:.0f}"]
        lines += ["# HELP sessrec_seconds How long requests to recommend took",
                  "# TYPE sessrec_seconds histogram"]
        count = 0.0
        for bound in (*BOUNDS, "inf"):
            count += sums[f"seconds_{bound}"]
            lines.append(f'sessrec_seconds_bucket{{le="{"+Inf" if bound == "inf" else bound}"}} {count:.0f}')
        lines += [f"sessrec_seconds_sum {sums['seconds_sum']:.6f}", f"sessrec_seconds_count {count:.0f}"]
        for name, value in gauges.items():
            lines += [f"# TYPE sessrec_{name} gauge", f"sessrec_{name} {value}"]
        return "\n".join(lines) + "\n"
