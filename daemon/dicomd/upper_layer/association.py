"""Association: one association in the acceptor's role, without a socket (PS3.8).

Bytes go in by ``receive``, which returns what happened; calls of the owner put bytes out, which
``take_outgoing`` hands over. Nothing is read from a clock and nothing waits. Theory of operation:

- ``framing`` finds PDUs and knows lengths, ``states`` knows order, this module joins them.
- The table of ``states`` is asked at the first byte of each PDU, so one that is out of place is
  answered before it is read. P-DATA of an established association, the hot path, needs no look-up.
- A fault of the peer never raises out of ``receive``: events before it in the same read are
  returned, ``fault`` holds it, the A-ABORT is in ``take_outgoing``, and the state is final.
- One cell differs from the table on purpose: P-DATA between A-RELEASE-RQ and our answer is
  dropped, as it is behind the answer. How reads are cut must not decide whether it aborts.
- After the end (``closing``) whatever comes is dropped unread, and the owner's answers are dropped
  too: they may come from a helper thread that could not know.
"""

from collections.abc import Mapping

from dicomd.errors import LocalProtocolError, RemoteProtocolError
from dicomd.upper_layer import pdu
from dicomd.upper_layer.associate import decode_request
from dicomd.upper_layer.events import (
    Aborted,
    AssociationRequested,
    Event,
    PeerClosed,
    ReleaseRequested,
)
from dicomd.upper_layer.framing import DataReader, PduReader
from dicomd.upper_layer.states import NEXT_STATE, TRANSITIONS, Action, State, StateEvent

LEAST_PEER_MAX_PDU = 8
"""Below this not even two bytes of a message fit (PS3.8 9.3.5.1); 0 means no limit."""

_EVENT_OF_PDU = {
    pdu.A_ASSOCIATE_RQ: StateEvent.ASSOCIATE_RQ_PDU,
    pdu.A_ASSOCIATE_AC: StateEvent.ASSOCIATE_AC_PDU,
    pdu.A_ASSOCIATE_RJ: StateEvent.ASSOCIATE_RJ_PDU,
    pdu.P_DATA_TF: StateEvent.P_DATA_TF_PDU,
    pdu.A_RELEASE_RQ: StateEvent.RELEASE_RQ_PDU,
    pdu.A_RELEASE_RP: StateEvent.RELEASE_RP_PDU,
    pdu.A_ABORT: StateEvent.ABORT_PDU,
}


