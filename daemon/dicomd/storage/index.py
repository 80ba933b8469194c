"""The index of what was received: one SQLite file in the state directory.

The files are the truth and the index follows: rows come from receipts, in batches, behind the
acknowledgement, or from the files themselves (``rebuilding``). One process writes (the indexer);
any may read. A row is keyed by its path: what overwrites a file replaces its row. Receipts of one
path need not come in the order of the renames, since each worker has spools of its own: the one
that the file bears out stays, else the newest.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any

from dicomd.errors import DicomdError
from dicomd.storage.receipts import Entry

INDEX_NAME = "index.sqlite"
_VERSION = 1
_COLUMNS = (
    "path",
    "sop_instance_uid",
    "sop_class_uid",
    "study_instance_uid",
    "series_instance_uid",
    "transfer_syntax_uid",
    "bytes",
    "sha256",
    "calling_ae_title",
    "called_ae_title",
    "peer",
    "association",
    "listener",
    "store",
    "received_at",
    "job",
    "run",
)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    path TEXT PRIMARY KEY,
    sop_instance_uid TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL,
    series_instance_uid TEXT NOT NULL,
    transfer_syntax_uid TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    calling_ae_title TEXT NOT NULL,
    called_ae_title TEXT NOT NULL,
    peer TEXT NOT NULL,
    association TEXT NOT NULL,
    listener TEXT NOT NULL,
    store TEXT NOT NULL,
    received_at REAL NOT NULL,
    job TEXT NOT NULL,
    run TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS objects_instance ON objects (sop_instance_uid);
CREATE INDEX IF NOT EXISTS objects_study ON objects (study_instance_uid, series_instance_uid);
CREATE INDEX IF NOT EXISTS objects_unsummed ON objects (path) WHERE sha256 = '';
CREATE TABLE IF NOT EXISTS spools (name TEXT PRIMARY KEY, offset INTEGER NOT NULL);
"""
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM objects"
_REPLACE = (
    f"INSERT OR REPLACE INTO objects ({', '.join(_COLUMNS)})"
    f" VALUES ({', '.join('?' * len(_COLUMNS))})"
)
_ASKED_AT_ONCE = 500  # below SQLite's limit of variables in one statement


class StoreIndexError(DicomdError):
    """The index cannot be opened or read. ``dicomd index rebuild`` makes a new one."""


