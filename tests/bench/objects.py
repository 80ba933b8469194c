"""Synthetic objects, as files for DCMTK's senders and as encoded PDUs for our own."""

from dataclasses import dataclass
from pathlib import Path
from struct import pack

CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
EXPLICIT = "1.2.840.10008.1.2.1"
_ROOT = "1.2.826.0.1.3680043.10.1500."
_APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
_P_DATA = 4
_COMMAND_LAST = 3
_DATA, _DATA_LAST = 0, 2


def instance_uid(number: int) -> str:
    """UIDs of one length, so that objects differ in those bytes only."""
    return f"{_ROOT}{100_000_000 + number}"


def _element(group: int, element: int, vr: bytes, value: bytes) -> bytes:
    if len(value) & 1:
        value += b"\0" if vr == b"UI" else b" "
    if vr in (b"OW", b"OB"):
        return pack("<HH2sHI", group, element, vr, 0, len(value)) + value
    return pack("<HH2sH", group, element, vr, len(value)) + value


def data_set(number: int, size: int) -> bytes:
    """A CT-like data set of about ``size`` bytes, Explicit VR Little Endian, nobody's image."""
    rows = 64 if size < 8_000_000 else 8192
    head = b"".join(
        (
            _element(0x0008, 0x0016, b"UI", CT.encode()),
            _element(0x0008, 0x0018, b"UI", instance_uid(number).encode()),
            _element(0x0008, 0x0020, b"DA", b"20240102"),
            _element(0x0008, 0x0021, b"DA", b"20240102"),
            _element(0x0008, 0x0060, b"CS", b"CT"),
            _element(0x0010, 0x0010, b"PN", b"BENCH^NOBODY"),
            _element(0x0010, 0x0020, b"LO", b"BENCH"),
            _element(0x0020, 0x000D, b"UI", (_ROOT + "1").encode()),
            _element(0x0020, 0x000E, b"UI", (_ROOT + "2").encode()),
            _element(0x0028, 0x0002, b"US", pack("<H", 1)),
            _element(0x0028, 0x0004, b"CS", b"MONOCHROME2"),
        )
    )
    columns = max(8, (size - len(head) - 80) // (2 * rows))
    image = b"".join(
        (
            _element(0x0028, 0x0010, b"US", pack("<H", rows)),
            _element(0x0028, 0x0011, b"US", pack("<H", columns)),
            _element(0x0028, 0x0100, b"US", pack("<H", 16)),
            _element(0x0028, 0x0101, b"US", pack("<H", 16)),
            _element(0x0028, 0x0102, b"US", pack("<H", 15)),
            _element(0x0028, 0x0103, b"US", pack("<H", 0)),
        )
    )
    pattern = bytes((index * 37 + 11) & 0xFF for index in range(4096))
    pixels = (pattern * (2 * rows * columns // 4096 + 1))[: 2 * rows * columns]
    return head + image + _element(0x7FE0, 0x0010, b"OW", pixels)


def part10_file(number: int, size: int) -> bytes:
    """The same as a DICOM file."""
    meta = b"".join(
        (
            _element(0x0002, 0x0001, b"OB", b"\0\1"),
            _element(0x0002, 0x0002, b"UI", CT.encode()),
            _element(0x0002, 0x0003, b"UI", instance_uid(number).encode()),
            _element(0x0002, 0x0010, b"UI", EXPLICIT.encode()),
            _element(0x0002, 0x0012, b"UI", (_ROOT + "9").encode()),
        )
    )
    length = _element(0x0002, 0x0000, b"UL", pack("<I", len(meta)))
    return bytes(128) + b"DICM" + length + meta + data_set(number, size)


def write_files(folder: Path, count: int, size: int) -> Path:
    """A folder of that many files, made once."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / f"{number:06}.dcm"
        if not path.exists():
            path.write_bytes(part10_file(number, size))
    return folder


def _item(kind: int, value: bytes) -> bytes:
    return pack(">BxH", kind, len(value)) + value


def association_request() -> bytes:
    """An A-ASSOCIATE-RQ for CT and Verification."""
    items = _item(0x10, _APPLICATION_CONTEXT)
    for context_id, abstract in ((1, CT), (3, VERIFICATION)):
        syntaxes = _item(0x30, abstract.encode()) + _item(0x40, EXPLICIT.encode())
        if abstract == VERIFICATION:
            syntaxes += _item(0x40, b"1.2.840.10008.1.2")
        items += _item(0x20, bytes((context_id, 0, 0, 0)) + syntaxes)
    items += _item(0x50, _item(0x51, pack(">I", 131072)) + _item(0x52, (_ROOT + "9").encode()))
    body = pack(">H2x16s16s32x", 1, b"BENCH".ljust(16), b"SENDER".ljust(16)) + items
    return pack(">BxI", 1, len(body)) + body


RELEASE_REQUEST = bytes.fromhex("05000000000400000000")


def _command(number: int) -> bytes:
    def element(tag: int, value: bytes) -> bytes:
        value += b"\0" * (len(value) & 1)
        return pack("<HHI", 0, tag, len(value)) + value

    body = b"".join(
        (
            element(0x0002, CT.encode()),
            element(0x0100, pack("<H", 1)),
            element(0x0110, pack("<H", 1 + number % 65000)),
            element(0x0700, pack("<H", 0)),
            element(0x0800, pack("<H", 0)),
            element(0x1000, instance_uid(number).encode()),
        )
    )
    return element(0x0000, pack("<I", len(body))) + body


@dataclass(frozen=True, slots=True)
class Encoded:
    """Objects of one size as C-STOREs: a part of their own each, and a part they share."""

    heads: list[bytes]
    tail: bytes

    @classmethod
    def make(cls, first: int, count: int, size: int, max_pdu: int) -> "Encoded":
        """``count`` objects, in PDUs that a receiver announcing ``max_pdu`` takes."""
        heads: list[bytes] = []
        tail = b""
        body_size = max_pdu - 6
        sample = data_set(first, size)
        for number in range(first, first + count):
            command = _command(number)
            head = pack(">BxIIBB", _P_DATA, len(command) + 6, len(command) + 2, 1, _COMMAND_LAST)
            head += command
            data = sample.replace(instance_uid(first).encode(), instance_uid(number).encode())
            pdus = []
            for start in range(0, len(data), body_size):
                part = data[start : start + body_size]
                last = start + body_size >= len(data)
                control = _DATA_LAST if last else _DATA
                pdus.append(
                    pack(">BxIIBB", _P_DATA, len(part) + 6, len(part) + 2, 1, control) + part
                )
            whole = b"".join(pdus)
            if not tail:
                tail = whole[1024:]
            heads.append(head + whole[:1024])
        return cls(heads, tail)
