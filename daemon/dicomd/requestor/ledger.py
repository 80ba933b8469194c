"""The ledger: jobs, runs and studies, as people ask for them and as the dispatcher hands them out.

Plain tables beside those of the job engine, in the same kind of database (SQLite, or PostgreSQL
when several daemons share the work). The engine's own tables make a run survive a crash; these say
what there is to do and what became of it. Every write may be done twice.

On SQLite the state of a study is not forced to the disk: a crash of the process loses nothing, a
power cut the last moments, and then a pass is repeated, which finds everything on disk. What a job
or a run came to is written through.
"""

import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import Engine, TextClause, create_engine, event, text

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS dicomd_jobs (
        job TEXT PRIMARY KEY, paused INTEGER NOT NULL DEFAULT 0, last_due DOUBLE PRECISION)""",
    """CREATE TABLE IF NOT EXISTS dicomd_runs (
        run TEXT PRIMARY KEY, job TEXT NOT NULL, cause TEXT NOT NULL, state TEXT NOT NULL,
        source TEXT NOT NULL DEFAULT '', started DOUBLE PRECISION NOT NULL,
        ended DOUBLE PRECISION, reason TEXT NOT NULL DEFAULT '',
        failures INTEGER NOT NULL DEFAULT 0, next_at DOUBLE PRECISION NOT NULL DEFAULT 0)""",
    "CREATE INDEX IF NOT EXISTS dicomd_runs_job ON dicomd_runs (job, started)",
    """CREATE TABLE IF NOT EXISTS dicomd_studies (
        run TEXT NOT NULL, ordinal INTEGER NOT NULL, keys TEXT NOT NULL, level TEXT NOT NULL,
        state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
        handed INTEGER NOT NULL DEFAULT 0, promised INTEGER, present INTEGER,
        missing TEXT NOT NULL DEFAULT '[]', reason TEXT NOT NULL DEFAULT '',
        node TEXT NOT NULL DEFAULT '', next_at DOUBLE PRECISION NOT NULL DEFAULT 0,
        begun DOUBLE PRECISION, ended DOUBLE PRECISION, PRIMARY KEY (run, ordinal))""",
    "CREATE UNIQUE INDEX IF NOT EXISTS dicomd_studies_keys ON dicomd_studies (run, level, keys)",
    """CREATE INDEX IF NOT EXISTS dicomd_studies_state
        ON dicomd_studies (run, state, next_at, ordinal)""",
    """CREATE TABLE IF NOT EXISTS dicomd_nodes (
        node TEXT PRIMARY KEY, seen DOUBLE PRECISION NOT NULL, state TEXT NOT NULL)""",
)
_MISSING_KEPT = 10_000
OPEN_STATES = ("finding", "running")
FINAL_STUDY_STATES = ("verified", "reported", "incomplete", "cancelled")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a retrieval. Times are Unix seconds."""

    run: str
    job: str
    cause: str
    state: str
    """finding, running, verified, reported, incomplete, failed or cancelled."""
    source: str
    """The run whose incomplete studies it takes up again; "" for a run of its own."""
    started: float
    ended: float | None
    reason: str
    failures: int
    """How often in a row the remote could not be reached."""
    next_at: float


@dataclass(frozen=True, slots=True)
class Study:
    """One unit of a run: a study, or whatever the query's level is."""

    run: str
    ordinal: int
    keys: dict[int, str]
    level: str
    state: str
    """waiting, queued, moving, verified, reported, incomplete or cancelled."""
    attempts: int
    handed: int
    """How often it was handed to the engine: makes each workflow's id."""
    promised: int | None
    present: int | None
    missing: tuple[str, ...]
    reason: str
    next_at: float


