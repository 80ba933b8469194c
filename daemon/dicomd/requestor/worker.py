"""The requestor's process: launches the engine, answers questions about jobs, drains.

One process at a time works on a state directory: a successor after a reload waits, at a lock, until
its predecessor has ended the transfers that it had begun. Until then it answers from the ledger.
"""

import contextlib
import fcntl
import os
import queue
import secrets
import selectors
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import structlog

from dicomd.errors import DicomdError, MoveError
from dicomd.lifeline import HEARTBEAT_S, Lifeline, Message
from dicomd.query.dictionary import QueryError
from dicomd.requestor.arrivals import Arrivals
from dicomd.requestor.dispatcher import Dispatcher
from dicomd.requestor.engine import AHEAD, JobEngine, database_url
from dicomd.requestor.jobs import Jobs, JobsError
from dicomd.requestor.ledger import Ledger
from dicomd.settings.daemon import DaemonSettings

log = structlog.get_logger("dicomd.requestor")

_BEAT_S = 2.0
_LEASE_S = 10.0
"""A daemon that was not heard of for so long is dead: others take its work over."""
_SCHEDULE_S = 0.5
_PRUNE_S = 3600.0
_MEND_S = 30.0
_SPARE_THREADS = 32
_SWITCH_S = 0.0005
"""How long a thread that waits for the interpreter is put off: transfers wait for answers of few
bytes, beside threads that compute."""
_QUIET_S = 3.0
"""How long a stop without a drain time waits for C-CANCELs to be answered."""


@dataclass(kw_only=True)
class RequestorBirth:
    """What the requestor is born with, handed over at the fork."""

    settings: DaemonSettings
    lifeline: Lifeline


def run(birth: RequestorBirth) -> int:
    """Retrieve until the lifeline says otherwise; in the forked child. Returns the exit code."""
    try:
        sys.setswitchinterval(_SWITCH_S)
        requestor = Requestor(birth)
    except Exception as exc:  # whatever a database or a folder has against us
        text = str(exc) if isinstance(exc, DicomdError) else type(exc).__name__
        log.exception("engine.failing", error=type(exc).__name__)
        birth.lifeline.send({"report": "failed", "text": f"the job engine cannot start: {text}"})
        return 1
    code = requestor.serve()
    birth.lifeline.flush()
    # Threads of transfers and of dbos may still be about; what they had begun goes on later.
    _leave(code)
    return code


def _leave(code: int) -> None:
    os._exit(code)


@dataclass(slots=True)
class _Drain:
    """An order to end. ``deadline`` is monotonic, None without a limit."""

    deadline: float | None
    reload: bool
    began: float = field(default_factory=time.monotonic)


