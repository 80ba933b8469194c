"""Fixed headers and the small PDUs of PS3.8 9.3, as structs.

Nothing here decides anything: numbers of the standard, the layout of headers, and the bytes of the
PDUs that an acceptor sends (the A-ASSOCIATE-AC apart, which is ``associate``'s).
"""

from struct import Struct

# PDU types, PS3.8 9.3.1
A_ASSOCIATE_RQ = 0x01
A_ASSOCIATE_AC = 0x02
A_ASSOCIATE_RJ = 0x03
P_DATA_TF = 0x04
A_RELEASE_RQ = 0x05
A_RELEASE_RP = 0x06
A_ABORT = 0x07

# A-ABORT source and reasons, PS3.8 9.3.8
ABORT_SERVICE_USER = 0
ABORT_SERVICE_PROVIDER = 2
UNRECOGNIZED_PDU = 1
UNEXPECTED_PDU = 2
UNEXPECTED_PARAMETER = 5
INVALID_PARAMETER_VALUE = 6

# Message control header, PS3.8 E.2; the other bits are not looked at
COMMAND_FRAGMENT = 0x01
LAST_FRAGMENT = 0x02

PDU_HEADER = Struct(">BxI")
"""Type, length of the body."""
PDV_HEADER = Struct(">IBB")
"""Length of the item's value, context id, message control header."""
DATA_HEADER = Struct(">BxIIBB")
"""The header of a P-DATA-TF and that of its first PDV, in one."""

RELEASE_RP = bytes((A_RELEASE_RP, 0, 0, 0, 0, 4, 0, 0, 0, 0))
_SMALL = Struct(">BxIBBBB")


def encode_abort(source: int, reason: int) -> bytes:
    """An A-ABORT (PS3.8 9.3.8). The reason counts only from the service provider."""
    reason = reason if source == ABORT_SERVICE_PROVIDER else 0
    return _SMALL.pack(A_ABORT, 4, 0, 0, source, reason)


def encode_reject(result: int, source: int, reason: int) -> bytes:
    """An A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
    return _SMALL.pack(A_ASSOCIATE_RJ, 4, 0, result, source, reason)


def encode_command(context_id: int, command: bytes, max_pdu: int) -> bytes:
    """P-DATA-TF PDUs that carry a command set to a peer whose maximum length is ``max_pdu`` bytes
    (0 = no limit, else at least 8). Fragments have even length (PS3.8 9.3.5.1)."""
    size = len(command)
    if not max_pdu or size + PDV_HEADER.size <= max_pdu:
        control = COMMAND_FRAGMENT | LAST_FRAGMENT
        return DATA_HEADER.pack(P_DATA_TF, size + 6, size + 2, context_id, control) + command
    step = (max_pdu - PDV_HEADER.size) & ~1
    parts: list[bytes] = []
    for start in range(0, size, step):
        fragment = command[start : start + step]
        control = COMMAND_FRAGMENT | (LAST_FRAGMENT if start + step >= size else 0)
        length = len(fragment)
        parts.append(DATA_HEADER.pack(P_DATA_TF, length + 6, length + 2, context_id, control))
        parts.append(fragment)
    return b"".join(parts)