class Ledger:
    """The open database. Safe to use from several threads."""

    def __init__(self, url: str) -> None:
        self._engine = open_database(url)
        self._is_sqlite = self._engine.dialect.name == "sqlite"
        self._writing = threading.Lock()
        with self._begin() as connection:
            if not self._is_sqlite:
                # Two daemons that start on an empty database must not both create the tables.
                connection.execute(text("SELECT pg_advisory_xact_lock(721401)"))
            for statement in _SCHEMA:
                connection.execute(text(statement))

    def close(self) -> None:
        """Let go of the connections."""
        self._engine.dispose()

    def _begin(self) -> Any:
        return self._engine.begin()

    def _write(self, statement: str, values: Any = None) -> int:
        with self._writing, self._begin() as connection:
            result = connection.execute(_text(statement), values or {})
            return int(result.rowcount)

    def _write_through(self, statement: str, values: Any = None) -> int:
        """A write that a power cut cannot undo, nor anything written before it."""
        with self._writing, self._engine.connect() as connection:
            if self._is_sqlite:  # between transactions, or it has no effect
                connection.execute(_text("PRAGMA synchronous = FULL"))
            try:
                result = connection.execute(_text(statement), values or {})
                connection.commit()
            finally:
                connection.rollback()
                if self._is_sqlite:
                    connection.execute(_text("PRAGMA synchronous = NORMAL"))
            return int(result.rowcount)

    def _rows(self, query: str, **values: Any) -> Sequence[Any]:
        with self._engine.connect() as connection:
            return connection.execute(_text(query), values).all()

    # Jobs

    def is_paused(self, job: str) -> bool:
        """Whether somebody paused it."""
        rows = self._rows("SELECT paused FROM dicomd_jobs WHERE job = :job", job=job)
        return bool(rows and rows[0][0])

    def set_paused(self, job: str, paused: bool) -> None:
        """Remember that over restarts."""
        self._write_through(
            "INSERT INTO dicomd_jobs (job, paused) VALUES (:job, :paused) "
            "ON CONFLICT (job) DO UPDATE SET paused = excluded.paused",
            {"job": job, "paused": int(paused)},
        )

    def last_due(self, job: str) -> datetime | None:
        """The scheduled time that was dealt with last."""
        rows = self._rows("SELECT last_due FROM dicomd_jobs WHERE job = :job", job=job)
        return datetime.fromtimestamp(rows[0][0], UTC) if rows and rows[0][0] else None

    def set_last_due(self, job: str, due: datetime) -> None:
        """A scheduled time never comes twice, also when the wall clock steps back."""
        self._write_through(
            "INSERT INTO dicomd_jobs (job, paused, last_due) VALUES (:job, 0, :due) "
            "ON CONFLICT (job) DO UPDATE SET last_due = excluded.last_due",
            {"job": job, "due": due.timestamp()},
        )

    # Runs

    def add_run(self, run: str, job: str, cause: str, now: float, source: str = "") -> bool:
        """Note a run; False when it is there already."""
        return bool(
            self._write_through(
                "INSERT INTO dicomd_runs (run, job, cause, state, source, started) "
                "VALUES (:run, :job, :cause, 'finding', :source, :now) ON CONFLICT DO NOTHING",
                {"run": run, "job": job, "cause": cause, "now": now, "source": source},
            )
        )

    def run(self, run: str) -> Run | None:
        """One run."""
        rows = self._rows(f"{_RUN} WHERE run = :run", run=run)
        return Run(*rows[0]) if rows else None

    def runs(self, job: str, *, limit: int = 50) -> list[Run]:
        """The runs of a job, newest first."""
        query = f"{_RUN} WHERE job = :job ORDER BY started DESC LIMIT :limit"
        return [Run(*row) for row in self._rows(query, job=job, limit=limit)]

    def open_runs(self, job: str | None = None) -> list[Run]:
        """Runs that have not ended."""
        where = "state IN ('finding', 'running')" + (" AND job = :job" if job else "")
        query = f"{_RUN} WHERE {where} ORDER BY started"
        return [Run(*row) for row in self._rows(query, **({"job": job} if job else {}))]

    def set_running(self, run: str) -> None:
        """The list of its studies is complete."""
        self._write_through(
            "UPDATE dicomd_runs SET state = 'running', failures = 0, next_at = 0, reason = '' "
            "WHERE run = :run AND state = 'finding'",
            {"run": run},
        )

    def end_run(self, run: str, state: str, now: float, reason: str = "") -> bool:
        """Close a run; False when it was closed before."""
        return bool(
            self._write_through(
                "UPDATE dicomd_runs SET state = :state, ended = :now, reason = :reason "
                "WHERE run = :run AND state IN ('finding', 'running')",
                {"run": run, "state": state, "now": now, "reason": reason},
            )
        )

    def set_unreachable(self, run: str, failures: int, next_at: float, reason: str) -> None:
        """The remote could not be reached so often in a row; not before ``next_at`` again."""
        self._write(
            "UPDATE dicomd_runs SET failures = :failures, next_at = :next_at, reason = :reason "
            "WHERE run = :run",
            {"run": run, "failures": failures, "next_at": next_at, "reason": reason},
        )

    # Studies

    def add_studies(self, run: str, units: Iterable[tuple[str, dict[int, str]]]) -> int:
        """Note what a run is to retrieve (level, unique keys), in order; known ones stay as they
        are. Returns how many the run has."""
        statement = text(
            "INSERT INTO dicomd_studies (run, ordinal, keys, level, state) "
            "VALUES (:run, :ordinal, :keys, :level, 'waiting') ON CONFLICT DO NOTHING"
        )
        query = "SELECT MAX(ordinal) FROM dicomd_studies WHERE run = :run"
        last = self._rows(query, run=run)[0][0]
        ordinal = 0 if last is None else int(last) + 1
        batch: list[dict[str, Any]] = []
        with self._writing, self._begin() as connection:
            for level, keys in units:
                batch.append(
                    {"run": run, "ordinal": ordinal, "keys": dump_keys(keys), "level": level}
                )
                ordinal += 1
                if len(batch) == 1000:
                    connection.execute(statement, batch)
                    batch.clear()
            if batch:
                connection.execute(statement, batch)
        return self.count(run)

    def copy_unfinished(self, run: str, source: str) -> int:
        """Take the studies of another run that were not completed. Returns how many."""
        self._write(
            "INSERT INTO dicomd_studies (run, ordinal, keys, level, state) "
            "SELECT :run, ordinal, keys, level, 'waiting' FROM dicomd_studies "
            "WHERE run = :source AND state IN ('incomplete', 'cancelled', 'waiting') "
            "ON CONFLICT DO NOTHING",
            {"run": run, "source": source},
        )
        return self.count(run)

    def count(self, run: str) -> int:
        """Studies of a run."""
        query = "SELECT COUNT(*) FROM dicomd_studies WHERE run = :run"
        return int(self._rows(query, run=run)[0][0])

    def tally(self, run: str) -> dict[str, int]:
        """Studies of a run by state."""
        query = "SELECT state, COUNT(*) FROM dicomd_studies WHERE run = :run GROUP BY state"
        return {row[0]: int(row[1]) for row in self._rows(query, run=run)}

    def due(self, run: str, now: float, limit: int) -> list[Study]:
        """Studies that may be handed out."""
        query = (
            f"{_STUDY} WHERE run = :run AND state = 'waiting' AND next_at <= :now "
            "ORDER BY ordinal LIMIT :limit"
        )
        return [_study(row) for row in self._rows(query, run=run, now=now, limit=limit)]

    def busy(self, run: str) -> dict[str, int]:
        """How many studies are queued and moving."""
        query = (
            "SELECT state, COUNT(*) FROM dicomd_studies "
            "WHERE run = :run AND state IN ('queued', 'moving') GROUP BY state"
        )
        return {row[0]: int(row[1]) for row in self._rows(query, run=run)}

    def next_due(self, run: str) -> float | None:
        """When the first of the waiting studies may be handed out."""
        query = "SELECT MIN(next_at) FROM dicomd_studies WHERE run = :run AND state = 'waiting'"
        value = self._rows(query, run=run)[0][0]
        return None if value is None else float(value)

    def study(self, run: str, ordinal: int) -> Study | None:
        """One study."""
        query = f"{_STUDY} WHERE run = :run AND ordinal = :ordinal"
        rows = self._rows(query, run=run, ordinal=ordinal)
        return _study(rows[0]) if rows else None

    def studies(self, run: str, states: Sequence[str], *, limit: int = 1000) -> list[Study]:
        """Studies in some states, in order."""
        names = ", ".join(f"'{state}'" for state in states if state.isalpha())
        query = f"{_STUDY} WHERE run = :run AND state IN ({names}) ORDER BY ordinal LIMIT :limit"
        return [_study(row) for row in self._rows(query, run=run, limit=limit)]

    def set_queued(self, run: str, ordinals: Sequence[int]) -> None:
        """They were handed to the engine."""
        self._write(
            "UPDATE dicomd_studies SET state = 'queued', handed = handed + 1 "
            "WHERE run = :run AND ordinal = :ordinal AND state = 'waiting'",
            [{"run": run, "ordinal": ordinal} for ordinal in ordinals],
        )

    def set_moving(self, run: str, ordinal: int, node: str, now: float) -> bool:
        """Its transfer begins; False when it is no longer wanted."""
        return bool(
            self._write(
                "UPDATE dicomd_studies SET state = 'moving', node = :node, begun = :now "
                "WHERE run = :run AND ordinal = :ordinal "
                "AND state IN ('waiting', 'queued', 'moving')",
                {"run": run, "ordinal": ordinal, "node": node, "now": now},
            )
        )

    def set_result(
        self,
        run: str,
        ordinal: int,
        state: str,
        *,
        now: float,
        attempts: int,
        next_at: float = 0.0,
        promised: int | None = None,
        present: int | None = None,
        missing: Sequence[str] = (),
        reason: str = "",
    ) -> None:
        """What became of a pass. A cancelled study stays cancelled unless it is complete."""
        self._write(
            "UPDATE dicomd_studies SET state = :state, attempts = :attempts, next_at = :next_at, "
            "promised = :promised, present = :present, missing = :missing, reason = :reason, "
            "ended = :now WHERE run = :run AND ordinal = :ordinal "
            "AND (state <> 'cancelled' OR :state = 'verified')",
            {
                "run": run,
                "ordinal": ordinal,
                "state": state,
                "attempts": attempts,
                "next_at": next_at,
                "promised": promised,
                "present": present,
                "missing": json.dumps(list(missing[:_MISSING_KEPT])),
                "reason": reason,
                "now": now,
            },
        )

    def reclaim(self, run: str, ordinal: int, handed: int) -> bool:
        """What the engine does not know of, after a power cut, waits again."""
        return bool(
            self._write(
                "UPDATE dicomd_studies SET state = 'waiting' WHERE run = :run "
                "AND ordinal = :ordinal AND handed = :handed AND state IN ('queued', 'moving')",
                {"run": run, "ordinal": ordinal, "handed": handed},
            )
        )

    def give_back(self, run: str, ordinal: int, reason: str, next_at: float = 0.0) -> None:
        """A transfer that was not begun, or was cut by its window: it waits again."""
        self._write(
            "UPDATE dicomd_studies SET state = 'waiting', reason = :reason, next_at = :next_at "
            "WHERE run = :run AND ordinal = :ordinal AND state IN ('queued', 'moving')",
            {"run": run, "ordinal": ordinal, "reason": reason, "next_at": next_at},
        )

    def close_studies(self, run: str, state: str, reason: str) -> None:
        """All that is not final becomes ``state``."""
        self._write(
            "UPDATE dicomd_studies SET state = :state, reason = :reason "
            "WHERE run = :run AND state IN ('waiting', 'queued', 'moving')",
            {"run": run, "state": state, "reason": reason},
        )

    def begun_since(self, job: str, since: float) -> list[float]:
        """When studies of a job were begun lately, oldest first."""
        query = (
            "SELECT s.begun FROM dicomd_studies s JOIN dicomd_runs r ON r.run = s.run "
            "WHERE r.job = :job AND s.begun > :since ORDER BY s.begun"
        )
        return [float(row[0]) for row in self._rows(query, job=job, since=since)]

    def last_ended(self, jobs: Sequence[str], since: float) -> float:
        """When the last pass of any daemon over a study of these jobs ended, in runs that have not
        ended; 0.0 for none after ``since``."""
        query = (
            "SELECT MAX(s.ended) FROM dicomd_runs r JOIN dicomd_studies s ON s.run = r.run "
            "WHERE r.job = :job AND r.state IN ('finding', 'running') AND s.ended > :since"
        )
        moments = [self._rows(query, job=job, since=since)[0][0] for job in jobs]
        return max((float(moment) for moment in moments if moment is not None), default=0.0)

    def prune(self, before: float) -> int:
        """Forget runs that ended before."""
        where = "SELECT run FROM dicomd_runs WHERE ended IS NOT NULL AND ended < :before"
        self._write(f"DELETE FROM dicomd_studies WHERE run IN ({where})", {"before": before})
        return self._write(
            "DELETE FROM dicomd_runs WHERE ended IS NOT NULL AND ended < :before",
            {"before": before},
        )

    # Nodes: daemons that share the database

    def beat(self, node: str, state: str = "alive") -> None:
        """This daemon lives. The database's clock is everybody's."""
        self._write(
            f"INSERT INTO dicomd_nodes (node, seen, state) VALUES (:node, {self._now()}, :state) "
            f"ON CONFLICT (node) DO UPDATE SET seen = {self._now()}, state = :state",
            {"node": node, "state": state},
        )

    def lost_nodes(self, own: str, lease_s: float) -> list[str]:
        """Other daemons that stopped, or have not been heard of for so long."""
        rows = self._rows(
            "SELECT node FROM dicomd_nodes WHERE node <> :own AND state <> 'taken' "
            f"AND (state = 'stopped' OR seen < {self._now()} - :lease)",
            own=own,
            lease=lease_s,
        )
        return [row[0] for row in rows]

    def claim_node(self, node: str, lease_s: float) -> bool:
        """Be the one who takes over from a lost daemon; False when another was quicker."""
        return bool(
            self._write(
                "UPDATE dicomd_nodes SET state = 'taken' WHERE node = :node AND state <> 'taken' "
                f"AND (state = 'stopped' OR seen < {self._now()} - :lease)",
                {"node": node, "lease": lease_s},
            )
        )

    def _now(self) -> str:
        if self._is_sqlite:
            return "((julianday('now') - 2440587.5) * 86400.0)"
        return "EXTRACT(EPOCH FROM clock_timestamp())"


