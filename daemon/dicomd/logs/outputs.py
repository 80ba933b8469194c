"""Where lines go: a queue and a thread for each output, so that a slow one harms no other.

``Output`` holds the queue; a ``Sink`` does the writing and may block or fail. What does not fit
into the queue is counted, and reported by ``log.dropped`` when the output takes lines again.
"""

import errno
import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from dicomd.logs.channel import Record
from dicomd.logs.files import LogFile
from dicomd.logs.render import Clock, Render, message_text, severity

_TAKE_RECORDS = 500
_RETRY_S = 0.5
_IDLE_S = 5.0

Report = Callable[[int, str, dict[str, Any]], None]
"""Level, event, facts: a line of the writer itself."""


class Sink(Protocol):
    """Writes records, whole, in order. May block; OSError means: ``resume`` later."""

    name: str

    def begin(self) -> None:
        """The log starts here: it is not taken over from a writer before."""

    def write(self, records: Sequence[Record]) -> None:
        """Take these records and write them."""

    def resume(self) -> None:
        """Go on with what a failed ``write`` left."""

    def turn(self) -> None:
        """Now and then, when there is nothing to write."""

    def reopen(self) -> None:
        """Open files anew. OSError: the old ones stay."""

    def close(self) -> None:
        """The end of the log: write what belongs there, let go."""

    def descriptors(self) -> set[int]:
        """What a process that writes this sink must keep open."""

    def release(self) -> None:
        """Let go without a word, in a process that does not write this sink."""


class Output:
    """A sink behind a bounded queue. Mutable: the queue and the counts, under one condition."""

    def __init__(self, sink: Sink, *, limit: int, report: Report) -> None:
        self.sink = sink
        self._limit = limit
        self._report = report
        self._queue: deque[Record] = deque()
        self._change = threading.Condition()
        self._dropped = 0
        self._reopen = False
        self._stopping = False
        self.lines = 0
        self.lost = 0
        self.failing = ""
        self._thread = threading.Thread(target=self._run, name=sink.name, daemon=True)
        self._thread.start()

    def offer(self, records: Sequence[Record]) -> None:
        """Queue what fits; count the rest."""
        with self._change:
            room = self._limit - len(self._queue)
            self._queue.extend(records if len(records) <= room else records[:room])
            if len(records) > room:
                self._dropped += len(records) - room
                self.lost += len(records) - room
            self._change.notify()

    def reopen(self) -> None:
        """Have the files opened anew, between two lines."""
        with self._change:
            self._reopen = True
            self._change.notify()

    def stop(self) -> None:
        """Write what is queued, then end. ``join`` waits for it."""
        with self._change:
            self._stopping = True
            self._change.notify()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; False when the output still hangs."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._change:
                if not (self._queue or self._reopen or self._stopping):
                    self._change.wait(_IDLE_S)
                records = [
                    self._queue.popleft() for _ in range(min(len(self._queue), _TAKE_RECORDS))
                ]
                reopen, self._reopen = self._reopen, False
                ended = self._stopping and not records
                dropped = 0
                if len(self._queue) < self._limit // 2:
                    dropped, self._dropped = self._dropped, 0
            if reopen:
                self._do_reopen()
            if dropped:
                self._report(
                    logging.WARNING, "log.dropped", {"lines": dropped, "output": self.sink.name}
                )
            if ended:
                break
            if records:
                self._write(records)
            else:
                self.sink.turn()
        try:
            self.sink.close()
        except OSError:
            return

    def _do_reopen(self) -> None:
        try:
            self.sink.reopen()
        except OSError as error:
            facts = {"output": self.sink.name, "reason": error.strerror or "cannot be opened"}
            self._report(logging.ERROR, "log.failing", facts)

    def _write(self, records: list[Record]) -> None:
        go_on: Callable[[], None] = lambda: self.sink.write(records)  # noqa: E731
        while True:
            try:
                go_on()
            except OSError as error:
                if not self.failing:
                    self.failing = error.strerror or type(error).__name__
                    facts = {"output": self.sink.name, "reason": self.failing}
                    self._report(logging.ERROR, "log.failing", facts)
                go_on = self.sink.resume
                with self._change:
                    if self._stopping:
                        self.lost += len(records)
                        return
                    self._change.wait(_RETRY_S)
                continue
            except Exception as error:
                self.lost += len(records)
                facts = {"output": self.sink.name, "reason": type(error).__name__}
                self._report(logging.ERROR, "log.failing", facts)
                return
            self.lines += len(records)
            if self.failing:
                self.failing = ""
                self._report(logging.INFO, "log.recovered", {"output": self.sink.name})
            return


