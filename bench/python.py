#!/usr/bin/env python3
"""python.py - what the Python package costs: PYTHONPATH=build/python python3 bench/python.py

Seconds of the processor, so that other work on the machine disturbs less. Of several turns the best one
counts; what is compared takes turns.
"""
import time

import numpy as np

import sessrec
from sessrec._library import lib

EVENTS, ITEMS, TURNS = 10_000_000, 37_000, 3


def best(*calls, turns=TURNS, each=1):
    least = [float("inf")] * len(calls)
    for _ in range(turns):
        for i, call in enumerate(calls):
            began = time.thread_time()
            for _ in range(each):
                call()
            least[i] = min(least[i], (time.thread_time() - began) / each)
    return least


random = np.random.default_rng(1)
sessions = np.repeat(np.arange(EVENTS // 4), 4)
items = random.integers(0, ITEMS, EVENTS)
times = np.arange(EVENTS, dtype=float)
mixed = random.permutation(EVENTS)
texts = np.array([f"item-{item}" for item in range(ITEMS)], dtype=object)[items]
for name, arrays in (("integers", (sessions, items, times)), ("texts as items", (sessions, texts, times)),
                     ("integers in any order", (sessions[mixed], items[mixed], times[mixed]))):
    seconds, = best(lambda: sessrec.Log.from_arrays(*arrays))
    print(f"{EVENTS:,} clicks from arrays, {name}: {seconds:.2f} s")

small = slice(0, 400_000)
log = sessrec.Log.from_arrays(sessions[small], items[small], times[small])
model = sessrec.Model.fit(log, layers=100, epochs=1, negatives=64, threads=1).prepare()
neighbors = sessrec.Neighbors.fit(log)
for scorer in (model, neighbors, sessrec.Blend.of((model, 1), (neighbors, 1))):
    session, work = scorer.session(), scorer._work
    for item in items[:5]:
        session.click(item)
    room = work.best(20)

    def in_c():
        lib.sessrec_session_recommend(session._handle, work.plain, room, work.count, work.source)

    c, python = best(in_c, session.recommend, turns=50, each=100)
    print(f"20 of {scorer.item_count:,} items, {type(scorer).__name__}: {c * 1e6:.1f} us in C, "
          f"{(python - c) * 1e6:+.1f} us in Python")
