"""What every kind of model can do: follow visitors, recommend, give reasons, be evaluated, go into files."""
from __future__ import annotations

import mmap
import os
import struct
import threading
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple, Type

import numpy as np

from ._library import ffi, lib
from ._log import Log, check, error, library_of, make_frame

ROWS = 32  # requests that are answered in one pass through the item table

Recommendation = Tuple[str, float]


# ---- evaluation --------------------------------------------------------------------------------------------

@dataclass
class Metrics:
    """Averages over events, by cutoff: metrics.recall[20]."""

    event_count: int
    recall: Dict[int, float]
    mrr: Dict[int, float]
    ndcg: Dict[int, float]
    precision: Dict[int, float]


@dataclass
class Report(Metrics):
    """Metrics over all events, and by the position of the input in its session, the length of the session and
    the user's earlier sessions, in the groups of sessrec_report. `ranks` has a row for each event."""

    session_count: int = 0
    unknown_count: int = 0
    seconds: float = 0.0
    coverage: Optional[Dict[int, float]] = None
    by_position: Sequence[Metrics] = ()
    by_length: Sequence[Metrics] = ()
    by_history: Sequence[Metrics] = ()
    ranks: Optional[np.ndarray] = None


RANKS = np.dtype([("session", "i4"), ("position", "i4"), ("length", "i4"), ("history", "i4"),
                  ("input", "i4"), ("target", "i4"), ("rank", "f8")])
TIES = ("conservative", "standard", "median")


def _metrics(of: Any, cutoffs: Sequence[int]) -> Dict[str, Any]:
    names = ("recall", "mrr", "ndcg", "precision")
    return {"event_count": of.event_count,
            **{name: dict(zip(cutoffs, getattr(of, name))) for name in names}}


# ---- working memory of a thread ----------------------------------------------------------------------------

class _Workspace(threading.local):
    """What a call on a session of a scorer works in: a scratch, a query, and room for the answer."""

    def __init__(self, scorer: Any):
        size, out, err = lib.sessrec_scorer_scratch_size(scorer, ROWS), ffi.new("sessrec_scratch **"), error()
        self.memory = ffi.new("unsigned char[]", size)
        check(lib.sessrec_scorer_scratch_init(scorer, ROWS, self.memory, size, out, err), err)
        self.scratch = out[0]
        self.plain = ffi.new("sessrec_query *", lib.sessrec_query_default())
        self.count, self.source = ffi.new("int32_t *"), ffi.new("sessrec_source *")
        self.room = 0

    def best(self, k: int) -> Any:
        if k > self.room:
            self.list, self.room = ffi.new("sessrec_recommendation[]", k), k
            self.bytes = ffi.buffer(self.list)
        return self.list


class _Names(dict):
    """Ids of items, asked for once."""

    def __init__(self, scorer: Any):
        super().__init__()
        self.scorer = scorer

    def __missing__(self, item: int) -> str:
        text = ffi.NULL if item < 0 else self.scorer.item_id(self.scorer.self, item)
        if text == ffi.NULL:
            raise IndexError(f"there is no item {item}")
        self[item] = name = ffi.string(text).decode("utf-8", "replace")
        return name


# ---- sessions ----------------------------------------------------------------------------------------------

class Reason(NamedTuple):
    """Why an item is recommended: `part` of its score comes from a rule, which holds after the clicks
    `context` and held in `held` of `of` sessions; or from the session with the number `session` of the index,
    which ended at `time`."""

    part: float
    context: List[str]
    held: int
    of: int
    session: int
    time: float