class Index:
    """The open index. With ``read_only`` it must exist. Not shared between threads."""

    def __init__(self, path: str, *, read_only: bool = False) -> None:
        self._path = path
        try:
            if read_only:
                if not os.path.exists(path):
                    raise StoreIndexError(f"{path}: no index there")
                self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
            else:
                self._db = sqlite3.connect(path, timeout=10)
                self._prepare()
        except sqlite3.Error as exc:
            raise StoreIndexError(f"{path}: the index cannot be opened: {exc}") from exc

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version not in (0, _VERSION):
            raise StoreIndexError(
                f"{self._path}: an index of version {version}; this program writes version"
                f" {_VERSION}; move it away and run 'dicomd index rebuild'"
            )
        with self._db:
            self._db.executescript(_SCHEMA)
            self._db.execute(f"PRAGMA user_version = {_VERSION}")

    def __enter__(self) -> "Index":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # Writing

    def add(self, entries: Iterable[Entry], *, spool: str = "", offset: int = 0) -> None:
        """Insert rows; of several for one path the one that the file bears out stays, else the
        newest. The spool's offset goes with them, so that a crash neither loses a receipt nor takes
        one twice."""
        with self._db:
            self._db.executemany(_REPLACE, (_row(entry) for entry in self._standing(entries)))
            if spool:
                self._db.execute("INSERT OR REPLACE INTO spools VALUES (?, ?)", (spool, offset))

    def _standing(self, entries: Iterable[Entry]) -> list[Entry]:
        """Those of the entries that no truer one of the same path stands against."""
        standing: dict[str, Entry] = {}
        for entry in entries:
            rival = standing.get(entry.path)
            standing[entry.path] = entry if rival is None else _truer(rival, entry)
        paths = list(standing)
        for start in range(0, len(paths), _ASKED_AT_ONCE):
            some = paths[start : start + _ASKED_AT_ONCE]
            marks = ",".join("?" * len(some))
            for known in self._entries(f"{_SELECT} WHERE path IN ({marks})", *some):
                if _truer(known, standing[known.path]) is known:
                    del standing[known.path]
        return list(standing.values())

    def offsets(self) -> dict[str, int]:
        """Spool -> bytes of it that are in the index."""
        return dict(self._db.execute("SELECT name, offset FROM spools"))

    def forget_spool(self, name: str) -> None:
        """The spool file is gone."""
        with self._db:
            self._db.execute("DELETE FROM spools WHERE name = ?", (name,))

    def set_checksums(self, sums: Sequence[tuple[str, float, str]]) -> None:
        """Note SHA-256 by (path, received_at, sum); a row that was replaced meanwhile is left."""
        with self._db:
            self._db.executemany(
                "UPDATE objects SET sha256 = ? WHERE path = ? AND received_at = ?",
                [(digest, path, received_at) for path, received_at, digest in sums],
            )

    def attribute(self, sop_instance_uids: Iterable[str], *, job: str, run: str) -> None:
        """Say which retrieval asked for these instances. The requestor may do it beside the
        indexer: what it does not know yet is left as it is."""
        uids = [(job, run, uid) for uid in sop_instance_uids]
        with self._db:
            self._db.executemany(
                "UPDATE objects SET job = ?, run = ? WHERE sop_instance_uid = ?", uids
            )

    def set_job(self, sop_instance_uids: Iterable[str], job: str, run: str) -> None:
        """Note which retrieval has asked for instances; an object that has one keeps it."""
        with self._db:
            self._db.executemany(
                "UPDATE objects SET job = ?, run = ? WHERE sop_instance_uid = ? AND job = ''",
                [(job, run, uid) for uid in sop_instance_uids],
            )

    def forget(self, paths: Iterable[str]) -> None:
        """Delete rows."""
        with self._db:
            self._db.executemany("DELETE FROM objects WHERE path = ?", [(path,) for path in paths])

    # Reading

    def without_checksum(self, limit: int, *, after: str = "") -> list[Entry]:
        """Objects whose checksum is not known, by path."""
        query = f"{_SELECT} WHERE sha256 = '' AND path > ? ORDER BY path LIMIT ?"
        return list(self._entries(query, after, limit))

    def count_without_checksum(self) -> int:
        """How many those are."""
        return self._count("SELECT COUNT(*) FROM objects WHERE sha256 = ''")

    def count(self) -> int:
        """Objects in the index."""
        return self._count("SELECT COUNT(*) FROM objects")

    def entries(self, *, study: str | None = None) -> Iterator[Entry]:
        """Every object, or those of one study, by series and path."""
        if study is None:
            yield from self._entries(f"{_SELECT} ORDER BY path")
        else:
            yield from self._entries(
                f"{_SELECT} WHERE study_instance_uid = ? ORDER BY series_instance_uid, path", study
            )

    def manifest(self, study: str) -> list[Entry]:
        """What a study's manifest holds: its objects with size, sum, syntax, sender and job."""
        return list(self.entries(study=study))

    def of_instance(self, sop_instance_uid: str) -> list[Entry]:
        """Where an instance lies; several with generated names or keep-both."""
        return list(self._entries(f"{_SELECT} WHERE sop_instance_uid = ?", sop_instance_uid))

    def at(self, path: str) -> Entry | None:
        """The object of a path."""
        return next(self._entries(f"{_SELECT} WHERE path = ?", path), None)

    def present(self, sop_instance_uids: Iterable[str]) -> set[str]:
        """Those of the instances that the index has."""
        found: set[str] = set()
        uids = list(sop_instance_uids)
        for start in range(0, len(uids), _ASKED_AT_ONCE):
            some = uids[start : start + _ASKED_AT_ONCE]
            marks = ",".join("?" * len(some))
            query = f"SELECT sop_instance_uid FROM objects WHERE sop_instance_uid IN ({marks})"
            found.update(uid for (uid,) in self._db.execute(query, some))
        return found

    def missing(self, sop_instance_uids: Iterable[str]) -> set[str]:
        """Those of the instances that the index does not have."""
        asked = set(sop_instance_uids)
        return asked - self.present(asked)

    def counts(self, study: str, *, series: str | None = None) -> int:
        """Distinct instances of a study or series."""
        query = "SELECT COUNT(DISTINCT sop_instance_uid) FROM objects WHERE study_instance_uid = ?"
        if series is None:
            return self._count(query, study)
        return self._count(f"{query} AND series_instance_uid = ?", study, series)

    def _count(self, query: str, *values: Any) -> int:
        (number,) = self._db.execute(query, values).fetchone()
        return int(number)

    def _entries(self, query: str, *values: Any) -> Iterator[Entry]:
        try:
            for row in self._db.execute(query, values):
                yield Entry(**dict(zip(_COLUMNS, row, strict=True)))
        except sqlite3.Error as exc:
            raise StoreIndexError(f"{self._path}: the index cannot be read: {exc}") from exc


def _truer(known: Entry, entry: Entry) -> Entry:
    """Which of two receipts of one path describes the file that is there."""
    if known.bytes != entry.bytes:
        try:
            size = os.stat(entry.path, follow_symlinks=False).st_size
        except OSError:
            size = -1
        if size in (known.bytes, entry.bytes):
            return known if size == known.bytes else entry
    return known if known.received_at > entry.received_at else entry


def _row(entry: Entry) -> tuple[Any, ...]:
    return tuple(getattr(entry, column) for column in _COLUMNS)
