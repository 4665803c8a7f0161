"""The service, from outside: requests, records in both stores, another model, an instance that is killed.

python -m pytest examples/service, with the Python package on the path. Redis and nginx are Debian's, on
loopback; without them their tests are skipped by name.
"""
import asyncio
import collections
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import sessrec

SERVICE = Path(__file__).resolve().parent.parent
ITEMS = 500


def log_of(seed, sessions=400):
    rng = np.random.default_rng(seed)
    session = np.repeat(np.arange(sessions), 5)
    item = (rng.integers(0, ITEMS, sessions).repeat(5) + np.tile(np.arange(5), sessions)) % ITEMS
    item[:ITEMS] = np.arange(ITEMS)
    return sessrec.Log.from_arrays(session, item, np.arange(5.0 * sessions), session % 40)


def blend_of(seed):
    log = log_of(seed)
    model = sessrec.Model.fit(log, layers=16, epochs=1, negatives=32, threads=1, seed=seed)
    return sessrec.Blend.of((model, 1), (sessrec.Neighbors.fit(log), 1))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Instance:
    """serve.py in a process of its own."""

    def __init__(self, *options, port=None):
        self.port = port or free_port()
        self.process = subprocess.Popen([sys.executable, str(SERVICE / "serve.py"), "--port", str(self.port),
                                         *map(str, options)], stderr=subprocess.PIPE, start_new_session=True)
        for _ in range(300):
            try:
                if self.get("/ready")[0] == 200:
                    return
            except OSError:
                time.sleep(0.1)
            assert self.process.poll() is None, self.process.stderr.read().decode()
        raise AssertionError("the instance does not become ready")

    def request(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body)
        connection.request(method, path, data)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, json.loads(text) if text.startswith("{") else text

    def get(self, path):
        return self.request("GET", path)

    def post(self, **body):
        return self.request("POST", "/recommend", body)

    def metric(self, name):
        lines = [line.split() for line in self.get("/metrics")[1].splitlines() if line[0] != "#"]
        return float(dict(lines)["sessrec_" + name])

    def end(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            os.killpg(self.process.pid, how)
        self.process.communicate(timeout=20)


@pytest.fixture(scope="module")
def blend():
    return blend_of(1)


@pytest.fixture(scope="module")
def path(blend, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "shop.model"
    blend.save(path)
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("states") / "states.sqlite"


@pytest.fixture(scope="module")
def instance(path, store):
    instance = Instance("--model", path, "--store", store, "--workers", 2)
    yield instance
    instance.end()


def items_of(answer):
    status, body = answer
    assert status == 200, body
    return [(found["item"], pytest.approx(found["score"])) for found in body["items"]]


# ---- requests ----------------------------------------------------------------------------------------------

def test_it_recommends_what_the_model_does(instance, blend):
    assert items_of(instance.post(clicks=[3, 4], k=5)) == blend.recommend([3, 4], 5)
    assert items_of(instance.post(visitor="a", click="3", k=5)) == blend.recommend([3], 5)
    assert items_of(instance.post(visitor="a", click=4, k=5)) == blend.recommend([3, 4], 5)
    status, body = instance.post(visitor="a", click="unheard of", k=3, candidates=[7, 9, "x"])
    assert (body["known"], body["unknown"], body["source"]) == (2, 1, "model")
    assert {found["item"] for found in body["items"]} == {"7", "9"}
    assert instance.post(visitor="nobody yet")[1]["source"] == "popularity"
    assert [found["item"] for found in instance.get("/similar?item=3&k=2")[1]["items"]] == \
        [item for item, _ in blend.similar(3, 2)]


def test_an_impossible_request_gets_a_sentence(instance):
    for body, word in ((b"[", "JSON"), (b"[1]", "object"), (b"[" * 60000, "JSON"), ({"k": 0}, "k is"),
                       ({"k": True}, "k is"), ({"klick": 3}, "klick"), ({"click": 1.5}, "click"),
                       ({"click": ""}, "click"), ({"visitor": "v" * 256}, "visitor"), ({"end": 1}, "end"),
                       ({"clicks": "abc"}, "clicks"), ({"clicks": [1] * 257}, "clicks"),
                       ({"visitor": "a\0b"}, "visitor"), (b'{"visitor": "\\ud800"}', "visitor")):
        status, answer = instance.request("POST", "/recommend", body)
        assert status == 400 and word in answer["error"], (body, answer)
    assert instance.request("POST", "/recommend", b" " * 70000)[0] == 413
    assert instance.get("/similar?item=unheard")[0] == instance.get("/visitors/unheard")[0] == 404


def test_a_visitor_can_see_and_delete_what_is_kept(instance):
    for visitor, path in (("d", "/visitors/d"), ("a/b c\u00e9", "/visitors/a/b%20c%C3%A9")):
        instance.post(visitor=visitor, clicks=[1, 2])
        assert instance.get(path)[1]["clicks"] == ["1", "2"]
        assert instance.request("DELETE", path)[0] == 204
        assert instance.get(path)[0] == 404


def test_nothing_is_kept_without_consent(instance, blend):
    instance.post(visitor="c", click=1)
    assert items_of(instance.post(visitor="c", click=5, consent=False, k=3)) == blend.recommend([5], 3)
    assert instance.get("/visitors/c")[0] == 404


def test_nothing_is_kept_unless_consent_is_said_where_it_is_asked_for(path, tmp_path):
    instance = Instance("--model", path, "--store", tmp_path / "s", "--consent", "ask")
    try:
        instance.post(visitor="c", click=1)
        assert instance.get("/visitors/c")[0] == 404
        instance.post(visitor="c", click=1, consent=True)
        assert instance.get("/visitors/c")[1]["clicks"] == ["1"]
    finally:
        instance.end()


def test_metrics_are_sums_over_the_workers(instance):
    before = instance.metric("requests_total"), instance.metric("refusals_total")
    for i in range(20):
        instance.post(visitor=f"m{i}", click=1)
    instance.post(k=0)
    assert instance.metric("requests_total") == before[0] + 21
    assert instance.metric("refusals_total") == before[1] + 1
    assert instance.metric("seconds_count") == before[0] + 21
    assert instance.metric('seconds_bucket{le="+Inf"}') == before[0] + 21


def test_visitors_outlive_the_instance(path, blend, tmp_path):
    options = "--model", path, "--store", tmp_path / "states", "--idle", 1000
    first = Instance(*options)
    first.post(visitor="r", clicks=[10, 11])
    first.end(signal.SIGKILL)
    second = Instance(*options)
    try:
        assert items_of(second.post(visitor="r", click=12, k=4)) == blend.recommend([10, 11, 12], 4)
    finally:
        second.end()


def test_a_visit_that_was_idle_begins_anew(path, blend, tmp_path):
    instance = Instance("--model", path, "--store", tmp_path / "states", "--idle", 0.2)
    try:
        instance.post(visitor="i", click=10)
        time.sleep(0.3)
        assert items_of(instance.post(visitor="i", click=20, k=4)) == blend.recommend([20], 4)
    finally:
        instance.end()


def test_users_come_back_with_what_is_known_of_them(tmp_path):
    model = sessrec.Model.fit(log_of(3), layers=16, user_hidden=8, epochs=1, negatives=32, threads=1)
    model.save(tmp_path / "users.model")
    instance = Instance("--model", tmp_path / "users.model", "--store", tmp_path / "states")
    try:
        assert instance.post(visitor="u", clicks=[1, 2, 3], end=True)[0] == 200
        user, session = model.user(), model.session()
        for item in (1, 2, 3):
            session.click(item)
        user.fold(session)
        user.begin(session)
        session.click(7)
        assert items_of(instance.post(visitor="u", click=7, k=4)) == session.recommend(4)
        assert session.recommend(4) != model.recommend([7], 4)
    finally:
        instance.end()


def test_another_model_takes_over_in_the_middle_of_visits(tmp_path):
    path, models = tmp_path / "shop.model", [blend_of(1), blend_of(2)]
    models[0].save(path)
    instance = Instance("--model", path, "--store", tmp_path / "states")
    try:
        assert items_of(instance.post(visitor="m", click=10, k=4)) == models[0].recommend([10], 4)
        (tmp_path / "broken").write_bytes(b"SESSREC\0 no model")
        os.replace(tmp_path / "broken", path)
        seen, models_of = collections.Counter(), {}
        for replaced in (False, True):
            if replaced:
                models[1].save(tmp_path / "new")
                os.replace(tmp_path / "new", path)
            end = time.time() + 2.5
            while time.time() < end:
                status, body = instance.post(clicks=[10, 11], k=1)
                seen[status] += 1
                models_of[round(body["items"][0]["score"], 3)] = replaced
        assert set(seen) == {200} and len(models_of) == 2
        assert instance.metric("reload_failures_total") == instance.metric("reloads_total") == 1
        assert items_of(instance.post(visitor="m", click=11, k=4)) == models[1].recommend([10, 11], 4)
    finally:
        instance.end()


# ---- load --------------------------------------------------------------------------------------------------

class Visitors:
    """Visitors who click one item after another. A failed click is not repeated, as a browser would not."""

    def __init__(self, port, count, name="load"):
        self.port, self.count, self.name, self.running = port, count, name, True
        self.answered = collections.defaultdict(list)   # clicks by visitor,
        self.failed = collections.defaultdict(list)
        self.failures = 0

    async def post(self, reader, writer, visitor, item):
        body = json.dumps({"visitor": visitor, "click": item, "k": 1}).encode()
        head = b"POST /recommend HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
        writer.write(head % len(body) + body)
        status = int((await reader.readuntil(b"\r\n")).split()[1])
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.split(b"content-length:")[1].split()[0]))
        return status

    async def visit(self, number):
        visitor, item = f"{self.name}-{number}", number
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        while self.running:
            item = (item + 1) % ITEMS
            try:
                status = await asyncio.wait_for(self.post(reader, writer, visitor, item), 30)
            except (ConnectionError, asyncio.IncompleteReadError):   # it died with the instance
                status = 0
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            if status == 200:
                self.answered[visitor].append(str(item))
            else:
                self.failed[visitor].append(str(item))
                self.failures += 1
            await asyncio.sleep(0.05)   # fewer than 128 clicks in five seconds: a record keeps so many
        writer.close()

    async def run(self, seconds, *deeds):
        """deeds: (after so many seconds, what is done then)."""
        visits = [asyncio.create_task(self.visit(number)) for number in range(self.count)]
        began = time.monotonic()
        for after, deed in deeds:
            await asyncio.sleep(max(0, began + after - time.monotonic()))
            deed()
        await asyncio.sleep(max(0, began + seconds - time.monotonic()))
        self.running = False
        await asyncio.gather(*visits)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    if not shutil.which("redis-server"):
        pytest.skip("there is no redis-server")
    pytest.importorskip("redis")
    port = free_port()
    server = subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                               "--dir", str(tmp_path_factory.mktemp("redis"))], stdout=subprocess.DEVNULL)
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.05)
    yield f"redis://127.0.0.1:{port}"
    server.terminate()
    server.wait()


