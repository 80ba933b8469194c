"""The control socket: what `dicomd`'s other commands say to the running daemon.

A Unix stream socket with mode 0660: who may open it may give orders. Both sides speak JSON objects,
one a line. A request is ``{"command": NAME, ...}``; the answer ``{"ok": true, "result": ...}`` or
``{"ok": false, "error": TEXT, "faults": [...]}``. A connection may send several requests, one after
the other. Nothing here waits for a caller: what one does not read stays here, bounded, and then
the caller is let go.

========================= ============================== =======================================
command                   further keys                   answered
========================= ============================== =======================================
status                                                   at once
reload                                                   when the reload has ended
plan                                                     at once: what a reload would do
stop                      now (true: no drain time)      when everything has ended
reopen                                                   at once: as SIGUSR1
snapshot                                                 at once: as SIGUSR2
jobs.…                    arguments                      by the requestor
flush                                                    when the index knows all that was received
========================= ============================== =======================================
"""

import json
import os
import selectors
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from dicomd.errors import StartError

Message = dict[str, Any]
Reply = Callable[[Message], None]

_REQUEST_BYTES = 8 << 20
_ANSWER_BYTES = 64 << 20
_CALLERS = 64
_RECEIVE_BYTES = 65536
_MODE = 0o660


def bind_control_socket(path: str, *, owner: tuple[int, int] | None = None) -> socket.socket:
    """A listening socket at ``path``, mode 0660, ``owner`` (user and group id) if given.

    A socket file that nobody listens on is replaced; StartError when somebody does, or when the
    path cannot be used. The new one takes the name in one step.
    """
    folder = os.path.dirname(path) or "."
    temporary = f"{path}.{os.getpid()}"
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if not os.path.isdir(folder):
            os.mkdir(folder, 0o750)
            if owner is not None:
                os.chown(folder, *owner)
        _refuse_if_taken(path)
        with _short_path(temporary) as name:
            _unlink(temporary)
            sock.bind(name)
        os.chmod(temporary, _MODE)
        if owner is not None:
            os.chown(temporary, *owner)
        sock.listen(_CALLERS)
        sock.setblocking(False)
        os.rename(temporary, path)
    except OSError as error:
        sock.close()
        raise StartError(f"control_socket {path}: {error.strerror or error}") from error
    except BaseException:
        sock.close()
        raise
    return sock


def connect(path: str, *, timeout_s: float | None = None) -> socket.socket:
    """A connection to the control socket at ``path``; OSError as the system has it."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        with _short_path(path) as name:
            sock.connect(name)
    except BaseException:
        sock.close()
        raise
    return sock


class _short_path:  # noqa: N801 - a context manager that reads as a function
    """A name for a socket of any path: an address holds just 107 bytes, a path may be longer."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._folder = -1

    def __enter__(self) -> str:
        if len(os.fsencode(self._path)) < 100:
            return self._path
        folder, name = os.path.split(os.path.abspath(self._path))
        self._folder = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._folder}/{name}"

    def __exit__(self, *exception: object) -> None:
        if self._folder >= 0:
            os.close(self._folder)


