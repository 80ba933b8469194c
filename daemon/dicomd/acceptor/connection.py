"""One association's socket, TLS or not, and its clocks: the shell around a ``Session``.

Theory of operation: epoll says readable, one read into the worker's buffer goes to the session,
and what the session answers leaves in one send. Whatever the peer does not read stays here
(one answer), and then nothing more is read from it. A connection has one ``deadline`` on the
monotonic clock; the worker calls ``expire`` when it has passed. After our last word (A-ABORT,
A-ASSOCIATE-RJ, A-RELEASE-RP) what still comes is read and dropped until the peer closes or ARTIM
ends, since a reset could overtake that word.

TCP_QUICKACK is set after each read that we do not answer at once: senders with Nagle's algorithm
on wait for that acknowledgement, and the kernel forgets the option. An answer carries its own.
"""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf
from select import EPOLLIN, EPOLLOUT, epoll
from typing import Any

from dicomd.acceptor.counters import Counters
from dicomd.acceptor.session import SERVICE_PROVIDER, SERVICE_USER, Session
from dicomd.settings.listener import TimeoutSettings

PROGRESS_BYTES = 1024
"""Inside a PDU, less than this in a read is no progress for the clock of DIMSE."""
_TLS_READS = 16
"""Records of at most 16 KiB that one turn takes from one peer."""
FAREWELL_PAUSE_S = 0.5
"""Once we are stopping, an association without a message for this long has paused, and is aborted.
Senders that have more to send take less between two objects: they may send it."""
_BLOCKED = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)


@dataclass(frozen=True, slots=True)
class Clocks:
    """``TimeoutSettings`` with infinity for what is off."""

    tls_handshake: float
    acse: float
    artim: float
    pdu: float
    dimse: float
    idle: float
    send: float
    association: float

    @classmethod
    def of(cls, settings: TimeoutSettings) -> "Clocks":
        """The clocks that the settings ask for."""
        return cls(
            tls_handshake=settings.tls_handshake or inf,
            acse=settings.acse or inf,
            artim=settings.artim or inf,
            pdu=settings.pdu or inf,
            dimse=settings.dimse or inf,
            idle=settings.idle or inf,
            send=settings.send or inf,
            association=settings.association or inf,
        )


@dataclass(slots=True, kw_only=True)
class Surroundings:
    """What all connections of a worker share."""

    epoll: epoll
    buffer: memoryview
    clock: Callable[[], float]
    clocks: Clocks
    counters: Counters
    quick_ack: bool
    log: Any
    changed: Callable[["Connection"], None]
    """The connection has become an association, or is none any more."""
    closed: Callable[["Connection"], None]
    """The descriptor is gone."""
    unread: Callable[["Connection"], None]
    """Decrypted bytes wait that epoll does not see: call ``ready`` again next turn."""
    stopping: bool = False

    def stop(self) -> None:
        """We are stopping: an association that pauses is over."""
        self.stopping = True
        self.clocks = replace(self.clocks, idle=min(self.clocks.idle, FAREWELL_PAUSE_S))


