"""LogSettings to a running log: prepared (all that can fail), then put in force.

The supervisor holds one ``LogService``. It makes the channel, forks the log writer, and makes
structlog and stdlib logging of this process speak there; children inherit all of it by the fork,
without any call. Forking, replacing and ending the writer are here; what the writer does is in
``writer``, what a log call does in ``channel``.
"""

import contextlib
import json
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from dicomd.errors import ConfigError, Fault
from dicomd.logs.channel import LEVELS, TRACE, Channel, Speech
from dicomd.logs.dcmtk_sink import DcmtkSink
from dicomd.logs.dcmtk_text import RAISED_EVENTS
from dicomd.logs.files import LogFile
from dicomd.logs.outputs import (
    FACILITIES,
    JOURNAL_SOCKET,
    DatagramSink,
    FileSink,
    Sink,
    StreamSink,
    journal_datagram,
    syslog_datagram,
)
from dicomd.logs.privacy import Guard
from dicomd.logs.render import console_line, json_line
from dicomd.logs.writer import LogWriter, await_predecessor, settle
from dicomd.settings.log import DcmtkLogSettings, LogSettings, RotateSettings

SALT_FILE = "log-salt"
_SALT_BYTES = 32
_STOP_S = 8.0
_RESTART_S = 1.0
SILENCE_S = 20.0
"""A writer that has not reported for this long is taken for hung, and so is one that has not made
way for its successor by then. Outputs may be slow for longer: they have threads of their own."""
_OFF = 60


@dataclass(slots=True)
class PreparedLogs:
    """Everything that can fail is done: outputs are open. Used once, by ``start`` or ``swap``."""

    settings: LogSettings
    sinks: Sequence[Sink]
    guard: Guard | None
    level: int
    levels: dict[str, int]
    salt: bytes
    private: tuple[str, ...]
    raised: frozenset[str] = frozenset()
    complaints: tuple[str, ...] = ()

    def close(self) -> None:
        """Let go of the outputs, in a process that does not write them."""
        for sink in self.sinks:
            sink.release()


def prepare(
    settings: LogSettings, *, state_directory: str = "", private: tuple[str, ...] = ()
) -> PreparedLogs:
    """Open every output. ConfigError names those that cannot be opened; nothing has changed then.

    ``state_directory`` keeps the salt of hashed identifiers, so that a hash means the same after
    a restart; without it the salt is of this start. ``private`` are the folders of stores whose
    file names hold more than UIDs.
    """
    salt = _salt(state_directory)
    if settings.dcmtk is not None:
        return _prepare_dcmtk(settings, settings.dcmtk, salt, private)
    faults: list[Fault] = []
    sinks: list[Sink] = []

    def attempt(what: str, make: Callable[[], Sink]) -> None:
        try:
            sinks.append(make())
        except OSError as error:
            faults.append(Fault(what, 0, 0, f"cannot be opened: {error.strerror or error}"))

    line = json_line if settings.format == "json" else console_line
    if settings.file is not None:
        path, rotate = settings.file.path, settings.file.rotate
        own = rotate if isinstance(rotate, RotateSettings) else None
        attempt(path, lambda: FileSink(LogFile(path, own), line()))
    if settings.syslog is not None:
        address, facility = settings.syslog.address, settings.syslog.facility
        if facility not in FACILITIES:
            known = ", ".join(FACILITIES)
            faults.append(
                Fault("logging.syslog", 0, 0, f"no facility '{facility}'; there are {known}")
            )
        else:
            attempt(f"syslog {address}", lambda: _syslog(address, FACILITIES[facility]))
    if settings.journal:
        attempt("journal", lambda: DatagramSink("journal", JOURNAL_SOCKET, journal_datagram))
    if settings.stderr or (settings.stderr is None and not sinks and not faults):
        sinks.append(StreamSink(2, line()))
    if faults:
        for sink in sinks:
            sink.release()
        raise ConfigError(faults)
    return PreparedLogs(
        settings=settings,
        sinks=sinks,
        guard=Guard(settings.identifiers, salt=salt, private=private),
        level=LEVELS[settings.level],
        levels={name: LEVELS[level] for name, level in settings.levels.items()},
        salt=salt,
        private=private,
    )


