"""Where DCMTK's appenders write: console, plain, rolling and daily rolling files, syslog, UDP.

A target gathers text with ``put`` and writes it with ``flush``. Files are opened when the target
is made; a file that cannot be opened is tried again later, as DCMTK does, and what is logged
meanwhile is lost.
"""

import os
import re
import socket
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from dicomd.logs.files import open_for_append
from dicomd.logs.oflog.filters import is_true
from dicomd.logs.oflog.layouts import LogEvent, level_name
from dicomd.logs.outputs import FACILITIES

Complain = Callable[[str], None]
MIN_FILE_BYTES = 200 * 1024
_DEFAULT_FILE_BYTES = 10 << 20
_FILE_MODE = 0o666  # as the umask leaves it, like DCMTK
_ROLL_RETRY_S = 60.0
_SUFFIXES = {
    "MONTHLY": "%Y-%m",
    "WEEKLY": "%Y-%W",
    "DAILY": "%Y-%m-%d",
    "TWICE_DAILY": "%Y-%m-%d-%p",
    "HOURLY": "%Y-%m-%d-%H",
    "MINUTELY": "%Y-%m-%d-%H-%M",
}
_SYSLOG_SEVERITY = ((50, 2), (40, 3), (30, 4), (20, 6))  # FATAL is crit, TRACE is debug


class Target(Protocol):
    """The writing end of an appender."""

    def put(self, event: LogEvent, text: str) -> None:
        """Take one formatted event."""

    def flush(self) -> None:
        """Write what was put. OSError: it is kept, and ``flush`` may be called again."""

    def begin(self) -> None:
        """The log starts here and now (it is not taken over from a writer before)."""

    def reopen(self) -> None:
        """Open files anew."""

    def close(self) -> None:
        """The normal end of the log."""

    def descriptors(self) -> set[int]:
        """What the process that writes must keep open."""

    def release(self) -> None:
        """Let go without a word."""