@pytest.fixture
def balanced(path, redis_url, tmp_path):
    """Two instances that share a Redis, behind nginx."""
    if not shutil.which("nginx"):
        pytest.skip("there is no nginx")
    instances = [Instance("--model", path, "--store", redis_url) for _ in range(2)]
    conf, port = (SERVICE / "nginx.conf").read_text(), free_port()
    for old, new in (("8000", port), ("8001", instances[0].port), ("8002", instances[1].port)):
        assert f":{old}" in conf
        conf = conf.replace(f":{old}", f":{new}")
    (tmp_path / "nginx.conf").write_text(conf)
    (tmp_path / "tmp").mkdir()
    nginx = subprocess.Popen(["nginx", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"),
                              "-g", f"daemon off; {'user root;' if os.getuid() == 0 else ''}"])
    time.sleep(0.5)
    yield port, instances
    nginx.terminate()
    nginx.wait()
    for instance in instances:
        instance.end()


def test_the_loss_of_an_instance_under_load_loses_no_session(balanced, blend):
    port, (doomed, other) = balanced
    visitors = Visitors(port, 40)
    asyncio.run(visitors.run(5, (2, lambda: os.killpg(doomed.process.pid, signal.SIGKILL))))
    assert doomed.process.poll() == -signal.SIGKILL
    assert len(visitors.answered) == 40 and sum(map(len, visitors.answered.values())) > 400
    assert visitors.failures <= 40  # each visitor has one request in flight
    for visitor, answered in visitors.answered.items():
        kept = other.get(f"/visitors/{visitor}")[1]["clicks"]
        # A click whose request failed may have been counted before the instance died. All others are there.
        assert [item for item in kept if item not in visitors.failed[visitor]] == answered
        status, body = other.post(visitor=visitor, k=3, allow_seen=True)
        assert body["known"] == len(kept)
        assert items_of((status, body)) == blend.recommend(kept, 3, allow_seen=True)


