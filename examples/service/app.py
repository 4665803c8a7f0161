"""The service: an ASGI application of Starlette. serve.py starts it; README.md has the requests.

Requests that come at the same time are answered together. A worker has one batch under way: it reads the
records of its visitors, lets one thread compute, and writes the records back, while the next requests gather.
"""
from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, AsyncIterator, Dict, List, Optional, Tuple

from metrics import Metrics
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from store import Change, StoreError, open_store
from visitors import Answer, Ask, Loaded, Record, answer

MOST_BODY, MOST_CLICKS, MOST_K, MOST_ID = 65536, 256, 1000, 255
MOST_BATCH, MOST_WAITING, MOST_TRIES = 64, 4096, 20
WATCH = 1.0  # seconds between two looks at the model file
log = logging.getLogger("uvicorn.error")


class Failure(Exception):
    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status


# ---- the model ---------------------------------------------------------------------------------------------

def identity(path: str) -> Tuple[int, ...]:
    facts = os.stat(path)
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


# ---- the service -------------------------------------------------------------------------------------------

class Service:
    def __init__(self, environ: Any = os.environ):
        self.path = environ["SESSREC_MODEL"]
        self.idle = float(environ.get("SESSREC_IDLE", 1800))
        self.keep = float(environ.get("SESSREC_KEEP", 90 * 86400))
        self.ask_consent = environ.get("SESSREC_CONSENT") == "ask"
        self.store = open_store(environ.get("SESSREC_STORE", "sessrec-states.sqlite"))
        self.metrics = Metrics(environ.get("SESSREC_METRICS", f"sessrec-metrics-{os.getpid()}"))
        self.loaded, self.file = time.time(), identity(self.path)
        self.model = Loaded.of_file(self.path)
        self.thread = ThreadPoolExecutor(1)
        self.waiting: List[Tuple[Ask, asyncio.Future]] = []
        self.wake = asyncio.Event()

    async def ask(self, ask: Ask) -> Dict[str, Any]:
        if len(self.waiting) >= MOST_WAITING:
            raise Failure(503, "too many requests are waiting")
        future = asyncio.get_running_loop().create_future()
        self.waiting.append((ask, future))
        self.wake.set()
        return await future

    # -- batches --

    async def work(self) -> None:
        """Answers batch after batch, until it is cancelled."""
        while True:
            await self.wake.wait()
            batch = self._take()
            if not self.waiting:
                self.wake.clear()
            try:
                await self._serve(batch)
            except StoreError as failure:
                self.metrics.add("store_failures")
                self._fail(batch, Failure(503, f"the store cannot be reached: {failure}"))
            except Exception as failure:
                log.exception("a batch failed")
                self._fail(batch, Failure(500, f"internal error: {failure}"))

    def _take(self) -> List[Tuple[Ask, asyncio.Future]]:
        """The next requests, at most one of each visitor, in their order."""
        batch, later, visitors = [], [], set()
        for ask, future in self.waiting:
            if future.cancelled():
                continue
            if len(batch) == MOST_BATCH or ask.visitor in visitors:
                later.append((ask, future))
            else:
                batch.append((ask, future))
                visitors.add(ask.visitor or object())
        self.waiting = later
        return batch

    @staticmethod
    def _fail(batch: List[Tuple[Ask, asyncio.Future]], failure: Failure) -> None:
        for _, future in batch:
            if not future.done():
                future.set_exception(failure)

    async def _serve(self, batch: List[Tuple[Ask, asyncio.Future]]) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(MOST_TRIES):
            stored = [ask.visitor for ask, _ in batch if ask.visitor is not None]
            found = dict(zip(stored, await self.store.read(stored)))
            records = [found.get(ask.visitor) for ask, _ in batch]
            answers = await loop.run_in_executor(self.thread, answer, self.model,
                                                 [ask for ask, _ in batch], records, self.idle)
            self.metrics.add("batches")
            batch = await self._finish(batch, records, answers)
            if not batch:
                return
            self.metrics.add("conflicts", len(batch))
        self._fail(batch, Failure(503, "other instances change this visitor's record all the time"))

    async def _finish(self, batch: List[Tuple[Ask, asyncio.Future]], records: List[Optional[bytes]],
                      answers: List[Answer]) -> List[Tuple[Ask, asyncio.Future]]:
        """Keeps records and gives answers; returns the requests whose records another instance changed."""
        changes, of = [], []
        for i, ((ask, _), old, made) in enumerate(zip(batch, records, answers)):
            if ask.visitor is not None and old != made.record:
                changes.append(Change(ask.visitor, old, made.record, self._seconds(made.record)))
                of.append(i)
        done = await self.store.replace(changes)
        again = {i for i, kept in zip(of, done) if not kept}
        for i, ((ask, future), made) in enumerate(zip(batch, answers)):
            if i in again or future.done():
                continue
            self.metrics.add("clicks", len(ask.clicks))
            self.metrics.add("unknown_clicks", made.unknown)
            if isinstance(made.body, Exception):
                future.set_exception(Failure(400, str(made.body)))
            else:
                future.set_result(made.body)
        return [batch[i] for i in sorted(again)]

    def _seconds(self, record: Optional[bytes]) -> float:
        """How long a record is kept: that of a user longer than that of a session."""
        return self.keep if record and Record.of_bytes(record).user else self.idle

    # -- another model --

    async def watch(self) -> None:
        """Loads the model again when its file has changed. Requests go on with the old one until then."""
        while True:
            await asyncio.sleep(WATCH)
            try:
                file = identity(self.path)
                if file == self.file:
                    continue
                self.file = file
                self.model = await asyncio.get_running_loop().run_in_executor(None, Loaded.of_file, self.path)
                self.loaded = time.time()
                self.metrics.add("reloads")
                log.info("loaded %s: %r", self.path, self.model.scorer)
            except Exception as failure:
                self.metrics.add("reload_failures")
                log.error("%s was not loaded, the model before stays: %s", self.path, failure)


