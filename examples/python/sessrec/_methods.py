"""Session neighbors, rules, popularity, networks of 8 bits, blends, and scorers of your own in Python."""
from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from ._library import ffi, lib
from ._log import Log, check, error
from ._model import Model
from ._scorer import KINDS, Scorer, new_scorer

DECAYS = ("same", "div", "linear", "log", "quadratic", "exp")
RULES = ("association", "sequential", "markov", "itemknn")


def _settings(config: Any, given: Dict[str, Any], choices: Dict[str, Sequence[str]]) -> None:
    for name, value in given.items():
        if not hasattr(config, name) or name in ("canary", "allocator"):
            raise TypeError(f"there is no setting {name}")
        if name in choices and isinstance(value, str):
            if value not in choices[name]:
                raise ValueError(f"{name} is one of {', '.join(choices[name])}")
            value = choices[name].index(value)
        setattr(config, name, value)


# ---- neighbors ---------------------------------------------------------------------------------------------

class Neighbors(Scorer):
    """Items from similar sessions: S-KNN, V-SKNN, STAN, V-STAN, VMIS. It needs no training."""

    @classmethod
    def fit(cls, clicks: Any, preset: str = "vstan", **settings: Any) -> "Neighbors":
        """Indexes the sessions of a Log, a DataFrame or a file. Settings have the names of
        sessrec_knn_config: k, m, cosine, weight="linear", recency and so on."""
        config, scorer, err = ffi.new("sessrec_knn_config *"), new_scorer(), error()
        config[0] = lib.sessrec_knn_config_default()
        if lib.sessrec_knn_preset(preset.encode(), config):
            raise ValueError(f"there is no preset {preset}; there are sknn, vsknn, stan, vstan, vmis")
        _settings(config, settings, {"weight": DECAYS, "neighbor_weight": DECAYS})
        check(lib.sessrec_knn_create(config, Log.of(clicks)._handle, scorer, err), err)
        return cls(scorer)

    def partial_fit(self, clicks: Any) -> "Neighbors":
        """Adds later sessions to this index; items that it does not know are left out. No other thread may
        use the index meanwhile."""
        log = Log.of(clicks)
        numbers = np.array([self.item(log.item_id(item)) for item in range(log.item_count)], np.int32)
        longest = int(np.diff(log.session_begins).max(initial=1))
        check(lib.sessrec_python_append(self._scorer, log._handle, ffi.from_buffer("int32_t[]", numbers),
                                        ffi.new("int32_t[]", longest)))
        return self

    def append(self, items: Sequence[Any], time: float) -> None:
        """Adds one session that has ended at `time`, in seconds."""
        check(lib.sessrec_knn_append(self._scorer, [self.item(item) for item in items], len(items), time))

    def forget(self, time: float) -> None:
        """Removes the sessions that ended before `time`."""
        check(lib.sessrec_knn_forget(self._scorer, time))

    @property
    def session_count(self) -> int:
        return lib.sessrec_knn_sessions(self._scorer)

    @property
    def event_count(self) -> int:
        return lib.sessrec_knn_events(self._scorer)

    def session_items(self, session: int) -> List[str]:
        """The items of a session of the index, as a reason names it."""
        count = lib.sessrec_knn_session_items(self._scorer, session, ffi.new("int32_t[]", 1), 1)
        room = ffi.new("int32_t[]", max(1, count))
        lib.sessrec_knn_session_items(self._scorer, session, room, count)
        return [self.item_id(item) for item in room[0:count]]


# ---- rules, popularity -------------------------------------------------------------------------------------

class Rules(Scorer):
    """Items that followed the last clicks: association rules, sequential rules, Markov chains, item-KNN."""

    @classmethod
    def fit(cls, clicks: Any, kind: str = "sequential", **settings: Any) -> "Rules":
        """Settings have the names of sessrec_rules_config: most, steps, weight, order, lambda_ and so on."""
        config, scorer, err = ffi.new("sessrec_rules_config *"), new_scorer(), error()
        config[0] = lib.sessrec_rules_config_default()
        given = {name.rstrip("_"): value for name, value in settings.items()}
        _settings(config, {"kind": kind, **given}, {"kind": RULES, "weight": DECAYS})
        check(lib.sessrec_rules_create(config, Log.of(clicks)._handle, scorer, err), err)
        return cls(scorer)


