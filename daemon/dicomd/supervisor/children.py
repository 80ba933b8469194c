"""Fork, reap, replace: the life of every child process.

A *role* is something that is to be done: serve a listener, keep the index, run retrievals. A
*child* is the process that does it at the moment. A role whose child ends unasked gets another:
at once the first time, then after 1, 2, 4 ... 30 seconds, until one has lived for a minute.

The rules of this file:
- The supervisor is single-threaded, so a fork copies no lock that somebody holds.
- A child is born with signals ignored, without the descriptors of others, and with a lifeline. It
  dies with the supervisor: by the lifeline's end of file, and by PR_SET_PDEATHSIG before that.
- Nothing here waits. What a child says or how it ends comes back through ``Parent`` calls.
- A child is killed when it does not say ``ready`` in time after its birth, when its heartbeat
  stays away, or when it is still there after the end of its drain. Time in which the supervisor
  itself did not run counts for nobody.
"""

import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol

import structlog

from dicomd.lifeline import Lifeline, Message
from dicomd.supervisor import process

log = structlog.get_logger("dicomd.supervisor")

FIRST_PAUSES_S = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
SETTLED_S = 60.0
"""A child that lived this long has shown that it can; the next pause is the shortest again."""
GRACE_S = 5.0
"""From the end of a drain to SIGKILL."""
ASK_S = 3.0
"""How long an answer to ``ask`` is awaited by default."""
EXIT_BROKEN = 70
"""EX_SOFTWARE: an exception that nobody caught."""


@dataclass(eq=False, kw_only=True)
class Role:
    """What is to be done, and by whom now. Mutable: ``child``, the count of failures, the time of
    the next attempt."""

    kind: str
    name: str
    birth: Callable[[Lifeline], int]
    """Runs in the child; its value is the exit code."""
    keeps: Sequence[Any] = ()
    """Sockets that the child keeps; it closes all others of the supervisor's."""
    birth_s: float = 30.0
    silence_s: float = 30.0
    """A child without a heartbeat for this long is taken for hung."""
    once: bool = False
    """The child does its work and ends; it isn't replaced."""
    listener: str = ""
    generation: int = 1
    retired: bool = False
    child: "Child | None" = None
    failures: int = 0
    retry_at: float | None = None
    births: int = 0


@dataclass(eq=False, kw_only=True)
class Child:
    """A process at work. Mutable: what is known of it."""

    role: Role
    pid: int
    lifeline: Lifeline
    born: float
    start_time: int
    state: str = "starting"
    """starting, running, draining or stopping."""
    last_seen: float
    counters: Message = field(default_factory=dict)
    deadline: float | None = None
    """When it is killed if it is still there."""
    failure: str = ""
    killed_because: str = ""


class Parent(Protocol):
    """Who wants to know: the supervisor."""

    def child_ready(self, child: Child) -> None:
        """It does its work from now on."""

    def child_gone(self, child: Child, code: int) -> None:
        """It was reaped. ``code`` is the exit code, or minus the signal that ended it."""

    def child_said(self, child: Child, message: Message) -> None:
        """A report that isn't part of every child's life."""

    def stranger_gone(self, pid: int, code: int) -> None:
        """A child was reaped that no role has: the log writer."""

    def release_in_child(self, role: Role) -> None:
        """In the child: close what isn't the role's."""

    def leave_in_child(self) -> None:
        """In the child, before it ends."""


@dataclass(slots=True)
class _Ask:
    child: Child
    deadline: float
    answered: Callable[[Message | None], None]


