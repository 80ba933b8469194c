"""The one door to dbos: a run is a durable workflow, and so is each transfer of a study.

dbos records which workflow has begun and ended, hands studies out over one queue a remote, and goes
on after a crash with what had not ended. What a run or a transfer does is not known here: the
bodies are plain functions, safe to run twice.

What has to be so, and why: the JSON serializer (the default is pickle), a fixed executor id and a
fixed version (recovery looks only at rows of its own), WAL (twelve times the rows a second), tables
made by one process. No option that needs a key is ever set.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import Any

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetEnqueueOptions, SetWorkflowID
from sqlalchemy import Engine, create_engine, event

FORMAT_VERSION = "dicomd-jobs-1"
"""The version of our job format, not of the program: a change strands the jobs under way."""

_POLL_S = 0.25
"""A look into the queue takes 4 ms of processor time: four a second are 1.6 % of a core."""
AHEAD = 16
"""Transfers taken from the queue beyond those under way: as many as may end between two polls."""
_PRUNED_AT_ONCE = 500
_BROKEN = frozenset({"ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"})
_LIVE = frozenset({"PENDING", "ENQUEUED", "DELAYED"})
PRIORITIES = {"high": 1, "medium": 10, "low": 100}

RunBody = Callable[[str], None]
StudyBody = Callable[[str, int], str]


class JobEngine:
    """dbos, launched. One a process; launched after the fork.

    ``find`` and ``watch`` are the two steps of a run, ``retrieve`` the step of a study's transfer,
    by run and ordinal. ``shared`` says that other daemons use the same database. ``threads``: runs
    and transfers at once, those that wait for their turn too.
    """

    def __init__(
        self,
        url: str,
        executor_id: str,
        *,
        find: RunBody,
        watch: RunBody,
        retrieve: StudyBody,
        shared: bool,
        threads: int = 128,
    ) -> None:
        self._shared = shared
        self._url = url
        config: DBOSConfig = {
            "name": "dicomd",
            "system_database_url": url,
            "executor_id": executor_id,
            "application_version": FORMAT_VERSION,
            "serializer": DBOSPortableJSONSerializer(),
            "enable_otlp": False,
            "log_level": "WARNING",
            "max_executor_threads": threads,
        }
        if url.startswith("sqlite"):
            config["system_database_engine"] = _sqlite(url)
        DBOS(config=config)
        _speak_as_the_house_does()

        @DBOS.workflow(name="run")
        def run_workflow(run: str) -> str:
            DBOS.run_step({"name": "find"}, find, run)
            DBOS.run_step({"name": "watch"}, watch, run)
            return "ended"

        @DBOS.workflow(name="study")
        def study_workflow(run: str, ordinal: int) -> str:
            return DBOS.run_step({"name": "retrieve"}, retrieve, run, ordinal)

        self._run_workflow = run_workflow
        self._study_workflow = study_workflow

    def launch(self, limits: Mapping[str, int]) -> None:
        """Begin to work, first on what a crash has cut. ``limits``: transfers at once a remote."""
        DBOS.listen_queues([_queue_of(remote) for remote in limits])
        DBOS.launch()
        for remote, limit in limits.items():
            # Alone, a few more than may run are taken, so that the next is at hand at once when
            # one ends; the dispatcher holds them back. Shared, the database keeps the limit.
            DBOS.register_queue(
                _queue_of(remote),
                worker_concurrency=None if self._shared else limit + AHEAD,
                global_concurrency=limit if self._shared else None,
                polling_interval_sec=_POLL_S,
                on_conflict="always_update",
            )
        _speak_as_the_house_does()

    def start_run(self, run: str) -> None:
        """Begin a run, or take it up again; one that has begun already just goes on."""
        with SetWorkflowID(run):
            DBOS.start_workflow(self._run_workflow, run)

    def mend_run(self, run: str) -> None:
        """See to it that an open run goes on: begun if it never was, resumed if it broke."""
        status = DBOS.get_workflow_status(run)
        if status is None:
            self.start_run(run)
        elif status.status in _BROKEN:
            DBOS.resume_workflow(run)

    def hand_out(self, remote: str, run: str, ordinal: int, handed: int, priority: str) -> None:
        """Queue a transfer. The same transfer is queued once, however often this is called.

        dbos allows this inside no step; that of a run calls it, so it is left for the moment.
        """
        Context().run(self._hand_out, remote, run, ordinal, handed, priority)

    def _hand_out(self, remote: str, run: str, ordinal: int, handed: int, priority: str) -> None:
        with (
            SetWorkflowID(f"{run}:{ordinal}:{handed}"),
            SetEnqueueOptions(priority=PRIORITIES[priority]),
        ):
            DBOS.enqueue_workflow(_queue_of(remote), self._study_workflow, run, ordinal)

    def knows(self, run: str, ordinal: int, handed: int) -> bool:
        """Whether a transfer that was handed out is still to be done."""
        status = DBOS.get_workflow_status(f"{run}:{ordinal}:{handed}")
        return status is not None and status.status in _LIVE

    def take_over(self, executor_id: str) -> int:
        """Go on with what another daemon, which must be dead, had begun. Returns how much."""
        taken = 0
        for status in DBOS.list_workflows(
            status="PENDING", executor_id=executor_id, load_input=False, load_output=False
        ):
            DBOS.resume_workflow(status.workflow_id, queue_name=status.queue_name)
            taken += 1
        return taken

    def prune(self, before: float) -> None:
        """Forget workflows that ended before (Unix seconds)."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(before))
        while True:
            old = DBOS.list_workflows(
                status=["SUCCESS", "ERROR", "CANCELLED"],
                completed_before=moment,
                limit=_PRUNED_AT_ONCE,
                load_input=False,
                load_output=False,
            )
            if not old:
                return
            DBOS.delete_workflows([status.workflow_id for status in old])

    def stop(self) -> None:
        """Take nothing new. What runs is cut by the end of the process and goes on after it."""
        DBOS.destroy(workflow_completion_timeout_sec=0)


def database_url(database: str, state_directory: str, password: str = "") -> str:
    """The URL of the job database: a file in the state directory, or PostgreSQL's as it is set."""
    if database == "sqlite":
        return "sqlite:///" + os.path.join(os.path.abspath(state_directory), "jobs.sqlite")
    url = database.replace("postgres://", "postgresql://", 1)
    scheme, _, rest = url.partition("://")
    if password:
        user, at, place = rest.rpartition("@")
        from urllib.parse import quote

        rest = f"{user.partition(':')[0]}:{quote(password, safe='')}{at or '@'}{place}"
    return f"{scheme.partition('+')[0]}+psycopg://{rest}"


def _sqlite(url: str) -> Engine:
    """The file in WAL, which it keeps, and not forced to the disk with each row: a power cut may
    lose the last ones, and ``reclaim`` hands out anew what they held. The rest is as dbos has it.
    """
    engine = create_engine(url, pool_size=20, max_overflow=20, pool_timeout=60)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, record: object) -> None:
        del record
        connection.isolation_level = "IMMEDIATE"
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA busy_timeout = 30000")
        connection.execute("PRAGMA foreign_keys = ON")

    return engine


def _queue_of(remote: str) -> str:
    return f"remote-{remote}"


def _speak_as_the_house_does() -> None:
    """dbos puts its own handler on its logger and stops it from going up: undo both."""
    logger: Any = logging.getLogger("dbos")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.propagate = True
    logger.setLevel(logging.WARNING)