class Connection:
    """A peer. Mutable: its socket's state, bytes not yet sent, its deadline."""

    __slots__ = (
        "_around",
        "_association_deadline",
        "_handshaking",
        "_idle_deadline",
        "_mask",
        "_over",
        "_pdu_deadline",
        "_quick_ack",
        "_read_into",
        "_registered",
        "_secure",
        "_send",
        "_sock",
        "_unsent",
        "_usual",
        "address",
        "closed",
        "deadline",
        "established",
        "fd",
        "received_bytes",
        "session",
    )

    def __init__(
        self,
        around: Surroundings,
        sock: socket.socket,
        session: Session,
        address: str,
    ) -> None:
        self._around = around
        self._sock = sock
        self._read_into = sock.recv_into
        self._send = sock.send
        self._secure = sock if isinstance(sock, ssl.SSLSocket) else None
        self._handshaking = self._secure is not None
        self._quick_ack = around.quick_ack and _QUICK_ACK is not None
        self.session = session
        session.resume = self._resume
        self.address = address
        self.fd = sock.fileno()
        self.closed = False
        self.established = False
        self.received_bytes = 0
        self._unsent = b""
        self._over = False
        self._usual = self._secure is None
        """Open, without TLS, and nothing unsent: there is only to read."""
        clocks = around.clocks
        now = around.clock()
        self.deadline = now + (clocks.tls_handshake if self._handshaking else clocks.acse)
        self._pdu_deadline = inf
        self._idle_deadline = inf
        self._association_deadline = inf
        self._mask = EPOLLIN
        self._registered = True
        around.epoll.register(self.fd, EPOLLIN)

    def ready(self) -> None:
        """Epoll has something for us, or ``unread`` was called."""
        if self._usual:
            self._read()
            return
        if self.closed:
            return
        if self._handshaking:
            self._handshake()
            return
        if self._unsent:
            self._flush()
            return
        if self._secure is not None:
            self._read_secure()
            return
        self._read()

    def expire(self) -> None:
        """The deadline has passed."""
        if self.closed:
            return
        around = self._around
        around.counters.expired += 1
        session = self.session
        if self._handshaking:
            self._fail("no TLS handshake in time")
        elif self._unsent:
            self._fail("the peer does not read our answer")
        elif session.ended:
            self.close()
        elif not session.established:
            self._fail("no A-ASSOCIATE-RQ in time")
        else:
            now = around.clock()
            if now >= self._association_deadline:
                session.abort(SERVICE_USER, "the association's time is over")
            elif now >= self._pdu_deadline:
                session.abort(SERVICE_PROVIDER, "a PDU did not end in time")
            elif session.busy:
                session.abort(SERVICE_USER, "a message did not go on in time")
            else:
                session.abort(SERVICE_USER, "stopping" if around.stopping else "idle for too long")
            self._settle()

    def abort(self, cause: str) -> None:
        """Abort the association now, as its user; a bare connection is closed."""
        if self.closed:
            return
        if self.session.established:
            self.session.abort(SERVICE_USER, cause)
            self._settle()
        elif not self.session.ended:
            self.session.abandon(cause)
            self.close()

    def hurry(self) -> None:
        """We are stopping: the association is aborted as soon as it pauses. A bare connection
        stays: its request is rejected when it comes."""
        if self.closed or not self.session.established:
            return
        self._idle_deadline = min(self._idle_deadline, self._around.clock() + FAREWELL_PAUSE_S)
        if self.session.at_rest and not self.session.pending and not self._unsent:
            self.deadline = min(self.deadline, self._idle_deadline)

    def close(self) -> None:
        """Let go of the socket."""
        if self.closed:
            return
        self.closed = True
        self._usual = False
        self.session.abandon("connection closed")
        if self._registered:
            self._around.epoll.unregister(self.fd)
        if self._secure is not None and not self._handshaking:
            with suppress(OSError, ValueError):
                self._secure.unwrap()  # our close_notify; the peer's is not waited for
        self._sock.close()
        self._note_change()
        self._around.closed(self)

    def _read(self) -> None:
        session = self.session
        if session.pending:
            # Whatever it is, it waits until the answer is out; epoll would not stop asking.
            self._unregister()
            return
        around = self._around
        try:
            size = self._read_into(around.buffer)
        except _BLOCKED:
            return
        except OSError:
            size = 0
        if not size:
            self._hang_up()
            return
        around.counters.received_bytes += size
        self.received_bytes += size
        if self._over:
            return
        session.receive(around.buffer[:size])
        outgoing = session.take_outgoing()
        if outgoing:
            if not self._put_out(outgoing):
                return
        elif self._quick_ack:
            try:
                self._sock.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK or 0, 1)
            except OSError:
                self._quick_ack = False
        if session.ended or session.established is not self.established:
            self._settle()
        elif self.established:
            self._set_deadline(size)

    def _read_secure(self) -> None:
        secure = self._secure
        assert secure is not None
        for _ in range(_TLS_READS):
            self._read()
            if self.closed or self._unsent or not self._registered or not secure.pending():
                return
        self._around.unread(self)

    def _set_deadline(self, size: int) -> None:
        """After a read that leaves the association as it is."""
        around = self._around
        clocks = around.clocks
        session = self.session
        if self._unsent:
            return  # The clock of sending runs.
        if session.pending:
            self.deadline = inf
            return
        now = around.clock()
        if session.at_rest:
            self._pdu_deadline = inf
            idle = self._idle_deadline = now + clocks.idle
            limit = self._association_deadline
            self.deadline = idle if idle < limit else limit
        elif not session.association.in_pdu:
            self._pdu_deadline = inf
            self.deadline = min(now + clocks.dimse, self._association_deadline)
        elif session.busy:
            self._pdu_deadline = inf
            if size >= PROGRESS_BYTES:
                self.deadline = min(now + clocks.dimse, self._association_deadline)
        elif self._pdu_deadline == inf:
            self._pdu_deadline = now + clocks.pdu
            self.deadline = min(self._idle_deadline, self._pdu_deadline, self._association_deadline)

    def _settle(self) -> None:
        """After something that may have begun or ended the association."""
        if self.closed:
            return
        outgoing = self.session.take_outgoing()
        if outgoing and not self._put_out(outgoing):
            return
        session = self.session
        clocks = self._around.clocks
        now = self._around.clock()
        if session.ended:
            if session.hung_up:
                self.close()
                return
            if not self._over and not self._unsent:
                self._over = True
                self.deadline = now + clocks.artim
        elif session.established and not self.established:
            self._association_deadline = now + clocks.association
            self._idle_deadline = now + clocks.idle
            if not self._unsent:
                self.deadline = min(self._idle_deadline, self._association_deadline)
        self._note_change()

    def _note_change(self) -> None:
        if self.session.established is not self.established:
            self.established = self.session.established
            self._around.changed(self)

    def _resume(self) -> None:
        """A pending commit was answered: go on."""
        if self.closed:
            return
        self._register()
        outgoing = self.session.take_outgoing()
        if outgoing and not self._put_out(outgoing):
            return
        if self.session.ended or self.session.established is not self.established:
            self._settle()
        else:
            self._set_deadline(PROGRESS_BYTES)
        if self._secure is not None and self._secure.pending():
            self._around.unread(self)

    def _put_out(self, data: bytes) -> bool:
        """Send, or keep what the peer does not take and read nothing more from it. Returns
        whether there is still somebody to send to."""
        if self._unsent:
            self._unsent += data
            return True
        try:
            sent = self._send(data)
        except _BLOCKED:
            sent = 0
        except OSError:
            self._hang_up()
            return False
        if sent < len(data):
            self._unsent = data[sent:]
            self._usual = False
            self.deadline = self._around.clock() + self._around.clocks.send
            self._watch(EPOLLOUT)
        return True

    def _flush(self) -> None:
        try:
            sent = self._send(self._unsent)
        except _BLOCKED:
            return
        except OSError:
            self._hang_up()
            return
        now = self._around.clock()
        self._unsent = self._unsent[sent:]
        if self._unsent:
            self.deadline = now + self._around.clocks.send
            return
        self._usual = self._secure is None
        self._watch(EPOLLIN)
        if self.session.ended or self.session.established is not self.established:
            self._settle()
        else:
            self._set_deadline(PROGRESS_BYTES)

    def _handshake(self) -> None:
        secure = self._secure
        assert secure is not None
        try:
            secure.do_handshake()
        except ssl.SSLWantReadError:
            self._watch(EPOLLIN)
            return
        except ssl.SSLWantWriteError:
            self._watch(EPOLLOUT)
            return
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            self._fail(f"TLS: {str(reason).replace('_', ' ').lower()}")
            return
        self._handshaking = False
        self.session.certificate = common_name(secure)
        self.deadline = self._around.clock() + self._around.clocks.acse
        self._watch(EPOLLIN)
        if secure.pending():
            self._read_secure()

    def _hang_up(self) -> None:
        """The transport is gone."""
        self._unsent = b""
        self.session.receive_eof()
        if not self.session.pending:
            self.close()
        else:
            self._unregister()

    def _fail(self, cause: str) -> None:
        """Nothing can be said to this peer any more."""
        self._unsent = b""
        self.session.abandon(cause)
        self.close()

    def _watch(self, mask: int) -> None:
        if mask != self._mask:
            self._mask = mask
            if self._registered:
                self._around.epoll.modify(self.fd, mask)

    def _register(self) -> None:
        if not self._registered:
            self._registered = True
            self._around.epoll.register(self.fd, self._mask)

    def _unregister(self) -> None:
        if self._registered:
            self._registered = False
            self._around.epoll.unregister(self.fd)


def common_name(secure: ssl.SSLSocket) -> str | None:
    """The common name of a verified client certificate; "" when its subject has none."""
    certificate = secure.getpeercert()
    if not certificate:
        return None
    for relative in certificate.get("subject", ()):
        for pair in relative:
            if pair[0] == "commonName":
                return str(pair[1])
    return ""
