"""Command set bytes <-> commands (PS3.7 6.3, E.1: Implicit VR Little Endian, group 0000).

``decode_command`` takes the C-STORE-RQ that nearly every sender writes by three unpacks, and walks
everything else element by element: there are few kinds, and a general library's codec costs
fifty times as much. Both ways give the same, which the tests hold. No value of a command set
stands in an error's text.
"""

from functools import lru_cache
from struct import Struct

from dicomd.dimse import status as codes
from dicomd.dimse.commands import (
    C_CANCEL_RQ,
    C_ECHO_RQ,
    C_STORE_RQ,
    NO_DATA_SET,
    RESPONSE,
    CCancelRequest,
    CEchoRequest,
    Command,
    CommandError,
    CStoreRequest,
    Kind,
    OtherRequest,
    ResponseReceived,
)

UID_LIMIT_BYTES = 64  # PS3.5 6.2, UI
ERROR_COMMENT_LIMIT = 64  # PS3.5 6.2, LO

# Element numbers of group 0000, PS3.7 E.1
AFFECTED_SOP_CLASS_UID = 0x0002
REQUESTED_SOP_CLASS_UID = 0x0003
COMMAND_FIELD = 0x0100
MESSAGE_ID = 0x0110
MESSAGE_ID_RESPONDED_TO = 0x0120
PRIORITY = 0x0700
COMMAND_DATA_SET_TYPE = 0x0800
STATUS = 0x0900
AFFECTED_SOP_INSTANCE_UID = 0x1000
MOVE_ORIGINATOR_AE_TITLE = 0x1030
MOVE_ORIGINATOR_MESSAGE_ID = 0x1031

_NAMES = {
    AFFECTED_SOP_CLASS_UID: "Affected SOP Class UID",
    COMMAND_FIELD: "Command Field",
    MESSAGE_ID: "Message ID",
    MESSAGE_ID_RESPONDED_TO: "Message ID Being Responded To",
    PRIORITY: "Priority",
    COMMAND_DATA_SET_TYPE: "Command Data Set Type",
    AFFECTED_SOP_INSTANCE_UID: "Affected SOP Instance UID",
}

# The fast path's layout. A tag is read as one number: element number in the upper half.
_HEAD = Struct("<IIIII")  # group length whole, Affected SOP Class UID's tag and length
_MIDDLE = Struct("<IIHIIHIIHIIHII")  # field, id, priority, type; the instance UID's tag and length
_TAG_AND_LENGTH = Struct("<II")
_SHORT = Struct("<H")
_ELEMENT_SHORT = Struct("<IIH")
_ELEMENT_LONG = Struct("<III")
_STORE_MIDDLE = Struct("<IIHIIHIIHII")  # responded to, type, status; instance UID's tag and length

_T_CLASS = AFFECTED_SOP_CLASS_UID << 16
_T_FIELD = COMMAND_FIELD << 16
_T_ID = MESSAGE_ID << 16
_T_PRIORITY = PRIORITY << 16
_T_TYPE = COMMAND_DATA_SET_TYPE << 16
_T_INSTANCE = AFFECTED_SOP_INSTANCE_UID << 16
_T_ORIGINATOR = MOVE_ORIGINATOR_AE_TITLE << 16
_T_ORIGINATOR_ID = MOVE_ORIGINATOR_MESSAGE_ID << 16
_T_STATUS = STATUS << 16
_T_RESPONDED = MESSAGE_ID_RESPONDED_TO << 16
_T_COMMENT = 0x0902 << 16

_PADDING = " \0"


def decode_command(data: bytes) -> Command:
    """The command that a whole command set holds. CommandError if it is not one."""
    return _decode_usual_store(data) or _decode(_walk(data))


def encode_store_response(request: CStoreRequest, status: int, comment: str = "") -> bytes:
    """A C-STORE-RSP (PS3.7 9.3.1.2) with both UIDs; the Error Comment only if given."""
    if comment:
        return encode_response(
            C_STORE_RQ,
            request.message_id,
            request.sop_class_uid,
            status,
            sop_instance_uid=request.sop_instance_uid,
            comment=comment,
        )
    instance = request.sop_instance_uid.encode("latin-1")
    if len(instance) & 1:
        instance += b"\0"
    size = len(instance)
    head, length = _store_head(request.sop_class_uid)
    return (
        _ELEMENT_LONG.pack(0, 4, length + size)
        + head
        + _STORE_MIDDLE.pack(
            _T_RESPONDED,
            2,
            request.message_id,
            _T_TYPE,
            2,
            NO_DATA_SET,
            _T_STATUS,
            2,
            status,
            _T_INSTANCE,
            size,
        )
        + instance
    )


