"""The speaking end of the log: what a log call does in the process that makes it.

A call costs a dict and an append; records go to the log writer over one socket that every process
inherits. Nothing here ever waits: what the socket does not take stays in a bounded list, and what
the list does not take is counted and reported once the way is free again.

Rendering, outputs and rotation are the writer's. A record crosses the socket as the tuple ``Sent``,
by ``marshal``, which only ever speaks between parent and forked child. What a logger was bound with
stands apart in it: one dict for all lines of an association, which ``marshal`` writes once a batch.
"""

import logging
import marshal
import os
import select
import socket
import threading
import time
import traceback
from collections.abc import Mapping
from typing import Any

import structlog

from dicomd.errors import DicomdError

Record = tuple[int, int, str, str, int, dict[str, Any]]
"""Nanoseconds since the epoch, level, logger, event, pid, facts."""
Sent = tuple[int, int, str, str, int, dict[str, Any], dict[str, Any]]
"""The same on its way to the writer: the facts of the logger (bound), then those of the call."""

TRACE = 5
LEVELS: dict[str, int] = {
    "trace": TRACE,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
BATCH_RECORDS = 150
WINDOW_NS = 50_000_000
PROMPT_LINES = 20
"""In a batching process this many lines a window go out at once; only what comes faster is
gathered, so that lines of quiet processes keep their order."""
_DATAGRAM_BYTES = 64 << 10
_SENDING_BYTES = 1 << 20
SPEAKING_LIBRARIES = ("dbos", "asyncio", "concurrent", "sqlalchemy", "dicomd")
"""Libraries whose own words hold no data set values. Others' words appear at debug only."""
_UNBOUND: dict[str, Any] = {}


class Channel:
    """One process's way to the log writer. Mutable: records not yet sent, lines dropped."""

    def __init__(self, sending: socket.socket, *, limit: int = 10_000) -> None:
        sending.setblocking(False)
        sending.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SENDING_BYTES)
        self._sending = sending
        self._limit = limit
        self._records: list[Sent] = []
        self._window_ends = 0
        self._prompt = 0
        self._dropped = 0
        self._batching = False
        self._pid = os.getpid()
        self._lock = threading.Lock()

    def after_fork(self) -> None:
        """Be this process's channel: forget what the parent had not sent, and its lock."""
        self._records = []
        self._dropped = 0
        self._batching = False
        self._pid = os.getpid()
        self._lock = threading.Lock()

    def batch(self) -> None:
        """Gather lines from now on. The process then has to call ``turn`` regularly."""
        self._batching = True

    def add(
        self,
        level: int,
        logger: str,
        event: str,
        facts: dict[str, Any],
        context: dict[str, Any] = _UNBOUND,
    ) -> None:
        """Take one record; send it now, or with the batch. Neither dict may change any more."""
        now = time.time_ns()
        with self._lock:
            records = self._records
            if len(records) >= self._limit:
                self._dropped += 1
                return
            records.append((now, level, logger, event, self._pid, context, facts))
            if self._batching:
                if not 0 < self._window_ends - now <= WINDOW_NS:
                    self._window_ends = now + WINDOW_NS
                    self._prompt = PROMPT_LINES
                if self._prompt:
                    self._prompt -= 1
                elif len(records) < BATCH_RECORDS:
                    return
            self._send()

    def turn(self) -> None:
        """Once a turn of the process's loop: sends the batch when its window is over."""
        if self._records and not 0 < self._window_ends - time.time_ns() <= WINDOW_NS:
            with self._lock:
                self._send()

    def flush(self, wait_s: float = 0.0) -> None:
        """Send all that waits, and wait at most ``wait_s`` seconds for the writer to take it."""
        deadline = time.monotonic() + wait_s
        while True:
            with self._lock:
                self._send()
            left = deadline - time.monotonic()
            if not self._records or left <= 0:
                return
            select.select([], [self._sending], [], min(left, 0.05))

    def _send(self) -> None:
        """Send what goes out without waiting. The lock is held."""
        if self._dropped and len(self._records) < self._limit:
            facts = {"lines": self._dropped, "where": "process"}
            now, level = time.time_ns(), logging.WARNING
            self._records.append((now, level, "dicomd.logs", "log.dropped", self._pid, {}, facts))
            self._dropped = 0
        while self._records:
            part = self._records[:BATCH_RECORDS]
            data = _encode(part)
            while len(data) > _DATAGRAM_BYTES and len(part) > 1:
                part = part[: len(part) // 2]
                data = _encode(part)
            try:
                self._sending.send(data, socket.MSG_NOSIGNAL)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # Nobody will ever read: the writer and the supervisor are gone, or one record is
                # larger than the socket can carry.
                self._dropped += len(part)
            del self._records[: len(part)]


def _encode(records: list[Sent]) -> bytes:
    try:
        return marshal.dumps(records)
    except ValueError:
        return marshal.dumps([(*sent[:5], _plain(sent[5]), _plain(sent[6])) for sent in records])


def _plain(value: Any) -> Any:
    """The value in types that marshal knows; what it does not know becomes its text."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("ascii", "backslashreplace")
    if isinstance(value, BaseException):
        return type(value).__name__  # never its text: libraries put data set values there
    return str(value)


class NamedLogger:
    """What structlog wraps: a name and its level. Shared by all bound loggers of that name, so a
    change of level is seen by those that exist already."""

    __slots__ = ("add", "level", "name", "raised")

    def __init__(self, name: str, level: int, raised: frozenset[str], channel: Channel) -> None:
        self.name = name
        self.level = level
        self.raised = raised
        self.add = channel.add


class BoundLogger(structlog.BoundLoggerBase):
    """The logger that rooms hold: structlog's context, and a way to the channel that is short."""

    _logger: NamedLogger

    def trace(self, event: str, **facts: Any) -> None:
        """Log at trace."""
        self.log(TRACE, event, **facts)

    def debug(self, event: str, **facts: Any) -> None:
        """Log at debug."""
        if self._logger.level <= 10:
            self.log(10, event, **facts)

    def info(self, event: str, **facts: Any) -> None:
        """Log at info. The hot path: one call an object."""
        logger = self._logger
        if logger.level <= 20 or event in logger.raised:
            if "exc_info" in facts:
                _explain(facts, debug=logger.level <= 10)
            logger.add(20, logger.name, event, facts, self._context)

    def warning(self, event: str, **facts: Any) -> None:
        """Log at warning."""
        self.log(30, event, **facts)

    def error(self, event: str, **facts: Any) -> None:
        """Log at error."""
        self.log(40, event, **facts)

    def critical(self, event: str, **facts: Any) -> None:
        """Log at critical."""
        self.log(50, event, **facts)

    def exception(self, event: str, **facts: Any) -> None:
        """Log at error, with the exception that is being handled."""
        facts.setdefault("exc_info", True)
        self.log(40, event, **facts)

    def log(self, level: int, event: str, **facts: Any) -> None:
        """Log at a level given as number."""
        logger = self._logger
        if logger.level <= level:
            if "exc_info" in facts:
                _explain(facts, debug=logger.level <= 10)
            logger.add(level, logger.name, event, facts, self._context)

    warn = warning
    fatal = critical

    def is_enabled_for(self, level: int) -> bool:
        """Whether a line of that level would be written; ask once a connection."""
        return self._logger.level <= level

    def get_effective_level(self) -> int:
        """The level of this logger's name."""
        return self._logger.level


def _explain(facts: dict[str, Any], *, debug: bool) -> None:
    """Replace ``exc_info`` by words. An exception's text may hold a value of a data set: it and
    the traceback are for debug only. Our own errors' texts hold none (errors.py)."""
    given = facts.pop("exc_info")
    error = given if isinstance(given, BaseException) else None
    if isinstance(given, tuple):
        error = given[1]
    elif error is None and given:
        import sys

        error = sys.exc_info()[1]
    if error is None:
        return
    facts["error"] = type(error).__name__
    if isinstance(error, DicomdError):
        facts.setdefault("reason", str(error))
    elif isinstance(error, OSError) and error.strerror:
        facts.setdefault("reason", error.strerror)
    if debug:
        facts["error_text"] = str(error)
        facts["traceback"] = "".join(traceback.format_exception(error))


class Speech:
    """All named loggers of a process and their levels; installs structlog and the stdlib bridge."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._loggers: dict[str, NamedLogger] = {}
        self._default = logging.INFO
        self._levels: dict[str, int] = {}
        self._raised: frozenset[str] = frozenset()

    def install(self) -> None:
        """Make structlog and stdlib logging of this process (and those it forks) speak here."""
        structlog.configure(
            processors=[],
            wrapper_class=BoundLogger,
            context_class=dict,
            logger_factory=self.logger,
            cache_logger_on_first_use=True,
        )
        root = logging.getLogger()
        for handler in list(root.handlers):
            if isinstance(handler, _Bridge):
                root.removeHandler(handler)
        root.addHandler(_Bridge(self))
        logging.captureWarnings(True)

    def set_levels(
        self, default: int, levels: Mapping[str, int], raised: frozenset[str] = frozenset()
    ) -> None:
        """Levels by logger name; the longest dotted prefix wins. Events in ``raised`` are sent
        even where info is not."""
        self._default = default
        self._levels = dict(levels)
        self._raised = raised
        for logger in self._loggers.values():
            logger.level = self.level_of(logger.name)
            logger.raised = raised
        # Libraries say a lot at info; their lines are wanted from warning up, or as asked for.
        logging.getLogger().setLevel(default if default <= logging.DEBUG else logging.WARNING)
        for name, level in levels.items():
            if name.partition(".")[0] != "dicomd":
                logging.getLogger(name).setLevel(level)

    def level_of(self, name: str) -> int:
        """The level of a logger name."""
        while name:
            if name in self._levels:
                return self._levels[name]
            name = name.rpartition(".")[0]
        return self._default

    def logger(self, *names: Any) -> NamedLogger:
        """The one logger of a name (structlog's logger factory)."""
        name = str(names[0]) if names else "dicomd"
        if name not in self._loggers:
            self._loggers[name] = NamedLogger(name, self.level_of(name), self._raised, self.channel)
        return self._loggers[name]


class _Bridge(logging.Handler):
    """stdlib logging, and so pynetdicom, dbos and warnings, into the channel."""

    def __init__(self, speech: Speech) -> None:
        super().__init__(level=0)
        self._speech = speech

    def emit(self, record: logging.LogRecord) -> None:
        """Never raises: a line that cannot be made is a line less."""
        level = self._speech.level_of(record.name)
        if record.levelno < level:
            return
        debug = level <= logging.DEBUG
        facts: dict[str, Any] = {}
        if debug or record.name.partition(".")[0] in SPEAKING_LIBRARIES:
            try:
                facts["message"] = record.getMessage()
            except Exception:  # a library's broken format string is not our end
                facts["message"] = str(record.msg)
        else:
            facts["message"] = f"{record.module}:{record.lineno} (its words: at debug only)"
        if record.exc_info:
            _explain_library(facts, record.exc_info, debug=debug)
        self._speech.channel.add(record.levelno, record.name, "library.logged", facts)


def _explain_library(facts: dict[str, Any], exc_info: Any, *, debug: bool) -> None:
    facts["exc_info"] = exc_info
    _explain(facts, debug=debug)
