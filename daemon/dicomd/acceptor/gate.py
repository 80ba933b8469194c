"""Where calls come in: the listening sockets, seen from one of the workers that share them.

A worker that holds more connections than its least loaded sibling leaves a new one to that sibling
for ``_YIELD_S`` and takes it only if it is still there then: associations spread, and a sibling
that is busy costs an instant at most. Without descriptors the gate closes for a moment, so that a
listener that stays readable does not make the loop spin.
"""

import errno
import os
import select
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf
from typing import Any

_YIELD_S = 0.002
_ACCEPTS_A_TURN = 64
_FULL_PAUSE_S = 0.1
_FULL_LOG_S = 10.0
_INHERITED = (
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 30),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 10),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", 60_000),
    (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
)
"""Set on the listening socket: on Linux accepted sockets have them from there."""


class Gate:
    """Takes calls from listening sockets. Mutable: open or not, and when it opens again.

    ``siblings_turn`` says that a sibling holds less than this worker; ``alone`` that there is no
    sibling; ``taken`` gets each accepted socket with its peer's address.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        *,
        epoll: select.epoll,
        clock: Callable[[], float],
        siblings_turn: Callable[[], bool],
        alone: Callable[[], bool],
        taken: Callable[[socket.socket, Any], None],
        log: Any,
    ) -> None:
        self._by_fd = {sock.fileno(): sock for sock in sockets}
        self._epoll = epoll
        self._clock = clock
        self._siblings_turn = siblings_turn
        self._alone = alone
        self._taken = taken
        self._log = log
        self._open = False
        self._yielded = False
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._logged_at = -inf
        self.opens_at = inf
        """When ``open`` is due again after a pause; infinity without one."""
        for sock in sockets:
            sock.setblocking(False)
            for level, name, value in _INHERITED:
                if sock.family != socket.AF_UNIX and hasattr(socket, name):
                    sock.setsockopt(level, getattr(socket, name), value)

    def open(self) -> None:
        """Take calls from now on."""
        self.opens_at = inf
        if not self._open:
            self._open = True
            for fd in self._by_fd:
                self._epoll.register(fd, select.EPOLLIN)

    def close(self) -> None:
        """Take no more calls. The sockets stay as they are: they are the supervisor's."""
        self.opens_at = inf
        if self._open:
            self._open = False
            for fd in self._by_fd:
                self._epoll.unregister(fd)

    def release(self) -> None:
        """Let go of what is the gate's own."""
        os.close(self._spare)

    def accept(self, fd: int) -> None:
        """Epoll says that somebody calls."""
        listener = self._by_fd.get(fd)
        if listener is None or not self._open:
            return
        for _ in range(_ACCEPTS_A_TURN):
            if not self._yielded and self._siblings_turn():
                self._yielded = True
                self._pause(_YIELD_S)
                return
            try:
                sock, address = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                self._yielded = False
                return
            except OSError as error:
                self._refused(listener, error)
                return
            self._yielded = False
            self._taken(sock, address)

    def _pause(self, seconds: float) -> None:
        self.close()
        self.opens_at = self._clock() + seconds

    def _refused(self, listener: socket.socket, error: OSError) -> None:
        if error.errno in (errno.EMFILE, errno.ENFILE) and self._alone():
            # Nobody else can take the call: refuse it rather than keep it waiting.
            os.close(self._spare)
            with suppress(OSError):
                listener.accept()[0].close()
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        if error.errno == errno.EINVAL:
            # The supervisor has ended the listening; its order to drain is on the way.
            self._pause(_FULL_PAUSE_S)
            return
        now = self._clock()
        if now - self._logged_at >= _FULL_LOG_S:
            self._logged_at = now
            self._log.error("listener.exhausted", reason=os.strerror(error.errno or 0))
        self._pause(_FULL_PAUSE_S)