class Children:
    """All children. Mutable: roles, asks that wait for their answer."""

    def __init__(self, parent: Parent, selector: selectors.BaseSelector) -> None:
        self._parent = parent
        self._selector = selector
        self._by_pid: dict[int, Child] = {}
        self._roles: list[Role] = []
        self._asks: dict[int, _Ask] = {}
        self._next_ask = 1
        self._last_turn = time.monotonic()

    def __iter__(self) -> Iterator[Child]:
        return iter(list(self._by_pid.values()))

    def __len__(self) -> int:
        return len(self._by_pid)

    @property
    def roles(self) -> list[Role]:
        """The roles that are to be filled, retired ones with a living child too."""
        return list(self._roles)

    def employ(self, role: Role) -> Child:
        """Add a role and fork its first child."""
        self._roles.append(role)
        return self._fork(role)

    def dismiss(self, role: Role, *, seconds: float | None, reason: str) -> None:
        """The role ends: its child is told to drain (to stop when ``seconds`` is 0), and isn't
        replaced."""
        role.retired = True
        role.retry_at = None
        if role.child is None:
            self._forget(role)
        else:
            self.drain(role.child, seconds=seconds, reason=reason)

    def drain(self, child: Child, *, seconds: float | None, reason: str) -> None:
        """Order a child to end within ``seconds`` (None: in its own time)."""
        if seconds is not None and seconds <= 0:
            child.lifeline.send({"order": "stop"})
            child.state = "stopping"
            child.deadline = time.monotonic() + GRACE_S
            return
        if child.state == "stopping":
            return
        child.lifeline.send({"order": "drain", "seconds": seconds, "reason": reason})
        child.state = "draining"
        if seconds is not None:
            child.deadline = time.monotonic() + seconds + GRACE_S

    def ask(
        self,
        child: Child,
        what: str,
        answered: Callable[[Message | None], None],
        *,
        arguments: Any = None,
        seconds: float = ASK_S,
    ) -> None:
        """Ask a child something. ``answered`` gets the whole answer, or None when none came."""
        number = self._next_ask
        self._next_ask += 1
        self._asks[number] = _Ask(child, time.monotonic() + seconds, answered)
        child.lifeline.send({"order": "ask", "id": number, "what": what, "arguments": arguments})

    def receive(self, child: Child) -> None:
        """Read what a child said."""
        for message in child.lifeline.receive():
            child.last_seen = time.monotonic()
            match message.get("report"):
                case "alive":
                    child.counters = message.get("counters") or {}
                case "ready":
                    if child.state == "starting":
                        child.state = "running"
                    self._parent.child_ready(child)
                case "failed":
                    child.failure = str(message.get("text", ""))
                case "answer":
                    ask = self._asks.pop(int(message.get("id", 0)), None)
                    if ask is not None:
                        ask.answered(message)
                case _:
                    self._parent.child_said(child, message)

    def reap(self) -> None:
        """Take leave of those that ended."""
        while self._by_pid:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            child = self._by_pid.pop(pid, None)
            if child is None:
                self._parent.stranger_gone(pid, os.waitstatus_to_exitcode(status))
                continue
            # What it said last is still in the line, even after its end.
            self.receive(child)
            self._gone(child, os.waitstatus_to_exitcode(status))

    def turn(self) -> None:
        """Look at the clocks: kill who is late, fork who is due."""
        now = time.monotonic()
        lost = now - self._last_turn - 1.5
        self._last_turn = now
        for child in list(self._by_pid.values()):
            if lost > 0:
                child.last_seen += lost
            if child.lifeline.wants_write:
                child.lifeline.flush()
            self._judge(child, now)
        for role in list(self._roles):
            if role.retry_at is not None and now >= role.retry_at:
                role.retry_at = None
                self._fork(role)
        for number, ask in list(self._asks.items()):
            if now >= ask.deadline or ask.child.pid not in self._by_pid:
                del self._asks[number]
                ask.answered(None)

    def due_in(self) -> float:
        """Seconds until ``turn`` has something to do, at most 1."""
        now = time.monotonic()
        times = [role.retry_at for role in self._roles if role.retry_at is not None]
        times += [child.deadline for child in self._by_pid.values() if child.deadline is not None]
        times += [ask.deadline for ask in self._asks.values()]
        if any(child.lifeline.wants_write for child in self._by_pid.values()):
            times.append(now + 0.02)
        return max(0.0, min([1.0, *(moment - now for moment in times)]))

    def kill(self, child: Child, because: str) -> None:
        """SIGKILL, by its pid; it is reaped later."""
        child.killed_because = because
        child.deadline = None
        try:
            os.kill(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def _judge(self, child: Child, now: float) -> None:
        if child.killed_because:
            return
        if child.deadline is not None and now >= child.deadline:
            self.kill(child, "it did not end in time")
        elif child.state == "starting" and now - child.born > child.role.birth_s:
            self.kill(child, "it was not ready in time")
        elif child.state != "starting" and now - child.last_seen > child.role.silence_s:
            self.kill(child, "its heartbeat stayed away")

    def _fork(self, role: Role) -> Child:
        ours, theirs = Lifeline.pair()
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._live(role, theirs, ours, parent)
        theirs.close()
        role.births += 1
        now = time.monotonic()
        child = Child(
            role=role,
            pid=pid,
            lifeline=ours,
            born=now,
            last_seen=now,
            start_time=process.start_time(pid),
        )
        role.child = child
        self._by_pid[pid] = child
        self._selector.register(ours, selectors.EVENT_READ, lambda _: self._hear(child))
        return child

    def _hear(self, child: Child) -> None:
        self.receive(child)
        if child.lifeline.closed:
            # It ends, or has gone mad; SIGCHLD says which, within the time it has.
            self._deafen(child)
            if child.deadline is None:
                child.deadline = time.monotonic() + GRACE_S

    def _deafen(self, child: Child) -> None:
        try:
            self._selector.unregister(child.lifeline)
        except (KeyError, ValueError):
            return

    def _live(self, role: Role, lifeline: Lifeline, parents_end: Lifeline, parent: int) -> NoReturn:
        """The child's whole life."""
        code = EXIT_BROKEN
        try:
            process.become_child(f"dicomd:{role.name}", parent)
            parents_end.close()
            for sibling in self._by_pid.values():
                sibling.lifeline.close()
            self._parent.release_in_child(role)
            code = role.birth(lifeline)
        except BaseException as error:  # the one place of this process that catches broadly
            log.exception("worker.failed", worker=role.name, kind=role.kind)
            lifeline.send({"report": "failed", "text": f"{role.kind}: {type(error).__name__}"})
        finally:
            self._leave(code)

    def _leave(self, code: int) -> NoReturn:
        try:
            self._parent.leave_in_child()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)

    def _gone(self, child: Child, code: int) -> None:
        role = child.role
        self._deafen(child)
        child.lifeline.close()
        if role.child is child:
            role.child = None
        asked = child.state in ("draining", "stopping") or role.retired or role.once
        if not asked:
            lived = time.monotonic() - child.born
            role.failures = 1 if lived >= SETTLED_S else role.failures + 1
        self._parent.child_gone(child, code)
        if role.retired or role.once or child.state in ("draining", "stopping"):
            self._forget(role)
        elif role in self._roles:
            pause = FIRST_PAUSES_S[min(role.failures - 1, len(FIRST_PAUSES_S) - 1)]
            role.retry_at = time.monotonic() + pause

    def _forget(self, role: Role) -> None:
        if role in self._roles:
            self._roles.remove(role)