class Requestor:
    """The process's loop. Mutable: the engine once it works, the drain under way."""

    def __init__(self, birth: RequestorBirth) -> None:
        settings = birth.settings
        self._settings = settings
        self._lifeline = birth.lifeline
        state = settings.state_directory
        password = ""
        if settings.jobs.password_file:
            with open(settings.jobs.password_file, encoding="utf-8") as file:
                password = file.read().strip()
        self._url = database_url(settings.jobs.database, state, password)
        self._shared = not self._url.startswith("sqlite")
        self._node = _node_name(state) if self._shared else "dicomd"
        ledger_url = self._url
        if not self._shared:
            ledger_url = "sqlite:///" + os.path.join(os.path.abspath(state), "ledger.sqlite")
        self._ledger = Ledger(ledger_url)
        self._arrivals = Arrivals(
            os.path.join(state, "receipts"), os.path.join(state, "index.sqlite")
        )
        self._dispatcher = Dispatcher(
            settings, self._ledger, self._arrivals, node=self._node, shared=self._shared
        )
        self._jobs = Jobs(self._dispatcher, self._ledger)
        self._engine: JobEngine | None = None
        self._drain: _Drain | None = None
        self._answers: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="answers")
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self._lock = os.open(
            os.path.join(state, "jobs.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        )

    def serve(self) -> int:
        """Until drained or orphaned."""
        threading.Thread(target=self._keep_house, name="house", daemon=True).start()
        self._lifeline.send({"report": "ready"})
        selector = selectors.DefaultSelector()
        selector.register(self._lifeline, selectors.EVENT_READ)
        selector.register(self._wake_out, selectors.EVENT_READ)
        beat = 0.0
        while True:
            events = selectors.EVENT_READ
            if self._lifeline.wants_write:
                events |= selectors.EVENT_WRITE
            selector.modify(self._lifeline, events)
            for key, ready in selector.select(0.2):
                if key.fileobj is self._wake_out:
                    self._wake_out.recv(4096)
                elif ready & selectors.EVENT_WRITE:
                    self._lifeline.flush()
            for message in self._lifeline.receive():
                self._obey(message)
            if self._lifeline.closed:
                return 1
            while not self._answers.empty():
                self._lifeline.send(self._answers.get())
            if time.monotonic() - beat >= HEARTBEAT_S:
                beat = time.monotonic()
                self._lifeline.send({"report": "alive", "counters": self._counters()})
            if self._drain is not None and self._is_drained(self._drain):
                self._stop()
                return 0

    def _counters(self) -> dict[str, int]:
        dispatcher = self._dispatcher
        return {
            "verified": dispatcher.verified,
            "failed": dispatcher.failed,
            "instances": dispatcher.instances,
        }

    def _obey(self, message: Message) -> None:
        match message.get("order"):
            case "drain":
                seconds = message.get("seconds")
                deadline = None if seconds is None else time.monotonic() + float(seconds)
                self._begin_drain(_Drain(deadline, message.get("reason") == "reload"))
            case "stop":
                self._begin_drain(_Drain(time.monotonic() + _QUIET_S, reload=False))
            case "ask":
                self._pool.submit(self._answer, message)

    def _begin_drain(self, drain: _Drain) -> None:
        """Take nothing new. At a reload what runs may end; else it gets its C-CANCEL now."""
        self._drain = drain
        if not drain.reload:
            self._dispatcher.draining.set()
        self._dispatcher.hand_out = None
        self._jobs.runner = None
        for place in self._dispatcher.places.values():
            place.closed.set()
        self._dispatcher.wake()

    def _is_drained(self, drain: _Drain) -> bool:
        if not any(place.running for place in self._dispatcher.places.values()):
            return True
        if drain.deadline is None or time.monotonic() < drain.deadline:
            return False
        self._dispatcher.draining.set()
        return time.monotonic() > drain.deadline + _QUIET_S

    def _stop(self) -> None:
        for place in self._dispatcher.places.values():
            place.remote.hang_up(idle_s=0)
        if self._shared:
            self._ledger.beat(self._node, "stopped")

    # Answers, each in a thread of the pool

    def _answer(self, message: Message) -> None:
        what = str(message.get("what"))
        reply: Message = {"report": "answer", "id": message.get("id")}
        try:
            if what == "snapshot":
                reply["result"] = {"jobs": self._snapshot()}
            else:
                reply["result"] = self._jobs.answer(what, dict(message.get("arguments") or {}))
        except (JobsError, MoveError, QueryError) as exc:
            reply["error"] = str(exc)
        except Exception as exc:  # the one place of an answer that catches broadly
            log.exception("engine.failing", error=type(exc).__name__)
            reply["error"] = f"a fault of ours: {type(exc).__name__}; the log has more"
        self._answers.put(reply)
        with contextlib.suppress(BlockingIOError):
            self._wake_in.send(b"x")

    def _snapshot(self) -> Any:
        return self._jobs.answer("jobs.list", {})["jobs"]

    # The engine and what is done beside it, in a thread of its own

    def _keep_house(self) -> None:
        while self._drain is None:
            try:
                if not self._launch():
                    continue
                self._housekeeping()
            except Exception as exc:  # the one place of this thread that catches broadly
                log.exception("engine.failing", error=type(exc).__name__)
                time.sleep(_BEAT_S)

    def _launch(self) -> bool:
        """Wait for our turn, then launch; False when it is not ours yet."""
        if self._engine is not None:
            return True
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
            return False
        if self._shared:
            self._ledger.beat(self._node)
        self._arrivals.start()
        engine = JobEngine(
            self._url,
            self._node,
            find=self._dispatcher.find,
            watch=self._dispatcher.watch,
            retrieve=self._dispatcher.retrieve,
            shared=self._shared,
            threads=_SPARE_THREADS
            + len(self._settings.retrievals)
            + sum(one.max_retrievals + AHEAD for one in self._settings.remotes.values()),
        )
        self._dispatcher.hand_out = engine.hand_out
        limits = {name: remote.max_retrievals for name, remote in self._settings.remotes.items()}
        engine.launch(limits)
        self._engine = engine
        self._jobs.runner = engine
        self._mend(engine)
        log.info("node.joined", node=self._node)
        return True

    def _housekeeping(self) -> None:
        engine = self._engine
        assert engine is not None
        beat = pruned = 0.0
        mended = time.monotonic()
        while self._drain is None:
            now = time.monotonic()
            self._jobs.fire(self._dispatcher.now())
            for place in self._dispatcher.places.values():
                place.remote.hang_up()
            if self._shared and now - beat >= _BEAT_S:
                beat = now
                self._ledger.beat(self._node)
                self._take_over(engine)
            if not pruned or now - pruned >= _PRUNE_S:
                pruned = now
                before = time.time() - self._settings.jobs.keep_history
                self._ledger.prune(before)
                engine.prune(before)
            if now - mended >= _MEND_S:
                mended = now
                self._mend(engine)
            time.sleep(_SCHEDULE_S)

    def _mend(self, engine: JobEngine) -> None:
        """Runs that broke go on; studies that the engine has lost, at a power cut, wait again."""
        for run in self._ledger.open_runs():
            engine.mend_run(run.run)
            for study in self._ledger.studies(run.run, ("queued", "moving")):
                if not engine.knows(run.run, study.ordinal, study.handed - 1):
                    self._ledger.reclaim(run.run, study.ordinal, study.handed)

    def _take_over(self, engine: JobEngine) -> None:
        for node in self._ledger.lost_nodes(self._node, _LEASE_S):
            if self._ledger.claim_node(node, _LEASE_S):
                count = engine.take_over(node)
                log.warning("node.lost", node=node, studies=count)


def _node_name(state_directory: str) -> str:
    """This daemon's name in a shared database, kept so that it is the same after a restart."""
    path = os.path.join(state_directory, "node")
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        name = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        with open(path, "w", encoding="ascii") as file:
            file.write(name + "\n")
            file.flush()
            os.fsync(file.fileno())
        return name