class Association:
    """One association that a peer requests. Mutable: the state, the readers, bytes to send.

    ``max_pdu`` is the maximum length that we announce, in bytes (at least 1). With ``strict`` off
    presentation contexts with even ids are let through, as dcmrecv does (measured on DCMTK 3.6.7).
    """

    __slots__ = (
        "_accepted",
        "_data",
        "_max_pdu",
        "_outgoing",
        "_pdu",
        "_peer_max_pdu",
        "_strict",
        "closing",
        "fault",
        "state",
    )

    def __init__(self, *, max_pdu: int, strict: bool = True) -> None:
        self.state = State.AWAITING_REQUEST
        self.closing = False
        """Nothing more will be delivered. What is left is to wait for the peer's close; in state
        CLOSED (the peer has aborted or closed, AA-3) it is the owner's to close at once."""
        self.fault: RemoteProtocolError | None = None
        """What the peer did wrong, once it did. Look at it after the events of each ``receive``."""
        self._max_pdu = max_pdu
        self._strict = strict
        self._accepted: dict[int, str] = {}
        self._data = DataReader(max_pdu, self._accepted)
        self._pdu = PduReader(max_pdu)
        self._outgoing = b""
        self._peer_max_pdu = 0

    @property
    def artim_running(self) -> bool:
        """The owner's ARTIM clock should be watching: for the request, or for the peer's close."""
        return self.state is State.AWAITING_REQUEST or self.state is State.AWAITING_CLOSE

    @property
    def in_message(self) -> bool:
        """A message (command or data set) has begun and is not complete."""
        return self.state is State.ESTABLISHED and self._data.in_message

    @property
    def in_pdu(self) -> bool:
        """Inside a PDU: its first byte was read, its last was not."""
        return not self.closing and (self._data.in_pdu or self._pdu.in_pdu)

    @property
    def at_rest(self) -> bool:
        """Neither inside a PDU nor inside a message; cheaper than asking for both."""
        return self._data.at_rest and not self._pdu.in_pdu

    @property
    def held_bytes(self) -> int:
        """Bytes of the peer kept inside until the next ``receive``; bounded, see ``framing``."""
        return self._data.held_bytes + self._pdu.held_bytes

    def receive(self, view: memoryview) -> list[Event]:
        """Consume all of ``view`` and return what happened, in order.

        Spans of DatasetReceived are slices of ``view``: good until the next call. Does not raise
        for what a peer does; see ``fault``.
        """
        events: list[Event] = []
        if self.closing:
            return events
        pos, end = 0, len(view)
        try:
            while pos < end:
                if self.state is State.ESTABLISHED and not self._pdu.in_pdu:
                    pos = self._data.read(view, pos, events)
                    if pos == end:
                        break
                if not self._pdu.in_pdu:
                    self._admit(view[pos])
                pos, whole = self._pdu.read(view, pos)
                if whole is not None and self._handle(whole, events):
                    break
        except RemoteProtocolError as fault:
            # Without its traceback, which would keep the borrowed view alive.
            self.fault = fault.with_traceback(None)
            self._end(pdu.encode_abort(fault.source, fault.reason))
        return events

    def receive_eof(self) -> list[Event]:
        """The transport connection has ended."""
        self.state = State.CLOSED
        self.closing = True
        return [PeerClosed()]

    def accept(self, answer: bytes, accepted: Mapping[int, str], peer_max_pdu: int) -> None:
        """Send an encoded A-ASSOCIATE-AC. ``accepted`` maps context ids to transfer syntaxes,
        ``peer_max_pdu`` is the request's maximum length (0 = none, else at least 8)."""
        if self.closing:
            return
        if 0 < peer_max_pdu < LEAST_PEER_MAX_PDU:
            raise LocalProtocolError(
                f"a peer's maximum length of {peer_max_pdu} is to be rejected",
                state=self.state.name,
            )
        self._step(StateEvent.ACCEPT)
        self._accepted.update(accepted)
        self._peer_max_pdu = peer_max_pdu
        self._outgoing += answer

    def reject(self, result: int, source: int, reason: int) -> None:
        """Send an A-ASSOCIATE-RJ (PS3.8 9.3.4) and wait for the peer's close."""
        if self.closing:
            return
        self._step(StateEvent.REJECT)
        self._end(pdu.encode_reject(result, source, reason))

    def send_command(self, context_id: int, command: bytes) -> None:
        """Send a command set, a response without data set, in PDUs that the peer takes."""
        if self.closing:
            return
        if context_id not in self._accepted:
            raise LocalProtocolError(
                f"presentation context {context_id} is not accepted", state=self.state.name
            )
        if self.state is not State.ESTABLISHED:
            self._step(StateEvent.P_DATA_REQUEST)
        self._outgoing += pdu.encode_command(context_id, command, self._peer_max_pdu)

    def release(self) -> None:
        """Answer the peer's A-RELEASE-RQ and wait for its close."""
        if self.closing:
            return
        self._step(StateEvent.RELEASE_RESPONSE)
        self._end(pdu.RELEASE_RP)

    def abort(self, source: int, reason: int) -> None:
        """Send an A-ABORT (PS3.8 9.3.8) in any state but the last, and wait for the peer's close.

        The table has no local abort before a request has come; here it is sent all the same.
        """
        if not self.closing:
            self._end(pdu.encode_abort(source, reason))

    def take_outgoing(self) -> bytes:
        """The bytes to send, which are forgotten here; ``b""`` if there are none."""
        outgoing = self._outgoing
        self._outgoing = b""
        return outgoing

    def _admit(self, kind: int) -> None:
        """Raise unless a PDU of this type may come now."""
        event = _EVENT_OF_PDU.get(kind)
        if event is None:
            raise RemoteProtocolError(
                f"unrecognized PDU type {kind:02X}H",
                source=pdu.ABORT_SERVICE_PROVIDER,
                reason=pdu.UNRECOGNIZED_PDU,
            )
        if kind == pdu.P_DATA_TF and self.state is State.RELEASE_REQUESTED:
            return
        if TRANSITIONS[event, self.state] in (Action.AA_1, Action.AA_8):
            raise RemoteProtocolError(
                f"PDU of type {kind:02X}H in state {self.state.name}",
                source=pdu.ABORT_SERVICE_PROVIDER,
                reason=pdu.UNEXPECTED_PDU,
            )

    def _handle(self, whole: bytes, events: list[Event]) -> bool:
        """A whole, admitted PDU other than P-DATA; returns whether it ends the association."""
        kind = whole[0]
        if kind == pdu.A_ASSOCIATE_RQ:
            request = decode_request(whole, strict=self._strict)
            self._step(StateEvent.ASSOCIATE_RQ_PDU)
            events.append(AssociationRequested(request, whole))
        elif kind == pdu.A_RELEASE_RQ:
            self._step(StateEvent.RELEASE_RQ_PDU)
            events.append(ReleaseRequested())
        else:
            self._step(StateEvent.ABORT_PDU)
            self.closing = True
            events.append(Aborted(source=whole[8], reason=whole[9]))
        return self.closing

    def _step(self, event: StateEvent) -> None:
        action = TRANSITIONS.get((event, self.state))
        if action is None:
            raise LocalProtocolError(f"{event.name} is out of order", state=self.state.name)
        self.state = NEXT_STATE[action]

    def _end(self, farewell: bytes) -> None:
        self._outgoing += farewell
        self.state = State.AWAITING_CLOSE
        self.closing = True