def _prepare_dcmtk(
    settings: LogSettings, dcmtk: DcmtkLogSettings, salt: bytes, private: tuple[str, ...]
) -> PreparedLogs:
    sink = DcmtkSink(dcmtk)
    if sink.tree.is_mute:
        sink.release()
        text = "no appender that a logger names can be opened, so nothing would be logged"
        said = [one.removeprefix("ERROR ") for one in sink.tree.complaints]
        text = ": ".join([text, *said[:1]])
        raise ConfigError([Fault(dcmtk.file, 0, 0, text)])
    least = sink.tree.least_level
    if least <= logging.INFO:
        # DCMTK tells at info what we tell at debug.
        level = min(max(least, TRACE), logging.DEBUG)
    else:
        # Its errors are our warnings.
        level = min(least, logging.WARNING) if least < _OFF else least
    return PreparedLogs(
        settings=settings,
        sinks=[sink],
        guard=Guard(settings.identifiers, salt=salt, private=private),
        level=level,
        levels={},
        salt=salt,
        private=private,
        raised=RAISED_EVENTS if least <= logging.WARNING else frozenset(),
        complaints=tuple(sink.tree.complaints),
    )


class LogService:
    """The log of the whole service, held by the supervisor. Mutable: the writer and its control
    socket, what it last reported, when it may be started again."""

    def __init__(self) -> None:
        self._receiving, self._sending = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC
        )
        self.channel = Channel(self._sending)
        self._speech = Speech(self.channel)
        self._prepared: PreparedLogs | None = None
        self._control: socket.socket | None = None
        self._writer = 0
        self._former: dict[int, float] = {}
        """Writers that were told to make way, and when they are killed if they are still there."""
        self._started = 0.0
        self._heard = 0.0
        self._turned = 0.0
        self._counts: dict[str, Any] = {"lines": 0, "dropped": 0, "failing": {}}

    def start(self, prepared: PreparedLogs) -> None:
        """Fork the writer and speak from now on. Before the first fork of others."""
        os.register_at_fork(after_in_child=self.channel.after_fork)
        self._speech.install()
        for sink in prepared.sinks:
            sink.begin()
        self._put_in_force(prepared)

    def swap(self, prepared: PreparedLogs) -> None:
        """New settings: a new writer takes over as soon as the old has written its last line.
        Processes that run keep the levels they were born with."""
        self._put_in_force(prepared)

    def reopen(self) -> None:
        """Have log files opened anew (SIGUSR1)."""
        self._order(b"reopen")

    def flush(self, wait_s: float = 0.0) -> None:
        """Send this process's lines to the writer; a child calls it before it ends."""
        self.channel.flush(wait_s)

    def batch(self) -> Callable[[], None]:
        """For a busy child with a loop: gather what comes fast; call what is returned once a
        turn."""
        self.channel.batch()
        return self.channel.turn

    def owns(self, pid: int) -> bool:
        """Whether a process that was reaped is a writer, present or former."""
        return pid == self._writer or pid in self._former

    def reaped(self, pid: int) -> bool:
        """A writer has ended; True when nobody asked it to. The present one is replaced; what the
        kernel holds is not lost."""
        unasked = pid == self._writer and self._prepared is not None
        self._former.pop(pid, None)
        if pid == self._writer and self._prepared is not None:
            self._writer = 0
            self.turn()
        return unasked

    def turn(self) -> None:
        """Once a turn of the supervisor's loop: a writer that hangs is killed, one that died is
        replaced, at most one a second."""
        now = time.monotonic()
        self.counts()
        if now - self._turned > 2 * _RESTART_S:
            # We did not run ourselves: that counts for nobody.
            self._heard = now
        self._turned = now
        if self._writer and now - self._heard > SILENCE_S:
            self._heard = now
            _kill(self._writer)
        for pid, deadline in self._former.items():
            if now > deadline:
                self._former[pid] = now + SILENCE_S
                _kill(pid)
        waited = now - self._started >= _RESTART_S
        if not self._writer and self._prepared is not None and waited:
            self._restart()

    def counts(self) -> dict[str, Any]:
        """``lines`` written, ``dropped``, and ``failing`` outputs with the reason."""
        while self._control is not None:
            try:
                data = self._control.recv(65536)
            except OSError:
                break
            if not data:
                break
            self._heard = time.monotonic()
            self._counts = json.loads(data)
        return self._counts

    def stop(self) -> None:
        """After all others are gone: the writer writes what is left and ends, within seconds."""
        self.flush(1.0)
        writer, self._writer, self._prepared = self._writer, 0, None
        if not writer:
            return
        self._order(b"stop")
        deadline = time.monotonic() + _STOP_S
        while time.monotonic() < deadline:
            try:
                if os.waitpid(writer, os.WNOHANG)[0]:
                    return
            except ChildProcessError:
                return
            time.sleep(0.005)
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)

    def _order(self, order: bytes) -> None:
        if self._control is not None:
            try:
                self._control.send(order, socket.MSG_NOSIGNAL)
            except OSError:
                return

    def _put_in_force(self, prepared: PreparedLogs) -> None:
        self._speech.set_levels(prepared.level, prepared.levels, prepared.raised)
        former = self._control
        self._order(b"yield")
        if self._writer:
            self._former[self._writer] = time.monotonic() + SILENCE_S
        self._prepared = prepared
        self._spawn(prepared, former)
        if former is not None:
            former.close()
        self._announce(prepared)

    def _announce(self, prepared: PreparedLogs) -> None:
        """What there is to say about the log itself."""
        for complaint in prepared.complaints:
            with contextlib.suppress(OSError):
                os.write(2, f"log4cplus:{complaint}\n".encode("utf-8", "surrogateescape"))
        log = structlog.get_logger("dicomd.logs")
        dcmtk = prepared.settings.dcmtk
        if dcmtk is not None:
            # In DCMTK's words this is the first line of the log; it takes no debug level.
            self.channel.add(logging.INFO, "dicomd.logs", "log.opened", {})
            for doubt in dcmtk.doubts:
                log.warning("config.warned", reason=doubt)
        else:
            log.debug("log.opened", outputs=[sink.name for sink in prepared.sinks])
            if min((prepared.level, *prepared.levels.values())) <= logging.DEBUG:
                log.warning("log.unguarded")

    def _restart(self) -> None:
        assert self._prepared is not None
        before = self._prepared
        try:
            self._prepared = prepare_again(before)
        except ConfigError:
            self._prepared = fallback(before)
        former, self._control = self._control, None
        if former is not None:
            former.close()
        self._spawn(self._prepared, None)

    def _spawn(self, prepared: PreparedLogs, former: socket.socket | None) -> None:
        ours, theirs = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC
        )
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            theirs.close()
            ours.setblocking(False)
            self._control = ours
            self._writer = pid
            self._started = self._heard = time.monotonic()
            prepared.close()
            return
        status = 1
        try:
            self._write(prepared, theirs, former)
            status = 0
        finally:
            os._exit(status)

    def _write(
        self, prepared: PreparedLogs, control: socket.socket, former: socket.socket | None
    ) -> None:
        """The writer's life, in the child."""
        keep = {self._receiving.fileno(), control.fileno()}
        if former is not None:
            keep.add(former.fileno())
        for sink in prepared.sinks:
            keep |= sink.descriptors()
        settle(keep)
        if former is not None:
            await_predecessor(former)
            former.close()
        guard = prepared.guard.guard if prepared.guard else None
        LogWriter(
            self._receiving, control, prepared.sinks, guard, limit=prepared.settings.queue
        ).run()