class StreamSink:
    """A descriptor that is not ours: standard error or output."""

    def __init__(self, fd: int, render: Render, *, name: str = "stderr") -> None:
        self.name = name
        self._fd = fd
        self._render = render
        self._pending = b""

    def begin(self) -> None:
        """Nothing to do."""

    def write(self, records: Sequence[Record]) -> None:
        """Blocks when nobody reads the pipe: that is why outputs have threads."""
        self._pending += "".join(map(self._render, records)).encode("utf-8", "backslashreplace")
        self.resume()

    def resume(self) -> None:
        """Go on where a write ended."""
        while self._pending:
            try:
                written = os.write(self._fd, self._pending)
            except BlockingIOError:  # somebody else made the stream non-blocking
                time.sleep(0.02)
                continue
            self._pending = self._pending[written:]

    def turn(self) -> None:
        """Nothing to do."""

    def reopen(self) -> None:
        """A stream stays what it is."""

    def close(self) -> None:
        """Not ours to close."""

    def descriptors(self) -> set[int]:
        """The stream's."""
        return {self._fd}

    def release(self) -> None:
        """Not ours to close."""


class FileSink:
    """A log file of ours or logrotate's."""

    def __init__(self, file: LogFile, render: Render) -> None:
        self.name = "file"
        self._file = file
        self._render = render

    def begin(self) -> None:
        """Nothing to do."""

    def write(self, records: Sequence[Record]) -> None:
        """Append the lines, all at once while the file has room for them."""
        lines = list(map(self._render, records))
        whole = "".join(lines).encode("utf-8", "backslashreplace")
        if self._file.has_room(len(whole)):
            self._file.write((whole,))
        else:
            self._file.write([line.encode("utf-8", "backslashreplace") for line in lines])

    def resume(self) -> None:
        """Go on where a full disk ended."""
        self._file.resume()

    def turn(self) -> None:
        """A file grows old though nothing is written."""
        self._file.rotate_if_old()

    def reopen(self) -> None:
        """For logrotate."""
        self._file.reopen()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def descriptors(self) -> set[int]:
        """The file's."""
        return {self._file.fd}

    def release(self) -> None:
        """Let go of the file."""
        self._file.close()


class DatagramSink:
    """Syslog and the journal: one datagram a record, to a local socket or over UDP."""

    def __init__(
        self, name: str, address: str | tuple[str, int], encode: Callable[[Record], bytes]
    ) -> None:
        self.name = name
        self._address = address
        self._encode = encode
        self._waiting: deque[bytes] = deque()
        family = socket.AF_UNIX
        if not isinstance(address, str):
            found = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)
            family = found[0][0]
            self._target: Any = found[0][4]
        else:
            self._target = address
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def begin(self) -> None:
        """Nothing to do."""

    def write(self, records: Sequence[Record]) -> None:
        """Send each record."""
        self._waiting.extend(map(self._encode, records))
        self.resume()

    def resume(self) -> None:
        """Send what waits; a daemon that is being restarted is asked again."""
        while self._waiting:
            data = self._waiting[0]
            try:
                self._socket.sendto(data, self._target)
            except OSError as error:
                if error.errno != errno.EMSGSIZE or len(data) <= 1024:
                    raise
                self._waiting[0] = data[:1024]
                continue
            self._waiting.popleft()

    def turn(self) -> None:
        """Nothing to do."""

    def reopen(self) -> None:
        """Datagrams name their target each time."""

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def descriptors(self) -> set[int]:
        """The socket's."""
        return {self._socket.fileno()}

    def release(self) -> None:
        """Let go of the socket."""
        self._socket.close()


FACILITIES = {
    "kern": 0,
    "user": 1,
    "mail": 2,
    "daemon": 3,
    "auth": 4,
    "syslog": 5,
    "lpr": 6,
    "news": 7,
    "uucp": 8,
    "cron": 9,
    "authpriv": 10,
    "ftp": 11,
} | {f"local{number}": 16 + number for number in range(8)}


def syslog_datagram(facility: int, *, local: bool, host: str) -> Callable[[Record], bytes]:
    """RFC 3164 for the local socket, RFC 5424 over UDP."""
    clock = Clock()

    def encode(record: Record) -> bytes:
        priority = facility * 8 + severity(record[1])
        text = message_text(record)
        if local:
            stamp = time.strftime("%b %e %H:%M:%S", time.localtime(record[0] // 1_000_000_000))
            line = f"<{priority}>{stamp} dicomd[{record[4]}]: {text}"
        else:
            line = f"<{priority}>1 {clock.utc(record[0])} {host} dicomd {record[4]} - - {text}"
        return line.encode("utf-8", "backslashreplace")

    return encode


JOURNAL_SOCKET = "/run/systemd/journal/socket"


def journal_datagram(record: Record) -> bytes:
    """The journal's native protocol: one field a line, or length-counted if it has line ends."""
    _, level, logger, event, pid, facts = record
    fields: dict[str, Any] = {
        "MESSAGE": message_text(record),
        "PRIORITY": severity(level),
        "SYSLOG_IDENTIFIER": "dicomd",
        "SYSLOG_PID": pid,
        "DICOMD_EVENT": event,
        "DICOMD_LOGGER": logger,
    }
    fields |= {f"DICOMD_{key.upper()}": value for key, value in facts.items()}
    parts: list[bytes] = []
    for name, value in fields.items():
        data = str(value).encode("utf-8", "backslashreplace")
        if b"\n" in data:
            parts.append(name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n")
        else:
            parts.append(name.encode() + b"=" + data + b"\n")
    return b"".join(parts)
