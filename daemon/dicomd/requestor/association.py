"""An association that we request: one blocking socket, no threads, every wait with a clock.

The A-ASSOCIATE-RQ is put together from pynetdicom's items. The rest is our own: pynetdicom's SCU
needs two threads that wake every millisecond, reads a PDU without any time limit and of any length,
measures time by the wall clock, and cannot read what movescu reads (pending responses that announce
a data set). Clocks here are monotonic, lengths are bounded, and a wait can be kept alive by objects
that arrive elsewhere.
"""

import select
import socket
import ssl
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from pynetdicom import _config
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import build_context

from dicomd.errors import MoveError

# These hold patient names, and pynetdicom would log them at info level.
_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False

_APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"  # PS3.7 A.2.1
_TICK_S = 0.1
_CONTROL_PDU_LIMIT_BYTES = 1 << 20
_COMMAND_LIMIT_BYTES = 65536
_DATASET_LIMIT_BYTES = 16 << 20
"""An identifier or a list of failed UIDs; what is longer is no answer to a query."""
_SEND_TIMEOUT_S = 30.0
_LINGER_S = 1.0

_ASSOCIATE_AC, _ASSOCIATE_RJ, _P_DATA, _RELEASE_RQ, _RELEASE_RP, _ABORT = range(2, 8)
_COMMAND_FLAG, _LAST_FLAG = 1, 2


class AssociationFailed(MoveError):  # noqa: N818 - reads as what happened
    """The association could not be had. ``rejection`` holds result, source and reason of an
    A-ASSOCIATE-RJ; ``no_contexts`` says that the peer accepted none of the contexts."""

    def __init__(
        self,
        text: str,
        *,
        retryable: bool = True,
        rejection: tuple[int, int, int] | None = None,
        no_contexts: bool = False,
    ) -> None:
        super().__init__(text, retryable=retryable)
        self.rejection = rejection
        self.no_contexts = no_contexts


class AssociationEnded(MoveError):  # noqa: N818 - reads as what happened
    """The association broke while an answer was awaited. ``by_peer``: it needs no A-ABORT."""

    def __init__(self, text: str, *, by_peer: bool = False) -> None:
        super().__init__(text, retryable=True)
        self.by_peer = by_peer


