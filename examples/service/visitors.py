"""A visitor's record, and what a click makes of it.

The record holds the running session as bytes, the user's state as bytes if the model knows users, and the
last clicks. A state belongs to one model: when another model is loaded, the clicks are replayed through it,
so that no visit begins again.
"""
from __future__ import annotations

import hashlib
import struct
import time
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import sessrec

HISTORY = 128                 # clicks that are kept
END = ""                      # among clicks: a session of the user ended here
HEAD = struct.Struct("<4s8sdII")
MAGIC = b"SRV1"


class Record(NamedTuple):
    """What is stored of a visitor."""

    model: bytes              # whose states they are: its tag [8]
    seen: float               # when the last click came, in seconds
    session: bytes
    user: bytes               # b"" if the model knows no users
    clicks: List[str]

    def to_bytes(self) -> bytes:
        head = HEAD.pack(MAGIC, self.model, self.seen, len(self.session), len(self.user))
        return b"".join((head, self.session, self.user, "\0".join(self.clicks).encode()))

    @classmethod
    def of_bytes(cls, data: bytes) -> Optional["Record"]:
        """None for bytes that are no record."""
        if len(data) < HEAD.size or data[:4] != MAGIC:
            return None
        _, model, seen, session, user = HEAD.unpack_from(data)
        states, clicks = HEAD.size + session, HEAD.size + session + user
        if clicks > len(data):
            return None
        text = data[clicks:].decode("utf-8", "replace")
        return cls(model, seen, data[HEAD.size:states], data[states:clicks], text.split("\0") if text else [])


class Loaded(NamedTuple):
    """A model that serves, and eight bytes that tell it from others."""

    scorer: sessrec.Scorer
    tag: bytes

    @classmethod
    def of_file(cls, path: str) -> "Loaded":
        """The model, mapped: all workers of a machine share its weights. Its file begins with a table that
        has the checksum of every part."""
        with open(path, "rb") as file:
            head = file.read(64)
            table = file.read(64 * min(int.from_bytes(head[24:28], "little"), 4096))
        scorer = sessrec.load(path, mapped=True)
        if isinstance(scorer, sessrec.Model):
            scorer.prepare()
        return cls(scorer, hashlib.blake2b(head + table, digest_size=8).digest())


class Ask(NamedTuple):
    """A request: clicks that come now, and what is to be recommended after them (None: nothing)."""

    visitor: Optional[str]    # None: nothing is read or kept
    clicks: List[str]
    query: Optional[Dict[str, Any]]
    end: bool = False         # the visit is over
    forget: bool = False      # nothing is kept


class Visit:
    """A visitor with their session, and their user state if the model knows users."""

    def __init__(self, loaded: Loaded, record: Optional[Record], idle: float, now: float):
        scorer, self.model = loaded
        self.session = scorer.session()
        self.user = scorer.user() if isinstance(scorer, sessrec.Model) and scorer.info.user_hidden else None
        self.clicks: List[str] = []
        if record is None:
            return
        if record.model != self.model or not self._restore(record):
            self._replay(scorer, record.clicks)
        if now - record.seen > idle:
            self.end()

    def _restore(self, record: Record) -> bool:
        """False for states that are damaged."""
        try:
            if self.user:
                self.user.restore(record.user)
            self.session.restore(record.session)
        except sessrec.SessrecError:
            return False
        self.clicks = record.clicks
        return True

    def _replay(self, scorer: sessrec.Scorer, clicks: List[str]) -> None:
        self.session, self.user = scorer.session(), scorer.user() if self.user else None
        for item in clicks:
            if item == END:
                self.end()
            else:
                self.click(item)

    def click(self, item: str) -> bool:
        self.clicks.append(item)
        return self.session.click(item)

    def end(self) -> None:
        """The session is over: a user goes on from what is known of them, others begin anew."""
        if self.user is None:
            self.session.end()
            self.clicks = []
            return
        self.user.fold(self.session)
        self.user.begin(self.session)
        if self.clicks and self.clicks[-1] != END:
            self.clicks.append(END)

    def record(self, now: float) -> Record:
        return Record(self.model, now, self.session.export(), self.user.export() if self.user else b"",
                      self.clicks[-HISTORY:])


class Answer(NamedTuple):
    body: Any                 # what is said, or the exception
    record: Optional[bytes]   # what is to be kept
    unknown: int              # clicks on items that the model does not know


def answer(loaded: Loaded, asks: List[Ask], records: List[Optional[bytes]],
           idle: float) -> List[Answer]:
    """Answers of requests by different visitors, all in one pass through the item table."""
    now, visits, unknown = time.time(), [], []
    for ask, data in zip(asks, records):
        known = None if ask.forget or not data else Record.of_bytes(data)
        visit = Visit(loaded, known, idle, now)
        unknown.append(sum(not visit.click(item) for item in ask.clicks))
        if ask.end:
            visit.end()
        visits.append(visit)
    asked = [(visit.session, ask.query) for visit, ask in zip(visits, asks) if ask.query]
    found = iter(loaded.scorer.answer(asked))
    answers = []
    for ask, visit, missed in zip(asks, visits, unknown):
        kept = None
        if ask.visitor is not None and not ask.forget and visit.clicks:
            kept = visit.record(now).to_bytes()
        answers.append(Answer(_body(visit, next(found) if ask.query else None), kept, missed))
    return answers


def _body(visit: Visit, best: Any) -> Any:
    if isinstance(best, Exception):
        return best
    known, unknown = visit.session.clicks
    body: Dict[str, Any] = {"known": known, "unknown": unknown}
    if best is not None:
        body["source"] = visit.session.source
        body["items"] = [{"item": item, "score": score} for item, score in best]
    return body
