"""Networks: GRU4Rec and HRNN, trained on logs."""
from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, Optional, Tuple, Union

import numpy as np

from ._library import ffi, lib
from ._log import Log, check, error
from ._scorer import KINDS, Scorer, Session


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
    """What is told of a run in training: a bar of tqdm over mini-batches, a function of yours, and the loss
    of each epoch. Ctrl-C and other exceptions stop the run at the next call."""

    def __init__(self, wish: Any):
        self.bar: Any = None
        self.call: Any = None
        self.done, self.error = 0, None  # type: int, Optional[BaseException]
        self.history: List[Dict[str, float]] = []
        if callable(wish):
            self.call = wish
        elif wish:
            from tqdm.auto import tqdm

            self.bar = tqdm(unit=" mini-batches")

    def __call__(self, progress: Any) -> int:
        try:
            facts = {name: getattr(progress, name) for name in FACTS}
            if progress.epoch_done:
                kept = ("epoch", "loss", "validation", "seconds")
                self.history.append({name: facts[name] for name in kept})
            if self.bar is not None:
                self._move(progress)
            # a Python exception cannot cross C: it is raised when training has returned
            return 1 if self.call and self.call(facts) else 0
        except BaseException as stopped:
            self.error = stopped
            return 1

    def _move(self, progress: Any) -> None:
        total = progress.steps * progress.epochs
        if total > 0:
            self.bar.total = total
        done = progress.epoch * progress.steps + progress.step
        self.bar.update(max(0, done - self.done))
        self.done = max(self.done, done)
        self.bar.set_postfix_str(f"epoch {progress.epoch + 1}/{progress.epochs}, loss {progress.loss:.4f}",
                                 refresh=False)


FACTS = ("epoch", "epochs", "step", "steps", "events", "loss", "events_per_second", "seconds", "seconds_left",
         "epoch_done", "validation")


@ffi.def_extern(error=1)
def sessrec_python_progress(user: Any, progress: Any) -> int:
    return ffi.from_handle(user)(progress)


class User:
    """What a visitor who comes back has done in earlier sessions, for models that were fitted with users."""

    def __init__(self, model: "Model"):
        self._model = model
        size = lib.sessrec_user_size(model._handle)
        if not size:
            raise ValueError("the model knows no users: fit it on a log with users and user_hidden=100")
        self._memory = ffi.new("unsigned char[]", size)
        out = ffi.new("sessrec_user **")
        check(lib.sessrec_user_init(model._handle, self._memory, size, out, ffi.NULL))
        self._handle = out[0]

    def begin(self, session: Session) -> None:
        """The user begins a session: it starts from what is known of them."""
        session._ready()
        check(lib.sessrec_user_begin(self._handle, session._handle))

    def fold(self, session: Session) -> None:
        """The session is over, and becomes part of what is known of the user."""
        session._ready()
        check(lib.sessrec_user_fold(self._handle, session._handle))

    @property
    def session_count(self) -> int:
        """How many sessions are part of it; those of a single click are not."""
        return lib.sessrec_user_sessions(self._handle)

    def export(self) -> bytes:
        """What is known of the user as bytes."""
        size = lib.sessrec_user_export_size(self._handle)
        room = ffi.new("unsigned char[]", size)
        check(lib.sessrec_user_export(self._handle, room, size))
        return bytes(ffi.buffer(room))

    def restore(self, state: bytes) -> "User":
        """Goes on with a user who was exported with the same model."""
        check(lib.sessrec_user_import(self._handle, state, len(state)))
        return self


# ---- models ------------------------------------------------------------------------------------------------

Progress = Union[bool, Callable[[Dict[str, float]], Any]]


class Model(Scorer):
    """A trained network. It never changes. `history` has the loss of each epoch, and the MRR@20 on the
    validation log, or -1."""

    history: Tuple[Dict[str, float], ...] = ()

    def __init__(self, handle: Any, *kept: Any):
        self._handle = ffi.gc(handle, lib.sessrec_model_destroy)
        scorer, err = ffi.new("sessrec_scorer *"), error()
        check(lib.sessrec_scorer_model(handle, ffi.NULL, scorer, err), err)
        super().__init__(scorer, *kept)

    # -- training --

    @classmethod
    def fit(cls, clicks: Any, validation: Any = None, progress: Progress = False, **given: Any) -> "Model":
        """Trains on a Log, a DataFrame or a file. With a validation log the weights of the best epoch are
        returned. progress: True for a bar of tqdm, or a function that gets a dict a few times a second, and
        stops the run by returning True."""
        return cls._train(Log.of(clicks), validation, progress, options(**given))

    def partial_fit(self, clicks: Any, validation: Any = None, progress: Progress = False,
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
        log = Log.of(clicks, items_of=self)
        return Model._train(log.numbered_like(self) if log is clicks else log, validation, progress, config)

    @classmethod
    def _train(cls, log: Log, validation: Any, progress: Progress, config: Any) -> "Model":
        valid = None if validation is None else Log.of(validation)
        out, err, watch = ffi.new("sessrec_model **"), error(), _Progress(progress)
        handle = ffi.new_handle(watch)  # lives as long as this call
        config.progress, config.progress_user = lib.sessrec_python_progress, handle
        result = lib.sessrec_train(config, log._handle, valid._handle if valid else ffi.NULL, out, err)
        if watch.bar is not None:
            watch.bar.close()
        if watch.error:
            lib.sessrec_model_destroy(out[0])
            raise watch.error
        if result != lib.SESSREC_STOPPED:  # a function of the caller's ended it: the model as it stands
            check(result, err)
        model = cls(out[0])
        model.history = tuple(watch.history)
        return model

    # -- weights --

    @property
    def info(self) -> Any:
        """Shape, form and origin: the fields of sessrec_model_info."""
        return lib.sessrec_model_describe(self._handle)

    def tensor(self, name: str) -> np.ndarray:
        """A matrix of weights, the model's own memory: "Wy", "By", "L0.W" and so on; tensor_names has all.
        Keep the model while you use it."""
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

    def user(self) -> User:
        """A user without any session yet, for models that were fitted with users."""
        return User(self)

    def prepare(self) -> "Model":
        """Makes recommendations several times faster for an eighth more memory; they stay the same. Before
        other threads use the model."""
        check(lib.sessrec_model_prepare(self._handle))
        return self

    # -- files --

    @classmethod
    def _read(cls, path: Any) -> "Model":
        out, err = ffi.new("sessrec_model **"), error()
        check(lib.sessrec_model_read(os.fsencode(path), ffi.NULL, out, err), err)
        return cls(out[0])

    @classmethod
    def _import(cls, place: Any, size: int, *kept: Any) -> "Model":
        out, err = ffi.new("sessrec_model **"), error()
        check(lib.sessrec_model_import(place, size, ffi.NULL, out, err), err)
        return cls(out[0], place, *kept)

    def __repr__(self) -> str:
        info = self.info
        layers = [info.hidden[i] for i in range(info.layer_count)]
        return f"<sessrec.Model: {info.item_count} items, layers {layers}>"


KINDS[1] = Model