class Popularity(Scorer):
    """The most clicked items, whatever the session."""

    @classmethod
    def fit(cls, clicks: Any) -> "Popularity":
        scorer, err = new_scorer(), error()
        check(lib.sessrec_scorer_pop(Log.of(clicks)._handle, ffi.NULL, scorer, err), err)
        return cls(scorer)


# ---- 8 bits ------------------------------------------------------------------------------------------------

class Quantized(Scorer):
    """A network with weights of 8 bits: a quarter of the memory, nearly the same scores, which are equal on
    every processor. It cannot be trained."""

    @classmethod
    def of(cls, model: Model) -> "Quantized":
        scorer, err = new_scorer(), error()
        check(lib.sessrec_model_quantize(model._handle, 1, ffi.NULL, scorer, err), err)
        return cls(scorer)


# ---- blends ------------------------------------------------------------------------------------------------

class Blend(Scorer):
    """The weighted sum of the scores of several scorers. Items are those of the first."""

    @classmethod
    def of(cls, *parts: Union[Tuple[Scorer, float], Tuple[Scorer, float, bool]],
           epsilon: float = 0) -> "Blend":
        """A blend of (scorer, weight) or (scorer, weight, logarithm): with the logarithm, a part counts as
        weight * log(score / sum of its scores + epsilon). By default neighbors and rules do so beside a
        network, whose scores are like logarithms."""
        network = any(isinstance(part[0], Model) for part in parts)
        array, scorer, err = ffi.new("sessrec_blend_part[]", max(1, len(parts))), new_scorer(), error()
        for i, part in enumerate(parts):
            array[i].scorer, array[i].weight = part[0]._scorer, part[1]
            array[i].logarithm = part[2] if len(part) > 2 else network and isinstance(part[0],
                                                                                      (Neighbors, Rules))
        check(lib.sessrec_blend_create(array, len(parts), epsilon, ffi.NULL, scorer, err), err)
        return cls(scorer, *parts)

    @property
    def _own(self) -> List[Scorer]:
        """Parts that run Python, which may raise."""
        parts = [part[0] for part in self._kept if isinstance(part, tuple)]
        return [part for part in parts if isinstance(part, (OwnScorer, Blend))]

    @property
    def _failed(self) -> Any:  # type: ignore[override]
        return next((part._failed for part in self._own if part._failed), None)

    def _raise(self) -> None:
        for part in self._own:
            part._raise()


# ---- your own ----------------------------------------------------------------------------------------------