def test_two_instances_serve_one_visitor_at_once_without_losing_a_click(balanced):
    port, instances = balanced
    visitors = Visitors(port, 8, "both")
    visitors.visit, visit = (lambda number: visit(0)), visitors.visit
    asyncio.run(visitors.run(1.5))
    assert not visitors.failures
    _, body = instances[0].post(visitor="both-0")
    assert body["known"] == len(visitors.answered["both-0"]) > 50
    assert sum(instance.metric("conflicts_total") for instance in instances) > 0


def test_a_store_that_is_gone_is_an_error_and_comes_back(path, tmp_path):
    if not shutil.which("redis-server"):
        pytest.skip("there is no redis-server")
    pytest.importorskip("redis")
    port = free_port()
    start = ["redis-server", "--port", str(port), "--save", "", "--dir", str(tmp_path)]
    redis = subprocess.Popen(start, stdout=subprocess.DEVNULL)
    time.sleep(0.3)
    instance = Instance("--model", path, "--store", f"redis://127.0.0.1:{port}")
    try:
        assert instance.post(visitor="s", click=1)[0] == 200
        redis.kill()
        redis.wait()
        assert instance.get("/ready")[0] == 503 and instance.get("/health")[0] == 200
        status, body = instance.post(visitor="s", click=2)
        assert status == 503 and "store" in body["error"]
        assert instance.post(clicks=[2])[0] == 200  # what needs no store is answered
        redis = subprocess.Popen(start, stdout=subprocess.DEVNULL)
        time.sleep(0.3)
        assert instance.post(visitor="s", click=2)[0] == 200
    finally:
        redis.kill()
        redis.wait()
        instance.end()
