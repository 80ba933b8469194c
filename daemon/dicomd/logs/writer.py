"""The log writer: the one process that renders lines and writes every output.

It reads records from the channel that all processes share, guards them (privacy), and hands them
to the outputs' queues. It ends when every speaker is gone (end of file on the channel), or when
it is told to, and then writes first what it has. Orders come over a socket pair: ``reopen``,
``stop`` (at the end: what is in the channel is written first) and ``yield`` (a successor takes over
the channel as it is); its counts go back the same way, once a second, and prove that it lives.
"""

import contextlib
import json
import logging
import marshal
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from dicomd.logs.channel import Record, Sent
from dicomd.logs.outputs import Output, Sink

_RECEIVE_BYTES = 256 << 10
_REPORT_S = 1.0
_PREDECESSOR_S = 5.0
_END_S = 3.0
_ORPHAN_S = 10.0
_NICENESS = 5
GuardFacts = Callable[[dict[str, Any]], dict[str, Any]]


class LogWriter:
    """The process's state: channel, control socket, outputs."""

    def __init__(
        self,
        receiving: socket.socket,
        control: socket.socket,
        sinks: Sequence[Sink],
        guard: GuardFacts | None,
        *,
        limit: int,
    ) -> None:
        self._receiving = receiving
        self._control = control
        self._guard = guard
        self._buffer = bytearray(_RECEIVE_BYTES)
        self._view = memoryview(self._buffer)
        self._outputs: list[Output] = []
        self._outputs = [Output(sink, limit=limit, report=self._say) for sink in sinks]
        self._stopping = False
        self._yielding = False
        self._dropped_by_speakers = 0
        self._ended = False
        self._orphaned = 0.0
        self._poll = select.epoll()

    def run(self) -> None:
        """Until the end. Receiving goes first where processors are short: lines can wait."""
        with contextlib.suppress(OSError):
            os.nice(_NICENESS)
        poll = self._poll
        for sock in (self._receiving, self._control):
            sock.setblocking(False)
            poll.register(sock, select.EPOLLIN)
        report_at = 0.0
        while not (self._ended or self._stopping or self._yielding):
            poll.poll(_REPORT_S)
            self._receive()
            now = time.monotonic()
            if self._orphaned and now > self._orphaned:
                break
            if now >= report_at and not self._orphaned:
                report_at = now + _REPORT_S
                self._send_report(self.counts())
        if self._stopping:
            self._receive()
        self._end()

    def counts(self) -> str:
        """What the supervisor may want to know, as JSON."""
        return json.dumps(
            {
                "lines": max((output.lines for output in self._outputs), default=0),
                "dropped": sum(output.lost for output in self._outputs) + self._dropped_by_speakers,
                "failing": {
                    output.sink.name: output.failing for output in self._outputs if output.failing
                },
            }
        )

    def _receive(self) -> None:
        """All that is in the channel now, up to a bound. Orders are looked at in between: lines
        sent behind a ``yield`` are the successor's."""
        for _ in range(1000):
            if not self._orphaned:
                self._take_order()
            if self._yielding:
                return
            try:
                size = self._receiving.recv_into(self._buffer)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                size = 0
            if not size:
                self._ended = True
                return
            records = self._guarded(marshal.loads(self._view[:size]))
            for output in self._outputs:
                output.offer(records)

    def _guarded(self, batch: list[Sent]) -> list[Record]:
        """The records of a batch as they may be written. What loggers were bound with is guarded
        once for all lines of an association: ``marshal`` gives them one dict."""
        guard = self._guard
        bound: dict[int, dict[str, Any]] = {}
        records: list[Record] = []
        for time_ns, level, logger, event, pid, context, facts in batch:
            if event == "log.dropped":
                self._dropped_by_speakers += int(facts.get("lines", 0))
            if guard is not None:
                known = bound.get(id(context))
                if known is None:
                    known = bound[id(context)] = guard(context)
                facts = {**known, **guard(facts)}
            else:
                facts = {**context, **facts}
            records.append((time_ns, level, logger, event, pid, facts))
        return records

    def _take_order(self) -> None:
        """The next order, if there is one; end of file means that the supervisor is gone."""
        try:
            order = self._control.recv(1024)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            order = b""
        if not order:
            self._orphaned = time.monotonic() + _ORPHAN_S
            self._poll.unregister(self._control)
        elif order == b"reopen":
            for output in self._outputs:
                output.reopen()
            self._say(logging.INFO, "log.reopened", {})
        elif order == b"yield":
            self._yielding = True
        elif order == b"stop":
            self._stopping = True

    def _send_report(self, text: str) -> None:
        try:
            self._control.send(text.encode(), socket.MSG_NOSIGNAL)
        except OSError:
            return

    def _say(self, level: int, event: str, facts: dict[str, Any]) -> None:
        record = (time.time_ns(), level, "dicomd.logs", event, os.getpid(), facts)
        for output in self._outputs:
            output.offer([record])

    def _end(self) -> None:
        for output in self._outputs:
            output.stop()
        deadline = time.monotonic() + _END_S
        for output in self._outputs:
            output.join(max(deadline - time.monotonic(), 0.0))
        self._send_report(self.counts())


def await_predecessor(control: socket.socket) -> None:
    """Wait until the writer before us has written its last line: lines stay in order, and never
    two processes rotate one file."""
    deadline = time.monotonic() + _PREDECESSOR_S
    while (left := deadline - time.monotonic()) > 0:
        readable, _, _ = select.select([control], [], [], left)
        if not readable:
            return
        try:
            if not control.recv(4096):
                return
        except BlockingIOError:
            continue
        except OSError:
            return


def settle(keep: set[int]) -> None:
    """Become a process of its own: signals are the supervisor's business, and so are all
    descriptors but those in ``keep`` and the standard ones."""
    for number in (
        signal.SIGTERM,
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGHUP,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGPIPE,
    ):
        signal.signal(number, signal.SIG_IGN)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd > 2 and fd not in keep:
            try:
                os.close(fd)
            except OSError:
                continue
