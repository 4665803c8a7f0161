"""Click logs: from a file, from arrays, from a DataFrame."""
from __future__ import annotations

import os
from typing import Any, Optional, Tuple

import numpy as np

from ._library import ffi, lib


class SessrecError(Exception):
    """What the library says when a call fails; `code` is its name for the kind of failure, `line` that of a
    log, or 0."""

    def __init__(self, text: str, code: str = "", line: int = 0):
        super().__init__(f"line {line}: {text}" if line else text)
        self.code, self.line = code, line


def error() -> Any:
    return ffi.new("sessrec_error *")


def check(result: int, err: Any = None) -> None:
    """Raises what a call that failed has to say."""
    if not result:
        return
    phrase = ffi.string(lib.sessrec_result_text(result)).decode()
    if err is not None and err.code == result and err.text[0] != b"\0":
        raise SessrecError(ffi.string(err.text).decode("utf-8", "replace"), phrase, err.line)
    if result == lib.SESSREC_OUT_OF_MEMORY:
        raise MemoryError(phrase)
    raise SessrecError(phrase, phrase)


def _numbers(column: Any) -> Tuple[np.ndarray, Optional[np.ndarray]]:
    """Integer ids as they are; of others, numbers in the order of appearance and the texts that they stand
    for."""
    values = np.asarray(column)
    if values.dtype.kind in "iub":
        return np.ascontiguousarray(values, dtype=np.int64), None
    texts, first, numbers = np.unique(values.astype(str), return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return np.ascontiguousarray(rank[numbers], dtype=np.int64), texts[order]


def _seconds(column: Any) -> np.ndarray:
    values = np.asarray(column)
    if values.dtype.kind == "M":
        return values.astype("datetime64[ns]").astype(np.int64) / 1e9
    return np.ascontiguousarray(values, dtype=np.float64)


class Log:
    """A log of clicks, grouped into sessions that are in the order of time. It does not change after it is
    made."""

    def __init__(self, handle: Any):
        self._handle = ffi.gc(handle, lib.sessrec_log_destroy)

    @classmethod
    def read(cls, path: Any, items_of: Any = None, **columns: Any) -> "Log":
        """Reads a CSV, TSV or JSON-lines file. Columns and the like have the names of sessrec_log_format:
        item_column="sku"."""
        form = ffi.new("sessrec_log_format *", lib.sessrec_log_format_default())
        texts = []
        for name, value in columns.items():
            if not hasattr(form, name) or name in ("canary", "items_of", "allocator"):
                raise TypeError(f"a log format has no {name}")
            if isinstance(value, str):
                texts.append(ffi.new("char[]", value.encode()))
                value = texts[-1]
            setattr(form, name, value)
        if items_of is not None:
            form.items_of = items_of._handle
        out, err = ffi.new("sessrec_log **"), error()
        check(lib.sessrec_log_read(os.fsencode(path), form, out, err), err)
        return cls(out[0])

    @classmethod
    def from_arrays(cls, sessions: Any, items: Any, times: Any, users: Any = None,
                    items_of: Any = None) -> "Log":
        """Makes a log of arrays of the same length. Ids are integers or texts; times are seconds or
        datetime64."""
        session, _ = _numbers(sessions)
        time = _seconds(times)
        item, texts = _numbers(items)
        user = None if users is None else _numbers(users)[0]
        if not len(session) == len(item) == len(time) or (user is not None and len(user) != len(item)):
            raise ValueError("the arrays of a log have different lengths")
        form = ffi.new("sessrec_log_format *", lib.sessrec_log_format_default())
        if items_of is not None:
            form.items_of = items_of._handle
        out, err = ffi.new("sessrec_log **"), error()
        check(lib.sessrec_log_create(form, out, err), err)
        log = cls(out[0])
        if texts is None:
            check(lib.sessrec_log_add_many(
                log._handle, len(item), ffi.NULL if user is None else ffi.from_buffer("int64_t[]", user),
                ffi.from_buffer("int64_t[]", session), ffi.from_buffer("int64_t[]", item),
                ffi.from_buffer("double[]", time)))
        else:
            names = [ffi.new("char[]", text.encode()) for text in texts]
            add, handle = lib.sessrec_log_add, log._handle
            for e in range(len(item)):
                name = ffi.NULL if user is None else b"%d" % user[e]
                add(handle, name, b"%d" % session[e], names[item[e]], time[e])  # finish has the first failure
        check(lib.sessrec_log_finish(log._handle, err), err)
        return log

    @classmethod
    def from_frame(cls, frame: Any, session: str = "SessionId", item: str = "ItemId", time: str = "Time",
                   user: Optional[str] = None, items_of: Any = None) -> "Log":
        """Makes a log of a DataFrame of pandas or polars."""
        column = lambda name: frame[name].to_numpy()  # noqa: E731
        return cls.from_arrays(column(session), column(item), column(time), None if user is None
                               else column(user), items_of)

    @classmethod
    def of(cls, clicks: Any, items_of: Any = None) -> "Log":
        """A log of whatever is one: a Log, a DataFrame with the default column names, or the path of a
        file."""
        if isinstance(clicks, Log):
            return clicks
        if hasattr(clicks, "columns"):
            return cls.from_frame(clicks, user="UserId" if "UserId" in clicks.columns else None,
                                  items_of=items_of)
        return cls.read(clicks, items_of=items_of)

    @property
    def _view(self) -> Any:
        return lib.sessrec_log_contents(self._handle)

    @property
    def event_count(self) -> int:
        return self._view.event_count

    @property
    def session_count(self) -> int:
        return self._view.session_count

    @property
    def item_count(self) -> int:
        return self._view.item_count

    @property
    def items(self) -> np.ndarray:
        """The item of each event, as a number from 0: the library's own array, not a copy. Keep the log while
        you use it."""
        view = self._view
        array = np.frombuffer(ffi.buffer(view.items, 4 * view.event_count),
                              dtype=np.int32) if view.event_count else np.empty(0, np.int32)
        array.flags.writeable = False
        return array

    @property
    def notes(self) -> list:
        """What a person should know of what was read: units of time, bad rows by kind."""
        found = []
        while (note := lib.sessrec_log_note(self._handle, len(found))) != ffi.NULL:
            found.append(ffi.string(note).decode("utf-8", "replace"))
        return found

    def item_id(self, item: int) -> str:
        return ffi.string(lib.sessrec_log_item_id(self._handle, item)).decode("utf-8", "replace")

    def split_time(self, time: float) -> Tuple["Log", "Log"]:
        """Sessions that end before `time`, in seconds, and those that begin at or after it."""
        before, after, err = ffi.new("sessrec_log **"), ffi.new("sessrec_log **"), error()
        check(lib.sessrec_log_split_time(self._handle, time, before, after, err), err)
        return Log(before[0]), Log(after[0])

    def write(self, path: Any) -> None:
        err = error()
        check(lib.sessrec_log_write(self._handle, os.fsencode(path), err), err)

    def __repr__(self) -> str:
        view = self._view
        return (f"<sessrec.Log: {view.event_count} clicks on {view.item_count} items in "
                f"{view.session_count} sessions>")