def _refuse_if_taken(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise StartError(f"control_socket {path}: there is something that is not a socket")
        connect(path, timeout_s=1.0).close()
    except (FileNotFoundError, ConnectionRefusedError):
        return
    raise StartError(
        f"control_socket {path}: another dicomd answers there; stop it, or give this one its own"
        " control_socket"
    )


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


class Control:
    """The listening socket and its callers. Mutable.

    ``handle`` is called with each request and a reply to call once, at once or later.
    """

    def __init__(
        self, selector: selectors.BaseSelector, handle: Callable[[Message, Reply], None]
    ) -> None:
        self._selector = selector
        self._handle = handle
        self._listening: socket.socket | None = None
        self._path = ""
        self._callers: set[_Caller] = set()

    @property
    def path(self) -> str:
        """Where it listens; empty when it doesn't."""
        return self._path

    def open(self, sock: socket.socket, path: str) -> None:
        """Listen on a socket that was bound; the one before is closed."""
        self.stop_listening()
        self._listening, self._path = sock, path
        self._selector.register(sock, selectors.EVENT_READ, self._accept)

    def stop_listening(self) -> None:
        """Take no more callers, and take the name away."""
        if self._listening is not None:
            self._selector.unregister(self._listening)
            # Who has put another socket at the name keeps it.
            self._listening.close()
            if self._path and not _is_taken(self._path):
                # One that stays is replaced by the next daemon.
                with suppress(OSError):
                    _unlink(self._path)
            self._listening, self._path = None, ""

    def flush(self) -> None:
        """Give callers what fits; for the last turn before the end."""
        for caller in list(self._callers):
            caller.flush()

    def forget(self) -> None:
        """In a child: close the descriptors, and leave the name alone."""
        for caller in self._callers:
            caller.sock.close()
        self._callers.clear()
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    def close(self) -> None:
        """Let everybody go."""
        self.stop_listening()
        for caller in list(self._callers):
            caller.close()

    def _accept(self, mask: int) -> None:
        del mask
        if self._listening is None:
            return
        try:
            sock, _ = self._listening.accept()
        except OSError:
            return
        if len(self._callers) >= _CALLERS:
            sock.close()
            return
        sock.setblocking(False)
        caller = _Caller(sock, self._selector, self._handle, self._callers.discard)
        self._callers.add(caller)


class _Caller:
    """One connection. Mutable: bytes not yet a line, bytes not yet sent, whether one is asked."""

    def __init__(
        self,
        sock: socket.socket,
        selector: selectors.BaseSelector,
        handle: Callable[[Message, Reply], None],
        gone: Callable[["_Caller"], None],
    ) -> None:
        self.sock = sock
        self._selector = selector
        self._handle = handle
        self._gone = gone
        self._received = bytearray()
        self._unsent = bytearray()
        self._busy = False
        self._closed = False
        selector.register(sock, selectors.EVENT_READ, self._serve)

    def reply(self, message: Message) -> None:
        """The answer to the request under way."""
        if self._closed:
            return
        self._busy = False
        self._unsent += json.dumps(message, separators=(",", ":")).encode() + b"\n"
        if len(self._unsent) > _ANSWER_BYTES:
            self.close()
            return
        self.flush()
        self._next()

    def flush(self) -> None:
        """Send what goes out now."""
        while self._unsent and not self._closed:
            try:
                sent = self.sock.send(self._unsent, socket.MSG_NOSIGNAL)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                self.close()
                return
            del self._unsent[:sent]
        if not self._closed:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
            self._selector.modify(self.sock, events, self._serve)

    def close(self) -> None:
        """Let the caller go; its request goes on."""
        if not self._closed:
            self._closed = True
            self._selector.unregister(self.sock)
            self.sock.close()
            self._gone(self)

    def _serve(self, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            self.flush()
        if not mask & selectors.EVENT_READ or self._closed:
            return
        try:
            data = self.sock.recv(_RECEIVE_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._received += data
        if len(self._received) > _REQUEST_BYTES:
            self.close()
            return
        self._next()

    def _next(self) -> None:
        """Take the next whole line, unless a request is under way."""
        while not self._busy and not self._closed:
            line, separator, rest = self._received.partition(b"\n")
            if not separator:
                return
            self._received = bytearray(rest)
            if not line.strip():
                continue
            try:
                request = json.loads(line)
            except ValueError:
                request = None
            self._busy = True
            if isinstance(request, dict):
                self._handle(request, self.reply)
            else:
                self.reply({"ok": False, "error": "a request is a JSON object on one line"})


def _is_taken(path: str) -> bool:
    """Whether somebody else listens at the name by now."""
    try:
        connect(path, timeout_s=0.2).close()
    except OSError:
        return False
    return True