class NowhereTarget:
    """NullAppender, and appenders whose peers we do not speak to."""

    def put(self, event: LogEvent, text: str) -> None:
        """Discard."""

    def flush(self) -> None:
        """Nothing."""

    def begin(self) -> None:
        """Nothing."""

    def reopen(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""

    def descriptors(self) -> set[int]:
        """None."""
        return set()

    def release(self) -> None:
        """Nothing."""


class ConsoleTarget(NowhereTarget):
    """Standard output or error. Always flushed: a buffered line would be lost with a kill."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._pending = b""

    def put(self, event: LogEvent, text: str) -> None:
        """Gather."""
        self._pending += text.encode("utf-8", "surrogateescape")

    def flush(self) -> None:
        """Write; blocks when nobody reads."""
        while self._pending:
            try:
                written = os.write(self._fd, self._pending)
            except BlockingIOError:
                time.sleep(0.02)
                continue
            self._pending = self._pending[written:]

    def descriptors(self) -> set[int]:
        """The stream's."""
        return {self._fd}


class FileTarget(NowhereTarget):
    """FileAppender. Mutable: descriptor (None while the file cannot be opened), size, text."""

    append_by_default = False

    def __init__(self, options: Mapping[str, str], complain: Complain) -> None:
        self.path = options.get("File", "")
        self._append = is_true(options.get("Append"), default=self.append_by_default)
        self._retry_s = float(_number(options.get("ReopenDelay"), 1))
        self._retry_at = 0.0
        self._roll_at = 0.0
        self._pending = b""
        self._size = 0
        self.fd: int | None = None
        if not self.path:
            complain("ERROR Invalid filename")
            return
        try:
            self._open()
        except OSError:
            complain(f"ERROR Unable to open file: {self.path}")
            self._retry_at = time.monotonic() + self._retry_s

    def put(self, event: LogEvent, text: str) -> None:
        """Gather; lost while the file cannot be opened."""
        if self.fd is None:
            self._try_again()
        if self.fd is not None:
            self._pending += text.encode("utf-8", "surrogateescape")

    def flush(self) -> None:
        """Append."""
        while self._pending and self.fd is not None:
            written = os.write(self.fd, self._pending)
            self._size += written
            self._pending = self._pending[written:]

    def begin(self) -> None:
        """Without ``Append`` the file starts empty; not at a reload, which must lose no line."""
        if not self._append and self.fd is not None:
            os.ftruncate(self.fd, 0)
            self._size = 0

    def reopen(self) -> None:
        """Open the path anew; the old file stays when that fails."""
        if self.path:
            self.flush()
            self._open()

    def close(self) -> None:
        """Write the rest, let go."""
        self.flush()
        self.release()

    def descriptors(self) -> set[int]:
        """The file's."""
        return set() if self.fd is None else {self.fd}

    def release(self) -> None:
        """Let go."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def _open(self, *, truncate: bool = False) -> None:
        fd = open_for_append(self.path, truncate=truncate, mode=_FILE_MODE)
        self.release()
        self.fd = fd
        self._size = os.fstat(fd).st_size

    def _attempt(self, roll: Callable[[], None]) -> None:
        """Write what waits, then roll; when that fails the file goes on as it is for a while."""
        if time.monotonic() < self._roll_at:
            return
        try:
            self.flush()
            roll()
        except OSError:
            self._roll_at = time.monotonic() + _ROLL_RETRY_S

    def _try_again(self) -> None:
        if not self.path or time.monotonic() < self._retry_at:
            return
        try:
            self._open()
        except OSError:
            self._retry_at = time.monotonic() + self._retry_s


class RollingTarget(FileTarget):
    """RollingFileAppender: rolled after the event that made the file larger than MaxFileSize."""

    append_by_default = True

    def __init__(self, options: Mapping[str, str], complain: Complain) -> None:
        super().__init__(options, complain)
        self._limit = max(_size(options.get("MaxFileSize")), MIN_FILE_BYTES)
        self._keep = max(_number(options.get("MaxBackupIndex"), 1), 1)

    def put(self, event: LogEvent, text: str) -> None:
        """Gather, and roll when the file is full."""
        super().put(event, text)
        if self.fd is not None and self._size + len(self._pending) > self._limit:
            self._attempt(self._roll)

    def _roll(self) -> None:
        _shift(self.path, self._keep)
        os.rename(self.path, f"{self.path}.1")
        self._open(truncate=True)


class DailyTarget(FileTarget):
    """DailyRollingFileAppender: rolled when its period is over, and at the normal end."""

    append_by_default = True

    def __init__(
        self,
        options: Mapping[str, str],
        complain: Complain,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._schedule = options.get("Schedule", "").upper()
        if self._schedule not in _SUFFIXES:
            given = options.get("Schedule", "")
            complain(f'WARN DailyRollingFileAppender::ctor()- "Schedule" not valid: {given}')
            self._schedule = "DAILY"
        super().__init__(options, complain)
        self._keep = max(_number(options.get("MaxBackupIndex"), 10), 1)
        self._now = now
        self._start_period()

    def put(self, event: LogEvent, text: str) -> None:
        """Roll when the period is over, then gather."""
        if self._now() >= self._next and self.fd is not None:
            self._attempt(self._roll)
        super().put(event, text)

    def close(self) -> None:
        """The normal end rolls, too."""
        if self.fd is not None:
            self._attempt(self._roll)
        super().close()

    def _roll(self) -> None:
        dated = self._dated
        _shift(dated, self._keep)
        if os.path.exists(dated):
            os.rename(dated, f"{dated}.1")
        os.rename(self.path, dated)
        self._open(truncate=True)
        self._start_period()

    def _start_period(self) -> None:
        now = self._now()
        self._dated = f"{self.path}.{now.strftime(_SUFFIXES[self._schedule])}"
        self._next = next_period(self._schedule, now)


def next_period(schedule: str, now: datetime) -> datetime:
    """When the period that ``now`` (local time) is in ends."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    match schedule:
        case "MONTHLY":
            return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        case "WEEKLY":
            return day + timedelta(days=7 - day.weekday())
        case "TWICE_DAILY":
            return day + timedelta(hours=24 if now.hour >= 12 else 12)
        case "HOURLY":
            return day + timedelta(hours=now.hour + 1)
        case "MINUTELY":
            return day + timedelta(hours=now.hour, minutes=now.minute + 1)
        case _:
            return day + timedelta(days=1)


class SyslogTarget(NowhereTarget):
    """SysLogAppender: the local socket, or UDP in the form of RFC 5424."""

    def __init__(self, options: Mapping[str, str], complain: Complain) -> None:
        facility = options.get("facility", "").lower()
        if facility and facility not in FACILITIES:
            complain(f"ERROR Unknown syslog facility: {facility}")
        self._facility = FACILITIES.get(facility, FACILITIES["user"])
        self._ident = options.get("ident", "")
        self._host = options.get("host", "")
        self._target: str | tuple[str, int] = "/dev/log"
        family = socket.AF_UNIX
        if self._host:
            self._target = (self._host, _number(options.get("port"), 514))
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def put(self, event: LogEvent, text: str) -> None:
        """Send; a syslog that is not there costs the line, as with DCMTK."""
        code = next((code for least, code in _SYSLOG_SEVERITY if event.level >= least), 7)
        priority = self._facility * 8 + code
        text = text.rstrip("\n")
        if self._host:
            second, rest = divmod(event.time_ns, 1_000_000_000)
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            head = (
                f"<{priority}>1 {stamp}.{rest // 1_000_000:03d}Z {socket.getfqdn()} "
                f"{self._ident or '-'} {event.pid} {event.logger} -"
            )
        else:
            stamp = time.strftime("%b %e %H:%M:%S", time.localtime(event.time_ns // 10**9))
            head = f"<{priority}>{stamp} {self._ident or 'dicomd'}[{event.pid}]:"
        self._send(f"{head} {text}")

    def descriptors(self) -> set[int]:
        """The socket's."""
        return {self._socket.fileno()}

    def close(self) -> None:
        """Let go."""
        self._socket.close()

    def release(self) -> None:
        """Let go."""
        self._socket.close()

    def _send(self, text: str) -> None:
        try:
            self._socket.sendto(text.encode("utf-8", "surrogateescape"), self._target)
        except OSError:
            return


class Log4jUdpTarget(SyslogTarget):
    """Log4jUdpAppender: one log4j XML event a datagram."""

    def __init__(self, options: Mapping[str, str]) -> None:
        host = options.get("host", "localhost")
        super().__init__({"host": host}, lambda text: None)
        self._target = (host, _number(options.get("port"), 5000))

    def put(self, event: LogEvent, text: str) -> None:
        """Send."""
        # Imports urllib and more: only who uses this appender pays for it.
        from xml.sax.saxutils import quoteattr

        message = text.rstrip("\n").replace("]]>", "]]>]]&gt;<![CDATA[")
        self._send(
            f"<log4j:event logger={quoteattr(event.logger)} "
            f'level="{level_name(event.level)}" timestamp="{event.time_ns // 1_000_000}" '
            f'thread="{event.pid}"><log4j:message><![CDATA[{message}]]></log4j:message>'
            f"<log4j:NDC></log4j:NDC></log4j:event>"
        )


def _shift(path: str, keep: int) -> None:
    Path(f"{path}.{keep}").unlink(missing_ok=True)
    for number in range(keep - 1, 0, -1):
        if os.path.exists(f"{path}.{number}"):
            os.rename(f"{path}.{number}", f"{path}.{number + 1}")


def _number(text: str | None, default: int) -> int:
    try:
        return int(text) if text is not None else default
    except ValueError:
        return default


def _size(text: str | None) -> int:
    found = re.match(r"(\d+)\s*(KB|MB)?", text or "", re.IGNORECASE)
    if found is None:
        return _DEFAULT_FILE_BYTES
    return int(found[1]) * {"KB": 1 << 10, "MB": 1 << 20}.get((found[2] or "").upper(), 1)