class NoAnswer(AssociationEnded):
    """Nothing came within the time that a wait was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Whom to call, as whom, for what. Seconds; 0 switches a clock off."""

    host: str
    port: int
    called_ae_title: str
    calling_ae_title: str
    contexts: tuple[tuple[str, tuple[str, ...]], ...]
    """Abstract syntax and transfer syntaxes; their ids are 1, 3, 5, … in this order."""
    max_pdu: int = 16384
    connect_timeout: float = 0.0
    acse_timeout: float = 30.0
    implementation_class_uid: str
    implementation_version_name: str
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A whole command set with the context it came on; its data set is read apart."""

    context_id: int
    command: bytes


@dataclass(slots=True)
class Association:
    """One association, established. Mutable: bytes read ahead and PDVs not yet taken."""

    sock: socket.socket
    accepted: dict[int, str]
    """Context id -> transfer syntax, of the contexts that the peer accepted."""
    peer_max_pdu: int
    own_max_pdu: int
    acse_timeout: float
    _received: bytearray = field(default_factory=bytearray)
    _pdvs: list[tuple[int, int, bytes]] = field(default_factory=list)
    _open: bool = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._open:
            self.abort()

    @property
    def max_send_pdv(self) -> int:
        """Bytes of a fragment that the peer takes (PS3.8 D.1), even, and with DCMTK's 12 bytes of
        room for headers."""
        return max(8, (self.peer_max_pdu or 1 << 17) - 12) & ~1

    def is_quiet(self) -> bool:
        """Whether the association is open and nothing has come that nobody asked for: what an
        idle one shows when the peer has ended it meanwhile."""
        if not self._open or self._received or self._pdvs:
            return False
        try:
            return not _readable(self.sock, 0)
        except OSError:
            return False

    def send(self, context_id: int, command: bytes, dataset: bytes = b"") -> None:
        """Send a message: the command set, then the data set if there is one."""
        self._send_fragments(context_id, command, _COMMAND_FLAG)
        if dataset:
            self._send_fragments(context_id, dataset, 0)

    def next_is_dataset(self, *, timeout: float, alive: "Alive | None" = None) -> bool:
        """Whether the next fragment belongs to a data set; waits for it."""
        self._await_pdv(timeout, alive)
        return not self._pdvs[0][1] & _COMMAND_FLAG

    def receive_command(self, *, timeout: float, alive: "Alive | None" = None) -> Message:
        """The next command set, whole. AssociationEnded when the peer ends the association or
        sends a data set instead; NoAnswer after ``timeout`` seconds (0: none) of silence."""
        context_id, data = self._gather(_COMMAND_FLAG, _COMMAND_LIMIT_BYTES, timeout, alive)
        return Message(context_id, data)

    def receive_dataset(self, *, timeout: float, alive: "Alive | None" = None) -> bytes:
        """The data set that the last command announced."""
        return self._gather(0, _DATASET_LIMIT_BYTES, timeout, alive)[1]

    def release(self) -> None:
        """A-RELEASE, waiting for the answer; AssociationEnded when there is none."""
        self._send(struct.pack("!BBII", 5, 0, 4, 0))
        deadline = time.monotonic() + (self.acse_timeout or 30.0)
        try:
            while True:
                kind, _ = self._read_pdu(_Clock(deadline=deadline))
                if kind == _RELEASE_RQ:  # a collision: both sides want to go
                    self._send(struct.pack("!BBII", 6, 0, 4, 0))
                elif kind == _RELEASE_RP:
                    break
                elif kind == _ABORT:
                    raise AssociationEnded("Peer aborted Association", by_peer=True)
        finally:
            self.close()

    def abort(self) -> None:
        """A-ABORT as the service user (PS3.8 9.3.8), then close."""
        if not self._open:
            return
        try:
            self._send(struct.pack("!BBIBBBB", 7, 0, 4, 0, 0, 0, 0))
            self.sock.shutdown(socket.SHUT_WR)
            self._linger()
        except (OSError, MoveError):
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Give up the socket, without a word."""
        self._open = False
        self.sock.close()

    def _linger(self) -> None:
        """Let the A-ABORT overtake nothing: read and drop until the peer closes."""
        deadline = time.monotonic() + _LINGER_S
        while time.monotonic() < deadline:
            if _readable(self.sock, _TICK_S) and not self.sock.recv(65536):
                return

    def _send_fragments(self, context_id: int, data: bytes, flag: int) -> None:
        step = self.max_send_pdv
        for at in range(0, len(data), step):
            part = data[at : at + step]
            last = _LAST_FLAG if at + step >= len(data) else 0
            head = struct.pack(
                "!BBIIBB", _P_DATA, 0, len(part) + 6, len(part) + 2, context_id, flag | last
            )
            self._send(head + part)

    def _send(self, data: bytes) -> None:
        try:
            self.sock.settimeout(_SEND_TIMEOUT_S)
            self.sock.sendall(data)
        except (OSError, ValueError) as exc:
            raise AssociationEnded(f"cannot send: {_reason(exc)}", by_peer=True) from exc

    def _gather(
        self, flag: int, limit: int, timeout: float, alive: "Alive | None"
    ) -> tuple[int, bytes]:
        data = bytearray()
        first_context: int | None = None
        while True:
            self._await_pdv(timeout, alive)
            context_id, header, body = self._pdvs.pop(0)
            if header & _COMMAND_FLAG != flag:
                raise AssociationEnded("Unexpected PDV type")
            if first_context is None:
                first_context = context_id
            elif context_id != first_context:
                raise AssociationEnded("presentation context changed inside a message")
            data += body
            if len(data) > limit:
                raise AssociationEnded("message from the peer is longer than any answer may be")
            if header & _LAST_FLAG:
                return first_context, bytes(data)

    def _await_pdv(self, timeout: float, alive: "Alive | None") -> None:
        clock = _Clock(timeout=timeout, alive=alive)
        while not self._pdvs:
            kind, body = self._read_pdu(clock)
            if kind == _P_DATA:
                self._split(body)
            elif kind == _RELEASE_RQ:
                raise AssociationEnded("Peer requested release (Aborting)")
            elif kind == _ABORT:
                raise AssociationEnded(
                    "Peer aborted Association (or never connected)", by_peer=True
                )
            else:
                raise AssociationEnded(f"PDU of type {kind:02X}H out of order")

    def _split(self, body: bytes) -> None:
        at = 0
        while at < len(body):
            if at + 6 > len(body):
                raise AssociationEnded("PDV header cut short")
            length, context_id, header = struct.unpack_from("!IBB", body, at)
            if length < 2 or at + 4 + length > len(body):
                raise AssociationEnded("PDV longer than its PDU")
            if context_id not in self.accepted:
                raise AssociationEnded("PDV on a presentation context that was not accepted")
            self._pdvs.append((context_id, header, body[at + 6 : at + 4 + length]))
            at += 4 + length

    def _read_pdu(self, clock: "_Clock") -> tuple[int, bytes]:
        head = self._read(6, clock)
        kind, length = struct.unpack("!BxI", head)
        limit = max(self.own_max_pdu, 4096) + 4096 if kind == _P_DATA else _CONTROL_PDU_LIMIT_BYTES
        if kind not in range(1, 8) or length > limit:
            raise AssociationEnded(f"PDU of type {kind:02X}H with {length} bytes")
        return kind, self._read(length, clock)

    def _read(self, count: int, clock: "_Clock") -> bytes:
        while len(self._received) < count:
            clock.check()
            if not _readable(self.sock, clock.tick_s):
                continue
            try:
                self.sock.settimeout(0)
                data = self.sock.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError):
                continue
            except OSError as exc:
                raise AssociationEnded(f"connection lost: {_reason(exc)}", by_peer=True) from exc
            if not data:
                raise AssociationEnded("Peer closed the connection", by_peer=True)
            self._received += data
            clock.heard()
        data = bytes(self._received[:count])
        del self._received[:count]
        return data


