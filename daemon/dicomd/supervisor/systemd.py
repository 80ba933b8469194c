"""What the service manager is told, and the sockets it hands over: sd_notify(3), sd_listen_fds(3).

Without systemd all of this does nothing.
"""

import os
import socket
import time
from collections.abc import Iterable, MutableMapping
from typing import Any

import sdnotify

_FIRST_DESCRIPTOR = 3
"""SD_LISTEN_FDS_START."""


def inherited_sockets(environment: MutableMapping[str, str]) -> dict[str, list[socket.socket]]:
    """The listening sockets that systemd handed over, by name. The variables are taken out of the
    environment; they count only when they are meant for this process."""
    pid = environment.pop("LISTEN_PID", "")
    count = environment.pop("LISTEN_FDS", "")
    names = environment.pop("LISTEN_FDNAMES", "")
    if pid != str(os.getpid()) or not count.isdigit():
        return {}
    given = names.split(":") if names else []
    found: dict[str, list[socket.socket]] = {}
    for index in range(int(count)):
        descriptor = _FIRST_DESCRIPTOR + index
        name = given[index] if index < len(given) else "unknown"
        os.set_inheritable(descriptor, False)
        try:
            sock = socket.socket(fileno=descriptor)
        except OSError:
            continue
        if sock.type != socket.SOCK_STREAM or not sock.getsockopt(
            socket.SOL_SOCKET, socket.SO_ACCEPTCONN
        ):
            sock.close()
            continue
        sock.setblocking(False)
        found.setdefault(name, []).append(sock)
    return found


class Systemd:
    """The line to the service manager. Nothing it does can fail or wait."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        self.present = bool(environment.get("NOTIFY_SOCKET"))
        self._notifier: Any = None
        if self.present:
            self._notifier = sdnotify.SystemdNotifier()  # type: ignore[no-untyped-call]  # no types
            self.present = self._notifier.socket is not None
        if self.present:
            self._notifier.socket.setblocking(False)
        pid = environment.get("WATCHDOG_PID", str(os.getpid()))
        microseconds = environment.get("WATCHDOG_USEC", "")
        self.watchdog_s: float | None = None
        if microseconds.isdigit() and pid == str(os.getpid()):
            self.watchdog_s = int(microseconds) / 1e6

    def tell(self, *lines: str) -> None:
        """Send assignments, one a line."""
        if self.present:
            self._notifier.notify("\n".join(lines))

    def ready(self, status: str) -> None:
        """Serving, at first or again."""
        self.tell("READY=1", f"STATUS={one_line(status)}", f"MAINPID={os.getpid()}")

    def reloading(self) -> None:
        """A reload begins; systemd holds the time against its own clock."""
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self.tell("RELOADING=1", f"MONOTONIC_USEC={now_us}", "STATUS=Reading the configuration")

    def stopping(self, status: str) -> None:
        """Nothing new is taken."""
        self.tell("STOPPING=1", f"STATUS={one_line(status)}")

    def status(self, text: str) -> None:
        """The line that `systemctl status` shows."""
        self.tell(f"STATUS={one_line(text)}")

    def extend(self, seconds: float) -> None:
        """Ask for more time to stop."""
        self.tell(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def alive(self) -> None:
        """Feed the watchdog."""
        self.tell("WATCHDOG=1")

    def store(self, name: str, socks: Iterable[socket.socket]) -> None:
        """Have systemd keep listening sockets over a restart, so that callers wait meanwhile."""
        if not self.present:
            return
        for sock in socks:
            message = f"FDSTORE=1\nFDNAME={name}".encode()
            try:
                socket.send_fds(self._notifier.socket, [message], [sock.fileno()])
            except OSError:
                return

    def unstore(self, name: str) -> None:
        """A stored socket isn't needed any more."""
        self.tell("FDSTOREREMOVE=1", f"FDNAME={name}")

    def close(self) -> None:
        """Let go of the line."""
        if self.present:
            self._notifier.socket.close()
        self.present = False


def one_line(text: str) -> str:
    """What may stand behind STATUS=: no line ends."""
    return " ".join(text.split())
