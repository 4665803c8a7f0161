"""Models: fitted on logs, evaluated, asked for recommendations, kept in files."""
from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

import numpy as np

from ._library import ffi, lib
from ._log import Log, check, error


# ---- options -----------------------------------------------------------------------------------------------

def options(**given: Any) -> Any:
    """A sessrec_config with the defaults and what is given; names are those of the command line with _ for
    -."""
    config, err = ffi.new("sessrec_config *", lib.sessrec_config_default()), error()
    for name, value in given.items():
        if isinstance(value, bool):
            value = int(value)
        text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        check(lib.sessrec_config_set(config, name.replace("_", "-").encode(), text.encode(), err), err)
    return config


class _Progress:
    """A bar of tqdm over mini-batches; Ctrl-C stops the run at the next call."""

    def __init__(self, bar: Any):
        self.bar, self.done, self.error = bar, 0, None

    def __call__(self, progress: Any) -> int:
        try:
            total = progress.steps * progress.epochs
            if total > 0:
                self.bar.total = total
            done = progress.epoch * progress.steps + progress.step
            self.bar.update(max(0, done - self.done))
            self.done = max(self.done, done)
            self.bar.set_postfix_str(f"epoch {progress.epoch + 1}/{progress.epochs}, "
                                     f"loss {progress.loss:.4f}", refresh=False)
            return 0
        # a Python exception cannot cross C: it is raised when training has returned
        except BaseException as stopped:
            self.error = stopped
            return 1


@ffi.def_extern(error=1)
def sessrec_python_progress(user: Any, progress: Any) -> int:
    return ffi.from_handle(user)(progress)


@ffi.def_extern()
def sessrec_python_event(user: Any, event: Any) -> None:
    ffi.from_handle(user).append((event.session, event.position, event.input, event.target, event.rank))


# ---- evaluation --------------------------------------------------------------------------------------------

@dataclass
class Report:
    """Metrics by cutoff: report.recall[20]. `ranks` has a row for each event: session, position, input,
    target, rank."""

    event_count: int
    session_count: int
    unknown_count: int
    recall: Dict[int, float]
    mrr: Dict[int, float]
    ndcg: Dict[int, float]
    precision: Dict[int, float]
    seconds: float
    ranks: Optional[np.ndarray] = None


RANKS = np.dtype([("session", "i4"), ("position", "i4"), ("input", "i4"), ("target", "i4"), ("rank", "f8")])


# ---- sessions ----------------------------------------------------------------------------------------------

class Session:
    """What one visitor has clicked so far. Small: keep one for each visitor, or export it between visits."""

    def __init__(self, model: "Model", remember: int = 20, scratch: Any = None):
        self._model = model  # which must outlive it
        out, err = ffi.new("sessrec_session **"), error()
        if scratch is None:
            size = lib.sessrec_session_size(model._handle, remember)
            self._memory = ffi.new("unsigned char[]", size)
            check(lib.sessrec_session_init(model._handle, remember, self._memory, size, out, err), err)
        else:
            size = lib.sessrec_session_shared_size(model._handle, remember)
            self._memory = ffi.new("unsigned char[]", size)
            check(lib.sessrec_session_init_shared(model._handle, remember, scratch, self._memory, size, out,
                                                  err), err)
        self._handle = out[0]

    def click(self, item: Any) -> bool:
        """The visitor clicked an item, by its id. False if the model does not know it."""
        known = ffi.new("int32_t *")
        check(lib.sessrec_session_click_id(self._handle, str(item).encode(), known))
        return known[0] >= 0

    def recommend(self, k: int = 20, allow_seen: bool = False,
                  candidates: Optional[Iterable[Any]] = None) -> List[Tuple[str, float]]:
        """The k best items and their scores, the best first; of `candidates` only, if they are given."""
        query = ffi.new("sessrec_query *", lib.sessrec_query_default())
        query.k, query.skip_seen = k, 0 if allow_seen else 1
        if candidates is not None:
            numbers = [item for item in map(self._model.item, candidates) if item >= 0]
            array = ffi.new("int32_t[]", numbers or [0])
            query.candidates, query.candidate_count = array, len(numbers)
        best, count = ffi.new("sessrec_recommendation[]", k), ffi.new("int32_t *")
        check(lib.sessrec_session_recommend(self._handle, query, best, count, ffi.NULL))
        return self._model._named(best, count[0])

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
        check(lib.sessrec_session_import(self._handle, state, len(state)))
        return self


