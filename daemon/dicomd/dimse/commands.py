"""Typed requests and responses of PS3.7, and what is wrong with those that cannot be typed.

UIDs and AE titles come without trailing blanks and NULs. Bytes outside ASCII stand as Latin-1
characters, so that a response can repeat exactly what was sent; ``is_valid_uid`` tells.
"""

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

from dicomd.errors import DicomdError

# Command Field (0000,0100), PS3.7 E.1
C_STORE_RQ = 0x0001
C_GET_RQ = 0x0010
C_FIND_RQ = 0x0020
C_MOVE_RQ = 0x0021
C_ECHO_RQ = 0x0030
C_CANCEL_RQ = 0x0FFF
RESPONSE = 0x8000
"""Set in the Command Field of every response."""

NO_DATA_SET = 0x0101
"""Command Data Set Type (0000,0800) of a message without data set."""

VERIFICATION = "1.2.840.10008.1.1"

_VALID_UID = re.compile(r"[0-9]+(\.[0-9]+)*")


class CStoreRequest(NamedTuple):
    """C-STORE-RQ (PS3.7 9.3.1.1). One an object, and a tuple is made in a sixth of the time."""

    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    priority: int = 0
    move_originator_ae_title: str = ""
    move_originator_message_id: int | None = None


@dataclass(frozen=True, slots=True)
class CEchoRequest:
    """C-ECHO-RQ (PS3.7 9.3.5.1). ``has_dataset`` is False in a proper one."""

    message_id: int
    sop_class_uid: str = VERIFICATION
    has_dataset: bool = False


@dataclass(frozen=True, slots=True)
class CCancelRequest:
    """C-CANCEL-RQ (PS3.7 9.3.2.3)."""

    message_id_responded_to: int


@dataclass(frozen=True, slots=True)
class OtherRequest:
    """A request of another service, known or not. ``message_id`` None: it cannot be answered."""

    command_field: int
    message_id: int | None
    has_dataset: bool
    sop_class_uid: str = ""


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """A response, which nobody awaits in an acceptor of storage."""

    command_field: int
    message_id_responded_to: int | None = None
    status: int | None = None
    has_dataset: bool = False


Command = CStoreRequest | CEchoRequest | CCancelRequest | OtherRequest | ResponseReceived

Kind = Literal["malformed", "missing", "mistyped", "repeated", "invalid_uid", "no_dataset"]


class CommandError(DicomdError):
    """A command set that is not what PS3.7 asks for.

    ``kind`` says how: ``malformed`` (not a sequence of group 0000 elements), ``missing`` or
    ``repeated`` or ``mistyped`` (a mandatory element), ``invalid_uid`` (an Affected SOP Class or
    Instance UID that is empty or over 64 bytes), ``no_dataset`` (a C-STORE-RQ without one).
    dcmrecv aborts on all of these (measured on DCMTK 3.6.7).

    ``status`` is the DIMSE status that answers it, with ``message_id`` and ``command_field``; both
    are None when there is no message to answer to, so that only an A-ABORT is left.
    ``has_dataset`` says whether a data set follows, which is to be read before the answer.
    """

    def __init__(
        self,
        text: str,
        *,
        kind: Kind,
        status: int | None,
        message_id: int | None,
        command_field: int,
        has_dataset: bool = False,
        sop_class_uid: str = "",
        sop_instance_uid: str = "",
    ) -> None:
        self.kind: Kind = kind
        self.status = status
        self.message_id = message_id
        self.command_field = command_field
        self.has_dataset = has_dataset
        self.sop_class_uid = sop_class_uid
        self.sop_instance_uid = sop_instance_uid
        super().__init__(text)


def is_valid_uid(uid: str) -> bool:
    """Digits and dots as PS3.5 9.1 has them, 1 to 64 characters. Leading zeros of a component are
    let through: they are wrong, common and harmless."""
    return len(uid) <= 64 and _VALID_UID.fullmatch(uid) is not None