def prepare_again(before: PreparedLogs) -> PreparedLogs:
    """The same outputs opened once more, for a writer that has to be replaced."""
    again = prepare(before.settings, private=before.private)
    again.guard = before.guard
    again.salt = before.salt
    return again


def fallback(before: PreparedLogs) -> PreparedLogs:
    """Standard error, when the outputs cannot be opened any more."""
    line = json_line if before.settings.format == "json" else console_line
    return PreparedLogs(
        settings=before.settings,
        sinks=[StreamSink(2, line())],
        guard=before.guard,
        level=before.level,
        levels=before.levels,
        salt=before.salt,
        private=before.private,
    )


def _kill(pid: int) -> None:
    """SIGKILL to a writer; it is reaped later."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _syslog(address: str, facility: int) -> Sink:
    """``address`` is a socket path, ``host`` or ``host:port``."""
    host = socket.gethostname()
    if address.startswith("/"):
        return DatagramSink("syslog", address, syslog_datagram(facility, local=True, host=host))
    name, _, port = address.rpartition(":")
    target = (name.strip("[]"), int(port)) if name and port.isdigit() else (address, 514)
    return DatagramSink("syslog", target, syslog_datagram(facility, local=False, host=host))


def _salt(state_directory: str) -> bytes:
    """The salt of this installation, made at the first start."""
    if not state_directory:
        return secrets.token_bytes(_SALT_BYTES)
    path = Path(state_directory) / SALT_FILE
    try:
        salt = path.read_bytes()
        if len(salt) == _SALT_BYTES:
            return salt
        salt = secrets.token_bytes(_SALT_BYTES)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        salt = secrets.token_bytes(_SALT_BYTES)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError:
            return salt
    except OSError:
        return secrets.token_bytes(_SALT_BYTES)
    with os.fdopen(fd, "wb") as file:
        file.write(salt)
    return salt