class Session:
    """What one visitor has clicked so far. Small: keep one for each visitor, or export it between visits. One
    thread at a time may use it."""

    __slots__ = ("_scorer", "_memory", "_handle", "_scratch", "source")

    def __init__(self, scorer: "Scorer", remember: int = 20):
        self._scorer = scorer  # which must outlive it
        scratch, self._scratch = scorer._work.scratch, scorer._work.memory  # which must outlive it, too
        size = lib.sessrec_scorer_session_size(scorer._scorer, remember, scratch)
        self._memory = ffi.new("unsigned char[]", size)
        out, err = ffi.new("sessrec_session **"), error()
        check(lib.sessrec_scorer_session_init(scorer._scorer, remember, scratch, self._memory, size, out,
                                              err), err)
        self._handle = out[0]
        self.source = "model"

    def _ready(self) -> _Workspace:
        """The working memory of this thread, which may not be the one that used the session before."""
        work = self._scorer._work
        if self._scratch is not work.memory:
            check(lib.sessrec_session_use_scratch(self._handle, work.scratch))
            self._scratch = work.memory
        return work

    def click(self, item: Any, time: Optional[float] = None) -> bool:
        """The visitor clicked an item, by its id, at a time in seconds. False if the item is not known; it is
        then only counted."""
        work = self._ready()
        if time is None:
            result = lib.sessrec_session_click_id(self._handle, str(item).encode(), work.count)
        else:
            work.count[0] = self._scorer.item(item)
            result = lib.sessrec_session_click_at(self._handle, work.count[0], time)
        if result or self._scorer._failed:
            self._scorer._raise()
            check(result)
        return work.count[0] >= 0

    def recommend(self, k: int = 20, allow_seen: bool = False, candidates: Optional[Iterable[Any]] = None,
                  **query: Any) -> List[Recommendation]:
        """The k best items and their scores, the best first; of `candidates` only, if they are given. More
        of a query has the names of sessrec_query: offsets, groups, group_limit, random, temperature, explore.
        `source` then says whether the scores are the model's or, before the first known click, popularity."""
        work = self._ready()
        if candidates is None and not query:
            asked = work.plain
            asked.k, asked.skip_seen = k, not allow_seen
        else:
            asked, kept = self._scorer._query(k, allow_seen, candidates, **query)
        result = lib.sessrec_session_recommend(self._handle, asked, work.best(k), work.count, work.source)
        if result or self._scorer._failed:
            self._scorer._raise()
            check(result)
        self.source = SOURCES[work.source[0]]
        names = self._scorer._names
        return [(names[item], score) for item, score in PAIR.iter_unpack(work.bytes[:8 * work.count[0]])]

    def score(self, items: Iterable[Any]) -> np.ndarray:
        """Scores of these items; -inf for one that is not known."""
        self._ready()
        numbers = np.fromiter(map(self._scorer.item, items), np.int32)
        scores = np.empty(len(numbers), np.float32)
        check(lib.sessrec_session_score(self._handle, ffi.from_buffer("int32_t[]", numbers), len(numbers),
                                        ffi.from_buffer("float[]", scores)))
        self._scorer._raise()
        return scores

    def reasons(self, item: Any, room: int = 5) -> List[Reason]:
        """Why an item is recommended, the strongest reason first; a network gives none."""
        self._ready()
        number = self._scorer.item(item)
        if number < 0:
            raise KeyError(item)
        found = ffi.new("sessrec_reason[]", room)
        count = lib.sessrec_session_reasons(self._handle, number, found, room)
        check(min(count, 0))
        names = self._scorer._names
        return [Reason(found[i].part, [names[found[i].context[c]] for c in range(found[i].context_count)],
                       found[i].held, found[i].of, found[i].session, found[i].time) for i in range(count)]

    @property
    def clicks(self) -> Tuple[int, int]:
        """How many clicks were on known and on unknown items."""
        known, unknown = ffi.new("int64_t *"), ffi.new("int64_t *")
        lib.sessrec_session_clicks(self._handle, known, unknown)
        return known[0], unknown[0]

    def end(self) -> None:
        """The visit is over: the next click begins a new session."""
        lib.sessrec_session_end(self._handle)

    def export(self) -> bytes:
        """The session as bytes, to go on with it elsewhere."""
        size = lib.sessrec_session_export_size(self._handle)
        room = ffi.new("unsigned char[]", size)
        check(lib.sessrec_session_export(self._handle, room, size))
        return bytes(ffi.buffer(room))

    def restore(self, state: bytes) -> "Session":
        """Goes on with a session that was exported with the same model."""
        self._ready()
        check(lib.sessrec_session_import(self._handle, state, len(state)))
        return self


PAIR = struct.Struct("=if")  # a sessrec_recommendation
SOURCES = ("model", "popularity")


# ---- scorers -----------------------------------------------------------------------------------------------

