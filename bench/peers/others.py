"""faiss, numpy, pandas, duckdb and polars at what they are good at: lines as bench/speed.c prints them

    others.py search ITEMS      the best 20 of ITEMS x 100 floats for one query (faiss, numpy), and ranks of
                                events by a matrix product and a count (numpy)
    others.py read LOG          a log sorted by session and time, with sessions counted and items numbered
                                (pandas, duckdb, polars)

What is not installed is skipped by name. OMP_NUM_THREADS says how many threads; medians of five runs.
"""

import importlib
import os
import statistics
import sys
import time

THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))
COUNTED = f"{THREADS} thread" + "s" * (THREADS > 1)


def seconds(work, runs=5, least=0.0):
    """The median of `runs` runs, each of which repeats the work for `least` seconds."""
    work()
    found = []
    for _ in range(runs):
        start, times = time.perf_counter(), 0
        while not times or time.perf_counter() - start < least:
            work()
            times += 1
        found.append((time.perf_counter() - start) / times)
    return statistics.median(found)


def library(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"skipped {name}: it is not installed")
        return None


def record(who, what, value):
    print(f"{who}\t{what}\t{value:.6g}", flush=True)


def search(items):
    numpy, faiss = library("numpy"), library("faiss")
    if not numpy:
        return
    random = numpy.random.default_rng(1)
    table = random.standard_normal((items, 100), dtype=numpy.float32)
    query = random.standard_normal((1, 100), dtype=numpy.float32)

    def by_numpy():
        scores = table @ query[0]
        best = numpy.argpartition(scores, -20)[-20:]
        return best[numpy.argsort(-scores[best])]

    what = f"click and top 20, microseconds: {items} items, from floats, {COUNTED}, p50"
    record("numpy", what, 1e6 * seconds(by_numpy, least=0.4))
    if faiss:
        faiss.omp_set_num_threads(THREADS)
        index = faiss.IndexFlatIP(100)
        index.add(table)
        record("faiss", what, 1e6 * seconds(lambda: index.search(query, 20), least=0.4))
    states = random.standard_normal((512, 100), dtype=numpy.float32)
    target = random.integers(0, items, 512)

    def ranks():
        scores = states @ table.T
        return (scores > scores[numpy.arange(512), target, None]).sum(axis=1)

    if items < 100000:
        what = f"evaluation, events/s: {items} items, L=100, {COUNTED}"
        record("numpy", what, 512 / seconds(ranks, least=0.4))


def read(path):
    pandas, duckdb, polars = library("pandas"), library("duckdb"), library("polars")
    size = os.path.getsize(path) / 1e6
    what = f"reading a log, MB/s: {size:.1f} MB, {COUNTED}"

    def by_pandas():
        log = pandas.read_csv(path, sep="\t").sort_values(["SessionId", "Time"])
        log.groupby("SessionId", sort=False).size()
        pandas.factorize(log.ItemId)

    def by_duckdb():
        with duckdb.connect(config={"threads": THREADS}) as base:
            base.execute("""CREATE TABLE log AS SELECT *, dense_rank() OVER (ORDER BY ItemId) AS item
                FROM read_csv(?, delim = '\t') ORDER BY SessionId, Time""", [path])
            base.execute("SELECT SessionId, count(*) FROM log GROUP BY SessionId").fetchnumpy()

    def by_polars():
        log = polars.read_csv(path, separator="\t").sort(["SessionId", "Time"])
        log.group_by("SessionId").len()
        log["ItemId"].rank("dense")

    if pandas:
        record("pandas", what, size / seconds(by_pandas))
    if duckdb:
        record("duckdb", what, size / seconds(by_duckdb))
    if polars:
        record("polars", what, size / seconds(by_polars))


if __name__ == "__main__":
    os.environ.setdefault("POLARS_MAX_THREADS", str(THREADS))
    if len(sys.argv) != 3 or sys.argv[1] not in ("search", "read"):
        sys.exit(__doc__)
    search(int(sys.argv[2])) if sys.argv[1] == "search" else read(sys.argv[2])
