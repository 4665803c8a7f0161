#!/usr/bin/env python3
"""A tour of the package: python tour.py [LOG] [--plots FOLDER]

Read it from top to bottom, or run it cell by cell (# %%) in an editor that knows notebooks. LOG has the
columns SessionId, ItemId and Time; without one a made-up shop is used. Needs pandas and tqdm; plots need
matplotlib.
"""
# %% A log of clicks
import argparse
import sys

import numpy as np
import pandas

if __name__ == "__main__":
    sys.path.pop(0)  # the installed package, not its sources beside this file
import sessrec  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("log", nargs="?")
parser.add_argument("--plots", default=".", help="where the plots go")
given = parser.parse_args()


def shop(visits=4000, items=400, seed=1):
    """Visitors walk along shelves of forty items, mostly forwards; some shelves are more popular."""
    random = np.random.default_rng(seed)
    rows = []
    for visit in range(visits):
        shelf, place = int(items / 40 * random.random() ** 2) * 40, random.integers(0, 40)
        for click in range(1 + random.geometric(0.25)):
            rows.append((f"visit {visit}", f"item {shelf + place}", visit * 300.0 + click * 20))
            place = (place + random.choice([1, 1, 2, 3, 37])) % 40
    return pandas.DataFrame(rows, columns=["SessionId", "ItemId", "Time"])


log = sessrec.Log.read(given.log) if given.log else sessrec.Log.of(shop())
print(log, *log.notes, sep="\n")

# %% The last tenth of the time is the test; the tenth before it says when to stop
first, last = log.times.min(), log.times.max()
rest, test = log.split_time(first + (last - first) * 0.9)
train, valid = rest.split_time(first + (last - first) * 0.8)

# %% A network, with the loss of each epoch
model = sessrec.Model.fit(train, validation=valid, epochs=8, layers=64, patience=3, progress=True)
print(model, model.history[-1])

# %% What costs no training: neighbors and rules; and a blend
neighbors = sessrec.Neighbors.fit(train, preset="vstan")
rules = sessrec.Rules.fit(train, kind="sequential")
blend = max((sessrec.Blend.of((model, 1), (neighbors, weight)) for weight in (0.25, 0.5, 1, 2)),
            key=lambda each: each.evaluate(valid, cutoffs=[20]).mrr[20])


# %% A method of your own
class Again(sessrec.OwnScorer):
    """People go back to what they have seen."""

    def score(self, clicks, times):
        return {item: place for place, item in enumerate(clicks, 1)}


methods = {"network": model, "neighbors": neighbors, "rules": rules, "blend": blend,
           "popularity": sessrec.Popularity.fit(train), "again": Again(model.item_ids)}

# %% All of them on the test
reports = {name: method.evaluate(test, cutoffs=[1, 5, 10, 20]) for name, method in methods.items()}
print(pandas.DataFrame({name: {"Recall@20": report.recall[20], "MRR@20": report.mrr[20]}
                        for name, report in reports.items()}).T.round(4))

# %% Recommendations, with reasons where there are some
clicks = [log.item_id(item) for item in test.items[:2]]
print("after", clicks)
for name in ("network", "neighbors", "rules", "blend"):
    print(f"  {name:10}", [item for item, _ in methods[name].recommend(clicks, k=5)])
visitor = rules.session()
for item in clicks:
    visitor.click(item)
for item, _ in visitor.recommend(k=2):
    reason = visitor.reasons(item)[0]
    print(f"  {item} because {reason.held} of {reason.of} sessions had it after {reason.context}")
print("  like", clicks[0], model.similar(clicks[0], 3))

# %% Clicks of the next day, learned on top
later = model.partial_fit(test)
print("learned further:", later)

# %% The same file for Python, C and the command line
blend.save(f"{given.plots}/shop.model")
print(sessrec.load(f"{given.plots}/shop.model"))

# %% Plots: loss curves, and where in a session recommendations are good
try:
    import matplotlib
except ImportError:
    raise SystemExit("no plots without matplotlib")
matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

figure, (left, right, breakdown) = pyplot.subplots(1, 3, figsize=(15, 4))
epochs = [1 + epoch["epoch"] for epoch in model.history]
left.plot(epochs, [epoch["loss"] for epoch in model.history], "o-")
left.set(title="Loss on the training part", xlabel="epoch", ylabel="cross-entropy")
right.plot(epochs, [epoch["validation"] for epoch in model.history], "o-")
right.set(title="Validation", xlabel="epoch", ylabel="MRR@20")
for name, report in reports.items():
    groups = [group for group in report.by_position if group.event_count]
    breakdown.plot(range(1, 1 + len(groups)), [group.mrr[20] for group in groups], "o-", label=name)
breakdown.set(title="By place in the session (last: all later ones)", xlabel="click", ylabel="MRR@20")
breakdown.legend()
figure.tight_layout()
figure.savefig(f"{given.plots}/tour.png", dpi=100)
print(f"{given.plots}/tour.png")
