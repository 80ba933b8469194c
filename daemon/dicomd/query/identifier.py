"""Identifiers: the data set of a query or a retrieval, as plain elements, and their bytes.

Values are kept as the bytes of little endian encoding, so that what a user wrote or a file holds
goes out as it is: no character set is converted, no value judged.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"

_LONG_LENGTH = frozenset(
    {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
)
"""VRs whose length takes four bytes in explicit VR (PS3.5 7.1.2)."""
WORD_BYTES = {
    "AT": 2, "OW": 2, "SS": 2, "US": 2,
    "FL": 4, "OF": 4, "OL": 4, "SL": 4, "UL": 4,
    "FD": 8, "OD": 8, "OV": 8, "SV": 8, "UV": 8,
}  # fmt: skip
"""Size of one binary value, for byte order."""
_ITEM = 0xFFFEE000


@dataclass(frozen=True, slots=True)
class Element:
    """One element: bytes, or the items of a sequence."""

    vr: str
    value: bytes = b""
    items: tuple["Identifier", ...] = ()


@dataclass(slots=True)
class Identifier:
    """Elements by tag. Mutable while it is put together."""

    elements: dict[int, Element] = field(default_factory=dict)

    def text(self, tag: int) -> str:
        """A value as text, without its padding; "" when it is absent."""
        element = self.elements.get(tag)
        if element is None:
            return ""
        return element.value.decode("ascii", "backslashreplace").strip(" \0")

    def put_text(self, tag: int, vr: str, text: str) -> None:
        """Set a text value, padded to even length (UIDs with NUL, PS3.5 6.2)."""
        self.elements[tag] = Element(vr, padded(vr, text.encode("utf-8", "surrogateescape")))


def padded(vr: str, value: bytes) -> bytes:
    """A value of even length."""
    if len(value) % 2:
        value += b"\0" if vr in ("UI", "OB", "UN") else b" "
    return value


def swapped(vr: str, value: bytes) -> bytes:
    """A binary value in the other byte order; other values as they are."""
    size = WORD_BYTES.get(vr)
    if size is None:
        return value
    return b"".join(value[at : at + size][::-1] for at in range(0, len(value), size))


def encode(identifier: Identifier, transfer_syntax: str) -> bytes:
    """The bytes of an identifier: ascending tags, explicit lengths, group lengths made right."""
    big = transfer_syntax == EXPLICIT_VR_BIG_ENDIAN
    explicit = transfer_syntax != IMPLICIT_VR_LITTLE_ENDIAN
    data = b"".join(_encoded(identifier, explicit=explicit, order=">" if big else "<"))
    if transfer_syntax == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = deflater.compress(data) + deflater.flush()
        data += b"\0" * (len(data) % 2)
    return data


def _encoded(identifier: Identifier, *, explicit: bool, order: str) -> Iterator[bytes]:
    chunks: list[tuple[int, bytes]] = []
    for tag, element in sorted(identifier.elements.items()):
        value = element.value
        if element.vr == "SQ":
            value = b"".join(_items(element, explicit=explicit, order=order))
        elif order == ">":
            value = swapped(element.vr, value)
        chunks.append((tag, _header(tag, element.vr, len(value), explicit, order) + value))
    for tag, chunk in chunks:
        if tag & 0xFFFF == 0:  # PS3.5 7.2: the length of what follows in the group
            length = sum(
                len(other) for at, other in chunks if at >> 16 == tag >> 16 and at & 0xFFFF
            )
            yield chunk[: -4 if len(chunk) > 8 else None] + struct.pack(f"{order}I", length)
        else:
            yield chunk


def _items(element: Element, *, explicit: bool, order: str) -> Iterator[bytes]:
    for item in element.items:
        data = b"".join(_encoded(item, explicit=explicit, order=order))
        yield struct.pack(f"{order}HHI", _ITEM >> 16, _ITEM & 0xFFFF, len(data)) + data


def _header(tag: int, vr: str, length: int, explicit: bool, order: str) -> bytes:
    group, element = tag >> 16, tag & 0xFFFF
    if element == 0 and length == 0:
        length = 4  # a group length always gets its value
    if not explicit:
        return struct.pack(f"{order}HHI", group, element, length)
    if vr in _LONG_LENGTH:
        return struct.pack(f"{order}HH2sHI", group, element, vr.encode(), 0, length)
    return struct.pack(f"{order}HH2sH", group, element, vr.encode(), length)
