"""Preamble and file meta information, as bytes (PS3.10 section 7.1).

A ``MetaHeader`` is kept for each combination of SOP class, transfer syntax and caller, so that an
object costs a few joins. What dcmrecv and movescu write was measured on DCMTK 3.6.7.
"""

import struct
from dataclasses import dataclass
from typing import Literal

IMPLEMENTATION_CLASS_UID = "2.25.103349438704434063605051898016720834555"
IMPLEMENTATION_VERSION_NAME = "DICOMD_0_1"
DCMTK_CLASS_UID = "1.2.276.0.7230010.3.0.3.6.7"
DCMTK_VERSION_NAME = "OFFIS_DCMTK_367"
DCMTK_BIT_PRESERVING_VERSION_NAME = "OFFIS_DCMBP_367"
DCMTK_GENERIC_SOP_CLASS_UID = "1.2.276.0.7230010.3.1.0.1"
"""DCMTK's private class for a data set that names none."""

PREAMBLE = bytes(128) + b"DICM"
_GROUP_LENGTH = struct.Struct("<HH2sHI")
_SHORT = struct.Struct("<HH2sH")
_VERSION = struct.pack("<HH2sHI", 2, 1, b"OB", 0, 2) + b"\0\1"

Implementation = Literal["dicomd", "dcmrecv", "movescu"]


@dataclass(frozen=True, slots=True)
class Writer:
    """How the meta header names who wrote it. ``source``: (0002,0016) is the calling AE title."""

    class_uid: str
    version_name: str
    source: bool


def writer_of(implementation: Implementation, *, bit_preserving: bool) -> Writer:
    """The writer that each program is. The two of DCMTK write the same."""
    if implementation == "dicomd":
        return Writer(IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, source=True)
    if bit_preserving:
        return Writer(DCMTK_CLASS_UID, DCMTK_BIT_PRESERVING_VERSION_NAME, source=True)
    return Writer(DCMTK_CLASS_UID, DCMTK_VERSION_NAME, source=False)


class MetaHeader:
    """The header of all instances of one class, transfer syntax and caller."""

    __slots__ = ("_after", "_before", "_fixed_bytes", "_heads")

    def __init__(
        self, writer: Writer, sop_class_uid: str, transfer_syntax_uid: str, calling_ae_title: str
    ) -> None:
        self._before = _VERSION + _uid(2, sop_class_uid)
        after = _uid(0x10, transfer_syntax_uid) + _uid(0x12, writer.class_uid)
        after += _text(0x13, b"SH", writer.version_name)
        if writer.source and calling_ae_title:
            after += _text(0x16, b"AE", calling_ae_title)
        self._after = after
        self._fixed_bytes = len(self._before) + len(after)
        self._heads: dict[int, bytes] = {}
        """All up to the instance UID, by that UID's length: UIDs of one sender have few lengths."""

    def encode(self, sop_instance_uid: str) -> bytes:
        """Preamble, prefix and group 0002 for one instance."""
        uid = sop_instance_uid.encode("ascii", "replace")
        if len(uid) & 1:
            uid += b"\0"
        head = self._heads.get(len(uid))
        if head is None:
            element = _SHORT.pack(2, 3, b"UI", len(uid))
            length = self._fixed_bytes + len(element) + len(uid)
            group_length = _GROUP_LENGTH.pack(2, 0, b"UL", 4, length)
            head = PREAMBLE + group_length + self._before + element
            self._heads[len(uid)] = head
        return b"".join((head, uid, self._after))


META_LIMIT_BYTES = 65536
"""Of preamble and group 0002; a longer header is not read."""


@dataclass(frozen=True, slots=True)
class Meta:
    """What a file's meta header says. The data set starts behind ``header_bytes``."""

    header_bytes: int
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    source_ae_title: str


def parse_meta(head: bytes) -> Meta | None:
    """Read the header at the start of a file; None when there is none that is whole."""
    if head[128:132] != b"DICM" or len(head) < 144:
        return None
    group, element, vr, _, length = _GROUP_LENGTH.unpack_from(head, 132)
    end = 144 + length
    if (group, element, vr) != (2, 0, b"UL") or end > len(head):
        return None
    texts: dict[int, str] = {}
    position = 144
    while position + 8 <= end:
        group, element, vr, size = _SHORT.unpack_from(head, position)
        position += 8
        if vr in (b"OB", b"UN", b"UT", b"OW", b"UR", b"UC"):
            if position + 4 > end:
                return None
            size = int.from_bytes(head[position : position + 4], "little")
            position += 4
        elif group == 2:
            texts[element] = head[position : position + size].rstrip(b" \0").decode("latin-1")
        position += size
    if position != end:
        return None
    return Meta(
        end, texts.get(2, ""), texts.get(3, ""), texts.get(0x10, ""), texts.get(0x16, "").strip()
    )


def _uid(element: int, value: str) -> bytes:
    encoded = value.encode("ascii", "replace")
    if len(encoded) & 1:
        encoded += b"\0"
    return _SHORT.pack(2, element, b"UI", len(encoded)) + encoded


def _text(element: int, vr: bytes, value: str) -> bytes:
    encoded = value.encode("ascii", "replace")
    if len(encoded) & 1:
        encoded += b" "
    return _SHORT.pack(2, element, vr, len(encoded)) + encoded