class User:
    """What a visitor who comes back has done in earlier sessions, for models that were fitted with users."""

    def __init__(self, model: "Model"):
        self._model = model
        size = lib.sessrec_user_size(model._handle)
        if not size:
            raise ValueError("the model knows no users: fit it on a log with users and user_layers=100")
        self._memory = ffi.new("unsigned char[]", size)
        out = ffi.new("sessrec_user **")
        check(lib.sessrec_user_init(model._handle, self._memory, size, out, ffi.NULL))
        self._handle = out[0]

    def begin(self, session: Session) -> None:
        """The user begins a session: it starts from what is known of them."""
        check(lib.sessrec_user_begin(self._handle, session._handle))

    def fold(self, session: Session) -> None:
        """The session is over, and becomes part of what is known of the user."""
        check(lib.sessrec_user_fold(self._handle, session._handle))

    def export(self) -> bytes:
        size = lib.sessrec_user_export_size(self._handle)
        room = ffi.new("unsigned char[]", size)
        check(lib.sessrec_user_export(self._handle, room, size))
        return bytes(ffi.buffer(room))

    def restore(self, state: bytes) -> "User":
        check(lib.sessrec_user_import(self._handle, state, len(state)))
        return self


# ---- models ------------------------------------------------------------------------------------------------

