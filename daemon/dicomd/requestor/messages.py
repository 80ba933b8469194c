"""Command sets that a requestor sends and reads: C-FIND, C-MOVE, C-CANCEL (PS3.7 9.3).

A command set is a flat list of elements in Implicit VR Little Endian. Values of responses are
looked at only here, and bounded: a peer's text never grows beyond 64 characters.
"""

import struct
from dataclasses import dataclass

C_FIND_RQ = 0x0020
C_FIND_RSP = 0x8020
C_MOVE_RQ = 0x0021
C_MOVE_RSP = 0x8021
C_CANCEL_RQ = 0x0FFF

_NO_DATASET = 0x0101
_DATASET = 0x0001
_MEDIUM = 0x0000
PRIORITIES = {"low": 0x0002, "medium": 0x0000, "high": 0x0001}
"""PS3.7 9.3.4.1: (0000,0700)."""


class CommandSetError(ValueError):
    """What a peer sent as a command set is none."""


@dataclass(frozen=True, slots=True)
class Response:
    """A C-FIND or C-MOVE response. Counts are None where the peer sent none."""

    command_field: int
    message_id: int
    status: int
    has_dataset: bool
    remaining: int | None = None
    completed: int | None = None
    failed: int | None = None
    warning: int | None = None
    comment: str = ""

    @property
    def is_pending(self) -> bool:
        """FF00 and FF01 (PS3.4 C.4)."""
        return self.status in (0xFF00, 0xFF01)


def encode_find_request(sop_class_uid: str, message_id: int, priority: int = _MEDIUM) -> bytes:
    """C-FIND-RQ with an identifier to follow (PS3.7 9.3.2.1)."""
    return _command_set(
        (0x0002, _uid(sop_class_uid)),
        (0x0100, _us(C_FIND_RQ)),
        (0x0110, _us(message_id)),
        (0x0700, _us(priority)),
        (0x0800, _us(_DATASET)),
    )


def encode_move_request(
    sop_class_uid: str, message_id: int, destination: str, priority: int = _MEDIUM
) -> bytes:
    """C-MOVE-RQ with an identifier to follow (PS3.7 9.3.4.1)."""
    return _command_set(
        (0x0002, _uid(sop_class_uid)),
        (0x0100, _us(C_MOVE_RQ)),
        (0x0110, _us(message_id)),
        (0x0600, _even(destination[:16].encode("ascii", "replace"), b" ")),
        (0x0700, _us(priority)),
        (0x0800, _us(_DATASET)),
    )


def encode_cancel_request(message_id: int) -> bytes:
    """C-CANCEL-RQ for a request under way (PS3.7 9.3.2.3)."""
    return _command_set(
        (0x0100, _us(C_CANCEL_RQ)), (0x0120, _us(message_id)), (0x0800, _us(_NO_DATASET))
    )


def decode_response(data: bytes) -> Response:
    """A response's command set; CommandSetError when it is cut or lacks what it must have."""
    values: dict[int, bytes] = {}
    at = 0
    while at + 8 <= len(data):
        group, element, length = struct.unpack_from("<HHI", data, at)
        at += 8
        if group != 0 or at + length > len(data):
            raise CommandSetError("a command set that runs past its end")
        values[element] = data[at : at + length]
        at += length
    if at != len(data):
        raise CommandSetError("a command set that ends inside an element")
    command_field, message_id, status = (
        _number(values, element) for element in (0x0100, 0x0120, 0x0900)
    )
    if command_field is None or status is None or message_id is None:
        raise CommandSetError("a response without command field, message id or status")
    return Response(
        command_field=command_field,
        message_id=message_id,
        status=status,
        has_dataset=_number(values, 0x0800) not in (None, _NO_DATASET),
        remaining=_number(values, 0x1020),
        completed=_number(values, 0x1021),
        failed=_number(values, 0x1022),
        warning=_number(values, 0x1023),
        comment=values.get(0x0902, b"")[:64].decode("latin-1").strip(" \0"),
    )


def _number(values: dict[int, bytes], element: int) -> int | None:
    value = values.get(element, b"")
    return struct.unpack("<H", value)[0] if len(value) == 2 else None


def _command_set(*elements: tuple[int, bytes]) -> bytes:
    body = b"".join(struct.pack("<HHI", 0, tag, len(value)) + value for tag, value in elements)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def _us(value: int) -> bytes:
    return struct.pack("<H", value)


def _uid(value: str) -> bytes:
    return _even(value.encode("ascii"), b"\0")


def _even(value: bytes, padding: bytes) -> bytes:
    return value + padding * (len(value) % 2)
