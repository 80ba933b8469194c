"""What goes out about the service: the status, the log's snapshot, systemd's line and watchdog."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog

from dicomd.lifeline import Message
from dicomd.logs.configure import LogService
from dicomd.supervisor import status
from dicomd.supervisor.children import Child, Children
from dicomd.supervisor.service import Service
from dicomd.supervisor.systemd import Systemd

log = structlog.get_logger("dicomd.supervisor")

STATUS_LINE_S = 5.0
SAMPLE_S = 1.0
FRESH_S = 5.0
"""A worker whose last heartbeat is younger than this could take an association just now."""


class Reporter:
    """Asks, sums up and tells. Mutable: when what is due next, the last line that was told."""

    def __init__(
        self,
        *,
        children: Children,
        service: Service,
        record: status.Record,
        logs: LogService,
        systemd: Systemd,
    ) -> None:
        self._children = children
        self._service = service
        self._record = record
        self._logs = logs
        self._systemd = systemd
        self.phase = "starting"
        """starting, running, reloading or stopping; the supervisor keeps it true."""
        self._next_sample = 0.0
        self._next_status = 0.0
        self._next_watchdog = 0.0
        self._last_line = ""

    def gather(self, done: Callable[[dict[str, Any]], None]) -> None:
        """Ask every acceptor and the requestor what they are at, then give ``done`` the status."""
        asked = [
            child
            for child in self._children
            if child.role.kind in ("acceptor", "requestor") and child.state != "starting"
        ]
        answers: dict[int, Any] = {}
        waiting = {child.pid for child in asked}
        if not asked:
            done(self.build(answers))

        def answered(child: Child, answer: Message | None) -> None:
            waiting.discard(child.pid)
            if answer is not None and "error" not in answer:
                answers[child.pid] = answer.get("result")
            if not waiting:
                done(self.build(answers))

        for child in asked:
            self._children.ask(child, "snapshot", partial(answered, child))

    def build(self, answers: dict[int, Any]) -> dict[str, Any]:
        """The status, with the children's own answers by pid."""
        return status.build(
            phase=self.phase,
            pid=os.getpid(),
            service=self._service,
            children=list(self._children),
            record=self._record,
            log=self._logs.counts(),
            answers=answers,
        )

    def line(self) -> str:
        """The status in a line."""
        return status.line(self.build({}))

    def log_snapshot(self) -> None:
        """Write the live state to the log."""
        self.gather(_log_snapshot)

    def turn(self, now: float) -> None:
        """Take samples for the rates; feed systemd its status line and its watchdog."""
        if now >= self._next_sample:
            self._next_sample = now + SAMPLE_S
            totals = status.totals(self._service, list(self._children), self._record)
            self._record.objects.sample(now, totals["objects"])
            self._record.bytes.sample(now, totals["bytes"])
        if not self._systemd.present:
            return
        if now >= self._next_status and self.phase in ("running", "reloading"):
            self._next_status = now + STATUS_LINE_S
            text = self.line()
            if text != self._last_line:
                self._last_line = text
                self._systemd.status(text)
        watchdog_s = self._systemd.watchdog_s
        if watchdog_s is not None and now >= self._next_watchdog and self._could_serve(now):
            self._next_watchdog = now + watchdog_s / 4
            self._systemd.alive()

    def _could_serve(self, now: float) -> bool:
        """Whether each listener has a worker that could take an association just now."""
        if self.phase == "stopping":
            return True
        return all(
            any(
                role.child is not None
                and role.child.state == "running"
                and now - role.child.last_seen < FRESH_S
                for role in crew.roles
            )
            for crew in self._service.crews.values()
        )


def _log_snapshot(result: dict[str, Any]) -> None:
    log.info(
        "snapshot.taken",
        state=result["state"],
        listeners=result["listeners"],
        processes=result["workers"],
        associations=result["associations"],
        throughput=result["throughput"],
        reload=result["reload"],
    )
