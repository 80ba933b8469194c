"""PDUs and PDVs found in a borrowed view; data set payload is never copied.

The rules of this file:

- A PDU is told by its first byte. ``DataReader`` reads P-DATA-TF, ``PduReader`` everything else;
  each is asked only at the border of a PDU or inside one of its own.
- Every length is checked as soon as its header is whole and before anything it covers is read.
- What is kept between two reads: a split header (at most eleven bytes), a command set (at most
  64 KiB), the body of a small PDU (at most 1 MiB for an A-ASSOCIATE-RQ, else four bytes).
  Payload of a data set is handed out as slices of the caller's buffer.
- ``DataReader`` also knows what a message is (PS3.7 6.3.1, PS3.8 E.1): a command set, then its
  data set if the command says that there is one, all on one context.
- A fault is raised as RemoteProtocolError with the A-ABORT's source and reason; the reader is of
  no use afterwards.

This is the hot path of receiving: integers and slices, one unpack for the headers of a PDU and
its first PDV, no object but the events.
"""

from collections.abc import Collection
from struct import Struct

from dicomd.errors import RemoteProtocolError
from dicomd.upper_layer import pdu
from dicomd.upper_layer.events import CommandReceived, DatasetReceived, Event

ASSOCIATE_RQ_LIMIT_BYTES = 1 << 20
ASSOCIATE_RQ_LEAST_BYTES = 68  # PS3.8 9.3.2: the fixed fields
COMMAND_SET_LIMIT_BYTES = 64 << 10
P_DATA_TOLERANCE_BYTES = 12
"""Some senders count the PDU's or the PDV's header out of the maximum length (PS3.8 D.1)."""

_DATA_HEADER_BYTES = pdu.DATA_HEADER.size
_PDV_HEADER_BYTES = pdu.PDV_HEADER.size
_unpack_data_header = pdu.DATA_HEADER.unpack_from
_unpack_pdv_header = pdu.PDV_HEADER.unpack_from

_NO_MESSAGE = -1
_ELEMENT = Struct("<II")
_COMMAND_DATA_SET_TYPE = 0x0800 << 16  # (0000,0800) as one little endian number
_NO_DATA_SET = b"\x01\x01"  # PS3.7 E.1: 0101H
_USUAL_FIRST = _ELEMENT.pack(0, 4)  # (0000,0000)
_USUAL_SECOND = b"\0\0\x02\0"  # the tag of (0000,0002)
_USUAL_FIELD, _USUAL_ID, _USUAL_PRIORITY, _USUAL_TYPE = (
    _ELEMENT.pack(number << 16, 2) for number in (0x0100, 0x0110, 0x0700, 0x0800)
)


def announces_dataset(command: bytes) -> bool:
    """Whether a command set says that a data set follows (Command Data Set Type, PS3.7 E.1).

    A peek and no more: a command set that cannot be walked that far announces none.
    """
    if len(command) >= 20 and command[12:16] == _USUAL_SECOND and command[:8] == _USUAL_FIRST:
        # The usual store request: after its class come three numbers and the one that is asked for.
        at = 20 + command[16] + 256 * command[17]
        if (
            command[18:20] == b"\0\0"
            and command[at : at + 8] == _USUAL_FIELD
            and command[at + 10 : at + 18] == _USUAL_ID
            and command[at + 20 : at + 28] == _USUAL_PRIORITY
            and command[at + 30 : at + 38] == _USUAL_TYPE
            and len(command) >= at + 40
        ):
            return command[at + 38 : at + 40] != _NO_DATA_SET
    at, end = 0, len(command)
    while at + 8 <= end:
        tag, length = _ELEMENT.unpack_from(command, at)
        at += 8
        if tag == _COMMAND_DATA_SET_TYPE:
            return length == 2 and at + 2 <= end and command[at : at + 2] != _NO_DATA_SET
        at += length
    return False


