#!/usr/bin/env python3
"""Starts an instance of the service: serve.py --model shop.model [--store redis://HOST] [--port 8000]."""
import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def arguments():
    parser = argparse.ArgumentParser(description="Recommendations over HTTP; README.md has the requests.")
    add = parser.add_argument
    add("--model", help="a model, neighbors, rules or a blend; loaded again when it changes. Default: one "
        "that is learned now from a made-up shop")
    add("--store", default="sessrec-states.sqlite",
        help="redis://HOST[:PORT] or the file of an SQLite database (default: %(default)s)")
    add("--host", default="127.0.0.1", help="default: %(default)s, which only this machine reaches")
    add("--port", type=int, default=8000, help="default: %(default)s")
    add("--workers", type=int, default=1, help="processes of this instance, default: %(default)s")
    add("--idle", type=float, default=1800, help="seconds after which a visit is over, default: %(default)s")
    add("--keep", type=float, default=90, help="days for which a user who does not come back is kept, "
        "where the model knows users; default: %(default)s")
    add("--consent", choices=("assume", "ask"), default="assume",
        help="ask: nothing is stored unless a request says \"consent\": true")
    return parser.parse_args()


def demo(path):
    """A blend that has learned three routes through a shop, until there is a model of yours."""
    import numpy as np

    import sessrec

    routes = [["grinder", "beans", "filter", "mug"], ["kettle", "tea", "honey", "cup"],
              ["beans", "scale", "filter", "mug"]]
    visits = np.arange(300)
    items = [item for visit in visits for item in routes[visit % 3]]
    log = sessrec.Log.from_arrays(np.repeat(visits, 4), items,
                                  np.repeat(visits, 4) * 60.0 + np.tile(np.arange(4), len(visits)))
    model = sessrec.Model.fit(log, layers=16, epochs=5, batch=8, negatives=16, threads=1)
    sessrec.Blend.of((model, 1), (sessrec.Neighbors.fit(log), 1)).save(path)


def main():
    given = arguments()
    shared = tempfile.mkdtemp(prefix="sessrec-")
    try:
        serve(given, shared)
    finally:
        shutil.rmtree(shared, ignore_errors=True)


def serve(given, shared):
    try:
        import uvicorn

        import sessrec
        if "://" in given.store:
            import redis  # noqa: F401
    except ImportError as missing:
        sys.exit(f"serve.py: {missing}; pip install ./examples/python starlette uvicorn redis")
    if not given.model:
        given.model = os.path.join(shared, "demo.model")
        demo(given.model)
    try:
        sessrec.load(given.model, mapped=True)
    except Exception as failure:
        sys.exit(f"serve.py: {given.model}: {failure}")
    os.environ.update(SESSREC_MODEL=os.path.abspath(given.model), SESSREC_STORE=given.store,
                      SESSREC_IDLE=str(given.idle), SESSREC_KEEP=str(given.keep * 86400),
                      SESSREC_CONSENT=given.consent, SESSREC_METRICS=os.path.join(shared, "metrics"))
    uvicorn.run("app:app", app_dir=str(HERE), host=given.host, port=given.port, workers=given.workers,
                access_log=False, log_level="info", timeout_graceful_shutdown=10)


if __name__ == "__main__":
    main()