# ---- requests ----------------------------------------------------------------------------------------------

def text_of(value: Any, name: str) -> str:
    """An id: a text, or an integer."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise Failure(400, f"{name} is a text or an integer")
    text = str(value)
    if not 0 < len(text.encode("utf-8", "surrogatepass")) <= MOST_ID or "\0" in text:
        raise Failure(400, f"{name} has 1 to {MOST_ID} bytes, none of which is 0")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Failure(400, f"{name} is not valid Unicode") from None
    return text


def texts_of(body: Dict[str, Any], name: str) -> List[str]:
    values = body.get(name, [])
    if not isinstance(values, list) or len(values) > MOST_CLICKS:
        raise Failure(400, f"{name} is a list of at most {MOST_CLICKS} ids")
    return [text_of(value, f"an id in {name}") for value in values]


async def body_of(request: Request) -> Dict[str, Any]:
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > MOST_BODY:
            raise Failure(413, f"a request has at most {MOST_BODY} bytes")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise Failure(400, "the request is not JSON") from None
    if not isinstance(body, dict):
        raise Failure(400, "the request is not a JSON object")
    return body


FIELDS = {"visitor", "click", "clicks", "k", "candidates", "allow_seen", "consent", "end"}


def ask_of(body: Dict[str, Any], ask_consent: bool) -> Ask:
    unknown = sorted(set(body) - FIELDS)
    if unknown:
        raise Failure(400, f"there is no field {unknown[0]}; there are {', '.join(sorted(FIELDS))}")
    clicks = texts_of(body, "clicks")
    if "click" in body:
        clicks.append(text_of(body["click"], "click"))
    k = body.get("k", 20)
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= MOST_K:
        raise Failure(400, f"k is a number from 1 to {MOST_K}")
    switches = {name: body.get(name, default) for name, default in
                (("allow_seen", False), ("consent", not ask_consent), ("end", False))}
    for name, value in switches.items():
        if not isinstance(value, bool):
            raise Failure(400, f"{name} is true or false")
    query = {"k": k, "allow_seen": switches["allow_seen"]}
    if "candidates" in body:
        query["candidates"] = texts_of(body, "candidates")
    visitor = text_of(body["visitor"], "visitor") if "visitor" in body else None
    if visitor is not None and body.get("consent") is False:
        return Ask(visitor, clicks, query, switches["end"], forget=True)
    return Ask(visitor if switches["consent"] else None, clicks, query, switches["end"])


async def recommend(request: Request) -> Response:
    service: Service = request.app.state.service
    began = time.perf_counter()
    service.metrics.add("requests")
    try:
        return JSONResponse(await service.ask(ask_of(await body_of(request), service.ask_consent)))
    finally:
        service.metrics.took(time.perf_counter() - began)


async def visitor(request: Request) -> Response:
    """What is kept of a visitor, or its end."""
    service: Service = request.app.state.service
    name = text_of(request.path_params["visitor"], "visitor")
    if request.method == "DELETE":
        await service.ask(Ask(name, [], None, forget=True))
        return Response(status_code=204)
    data = (await service.store.read([name]))[0]
    record = Record.of_bytes(data) if data else None
    if record is None:
        raise Failure(404, "nothing is kept of this visitor")
    return JSONResponse({"seen": record.seen, "clicks": record.clicks, "bytes": len(data)})


async def similar(request: Request) -> Response:
    service: Service = request.app.state.service
    item, k = request.query_params.get("item", ""), request.query_params.get("k", "10")
    if not k.isdecimal() or not 1 <= int(k) <= MOST_K:
        raise Failure(400, f"k is a number from 1 to {MOST_K}")
    scorer = service.model.scorer
    if scorer.item(text_of(item, "item")) < 0:
        raise Failure(404, "the model does not know this item")
    best = await asyncio.get_running_loop().run_in_executor(service.thread, scorer.similar, item, int(k))
    return JSONResponse({"items": [{"item": other, "score": score} for other, score in best]})


async def health(request: Request) -> Response:
    """The process runs."""
    return PlainTextResponse("ok\n")


async def ready(request: Request) -> Response:
    """It can also answer: the store is there."""
    await request.app.state.service.store.read(["?"])
    return PlainTextResponse("ready\n")


async def metrics(request: Request) -> Response:
    service: Service = request.app.state.service
    return PlainTextResponse(service.metrics.text(items=service.model.scorer.item_count,
                                                  model_loaded_seconds=round(service.loaded, 3)))


async def failed(request: Request, failure: Exception) -> Response:
    status = getattr(failure, "status", 503)
    request.app.state.service.metrics.add("refusals" if status < 500 else "failures")
    return JSONResponse({"error": str(failure)}, status)


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    sys.setswitchinterval(0.0005)  # or a batch waits 5 ms for the GIL while requests are read
    app.state.service = service = Service()
    tasks = [asyncio.create_task(service.work()), asyncio.create_task(service.watch())]
    log.info("serving %s: %r", service.path, service.model.scorer)
    yield
    for task in tasks:
        task.cancel()
    await service.store.close()


app = Starlette(
    routes=[Route("/recommend", recommend, methods=["POST"]),
            Route("/visitors/{visitor:path}", visitor, methods=["GET", "DELETE"]),
            Route("/similar", similar), Route("/health", health), Route("/ready", ready),
            Route("/metrics", metrics)],
    exception_handlers={Failure: failed, StoreError: failed},
    lifespan=lifespan,
)