_RUN = (
    "SELECT run, job, cause, state, source, started, ended, reason, failures, next_at "
    "FROM dicomd_runs"
)
_STUDY = (
    "SELECT run, ordinal, keys, level, state, attempts, handed, promised, present, missing, "
    "reason, next_at FROM dicomd_studies"
)


@cache
def _text(statement: str) -> TextClause:
    return text(statement)


def _study(row: Any) -> Study:
    run, ordinal, keys, level, state, attempts, handed, promised, present, missing = row[:10]
    return Study(
        run=run,
        ordinal=ordinal,
        keys=load_keys(keys),
        level=level,
        state=state,
        attempts=attempts,
        handed=handed,
        promised=promised,
        present=present,
        missing=tuple(json.loads(missing)),
        reason=row[10],
        next_at=row[11],
    )


def dump_keys(keys: dict[int, str]) -> str:
    """Unique keys as text that is the same for the same keys."""
    return json.dumps({f"{tag:08x}": keys[tag] for tag in sorted(keys)}, separators=(",", ":"))


def load_keys(text_form: str) -> dict[int, str]:
    """The reverse."""
    return {int(tag, 16): value for tag, value in json.loads(text_form).items()}


def open_database(url: str) -> Engine:
    """A database by URL; SQLite files are put into WAL mode, which they keep."""
    engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _prepare(connection: Any, record: object) -> None:
            del record
            cursor = connection.cursor()
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = NORMAL")
            cursor.execute("PRAGMA busy_timeout = 10000")
            cursor.close()

    return engine