Alive = Callable[[], float]
"""Called while waiting: when (monotonic seconds) something last arrived elsewhere, 0 for never.
It may raise to end the wait."""


class _Clock:
    """Silence measured: since the last byte, or since the last sign of life elsewhere."""

    def __init__(
        self, *, timeout: float = 0.0, alive: Alive | None = None, deadline: float | None = None
    ) -> None:
        self._timeout = timeout
        self._alive = alive
        self._deadline = deadline
        self._last = time.monotonic()
        self.tick_s = _TICK_S

    def heard(self) -> None:
        self._last = time.monotonic()

    def check(self) -> None:
        now = time.monotonic()
        if self._alive is not None:
            self._last = max(self._last, self._alive())
        if self._deadline is not None and now > self._deadline:
            raise NoAnswer("No data available (timeout in non-blocking mode)")
        if self._timeout and now - self._last > self._timeout:
            raise NoAnswer("No data available (timeout in non-blocking mode)")


def open_association(call: Call, *, alive: Alive | None = None) -> Association:
    """Connect and negotiate. AssociationFailed says why not; ``alive`` may raise to give up."""
    sock = _connect(call)
    association = Association(
        sock=sock,
        accepted={},
        peer_max_pdu=0,
        own_max_pdu=call.max_pdu,
        acse_timeout=call.acse_timeout,
    )
    try:
        association._send(_associate_request(call))
        deadline = time.monotonic() + call.acse_timeout if call.acse_timeout else None
        kind, body = association._read_pdu(_Clock(alive=alive, deadline=deadline))
        _establish(association, call, kind, body)
    except AssociationFailed:
        association.close()
        raise
    except MoveError as exc:
        association.abort()
        raise AssociationFailed(str(exc)) from exc
    except BaseException:
        association.abort()
        raise
    return association


def _connect(call: Call) -> socket.socket:
    try:
        sock = socket.create_connection((call.host, call.port), call.connect_timeout or None)
    except OSError as exc:
        raise AssociationFailed(
            f"TCP Initialization Error: {_reason(exc)}", retryable=True
        ) from exc
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if call.tls is None:
        return sock
    try:
        sock.settimeout(call.acse_timeout or 30.0)
        return call.tls.wrap_socket(sock, server_hostname=call.host)
    except OSError as exc:
        sock.close()
        raise AssociationFailed(f"TLS handshake failed: {_reason(exc)}") from exc


