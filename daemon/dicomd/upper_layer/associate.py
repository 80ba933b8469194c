"""A-ASSOCIATE items <-> bytes: the request decoded, the acceptance encoded (PS3.8 9.3.2, 9.3.3).

Own code rather than pynetdicom's items: those fail on unknown items, which PS3.8 9.3.1 asks to
ignore, check lengths by ``assert``, and are slow. Every item is held against its parent's
length; what does not fit, and contexts that cannot be told apart, raise RemoteProtocolError with
the A-ABORT 2/6. What merely cannot be agreed on (titles, versions, syntaxes) is left to
negotiation. Nothing nests deeper than three levels, so nothing recurses.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from struct import Struct

from dicomd.errors import RemoteProtocolError
from dicomd.upper_layer import pdu
from dicomd.upper_layer.events import AssociateRequest, ProposedContext

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
"""The DICOM application context name (PS3.7 A.2.1)."""
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
MAX_CONTEXTS = 128  # PS3.8 9.3.2.2: odd numbers of one byte

# Items, PS3.8 9.3.2 and 9.3.3; sub-items of the user information, PS3.8 D.1 and PS3.7 D.3.3
_APPLICATION_CONTEXT = 0x10
_PRESENTATION_CONTEXT_RQ = 0x20
_PRESENTATION_CONTEXT_AC = 0x21
_ABSTRACT_SYNTAX = 0x30
_TRANSFER_SYNTAX = 0x40
_USER_INFORMATION = 0x50
_MAXIMUM_LENGTH = 0x51
_IMPLEMENTATION_CLASS_UID = 0x52
_ROLE_SELECTION = 0x54
_IMPLEMENTATION_VERSION_NAME = 0x55
_EXTENDED_NEGOTIATION = 0x56
_USER_IDENTITY = 0x58

_ITEM = Struct(">BxH")
_FIXED = Struct(">BxIHxx16s16s32x")
_LENGTH = Struct(">H")
_MAXIMUM = Struct(">I")


@dataclass(frozen=True, slots=True)
class ContextResult:
    """The answer to one proposed context (PS3.8 9.3.3.2). ``result``: 0 acceptance, 1 user
    rejection, 2 no reason, 3 abstract syntax, 4 transfer syntaxes not supported. The transfer
    syntax of a refused context means nothing and may be empty."""

    context_id: int
    result: int
    transfer_syntax: str = ""


def decode_request(encoded: bytes, *, strict: bool = True) -> AssociateRequest:
    """An A-ASSOCIATE-RQ, header included, of the length that its header says.

    With ``strict`` off even context ids are let through. RemoteProtocolError if it is malformed.
    """
    if len(encoded) < _FIXED.size:
        raise _invalid("A-ASSOCIATE-RQ is shorter than its fixed fields")
    _, _, version, called, calling = _FIXED.unpack_from(encoded)
    application_context = ""
    contexts: list[ProposedContext] = []
    user = _UserInformation()
    for kind, start, end in _items(encoded, _FIXED.size, len(encoded)):
        if kind == _APPLICATION_CONTEXT:
            application_context = _text(encoded[start:end])
        elif kind == _PRESENTATION_CONTEXT_RQ:
            contexts.append(_context(encoded, start, end))
            if len(contexts) > MAX_CONTEXTS:
                raise _invalid(f"more than {MAX_CONTEXTS} presentation contexts")
        elif kind == _USER_INFORMATION:
            user.read(encoded, start, end)
    _check_ids([context.context_id for context in contexts], strict=strict)
    return AssociateRequest(
        protocol_version=version,
        application_context=application_context,
        called_ae_title=_text(called).lstrip(" "),
        calling_ae_title=_text(calling).lstrip(" "),
        contexts=tuple(contexts),
        max_pdu=user.max_pdu,
        implementation_class_uid=user.class_uid,
        implementation_version_name=user.version_name,
        roles=user.roles,
        extended_negotiation=user.extended,
        user_identity_type=user.identity_type,
        echoed=encoded[10:74],
    )


def encode_accept(
    request: AssociateRequest,
    results: Sequence[ContextResult],
    *,
    max_pdu: int,
    implementation_class_uid: str,
    implementation_version_name: str,
    roles: Mapping[str, tuple[bool, bool]],
    extended: Mapping[str, bytes],
) -> bytes:
    """An A-ASSOCIATE-AC. ``roles`` and ``extended`` are the answers by SOP class; an empty version
    name is left out. Title fields are the request's own bytes."""
    echoed = request.echoed or _echo(request)
    body = [b"\x00\x01\x00\x00", echoed, _item(_APPLICATION_CONTEXT, APPLICATION_CONTEXT.encode())]
    for answer in results:
        syntax = answer.transfer_syntax or IMPLICIT_VR_LITTLE_ENDIAN
        head = bytes((answer.context_id, 0, answer.result, 0))
        value = head + _item(_TRANSFER_SYNTAX, _bytes(syntax))
        body.append(_item(_PRESENTATION_CONTEXT_AC, value))
    user = [
        _item(_MAXIMUM_LENGTH, _MAXIMUM.pack(max_pdu)),
        _item(_IMPLEMENTATION_CLASS_UID, _bytes(implementation_class_uid)),
    ]
    for uid, (scu, scp) in roles.items():
        user.append(_item(_ROLE_SELECTION, _counted(uid) + bytes((scu, scp))))
    if implementation_version_name:
        user.append(_item(_IMPLEMENTATION_VERSION_NAME, _bytes(implementation_version_name)))
    for uid, information in extended.items():
        user.append(_item(_EXTENDED_NEGOTIATION, _counted(uid) + information))
    body.append(_item(_USER_INFORMATION, b"".join(user)))
    encoded = b"".join(body)
    return pdu.PDU_HEADER.pack(pdu.A_ASSOCIATE_AC, len(encoded)) + encoded


