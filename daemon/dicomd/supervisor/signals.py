"""Signals -> a queue. A handler does nothing but what Python does by itself: write one byte.

The interpreter's wake-up descriptor gets the number of each signal; the loop reads the numbers in
order. Nothing runs in signal context, and nothing is lost while the loop is busy.
"""

import signal
import socket
from types import FrameType

HANDLED = (
    signal.SIGHUP,
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCHLD,
)


def _queued_already(number: int, frame: FrameType | None) -> None:
    """The byte is in the pipe; there is nothing else to do here, least of all a log line."""


class Signals:
    """The queue. Mutable: the handlers that were there before, given back by ``close``."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._before_fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _queued_already) for number in HANDLED}
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            self._before[number] = signal.signal(number, signal.SIG_IGN)

    def fileno(self) -> int:
        """Readable when a signal waits."""
        return self._reader.fileno()

    def take(self) -> list[int]:
        """The numbers of the signals that came, oldest first."""
        try:
            return list(self._reader.recv(4096))
        except BlockingIOError:
            return []

    def forget(self) -> None:
        """Close the descriptors and leave the handlers alone: for a child after the fork."""
        self._reader.close()
        self._writer.close()

    def close(self) -> None:
        """Give back what was there before."""
        signal.set_wakeup_fd(self._before_fd)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self.forget()