class Model:
    """A trained model. It never changes, and may be used by any number of threads; training releases the
    GIL."""

    def __init__(self, handle: Any):
        self._handle = ffi.gc(handle, lib.sessrec_model_destroy)

    # -- training --

    @classmethod
    def fit(cls, clicks: Any, validation: Any = None, progress: bool = False, **given: Any) -> "Model":
        """Trains on a Log, a DataFrame or a file. With a validation log the weights of the best epoch are
        returned."""
        return cls._train(Log.of(clicks), validation, progress, options(**given))

    def partial_fit(self, clicks: Any, validation: Any = None, progress: bool = False,
                    **given: Any) -> "Model":
        """A new model that has also learned from these clicks. Its shape is this model's; new items are
        added."""
        config = options(**{"epochs": 1, **given})
        info = self.info
        config.layer_count, config.embedding, config.gru = info.layer_count, info.embedding, info.gru
        for layer in range(info.layer_count):
            config.hidden[layer] = info.hidden[layer]
        if info.embedding_width:
            config.embedding_width = info.embedding_width
        config.user_hidden, config.user_mode = info.user_hidden, info.user_mode
        config.start_from = self._handle
        return Model._train(Log.of(clicks, items_of=self), validation, progress, config)

    @classmethod
    def _train(cls, log: Log, validation: Any, progress: bool, config: Any) -> "Model":
        valid = ffi.NULL if validation is None else Log.of(validation)._handle
        out, err, watch = ffi.new("sessrec_model **"), error(), None
        if progress:
            from tqdm.auto import tqdm

            watch = _Progress(tqdm(unit=" mini-batches"))
            handle = ffi.new_handle(watch)  # lives as long as this call
            config.progress, config.progress_user = lib.sessrec_python_progress, handle
        result = lib.sessrec_train(config, log._handle, valid, out, err)
        if watch:
            watch.bar.close()
            if watch.error:
                lib.sessrec_model_destroy(out[0])
                raise watch.error
        check(result, err)
        return cls(out[0])

    # -- items --

    @property
    def info(self) -> Any:
        return lib.sessrec_model_describe(self._handle)

    @property
    def item_count(self) -> int:
        return self.info.item_count

    def item(self, item_id: Any) -> int:
        """The number of an item, -1 for one that the model does not know."""
        return lib.sessrec_model_find_item(self._handle, str(item_id).encode())

    def item_id(self, item: int) -> str:
        return ffi.string(lib.sessrec_model_item_id(self._handle, item)).decode("utf-8", "replace")

    @property
    def item_ids(self) -> List[str]:
        return [self.item_id(item) for item in range(self.item_count)]

    def _named(self, best: Any, count: int) -> List[Tuple[str, float]]:
        return [(self.item_id(best[i].item), best[i].score) for i in range(count)]

    def tensor(self, name: str) -> np.ndarray:
        """A matrix of weights, the model's own memory: "Wy", "By", "L0.W" and so on; tensor_names has all."""
        tensor = ffi.new("sessrec_tensor *")
        check(lib.sessrec_model_tensor(self._handle, name.encode(), tensor))
        array = np.frombuffer(ffi.buffer(tensor.data, 4 * tensor.rows * tensor.columns), dtype=np.float32)
        array.flags.writeable = False
        return array.reshape(tensor.rows, tensor.columns)

    @property
    def tensor_names(self) -> List[str]:
        names: List[str] = []
        while (name := lib.sessrec_model_tensor_name(self._handle, len(names))) != ffi.NULL:
            names.append(ffi.string(name).decode())
        return names

    def similar(self, item_id: Any, k: int = 10) -> List[Tuple[str, float]]:
        """The items whose output weights point in nearly the same direction, with the cosine."""
        item = self.item(item_id)
        if item < 0:
            raise KeyError(item_id)
        table = self.tensor("Wy")
        length = np.linalg.norm(table, axis=1)
        cosine = table @ table[item] / np.maximum(length * length[item], 1e-30)
        cosine[item] = -2
        best = np.argsort(-cosine, kind="stable")[:min(k, len(cosine) - 1)]
        return [(self.item_id(int(other)), float(cosine[other])) for other in best]

    # -- recommendations --

    def session(self, remember: int = 20) -> Session:
        return Session(self, remember)

    def recommend(self, clicks: Sequence[Any], k: int = 20, **query: Any) -> List[Tuple[str, float]]:
        """What to recommend after these clicks. For visitors who go on clicking, session() is faster."""
        session = Session(self, min(len(clicks), 65536))
        for item in clicks:
            session.click(item)
        return session.recommend(k, **query)

    def recommend_many(self, visits: Sequence[Sequence[Any]], k: int = 20) -> List[List[Tuple[str, float]]]:
        """The same for many visits, in one pass through the item table for as many as 256 of them."""
        query, err = ffi.new("sessrec_query *", lib.sessrec_query_default()), error()
        query.k = k
        rows = min(256, max(1, len(visits)))
        size, scratch = lib.sessrec_scratch_size(self._handle, rows), ffi.new("sessrec_scratch **")
        memory = ffi.new("unsigned char[]", size)
        check(lib.sessrec_scratch_init(self._handle, rows, memory, size, scratch, err), err)
        requests = ffi.new("sessrec_request[]", max(1, len(visits)))
        best = ffi.new("sessrec_recommendation[]", max(1, k * len(visits)))
        sessions = []
        for i, clicks in enumerate(visits):
            sessions.append(Session(self, min(len(clicks), 65536), scratch[0]))
            for item in clicks:
                sessions[-1].click(item)
            requests[i].session, requests[i].query = sessions[-1]._handle, query
            requests[i].out = best + i * k
        check(lib.sessrec_sessions_recommend(scratch[0], requests, len(visits)))
        return [self._named(best + i * k, requests[i].count) for i in range(len(visits))]

    def evaluate(self, log: Any, cutoffs: Sequence[int] = (1, 5, 10, 20), ties: str = "conservative",
                 ranks: bool = False,
                 threads: int = 0) -> Report:
        """Ranks the next item of every event against the whole catalogue."""
        config = ffi.new("sessrec_eval_config *", lib.sessrec_eval_config_default())
        config.cutoff_count, config.threads = len(cutoffs), threads
        config.ties = {"conservative": 0, "standard": 1, "median": 2}[ties]
        for i, cutoff in enumerate(cutoffs):
            config.cutoffs[i] = cutoff
        events: list = []
        handle = ffi.new_handle(events)
        if ranks:
            config.on_event, config.on_event_user = lib.sessrec_python_event, handle
        report, err = ffi.new("sessrec_report *"), error()
        check(lib.sessrec_evaluate(self._handle, Log.of(log)._handle, config, report, err), err)
        by_cutoff = lambda values: {cutoff: values[i] for i, cutoff in enumerate(cutoffs)}  # noqa: E731
        every = report.all
        return Report(report.event_count, report.session_count, report.unknown_count, by_cutoff(every.recall),
                      by_cutoff(every.mrr), by_cutoff(every.ndcg), by_cutoff(every.precision), report.seconds,
                      np.array(events, dtype=RANKS) if ranks else None)

    def prepare(self) -> "Model":
        """Makes recommendations several times faster for an eighth more memory; they stay the same."""
        check(lib.sessrec_model_prepare(self._handle))
        return self

    # -- files --

    def save(self, path: Any) -> None:
        err = error()
        check(lib.sessrec_model_write(self._handle, os.fsencode(path), err), err)

    @classmethod
    def load(cls, path: Any) -> "Model":
        out, err = ffi.new("sessrec_model **"), error()
        check(lib.sessrec_model_read(os.fsencode(path), ffi.NULL, out, err), err)
        return cls(out[0])

    def to_bytes(self) -> bytes:
        """The model file as bytes."""
        size = lib.sessrec_model_export_size(self._handle)
        room = ffi.new("unsigned char[]", size)
        check(lib.sessrec_model_export(self._handle, room, size))
        return bytes(ffi.buffer(room))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Model":
        # Weights are used in place: the copy is at a multiple of 64 and lives as long as the model.
        room = ffi.new("unsigned char[]", len(data) + 64)
        place = room + (-int(ffi.cast("uintptr_t", room)) % 64)
        ffi.memmove(place, data, len(data))
        out, err = ffi.new("sessrec_model **"), error()
        check(lib.sessrec_model_import(place, len(data), ffi.NULL, out, err), err)
        model = cls(out[0])
        model._room = room
        return model

    def __reduce__(self) -> Any:
        return Model.from_bytes, (self.to_bytes(),)

    def __repr__(self) -> str:
        info = self.info
        layers = [info.hidden[i] for i in range(info.layer_count)]
        return f"<sessrec.Model: {info.item_count} items, layers {layers}>"
