"""Click logs: from a file, from arrays, from a DataFrame of pandas or polars."""
from __future__ import annotations

import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

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


# ---- columns -----------------------------------------------------------------------------------------------

class _Ids(NamedTuple):
    """A column of ids: integers as they are, or numbers of the distinct texts."""

    numbers: np.ndarray
    texts: Optional[List[Any]] = None


def _ids(column: Any) -> _Ids:
    """A missing text (None, NaN) has the number -1."""
    if hasattr(column, "to_physical") and not column.dtype.is_integer():  # polars
        import polars

        texts = column.cast(polars.String)
        distinct = texts.drop_nulls().unique(maintain_order=True)
        numbers = texts.replace_strict(distinct, polars.int_range(len(distinct), eager=True), default=-1)
        return _Ids(np.ascontiguousarray(numbers.to_numpy()), _texts(distinct.to_list()))
    values = np.asarray(column)
    if values.dtype.kind in "iub":
        return _Ids(np.ascontiguousarray(values, dtype=np.int64))
    if values.dtype.kind == "f":
        if not np.array_equal(values, np.trunc(values)):
            raise ValueError("ids are integers or texts; these are fractions, or some are missing")
        return _Ids(values.astype(np.int64))
    try:
        import pandas

        numbers, distinct = pandas.factorize(values)
    except ImportError:
        distinct, numbers = np.unique(values.astype(str), return_inverse=True)
    return _Ids(np.ascontiguousarray(numbers, dtype=np.int64), _texts(distinct))


def _texts(distinct: Any) -> List[Any]:
    return [ffi.new("char[]", str(text).encode()) for text in distinct]


def _seconds(column: Any) -> np.ndarray:
    values = np.asarray(column)
    if values.dtype.kind == "M":
        return values.astype("datetime64[ns]").astype(np.int64) / 1e9
    return np.ascontiguousarray(values, dtype=np.float64)


def library_of(frame: Any) -> str:
    return type(frame).__module__.split(".")[0]


def make_frame(columns: dict, library: str) -> Any:
    if library == "polars":
        import polars

        return polars.DataFrame({name: values.tolist() if getattr(values, "dtype", None) == object else values
                                 for name, values in columns.items()})
    import pandas

    return pandas.DataFrame(columns, copy=False)


