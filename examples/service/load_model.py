#!/usr/bin/env python3
"""load_model.py FILE [ITEMS] - a blend for load.sh: a network of 100 units and V-STAN on a made-up log of
200,000 sessions and 37,483 items, as many as in the RecSys Challenge 2015."""
import sys

import numpy as np

import sessrec

items, sessions = int(sys.argv[2]) if len(sys.argv) > 2 else 37483, 200_000
random = np.random.default_rng(1)
lengths = random.geometric(0.25, sessions) + 1
# Popular shelves are visited more often; a visit stays near its first item.
first = (items * random.random(sessions) ** 3).astype(int)
session = np.repeat(np.arange(sessions), lengths)
item = (first[session] + random.integers(-8, 9, len(session))) % items
item[:items] = np.arange(items)
log = sessrec.Log.from_arrays(session, item, np.arange(len(session)) * 2.0)
model = sessrec.Model.fit(log, layers=100, epochs=1)
sessrec.Blend.of((model, 1), (sessrec.Neighbors.fit(log), 1)).save(sys.argv[1])
print(log)