class DataReader:
    """Finds messages in P-DATA-TF PDUs. Mutable: where in a PDU, a PDV and a message it stands."""

    __slots__ = (
        "_accepted",
        "_command",
        "_context",
        "_data_phase",
        "_fragment_left",
        "_last",
        "_limit",
        "_partial",
        "_pdu_left",
    )

    def __init__(self, max_pdu: int, accepted: Collection[int]) -> None:
        self._limit = max_pdu + P_DATA_TOLERANCE_BYTES
        self._accepted = accepted
        self._partial = bytearray()  # of a header
        self._pdu_left = 0  # behind the current PDV
        self._fragment_left = 0
        self._last = 0
        self._context = _NO_MESSAGE
        self._command = bytearray()
        self._data_phase = False

    @property
    def in_pdu(self) -> bool:
        """The first byte of a PDU was read, its last was not."""
        return bool(self._pdu_left or self._fragment_left or self._partial)

    @property
    def in_message(self) -> bool:
        """A message has begun and is not complete."""
        return self._context != _NO_MESSAGE

    @property
    def at_rest(self) -> bool:
        """Neither in a message nor in a PDU."""
        return self._context == _NO_MESSAGE and not (
            self._pdu_left or self._fragment_left or self._partial
        )

    @property
    def held_bytes(self) -> int:
        """What is kept until the next read."""
        return len(self._partial) + len(self._command)

    def read(self, view: memoryview, pos: int, events: list[Event]) -> int:
        """Read P-DATA-TF PDUs from ``pos`` on and append what they bring to ``events``.

        Returns where it stopped: at the end of the view, or at a PDU of another type. One
        DatasetReceived covers all that the view has of one data set.
        """
        end = len(view)
        pdu_left = self._pdu_left
        left = self._fragment_left
        dataset: DatasetReceived | None = None
        while pos < end:
            if not left:
                whole = _PDV_HEADER_BYTES if pdu_left else _DATA_HEADER_BYTES
                if end - pos < whole or self._partial:
                    if not (self._partial or pdu_left) and view[pos] != pdu.P_DATA_TF:
                        break
                    pos += self._gather(view[pos : pos + whole - len(self._partial)], pdu_left)
                    if len(self._partial) < whole:
                        break
                    if pdu_left:
                        length, context, control = _unpack_pdv_header(self._partial)
                    else:
                        _, pdu_left, length, context, control = _unpack_data_header(self._partial)
                    self._partial.clear()
                elif pdu_left:
                    length, context, control = _unpack_pdv_header(view, pos)
                    pos += _PDV_HEADER_BYTES
                else:
                    kind, size, length, context, control = _unpack_data_header(view, pos)
                    if kind != pdu.P_DATA_TF:
                        break
                    if not _PDV_HEADER_BYTES <= size <= self._limit:
                        raise self._bad_size(size)
                    pdu_left = size
                    pos += _DATA_HEADER_BYTES
                pdu_left -= length + 4
                if length < 2 or length & 1 or pdu_left < 0 or 0 < pdu_left < _PDV_HEADER_BYTES:
                    raise _invalid(f"PDV of length {length}: odd, under 2, or not fitting its PDU")
                left = length - 2
                if context != self._context:
                    self._begin(context)
                if control & pdu.COMMAND_FRAGMENT:
                    if self._data_phase:
                        raise _invalid("a command fragment where a data set is due")
                    if len(self._command) + left > COMMAND_SET_LIMIT_BYTES:
                        raise _invalid(f"a command set over {COMMAND_SET_LIMIT_BYTES} bytes")
                elif not self._data_phase:
                    raise _invalid("a data set fragment where a command is due")
                self._last = control & pdu.LAST_FRAGMENT

            take = end - pos
            if take > left:
                take = left
            if self._data_phase:
                if dataset is None:
                    if take or (self._last and not left):
                        spans = [view[pos : pos + take]] if take else []
                        dataset = DatasetReceived(self._context, spans, False)
                        events.append(dataset)
                elif take:
                    dataset.spans.append(view[pos : pos + take])
                pos += take
                left -= take
                if not left and self._last and dataset is not None:
                    dataset.last = True
                    dataset = None
                    self._data_phase = False
                    self._context = _NO_MESSAGE
            else:
                if take == left and self._last:
                    command = bytes(view[pos : pos + take])
                    if self._command:
                        command = bytes(self._command) + command
                        self._command = bytearray()
                    events.append(CommandReceived(self._context, command))
                    self._data_phase = announces_dataset(command)
                    if not self._data_phase:
                        self._context = _NO_MESSAGE
                else:
                    self._command += view[pos : pos + take]
                pos += take
                left -= take
        self._pdu_left = pdu_left
        self._fragment_left = left
        return pos

    def _gather(self, part: memoryview, pdu_left: int) -> int:
        """Keep a part of a split header; returns its length. The PDU's own part is checked as
        soon as it is whole."""
        self._partial += part
        if not pdu_left and len(self._partial) >= pdu.PDU_HEADER.size:
            _, size = pdu.PDU_HEADER.unpack_from(self._partial)
            if not _PDV_HEADER_BYTES <= size <= self._limit:
                raise self._bad_size(size)
        return len(part)

    def _begin(self, context: int) -> None:
        """The context of a PDV is not that of a running message."""
        if context not in self._accepted:
            raise RemoteProtocolError(
                f"PDV for presentation context {context}, which is not accepted",
                source=pdu.ABORT_SERVICE_PROVIDER,
                reason=pdu.UNEXPECTED_PARAMETER,
            )
        if self._context != _NO_MESSAGE:
            raise _invalid(f"context changed from {self._context} to {context} inside a message")
        self._context = context

    def _bad_size(self, size: int) -> RemoteProtocolError:
        return _invalid(f"P-DATA-TF of length {size}, allowed are 6 to {self._limit}")