def encode_echo_response(request: CEchoRequest, status: int = codes.SUCCESS) -> bytes:
    """A C-ECHO-RSP (PS3.7 9.3.5.2)."""
    return encode_response(C_ECHO_RQ, request.message_id, request.sop_class_uid, status)


def encode_response(
    command_field: int,
    message_id: int,
    sop_class_uid: str,
    status: int,
    *,
    sop_instance_uid: str = "",
    comment: str = "",
) -> bytes:
    """The response to a request of that Command Field, without data set.

    Empty UIDs are left out. The comment is cut to 64 characters of printable ASCII.
    """
    parts = []
    if sop_class_uid:
        parts.append(_element(_T_CLASS, _uid(sop_class_uid)))
    parts.append(_ELEMENT_SHORT.pack(_T_FIELD, 2, command_field | RESPONSE))
    parts.append(_ELEMENT_SHORT.pack(_T_RESPONDED, 2, message_id))
    parts.append(_ELEMENT_SHORT.pack(_T_TYPE, 2, NO_DATA_SET))
    parts.append(_ELEMENT_SHORT.pack(_T_STATUS, 2, status))
    if comment:
        parts.append(_element(_T_COMMENT, _comment(comment)))
    if sop_instance_uid:
        parts.append(_element(_T_INSTANCE, _uid(sop_instance_uid)))
    body = b"".join(parts)
    return _ELEMENT_LONG.pack(0, 4, len(body)) + body


@lru_cache(maxsize=512)
def _store_head(sop_class_uid: str) -> tuple[bytes, int]:
    """The elements up to the Command Field of a C-STORE-RSP, and the group length but for the
    instance UID's value."""
    head = _element(_T_CLASS, _uid(sop_class_uid))
    head += _ELEMENT_SHORT.pack(_T_FIELD, 2, C_STORE_RQ | RESPONSE)
    return head, len(head) + _STORE_MIDDLE.size


def _decode_usual_store(data: bytes) -> CStoreRequest | None:
    """A proper C-STORE-RQ with its elements in order, or None."""
    size = len(data)
    if size < 70:
        return None
    group, group_size, _, tag, length = _HEAD.unpack_from(data)
    if group or group_size != 4 or tag != _T_CLASS or not 0 < length <= 64 or size < 68 + length:
        return None
    (
        t_field, l_field, field, t_id, l_id, message_id, t_priority, l_priority, priority,
        t_type, l_type, data_set_type, t_instance, l_instance,
    ) = _MIDDLE.unpack_from(data, 20 + length)  # fmt: skip
    at = 68 + length
    end = at + l_instance
    if (
        t_field != _T_FIELD or t_id != _T_ID or t_priority != _T_PRIORITY or t_type != _T_TYPE
        or t_instance != _T_INSTANCE or l_field != 2 or l_id != 2 or l_priority != 2 or l_type != 2
        or field != C_STORE_RQ or data_set_type == NO_DATA_SET
        or not 0 < l_instance <= 64 or end > size
    ):  # fmt: skip
        return None
    sop_class = data[20 : 20 + length].decode("latin-1").rstrip(_PADDING)
    instance = data[at:end].decode("latin-1").rstrip(_PADDING)
    if not sop_class or not instance:
        return None
    if end == size:
        return CStoreRequest(message_id, sop_class, instance, priority)
    # As the destination of a C-MOVE: originator's title and message id, both or nothing.
    if size < end + 18:
        return None
    tag, length = _TAG_AND_LENGTH.unpack_from(data, end)
    at = end + 8 + length
    if tag != _T_ORIGINATOR or length > 16 or size != at + 10:
        return None
    title = data[end + 8 : at].decode("latin-1").strip(_PADDING)
    tag, length, originator_id = _ELEMENT_SHORT.unpack_from(data, at)
    if tag != _T_ORIGINATOR_ID or length != 2:
        return None
    return CStoreRequest(message_id, sop_class, instance, priority, title, originator_id)