class _UserInformation:
    """What the user information item says; filled by ``read``."""

    __slots__ = ("class_uid", "extended", "identity_type", "max_pdu", "roles", "version_name")

    def __init__(self) -> None:
        self.max_pdu = 0
        self.class_uid = ""
        self.version_name = ""
        self.roles: dict[str, tuple[bool, bool]] = {}
        self.extended: dict[str, bytes] = {}
        self.identity_type: int | None = None

    def read(self, data: bytes, start: int, end: int) -> None:
        for kind, at, stop in _items(data, start, end):
            value = data[at:stop]
            if kind == _MAXIMUM_LENGTH:
                if len(value) != 4:
                    raise _invalid("the maximum length item is not of length 4")
                (self.max_pdu,) = _MAXIMUM.unpack(value)
            elif kind == _IMPLEMENTATION_CLASS_UID:
                self.class_uid = _text(value)
            elif kind == _IMPLEMENTATION_VERSION_NAME:
                self.version_name = _text(value)
            elif kind == _ROLE_SELECTION:
                uid, rest = _split_counted(value)
                if len(rest) != 2:
                    raise _invalid("a role selection item does not end with two roles")
                self.roles[_text(uid)] = (rest[0] != 0, rest[1] != 0)
            elif kind == _EXTENDED_NEGOTIATION:
                uid, rest = _split_counted(value)
                self.extended[_text(uid)] = rest
            elif kind == _USER_IDENTITY:
                # Type, response wanted, two counted fields, of which nothing is kept.
                _, rest = _split_counted(value[2:])
                _, rest = _split_counted(rest)
                if rest:
                    raise _invalid("the user identity item is longer than its fields")
                self.identity_type = value[0]


def _items(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Type, start and end of the value of each item between ``at`` and ``end``."""
    while at < end:
        if end - at < _ITEM.size:
            raise _invalid("an item's header runs past its parent")
        kind, length = _ITEM.unpack_from(data, at)
        at += _ITEM.size
        if length > end - at:
            raise _invalid(f"an item of type {kind:02X}H runs past its parent")
        yield kind, at, at + length
        at += length


def _context(data: bytes, start: int, end: int) -> ProposedContext:
    if end - start < 4:
        raise _invalid("a presentation context without id")
    abstract: str | None = None
    transfers: list[str] = []
    for kind, at, stop in _items(data, start + 4, end):
        if kind == _ABSTRACT_SYNTAX:
            if abstract is not None:
                raise _invalid("a presentation context with two abstract syntaxes")
            abstract = _text(data[at:stop])
        elif kind == _TRANSFER_SYNTAX:
            transfers.append(_text(data[at:stop]))
    if abstract is None:
        raise _invalid("a presentation context without abstract syntax")
    return ProposedContext(data[start], abstract, tuple(transfers))


def _check_ids(ids: list[int], *, strict: bool) -> None:
    if len(set(ids)) != len(ids):
        raise _invalid("two presentation contexts with one id")
    if strict and not all(context_id & 1 for context_id in ids):
        raise _invalid("a presentation context with an even id")


def _text(value: bytes) -> str:
    """Text of a peer, safe to compare and to log: trailing padding off, all but printable ASCII
    (and the backslash itself) as escapes."""
    text = value.rstrip(b" \0").decode("latin-1")
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    return "".join(
        char if " " <= char <= "~" and char != "\\" else f"\\x{ord(char):02x}" for char in text
    )


def _split_counted(value: bytes) -> tuple[bytes, bytes]:
    """A field behind its two-byte length, and what follows it."""
    if len(value) < 2:
        raise _invalid("a sub-item ends inside a length")
    (length,) = _LENGTH.unpack_from(value)
    if len(value) < 2 + length:
        raise _invalid("a field runs past its sub-item")
    return value[2 : 2 + length], value[2 + length :]


def _counted(uid: str) -> bytes:
    return _LENGTH.pack(len(uid)) + _bytes(uid)


def _item(kind: int, value: bytes) -> bytes:
    return _ITEM.pack(kind, len(value)) + value


def _bytes(text: str) -> bytes:
    return text.encode("ascii")


def _echo(request: AssociateRequest) -> bytes:
    titles = (request.called_ae_title, request.calling_ae_title)
    return b"".join(_bytes(title)[:16].ljust(16) for title in titles) + bytes(32)


def _invalid(text: str) -> RemoteProtocolError:
    return RemoteProtocolError(
        text, source=pdu.ABORT_SERVICE_PROVIDER, reason=pdu.INVALID_PARAMETER_VALUE
    )
