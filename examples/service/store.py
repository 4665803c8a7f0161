"""Where the records of visitors are kept: Redis, or a file of SQLite where there is none.

A record is bytes under the visitor's id, for a limited time. Instances and workers share them, and two of
them may serve one visitor at once. So a record is only replaced if it is still the one that was read;
otherwise the caller reads it again.
"""
from __future__ import annotations

import asyncio
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, List, NamedTuple, Optional, Sequence


class Change(NamedTuple):
    visitor: str
    old: Optional[bytes]
    new: Optional[bytes]  # None: nothing is kept
    seconds: float        # how long


class StoreError(Exception):
    """The store cannot be reached."""


def open_store(url: str) -> Any:
    return Redis(url) if url.split(":")[0] in ("redis", "rediss", "unix") else Sqlite(url)


# ---- Redis -------------------------------------------------------------------------------------------------

# Three arguments for each key: the old record, the new one ('': none), and how many milliseconds it is kept.
REPLACE = """
local done = {}
for i, key in ipairs(KEYS) do
    done[i] = 0
    if (redis.call('GET', key) or '') == ARGV[3 * i - 2] then
        if ARGV[3 * i - 1] == '' then redis.call('DEL', key)
        else redis.call('SET', key, ARGV[3 * i - 1], 'PX', ARGV[3 * i]) end
        done[i] = 1
    end
end
return done
"""


class Redis:
    def __init__(self, url: str):
        import redis.asyncio

        self.failures = (redis.RedisError, OSError)
        self.client = redis.asyncio.from_url(url)
        self.script = self.client.register_script(REPLACE)

    async def read(self, visitors: Sequence[str]) -> List[Optional[bytes]]:
        try:
            return await self.client.mget(["sessrec:" + visitor for visitor in visitors]) if visitors else []
        except self.failures as failure:
            raise StoreError(str(failure)) from failure

    async def replace(self, changes: Sequence[Change]) -> List[bool]:
        """Which of the changes were made."""
        if not changes:
            return []
        try:
            arguments = [part for change in changes
                         for part in (change.old or b"", change.new or b"", int(change.seconds * 1000))]
            keys = ["sessrec:" + change.visitor for change in changes]
            return [done == 1 for done in await self.script(keys, arguments)]
        except self.failures as failure:
            raise StoreError(str(failure)) from failure

    async def close(self) -> None:
        await self.client.aclose()


# ---- SQLite ------------------------------------------------------------------------------------------------

class Sqlite:
    """One thread, in which the file is used; other processes may use it at the same time."""

    def __init__(self, path: str):
        self.thread = ThreadPoolExecutor(1)
        self.purged = 0.0
        self.file = self.thread.submit(self._open, path).result()

    @staticmethod
    def _open(path: str) -> sqlite3.Connection:
        file = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        file.execute("PRAGMA journal_mode=WAL")
        file.execute("PRAGMA synchronous=NORMAL")
        file.execute("CREATE TABLE IF NOT EXISTS visitors"
                     "(visitor TEXT PRIMARY KEY, record BLOB, expires REAL) WITHOUT ROWID")
        file.execute("CREATE INDEX IF NOT EXISTS by_time ON visitors(expires)")
        return file

    async def _run(self, call: Callable, *given: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(self.thread, call, *given)
        except sqlite3.Error as failure:
            raise StoreError(str(failure)) from failure

    async def read(self, visitors: Sequence[str]) -> List[Optional[bytes]]:
        return await self._run(self._read, visitors, time.time())

    def _read(self, visitors: Sequence[str], now: float) -> List[Optional[bytes]]:
        rows = [self.file.execute("SELECT record FROM visitors WHERE visitor = ? AND expires > ?",
                                  (visitor, now)).fetchone() for visitor in visitors]
        return [row and row[0] for row in rows]

    async def replace(self, changes: Sequence[Change]) -> List[bool]:
        return await self._run(self._replace, changes, time.time())

    def _replace(self, changes: Sequence[Change], now: float) -> List[bool]:
        self.file.execute("BEGIN IMMEDIATE")
        try:
            if now > self.purged + 60:
                self.purged = now
                self.file.execute("DELETE FROM visitors WHERE expires <= ?", (now,))
            done = [self._change(change, now) for change in changes]
            self.file.execute("COMMIT")
            return done
        except BaseException:
            self.file.execute("ROLLBACK")
            raise

    def _change(self, change: Change, now: float) -> bool:
        found = self._read([change.visitor], now)[0]
        if found != change.old:
            return False
        if change.new is None:
            self.file.execute("DELETE FROM visitors WHERE visitor = ?", (change.visitor,))
        else:
            self.file.execute("REPLACE INTO visitors VALUES(?, ?, ?)",
                              (change.visitor, change.new, now + change.seconds))
        return True

    async def close(self) -> None:
        await self._run(self.file.close)
        self.thread.shutdown()