class _Walked:
    """The elements of a command set by element number, and what stood in the way."""

    __slots__ = ("fault", "repeated", "values")

    def __init__(self) -> None:
        self.values: dict[int, bytes] = {}
        self.repeated: set[int] = set()
        self.fault = ""

    def short(self, number: int) -> int | None:
        """An element of VR US, or None when it is absent or not that."""
        value = self.values.get(number)
        return _SHORT.unpack(value)[0] if value is not None and len(value) == 2 else None

    def text(self, number: int) -> str:
        return self.values.get(number, b"").decode("latin-1").rstrip(_PADDING)

    @property
    def has_dataset(self) -> bool:
        kind = self.short(COMMAND_DATA_SET_TYPE)
        return kind is not None and kind != NO_DATA_SET

    def error(self, kind: Kind, text: str, status: int = codes.MISTYPED_ARGUMENT) -> CommandError:
        message_id = None if MESSAGE_ID in self.repeated else self.short(MESSAGE_ID)
        field = self.short(COMMAND_FIELD)
        answerable = message_id is not None and field is not None and not field & RESPONSE
        return CommandError(
            text,
            kind=kind,
            status=status if answerable else None,
            message_id=message_id if answerable else None,
            command_field=field or 0,
            has_dataset=self.has_dataset,
            sop_class_uid=self._answer_uid(AFFECTED_SOP_CLASS_UID),
            sop_instance_uid=self._answer_uid(AFFECTED_SOP_INSTANCE_UID),
        )

    def _answer_uid(self, number: int) -> str:
        text = self.text(number)
        return text if len(text) <= UID_LIMIT_BYTES else ""

    def mandatory_short(self, number: int) -> int:
        self._once(number)
        value = self.short(number)
        if value is None:
            raise self.error("mistyped", f"{_NAMES[number]} is not one 16 bit number")
        return value

    def mandatory_uid(self, number: int) -> str:
        self._once(number)
        text = self.text(number)
        if not text or len(self.values[number]) > UID_LIMIT_BYTES:
            raise self.error(
                "invalid_uid",
                f"{_NAMES[number]} is empty or over {UID_LIMIT_BYTES} bytes",
                codes.INVALID_OBJECT_INSTANCE,
            )
        return text

    def _once(self, number: int) -> None:
        if number not in self.values:
            raise self.error("missing", f"{_NAMES[number]} is missing")
        if number in self.repeated:
            raise self.error("repeated", f"{_NAMES[number]} stands twice")


def _walk(data: bytes) -> _Walked:
    walked = _Walked()
    at, end = 0, len(data)
    while at < end:
        if end - at < 8:
            walked.fault = "the command set ends inside an element"
            break
        tag, length = _TAG_AND_LENGTH.unpack_from(data, at)
        at += 8
        if length > end - at:
            walked.fault = "the command set ends inside an element"
            break
        number = tag >> 16
        if tag & 0xFFFF:
            # Walked on for the sake of the answer: the elements that it needs may follow.
            walked.fault = "the command set holds an element outside group 0000"
        elif number in walked.values:
            walked.repeated.add(number)
        else:
            walked.values[number] = data[at : at + length]
        at += length
    return walked


def _decode(walked: _Walked) -> Command:
    if walked.fault:
        raise walked.error("malformed", walked.fault)
    field = walked.mandatory_short(COMMAND_FIELD)
    if field & RESPONSE:
        return ResponseReceived(
            field,
            walked.short(MESSAGE_ID_RESPONDED_TO),
            walked.short(STATUS),
            walked.has_dataset,
        )
    if field == C_CANCEL_RQ:
        return CCancelRequest(walked.mandatory_short(MESSAGE_ID_RESPONDED_TO))
    if field == C_ECHO_RQ:
        message_id = walked.mandatory_short(MESSAGE_ID)
        walked.mandatory_short(COMMAND_DATA_SET_TYPE)
        sop_class = walked.mandatory_uid(AFFECTED_SOP_CLASS_UID)
        return CEchoRequest(message_id, sop_class, walked.has_dataset)
    if field == C_STORE_RQ:
        return _decode_store(walked)
    sop_class = walked.text(AFFECTED_SOP_CLASS_UID) or walked.text(REQUESTED_SOP_CLASS_UID)
    return OtherRequest(field, walked.short(MESSAGE_ID), walked.has_dataset, sop_class)


def _decode_store(walked: _Walked) -> CStoreRequest:
    message_id = walked.mandatory_short(MESSAGE_ID)
    walked.mandatory_short(COMMAND_DATA_SET_TYPE)
    sop_class = walked.mandatory_uid(AFFECTED_SOP_CLASS_UID)
    instance = walked.mandatory_uid(AFFECTED_SOP_INSTANCE_UID)
    priority = walked.mandatory_short(PRIORITY)
    if not walked.has_dataset:
        raise walked.error("no_dataset", "a C-STORE-RQ without data set", codes.CANNOT_UNDERSTAND)
    return CStoreRequest(
        message_id,
        sop_class,
        instance,
        priority,
        walked.text(MOVE_ORIGINATOR_AE_TITLE).strip(_PADDING),
        walked.short(MOVE_ORIGINATOR_MESSAGE_ID),
    )


def _element(tag: int, value: bytes) -> bytes:
    return _TAG_AND_LENGTH.pack(tag, len(value)) + value


def _uid(uid: str) -> bytes:
    value = uid.encode("latin-1")
    return value + b"\0" if len(value) & 1 else value


def _comment(comment: str) -> bytes:
    text = "".join(char if " " <= char <= "~" and char != "\\" else "?" for char in comment)
    value = text[:ERROR_COMMENT_LIMIT].encode("ascii")
    return value + b" " if len(value) & 1 else value