# ---- logs --------------------------------------------------------------------------------------------------

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
        datetime64. A user that is None or negative is none."""
        columns: List[Any] = [None if users is None else _ids(users), _ids(sessions), _ids(items)]
        time = _seconds(times)
        if any(column is not None and len(column.numbers) != len(time) for column in columns):
            raise ValueError("the arrays of a log have different lengths")
        for column, name in zip(columns[1:], ("session", "item")):
            if column.texts is not None and len(time) and column.numbers.min() < 0:
                raise ValueError(f"row {int(np.argmin(column.numbers))} has no {name}")
        return cls._of_ids(columns, time, items_of)

    @classmethod
    def _of_ids(cls, columns: List[Optional[_Ids]], time: np.ndarray, items_of: Any) -> "Log":
        form = ffi.new("sessrec_log_format *", lib.sessrec_log_format_default())
        if items_of is not None:
            form.items_of = items_of._handle
        out, err = ffi.new("sessrec_log **"), error()
        check(lib.sessrec_log_create(form, out, err), err)
        log = cls(out[0])
        numbers = [ffi.NULL if column is None else ffi.from_buffer("int64_t[]", column.numbers)
                   for column in columns]
        when = ffi.from_buffer("double[]", time)
        if all(column is None or column.texts is None for column in columns):
            check(lib.sessrec_log_add_many(log._handle, len(time), *numbers, when))
        else:
            texts = [ffi.NULL if column is None or column.texts is None
                     else ffi.new("char *[]", column.texts or [ffi.NULL]) for column in columns]
            lib.sessrec_python_add(log._handle, len(time), ffi.new("int64_t *[]", numbers),
                                   ffi.new("char **[]", texts), when)
        check(lib.sessrec_log_finish(log._handle, err), err)
        return log

    @classmethod
    def from_frame(cls, frame: Any, session: str = "SessionId", item: str = "ItemId", time: str = "Time",
                   user: Optional[str] = None, items_of: Any = None) -> "Log":
        """Makes a log of a DataFrame of pandas or polars."""
        return cls.from_arrays(frame[session], frame[item], frame[time].to_numpy(),
                               None if user is None else frame[user], items_of)

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
    def user_count(self) -> int:
        """0 if the log has no users."""
        return self._view.user_count

    def _array(self, pointer: Any, count: int, dtype: Any) -> np.ndarray:
        size = count * np.dtype(dtype).itemsize
        array = np.frombuffer(ffi.buffer(pointer, size), dtype) if size else np.empty(0, dtype)
        array.flags.writeable = False
        return array

    @property
    def items(self) -> np.ndarray:
        """The item of each event, as a number from 0: the library's own array, not a copy. Keep the log while
        you use it; the same holds for times and session_begins."""
        return self._array(self._view.items, self.event_count, np.int32)

    @property
    def times(self) -> np.ndarray:
        """The time of each event in seconds."""
        return self._array(self._view.times, self.event_count, np.float64)

    @property
    def session_begins(self) -> np.ndarray:
        """Events of session s are session_begins[s] .. session_begins[s + 1] - 1."""
        return self._array(self._view.session_begins, self.session_count + 1, np.int64)

    @property
    def notes(self) -> List[str]:
        """What a person should know of what was read: units of time, bad rows by kind."""
        found: List[str] = []
        while (note := lib.sessrec_log_note(self._handle, len(found))) != ffi.NULL:
            found.append(ffi.string(note).decode("utf-8", "replace"))
        return found

    def item_id(self, item: int) -> str:
        return ffi.string(lib.sessrec_log_item_id(self._handle, item)).decode("utf-8", "replace")

    def _names(self, of: Any, count: int) -> np.ndarray:
        return np.array([ffi.string(of(self._handle, i)).decode("utf-8", "replace") for i in range(count)],
                        dtype=object)

    @property
    def categories(self) -> Dict[str, np.ndarray]:
        """Columns beside the ids (category_columns="Brand,Color" of read) by name: a text for each event, or
        None."""
        view, found = self._view, {}
        for column in range(view.category_count):
            values = self._names(lambda log, value: lib.sessrec_log_value(log, column, value),  # noqa: B023
                                 view.value_counts[column])
            numbers = self._array(view.categories[column], view.event_count, np.int32)
            name = ffi.string(lib.sessrec_log_category(self._handle, column)).decode("utf-8", "replace")
            found[name] = np.array([*values, None], dtype=object)[numbers]  # -1, no value, is the last
        return found

    def numbered_like(self, model: Any) -> "Log":
        """The same clicks without categories, with the numbers that items have in a model, as training it
        further needs them."""
        view, events = self._view, np.diff(self.session_begins)

        def ids(of: Any, numbers: np.ndarray, count: int) -> _Ids:
            return _Ids(np.ascontiguousarray(numbers, np.int64), [of(self._handle, i) for i in range(count)])

        users = None
        if view.session_users != ffi.NULL:
            numbers = self._array(view.session_users, view.session_count, np.int32)
            users = ids(lib.sessrec_log_user_id, np.repeat(numbers, events), view.user_count)
        sessions = ids(lib.sessrec_log_session_id, np.repeat(np.arange(view.session_count), events),
                       view.session_count)
        items = ids(lib.sessrec_log_item_id, self.items, view.item_count)
        return self._of_ids([users, sessions, items], self.times, model)

    def to_frame(self, library: str = "pandas") -> Any:
        """The clicks as a DataFrame of pandas or polars, ids as texts, in the order of sessions."""
        view = self._view
        events = np.diff(self.session_begins)
        columns = {
            "SessionId": np.repeat(self._names(lib.sessrec_log_session_id, view.session_count), events),
            "ItemId": self._names(lib.sessrec_log_item_id, view.item_count)[self.items],
            "Time": self.times.copy(),
        }
        if view.session_users != ffi.NULL:
            names = np.array([*self._names(lib.sessrec_log_user_id, view.user_count), None], dtype=object)
            users = self._array(view.session_users, view.session_count, np.int32)
            columns["UserId"] = np.repeat(names[users], events)  # -1, no user, is the last
        return make_frame({**columns, **self.categories}, library)

    def split_time(self, time: float) -> Tuple["Log", "Log"]:
        """Sessions that end before `time`, in seconds, and those that begin at or after it."""
        return self._split(lib.sessrec_log_split_time, time)

    def split_last_session(self) -> Tuple["Log", "Log"]:
        """The earlier sessions of each user, and the last one of each."""
        return self._split(lib.sessrec_log_split_last_session)

    def _split(self, how: Any, *given: Any) -> Tuple["Log", "Log"]:
        first, second, err = ffi.new("sessrec_log **"), ffi.new("sessrec_log **"), error()
        check(how(self._handle, *given, first, second, err), err)
        return Log(first[0]), Log(second[0])

    def write(self, path: Union[str, os.PathLike]) -> None:
        err = error()
        check(lib.sessrec_log_write(self._handle, os.fsencode(path), err), err)

    def __repr__(self) -> str:
        view = self._view
        return (f"<sessrec.Log: {view.event_count} clicks on {view.item_count} items in "
                f"{view.session_count} sessions>")