class Scorer:
    """Anything that scores items after the clicks of a session. It may be used by any number of threads, and
    its long calls release the GIL."""

    _failed: Optional[BaseException] = None  # what a scorer in Python has raised

    def __init__(self, scorer: Any, *kept: Any):
        self._scorer = scorer       # a sessrec_scorer *,
        self._kept = kept           # and what it works on
        self._work = _Workspace(scorer)
        self._names = _Names(scorer)

    def _raise(self) -> None:
        failed, self._failed = self._failed, None
        if failed:
            raise failed

    # -- items --

    @property
    def item_count(self) -> int:
        return self._scorer.item_count

    def item(self, item_id: Any) -> int:
        """The number of an item, -1 for one that is not known."""
        return self._scorer.find_item(self._scorer.self, str(item_id).encode())

    def item_id(self, item: int) -> str:
        return self._names[item]

    @property
    def item_ids(self) -> List[str]:
        return [self.item_id(item) for item in range(self.item_count)]

    def similar(self, item_id: Any, k: int = 10) -> List[Recommendation]:
        """The items that go best with an item: what is recommended after it alone."""
        if self.item(item_id) < 0:
            raise KeyError(item_id)
        return self.recommend([item_id], k)

    # -- recommendations --

    def _query(self, k: int, allow_seen: bool = False, candidates: Optional[Iterable[Any]] = None,
               **more: Any) -> Tuple[Any, List[Any]]:
        """A sessrec_query, and the arrays that it points to."""
        query, kept = ffi.new("sessrec_query *", lib.sessrec_query_default()), []
        query.k, query.skip_seen = k, not allow_seen
        if candidates is not None:
            numbers = [item for item in dict.fromkeys(map(self.item, candidates)) if item >= 0]
            kept.append(ffi.new("int32_t[]", numbers or [0]))
            query.candidates, query.candidate_count = kept[-1], len(numbers)
        for name, dtype, kind in (("offsets", np.float32, "float[]"), ("groups", np.int32, "int32_t[]")):
            if (values := more.pop(name, None)) is not None:
                values = np.ascontiguousarray(values, dtype)
                if values.shape != (self.item_count,):
                    raise ValueError(f"{name} need one number for each of {self.item_count} items")
                kept += [values, ffi.from_buffer(kind, values)]
                setattr(query, name, kept[-1])
        for name, value in more.items():
            if name not in ("group_limit", "random", "temperature", "explore"):
                raise TypeError(f"a query has no {name}")
            setattr(query, name, value)
        return query, kept

    def session(self, remember: int = 20) -> Session:
        """A new session, which remembers so many items as seen."""
        return Session(self, remember)

    def recommend(self, clicks: Sequence[Any], k: int = 20, **query: Any) -> List[Recommendation]:
        """What to recommend after these clicks. For visitors who go on clicking, session() is faster."""
        session = Session(self, min(len(clicks), 65536))
        for item in clicks:
            session.click(item)
        return session.recommend(k, **query)

    def answer(self, asked: Sequence[Tuple[Session, Dict[str, Any]]]) -> List[Any]:
        """Answers many sessions of this scorer at once, each with the arguments of its recommend(): one pass
        through the item table serves 32 of them. An answer is what recommend() would return, or the exception
        that it would raise."""
        requests, kept = ffi.new("sessrec_request[]", max(1, len(asked))), []
        for i, (session, arguments) in enumerate(asked):
            query, arrays = self._query(**{"k": 20, **arguments})
            room = ffi.new("sessrec_recommendation[]", max(1, query.k))
            kept.append((query, arrays, room))
            session._ready()
            requests[i].session, requests[i].query, requests[i].out = session._handle, query, room
        lib.sessrec_sessions_recommend(self._work.scratch, requests, len(asked))
        self._raise()
        answers: List[Any] = []
        for i, (session, _) in enumerate(asked):
            try:
                check(requests[i].result)
            except Exception as failure:
                answers.append(failure)
                continue
            session.source = SOURCES[requests[i].source]
            found = ffi.buffer(kept[i][2], 8 * requests[i].count)
            answers.append([(self._names[item], score) for item, score in PAIR.iter_unpack(found)])
        return answers

    def recommend_many(self, visits: Iterable[Sequence[Any]], k: int = 20,
                       **query: Any) -> List[List[Recommendation]]:
        """recommend() for many visits, several times faster."""
        answers: List[Any] = []
        asked: List[Any] = []
        query["k"] = k
        for clicks in visits:
            session = Session(self, min(len(clicks), 65536))
            for item in clicks:
                session.click(item)
            asked.append((session, query))
            if len(asked) == 1024:
                answers += self.answer(asked)
                asked = []
        answers += self.answer(asked)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    def recommend_frame(self, clicks: Any, k: int = 20, session: str = "SessionId", item: str = "ItemId",
                        **query: Any) -> Any:
        """recommend_many() for a DataFrame of pandas or polars, whose rows are in the order of time: a frame
        of the same library with SessionId, Rank, ItemId and Score."""
        visits: Dict[Any, List[Any]] = {}
        for name, clicked in zip(clicks[session], clicks[item]):
            visits.setdefault(name, []).append(clicked)
        rows = [(name, rank, best, score)
                for name, answer in zip(visits, self.recommend_many(list(visits.values()), k, **query))
                for rank, (best, score) in enumerate(answer, 1)]
        columns = zip(*rows) if rows else ((), (), (), ())
        return make_frame(dict(zip((session, "Rank", item, "Score"), map(list, columns))), library_of(clicks))

    # -- evaluation --

    def evaluate(self, clicks: Any, cutoffs: Sequence[int] = (1, 5, 10, 20), ties: str = "conservative",
                 ranks: bool = False, threads: int = 0, coverage: bool = False,
                 history: Any = None) -> Report:
        """Ranks the next item of every event against the whole catalog. history: earlier clicks of the same
        users, for models that know users."""
        log, config = Log.of(clicks), ffi.new("sessrec_eval_config *", lib.sessrec_eval_config_default())
        if not 1 <= len(cutoffs) <= len(config.cutoffs):
            raise ValueError(f"1 to {len(config.cutoffs)} cutoffs are possible")
        if ties not in TIES:
            raise ValueError(f"ties are one of {', '.join(TIES)}")
        config.cutoff_count, config.threads, config.coverage = len(cutoffs), threads, coverage
        config.cutoffs, config.ties = [*cutoffs], TIES.index(ties)
        earlier = None if history is None else Log.of(history)
        if earlier is not None:
            config.history = earlier._handle
        events = np.empty(log.event_count if ranks else 0, RANKS)
        record = ffi.new("sessrec_python_events *")
        if ranks:
            record.events = ffi.from_buffer("sessrec_event[]", events)
            config.on_event, config.on_event_user = ffi.addressof(lib, "sessrec_python_record"), record
        report, err = ffi.new("sessrec_report *"), error()
        result = lib.sessrec_evaluate_scorer(self._scorer, log._handle, config, report, err)
        self._raise()
        check(result, err)
        groups: Dict[str, Any] = {
            name: [Metrics(**_metrics(group, cutoffs)) for group in getattr(report, name)]
            for name in ("by_position", "by_length", "by_history")}
        return Report(**_metrics(report.all, cutoffs), **groups, session_count=report.session_count,
                      unknown_count=report.unknown_count, seconds=report.seconds,
                      coverage=dict(zip(cutoffs, report.coverage)) if coverage else None,
                      ranks=events[:record.count] if ranks else None)

    # -- files --

    def save(self, path: Any) -> None:
        """Writes the file that the C library and the command line use, completely or not at all."""
        err = error()
        check(lib.sessrec_scorer_write(self._scorer, os.fsencode(path), err), err)

    def to_bytes(self) -> bytes:
        """The file as bytes."""
        size = lib.sessrec_scorer_export_size(self._scorer)
        if not size:
            raise TypeError("a scorer of your own, or a blend with one, has no file")
        room = ffi.new("unsigned char[]", size)
        check(lib.sessrec_scorer_export(self._scorer, room, size))
        return bytes(ffi.buffer(room))

    @classmethod
    def load(cls, path: Any, mapped: bool = False) -> Any:
        """Reads a file of any kind. mapped: its weights stay in the file and are shared by all processes that
        map it; the file must be replaced, as save() does, and not be written into."""
        with open(path, "rb") as file:
            kind = _kind(file.read(24), path)
            if not issubclass(kind, cls):
                raise TypeError(f"{os.fspath(path)} holds {kind.__name__}, not {cls.__name__}")
            if mapped:
                place = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                return kind._import(ffi.from_buffer(place), len(place))
        return kind._read(path)

    @classmethod
    def from_bytes(cls, data: bytes) -> Any:
        """A model of the bytes of its file."""
        # Weights are used in place: the copy is at a multiple of 64 and lives as long as the model.
        room = ffi.new("unsigned char[]", len(data) + 64)
        place = room + (-int(ffi.cast("uintptr_t", room)) % 64)
        ffi.memmove(place, data, len(data))
        return _kind(data, "these bytes")._import(place, len(data), room)

    @classmethod
    def _read(cls, path: Any) -> Any:
        scorer, err = new_scorer(), error()
        check(lib.sessrec_scorer_read(os.fsencode(path), ffi.NULL, scorer, err), err)
        return cls(scorer)

    @classmethod
    def _import(cls, place: Any, size: int, *kept: Any) -> Any:
        scorer, err = new_scorer(), error()
        check(lib.sessrec_scorer_import(place, size, ffi.NULL, scorer, err), err)
        return cls(scorer, place, *kept)

    def __reduce__(self) -> Any:
        return Scorer.from_bytes, (self.to_bytes(),)

    def __repr__(self) -> str:
        return f"<sessrec.{type(self).__name__}: {self.item_count} items>"


def new_scorer() -> Any:
    return ffi.gc(ffi.new("sessrec_scorer *"), lib.sessrec_scorer_destroy)


KINDS: Dict[int, Type[Scorer]] = {}  # by the number in a file's header (>>archive in sessrec.h)


def _kind(header: bytes, name: Any) -> Type[Scorer]:
    kind = KINDS.get(struct.unpack_from("<I", header, 20)[0]) if header[:8] == b"SESSREC\0" \
        and len(header) >= 24 else None
    if kind is None:
        raise ValueError(f"{os.fspath(name)} is not the file of a model")
    return kind