class PduReader:
    """Gathers one PDU that is not P-DATA-TF to be delivered. Mutable: what has come of it.

    A P-DATA-TF given to it (one that comes too late to count) is skipped, never gathered.
    """

    __slots__ = ("_gathered", "_limit", "_missing", "_skip")

    def __init__(self, max_pdu: int) -> None:
        self._limit = max_pdu + P_DATA_TOLERANCE_BYTES
        self._gathered = bytearray()
        self._missing = pdu.PDU_HEADER.size  # until the header, then until the PDU is whole
        self._skip = 0

    @property
    def in_pdu(self) -> bool:
        """The first byte of a PDU was read, its last was not."""
        return bool(self._gathered or self._skip)

    @property
    def held_bytes(self) -> int:
        """What is kept until the next read."""
        return len(self._gathered)

    def read(self, view: memoryview, pos: int) -> tuple[int, bytes | None]:
        """Read on from ``pos``, to the end of the PDU at most: where it stopped, and the whole PDU
        with its header if it is complete."""
        end = len(view)
        while pos < end:
            if self._skip:
                skipped = min(self._skip, end - pos)
                self._skip -= skipped
                pos += skipped
                if not self._skip:
                    return pos, None
                continue
            part = view[pos : pos + self._missing]
            in_header = len(self._gathered) < pdu.PDU_HEADER.size
            self._gathered += part
            self._missing -= len(part)
            pos += len(part)
            if self._missing:
                break
            if in_header:
                kind, size = pdu.PDU_HEADER.unpack(self._gathered)
                self._check(kind, size)
                if kind == pdu.P_DATA_TF:
                    self._gathered = bytearray()
                    self._missing = pdu.PDU_HEADER.size
                    self._skip = size
                else:
                    self._missing = size
            else:
                whole = bytes(self._gathered)
                self._gathered = bytearray()
                self._missing = pdu.PDU_HEADER.size
                return pos, whole
        return pos, None

    def _check(self, kind: int, size: int) -> None:
        if kind == pdu.P_DATA_TF:
            least, most = _PDV_HEADER_BYTES, self._limit
        elif kind == pdu.A_ASSOCIATE_RQ:
            least, most = ASSOCIATE_RQ_LEAST_BYTES, ASSOCIATE_RQ_LIMIT_BYTES
        else:
            least, most = 4, 4
        if not least <= size <= most:
            raise _invalid(f"PDU of type {kind:02X}H and length {size}, allowed {least} to {most}")


def _invalid(text: str) -> RemoteProtocolError:
    return RemoteProtocolError(
        text, source=pdu.ABORT_SERVICE_PROVIDER, reason=pdu.INVALID_PARAMETER_VALUE
    )
