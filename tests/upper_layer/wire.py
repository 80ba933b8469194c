"""Bytes as a peer would send them, well made or not, and ways to feed them to an association."""

from collections.abc import Iterable, Iterator
from struct import pack

from dicomd.upper_layer.association import Association
from dicomd.upper_layer.events import AssociationRequested, DatasetReceived, Event

CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
MAX_PDU = 16384

RELEASE_RQ = bytes.fromhex("05 00 00000004 00000000")
RELEASE_RP = bytes.fromhex("06 00 00000004 00000000")
ABORT = bytes.fromhex("07 00 00000004 00000000")
ASSOCIATE_RJ = bytes.fromhex("03 00 00000004 00010101")


def item(kind: int, value: bytes, *, length: int | None = None) -> bytes:
    return pack(">BxH", kind, len(value) if length is None else length) + value


def context(context_id: int, *, abstract: str = CT, syntaxes: Iterable[str] = (IMPLICIT,)) -> bytes:
    subs = item(0x30, abstract.encode()) + b"".join(item(0x40, uid.encode()) for uid in syntaxes)
    return item(0x20, bytes((context_id, 0, 0, 0)) + subs)


def user(*subs: bytes, max_pdu: int = 16384) -> bytes:
    head = item(0x51, pack(">I", max_pdu)) + item(0x52, b"1.2.3") + item(0x55, b"PEER_1")
    return item(0x50, head + b"".join(subs))


def associate_rq(
    *items: bytes,
    called: bytes = b"ARCHIVE".ljust(16),
    calling: bytes = b"MOD1".ljust(16),
    version: int = 1,
) -> bytes:
    if not items:
        items = (APPLICATION, context(1), context(3, abstract=VERIFICATION), user())
    body = pack(">H2x16s16s32x", version, called, calling) + b"".join(items)
    return pack(">BxI", 1, len(body)) + body


APPLICATION = item(0x10, b"1.2.840.10008.3.1.1.1")


def pdv(context_id: int, control: int, data: bytes, *, length: int | None = None) -> bytes:
    return pack(">IBB", len(data) + 2 if length is None else length, context_id, control) + data


def p_data(*pdvs: bytes, length: int | None = None) -> bytes:
    body = b"".join(pdvs)
    return pack(">BxI", 4, len(body) if length is None else length) + body


def element(number: int, value: bytes, *, length: int | None = None) -> bytes:
    return pack("<HHI", 0, number, len(value) if length is None else length) + value


def command_set(*elements: bytes) -> bytes:
    body = b"".join(elements)
    return element(0, pack("<I", len(body))) + body


def padded(uid: str) -> bytes:
    value = uid.encode("latin-1")
    return value + bytes(len(value) % 2)


STORE = command_set(
    element(0x0002, padded(CT)),
    element(0x0100, pack("<H", 0x0001)),
    element(0x0110, pack("<H", 7)),
    element(0x0700, pack("<H", 0)),
    element(0x0800, pack("<H", 0)),
    element(0x1000, padded("1.2.3.4")),
)
ECHO = command_set(
    element(0x0002, padded(VERIFICATION)),
    element(0x0100, pack("<H", 0x0030)),
    element(0x0110, pack("<H", 8)),
    element(0x0800, pack("<H", 0x0101)),
)


def established(*, max_pdu: int = MAX_PDU, peer_max_pdu: int = 16384) -> Association:
    """Accepted: contexts 1 and 3."""
    association = Association(max_pdu=max_pdu)
    (event,) = association.receive(memoryview(associate_rq()))
    assert isinstance(event, AssociationRequested)
    association.accept(b"AC", {1: IMPLICIT, 3: IMPLICIT}, peer_max_pdu)
    assert association.take_outgoing() == b"AC"
    return association


Data = tuple[int, bytes, bool]
"""All of a data set that came, in one: context, bytes, whether it is whole."""


def feed(association: Association, chunks: Iterable[bytes]) -> list[Event | Data]:
    """Feed chunk by chunk through one reused buffer, as a worker does; data sets merged."""
    seen: list[Event | Data] = []
    for chunk in chunks:
        buffer = bytearray(chunk)
        with memoryview(buffer) as view:
            for event in association.receive(view):
                if not isinstance(event, DatasetReceived):
                    seen.append(event)
                    continue
                data = b"".join(event.spans)
                for span in event.spans:
                    span.release()
                if seen and type(seen[-1]) is tuple and not seen[-1][2]:
                    data = seen.pop()[1] + data  # type: ignore[index]  # a tuple, as asked above
                seen.append((event.context_id, data, event.last))
        # Nothing lent may be kept behind our back: this fails with a view still exported.
        buffer.clear()
    return seen


def one_byte_at_a_time(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 1] for at in range(len(data)))
