"""Objects to store: data sets made by hand, files of pydicom's package, and sinks over them."""

import itertools
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydicom.data import get_testdata_files

from dicomd.settings.storage import StoreSettings
from dicomd.storage.part10 import Implementation, parse_meta
from dicomd.storage.sink import Instance, Receipt, Sink
from dicomd.storage.sinks import open_sink
from dicomd.storage.verdicts import Checks

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
STUDY = "1.2.3.4"
SERIES = "1.2.3.4.5"
LONG = {b"OB", b"OW", b"SQ", b"UN", b"UT", b"UC"}


def element(tag: int, vr: str, value: bytes = b"", *, length: int | None = None) -> bytes:
    """One element in Explicit VR Little Endian; an even value is the caller's matter."""
    size = len(value) if length is None else length
    code = vr.encode()
    if code in LONG:
        return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, code, 0, size) + value
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, code, size) + value


def uid(tag: int, value: str) -> bytes:
    """A UI element, padded."""
    text = value.encode()
    return element(tag, "UI", text + b"\0" * (len(text) % 2))


def item(content: bytes, *, undefined: bool = False) -> bytes:
    """A sequence item."""
    if undefined:
        return struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + content + end(0xE00D)
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content


def end(number: int) -> bytes:
    """A delimitation item."""
    return struct.pack("<HHI", 0xFFFE, number, 0)


def sequence(tag: int, *items: bytes, undefined: bool = False) -> bytes:
    """A sequence of items."""
    content = b"".join(items)
    if undefined:
        return element(tag, "SQ", content, length=0xFFFFFFFF) + end(0xE0DD)
    return element(tag, "SQ", content)


def dataset(
    instance: str = "1.2.3", *, sop_class: str = CT, date: str = "20240315", tail: bytes = b""
) -> bytes:
    """A small data set in Explicit VR Little Endian."""
    return b"".join(
        (
            uid(0x00080016, sop_class),
            uid(0x00080018, instance),
            element(0x00080020, "DA", b"20240102"),
            element(0x00080021, "DA", date.encode() + b" " * (len(date) % 2)),
            element(0x00080060, "CS", b"CT"),
            element(0x00100010, "PN", b"Doe^Jane"),
            uid(0x0020000D, STUDY),
            uid(0x0020000E, SERIES),
            tail or element(0x7FE00010, "OW", bytes(range(256)) * 4),
        )
    )


def instance_of(
    sop_instance: str = "1.2.3", *, sop_class: str = CT, syntax: str = EXPLICIT
) -> Instance:
    """What a C-STORE of that object announces."""
    return Instance(sop_class, sop_instance, syntax, "SENDER", "DICOMD", "192.0.2.1", "a1")


def sink_of(
    directory: Path | str,
    *,
    checks: Checks = "tolerant",
    implementation: Implementation = "dicomd",
    max_object_bytes: int | None = None,
    **settings: Any,
) -> Sink:
    """A sink over a folder, without a free-space floor."""
    settings.setdefault("min_free_space", 0)
    return open_sink(
        StoreSettings(directory=str(directory), **settings),
        checks=checks,
        implementation=implementation,
        max_object_bytes=max_object_bytes,
    )


def store(
    sink: Sink, data: bytes, instance: Instance | None = None, *, cut_at: Sequence[int] = ()
) -> Receipt:
    """Deliver an object, in pieces where asked."""
    delivery = sink.begin(instance or instance_of())
    view = memoryview(data)
    edges = [0, *cut_at, len(data)]
    for start, stop in itertools.pairwise(edges):
        delivery.write([view[start:stop]])
    return delivery.commit()


def body_of(path: Path | str) -> bytes:
    """The data set of a file, behind its meta header."""
    data = Path(path).read_bytes()
    meta = parse_meta(data)
    assert meta is not None
    return data[meta.header_bytes :]


def names_in(folder: Path) -> list[str]:
    """Every file below a folder, relative, hidden ones too."""
    return sorted(
        os.path.relpath(os.path.join(top, name), folder)
        for top, _, names in os.walk(folder)
        for name in names
    )


def packaged_files() -> list[Path]:
    """Every file of pydicom's package that has a meta header with a transfer syntax."""
    found = []
    for name in sorted(get_testdata_files()):
        path = Path(name)
        if not path.is_file():
            continue
        meta = parse_meta(path.read_bytes()[:65536])
        if meta is not None and meta.transfer_syntax_uid:
            found.append(path)
    return found


def loaded(path: Path) -> tuple[Instance, bytes]:
    """A file as a C-STORE would bring it."""
    data = path.read_bytes()
    meta = parse_meta(data)
    assert meta is not None
    instance = instance_of(
        meta.sop_instance_uid, sop_class=meta.sop_class_uid, syntax=meta.transfer_syntax_uid
    )
    return instance, data[meta.header_bytes :]