def _associate_request(call: Call) -> bytes:
    maximum = MaximumLengthNotification()
    maximum.maximum_length_received = call.max_pdu
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = call.implementation_class_uid
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = call.implementation_version_name
    request = A_ASSOCIATE()
    request.application_context_name = _APPLICATION_CONTEXT
    request.calling_ae_title = call.calling_ae_title[:16]
    request.called_ae_title = call.called_ae_title[:16]
    contexts = []
    for number, (abstract_syntax, transfer_syntaxes) in enumerate(call.contexts):
        context = build_context(abstract_syntax, list(transfer_syntaxes))
        context.context_id = 2 * number + 1
        contexts.append(context)
    request.presentation_context_definition_list = contexts
    request.user_information = [maximum, implementation, version]
    encoded: bytes = A_ASSOCIATE_RQ(request).encode()
    return encoded


def _establish(association: Association, call: Call, kind: int, body: bytes) -> None:
    if kind == _ASSOCIATE_RJ and len(body) >= 4:
        result, source, reason = body[1], body[2], body[3]
        raise AssociationFailed(
            f"Association Rejected: {describe_rejection(result, source, reason)}",
            retryable=result == 2,
            rejection=(result, source, reason),
        )
    if kind != _ASSOCIATE_AC:
        text = "Peer aborted Association (or never connected)" if kind == _ABORT else "bad answer"
        raise AssociationFailed(text)
    _read_accept(association, body)
    proposed = {
        2 * number + 1: transfer_syntaxes
        for number, (_, transfer_syntaxes) in enumerate(call.contexts)
    }
    for context_id, transfer_syntax in list(association.accepted.items()):
        if transfer_syntax not in proposed.get(context_id, ()):
            del association.accepted[context_id]
    if not association.accepted:
        association.abort()
        raise AssociationFailed(
            "No Acceptable Presentation Contexts", retryable=False, no_contexts=True
        )


def _read_accept(association: Association, body: bytes) -> None:
    """Results and the maximum length out of an A-ASSOCIATE-AC (PS3.8 9.3.3); the rest is not
    needed, and what is unknown is passed over."""
    for item, data in _items_of(body, 68):
        if item == 0x21 and len(data) >= 4:
            syntaxes = [value for sub, value in _items_of(data, 4) if sub == 0x40]
            if data[2] == 0 and syntaxes:
                uid = syntaxes[0].decode("ascii", "replace").strip(" \0")
                association.accepted[data[0]] = uid
        elif item == 0x50:
            for sub, value in _items_of(data, 0):
                if sub == 0x51 and len(value) == 4:
                    association.peer_max_pdu = struct.unpack("!I", value)[0]


def _items_of(data: bytes, at: int) -> list[tuple[int, bytes]]:
    items: list[tuple[int, bytes]] = []
    while at + 4 <= len(data):
        kind, length = struct.unpack_from("!BxH", data, at)
        items.append((kind, data[at + 4 : at + 4 + length]))
        at += 4 + length
    return items


_RESULTS = {1: "Rejected Permanent", 2: "Rejected Transient"}
_SOURCES = {
    1: "Service User",
    2: "Service Provider (ACSE Related)",
    3: "Service Provider (Presentation Related)",
}
_REASONS = {
    (1, 1): "No Reason",
    (1, 2): "Application Context Name Not Supported",
    (1, 3): "Calling AE Title Not Recognized",
    (1, 7): "Called AE Title Not Recognized",
    (2, 1): "No Reason",
    (2, 2): "Protocol Version Not Supported",
    (3, 1): "Temporary Congestion",
    (3, 2): "Local Limit Exceeded",
}


def describe_rejection(result: int, source: int, reason: int) -> str:
    """A rejection in words (PS3.8 9.3.4)."""
    return ", ".join(
        (
            f"Result: {_RESULTS.get(result, f'Unknown ({result})')}",
            f"Source: {_SOURCES.get(source, f'Unknown ({source})')}",
            f"Reason: {_REASONS.get((source, reason), f'Unknown ({reason})')}",
        )
    )


def _readable(sock: socket.socket, timeout: float) -> bool:
    if isinstance(sock, ssl.SSLSocket) and sock.pending():
        return True
    poll = select.poll()  # not select(): it fails for descriptors of 1024 and up
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(timeout * 1000))


def _reason(exc: Exception) -> str:
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    return type(exc).__name__