class OwnScorer(Scorer):
    """A method of your own: subclass it and write score(). It can be evaluated, blended and served like any
    other, but has no file. Python runs for every click and answer, so it is right rather than fast.

    >>> class Again(sessrec.OwnScorer):
    ...     def score(self, clicks, times):
    ...         return {item: place for place, item in enumerate(clicks, 1)}
    >>> Again(model.item_ids).evaluate(test).recall[20]
    """

    def __init__(self, item_ids: Sequence[Any], remember: int = 20):
        """remember: how many of the last clicks score() gets."""
        self.ids = [str(item) for item in item_ids]
        self._texts = [ffi.new("char[]", item.encode()) for item in self.ids]
        self._numbers = {item: number for number, item in enumerate(self.ids)}
        if not self.ids or len(self._numbers) < len(self.ids):
            raise ValueError("item_ids are empty, or two of them are equal")
        clicks = np.dtype([("item", "i4", remember), ("time", "f8", remember)])
        self._state = np.dtype([("count", "i8"), ("last", clicks)])
        self._myself = ffi.new_handle(self)
        scorer = ffi.new("sessrec_scorer *")
        scorer.self, scorer.item_count = self._myself, len(self.ids)
        scorer.state_bytes = -(-self._state.itemsize // 16) * 16
        scorer.scratch_bytes, scorer.find_item = lib.sessrec_python_scratch, lib.sessrec_python_find
        scorer.item_id, scorer.begin = lib.sessrec_python_id, lib.sessrec_python_begin
        scorer.click, scorer.list = lib.sessrec_python_click, lib.sessrec_python_list
        super().__init__(scorer)

    def score(self, clicks: List[str], times: np.ndarray) -> Union[Mapping[str, float], np.ndarray]:
        """What the next item may be after these clicks, the last one at the end, with their times in seconds
        (NaN: unknown): a score for each item that has one, by its id, or an array in the order of item_ids,
        where NaN and -inf are none. The same clicks must always get the same scores."""
        raise NotImplementedError

    def _view(self, state: Any) -> Any:
        return np.frombuffer(ffi.buffer(state, self._state.itemsize), self._state)[0]

    def _take(self, state: Any, item: int, time: float) -> None:
        view = self._view(state)
        last, count = view["last"], int(view["count"])
        if count == len(last["item"]):
            for array in (last["item"], last["time"]):
                array[:-1] = array[1:].copy()
            count -= 1
        last["item"][count], last["time"][count] = item, time
        np.frombuffer(ffi.buffer(state, 8), np.int64)[0] = count + 1

    def _list(self, state: Any) -> np.ndarray:
        """The scored items of a state."""
        view = self._view(state)
        count, last = int(view["count"]), view["last"]
        clicks = [self.ids[item] for item in last["item"][:count].tolist()]
        scores = self.score(clicks, last["time"][:count].copy())
        if isinstance(scores, Mapping):
            pairs = [(self._numbers[str(item)], score) for item, score in scores.items()
                     if str(item) in self._numbers]
        else:
            dense = np.asarray(scores, np.float32)
            if dense.shape != (len(self.ids),):
                raise ValueError(f"score() returned {dense.shape} scores for {len(self.ids)} items")
            pairs = list(enumerate(dense.tolist()))
        return np.array(pairs, RECOMMENDATION)


RECOMMENDATION = np.dtype([("item", "i4"), ("score", "f4")])


def _own(self: Any) -> OwnScorer:
    return ffi.from_handle(self)


def _callback(failure: Any = None) -> Any:
    """A function that the library calls. An exception cannot cross C: it is kept, and raised when the call
    of the library has returned."""

    def wrap(function: Any) -> Any:
        def guarded(self: Any, *given: Any) -> Any:
            own = _own(self)
            try:
                return function(own, *given)
            except BaseException as raised:
                own._failed = own._failed or raised
                return failure

        return ffi.def_extern(name=function.__name__, error=failure)(guarded)

    return wrap


@_callback(0)
def sessrec_python_scratch(own: OwnScorer, rows: int) -> int:
    return 8 * len(own.ids)


@_callback(-1)
def sessrec_python_find(own: OwnScorer, item_id: Any) -> int:
    return own._numbers.get(ffi.string(item_id).decode("utf-8", "replace"), -1)


@_callback(ffi.NULL)
def sessrec_python_id(own: OwnScorer, item: int) -> Any:
    return own._texts[item] if 0 <= item < len(own._texts) else ffi.NULL


@_callback()
def sessrec_python_begin(own: OwnScorer, state: Any, user: Any, time: float) -> None:
    ffi.buffer(state, own._scorer.state_bytes)[:] = bytes(own._scorer.state_bytes)


@_callback()
def sessrec_python_click(own: OwnScorer, rows: int, states: Any, items: Any, times: Any,
                         scratch: Any) -> None:
    first, size = ffi.cast("char *", states), own._scorer.state_bytes
    for row in range(rows):
        own._take(first + row * size, items[row], np.nan if times == ffi.NULL else times[row])


@_callback(0)
def sessrec_python_list(own: OwnScorer, state: Any, out: Any, scratch: Any) -> int:
    out[0] = ffi.cast("sessrec_recommendation *", scratch)
    found = own._list(state)
    ffi.memmove(scratch, ffi.from_buffer(found), found.nbytes)
    return len(found)


KINDS.update({3: Neighbors, 4: Rules, 5: Blend, 6: Quantized})
