"""Every file that pydicom's package carries survives a real client and each mode."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest
from pydicom import dcmread
from pydicom.data import get_charset_files, get_testdata_files
from pydicom.filereader import read_file_meta_info
from pynetdicom import AE, _config
from tests.acceptor.service import Service

from dicomd.settings.listener import ListenerSettings
from dicomd.settings.profile import AssociationProfile, PresentationContext
from dicomd.settings.storage import StoreSettings

pytestmark = pytest.mark.journey
CUT_OFF = ("MR_truncated.dcm",)
"""Ends inside its pixel data, which pydicom reads all the same."""
DICOMDIR = "1.2.840.10008.1.3.10"


@dataclass(frozen=True)
class Source:
    """A file with what an association needs to know of it."""

    path: Path
    sop_class: str
    instance: str
    syntax: str
    data: bytes


def sources() -> list[Source]:
    """All DICOM files with file meta information that name a class, an instance and a syntax."""
    found: dict[str, Source] = {}
    for name in sorted({*get_testdata_files(), *get_charset_files("*")}):
        path = Path(str(name))
        if not path.is_file():
            continue
        raw = path.read_bytes()
        if raw[128:132] != b"DICM":
            continue
        try:
            meta = read_file_meta_info(path)
        except Exception:  # pydicom keeps some files to break itself on
            continue
        syntax = str(meta.get("TransferSyntaxUID", ""))
        sop_class = str(meta.get("MediaStorageSOPClassUID", ""))
        instance = str(meta.get("MediaStorageSOPInstanceUID", ""))
        length = meta.get("FileMetaInformationGroupLength")
        if not syntax or not sop_class or not instance or length is None or sop_class == DICOMDIR:
            continue
        data = raw[132 + 12 + int(length) :]
        if data and (instance not in found or found[instance].data != data):
            found[f"{instance}/{path.name}"] = Source(path, sop_class, instance, syntax, data)
    return list(found.values())


SOURCES = sources()


@contextmanager
def service(directory: Path, mode: Literal["normal", "bit-preserving"]) -> Iterator[Service]:
    wanted: dict[str, dict[str, None]] = {}
    for source in SOURCES:
        wanted.setdefault(source.sop_class, {})[source.syntax] = None
    profile = AssociationProfile(
        contexts=tuple(
            PresentationContext(abstract_syntax=sop_class, transfer_syntaxes=tuple(syntaxes))
            for sop_class, syntaxes in wanted.items()
        )
    )
    listener = ListenerSettings(negotiation=profile, checks="tolerant")
    store = StoreSettings(mode=mode, durability="none", min_free_space=0, duplicates="keep-both")
    with Service(directory, listener=listener, store=store) as running:
        yield running


def padded(source: Source, folder: Path) -> Source:
    """A deflated data set of odd length gets its padding (PS3.5 A.5): fragments are even."""
    if not len(source.data) % 2:
        return source
    path = folder / source.path.name
    path.write_bytes(source.path.read_bytes() + b"\0")
    return replace(source, path=path, data=source.data + b"\0")


def send(port: int, source: Source) -> Any:
    """The status that a C-STORE by pynetdicom, of the file's very bytes, is answered with."""
    entity = AE()
    entity.add_requested_context(source.sop_class, [source.syntax])
    association = entity.associate("127.0.0.1", port)
    assert association.is_established, source.path
    try:
        answer = association.send_c_store(source.path)
        return answer.get("Status")
    finally:
        association.release()


@pytest.mark.parametrize("mode", ["bit-preserving", "normal"])
def test_every_file_survives(
    tmp_path: Path, mode: Literal["normal", "bit-preserving"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)
    assert len(SOURCES) > 60
    assert len({source.syntax for source in SOURCES}) > 10
    spare = tmp_path / "spare"
    spare.mkdir()
    objects = tmp_path / "objects"
    objects.mkdir()
    with service(objects, mode) as running:
        for original in SOURCES:
            source = padded(original, spare)
            status = send(running.port, source)
            files = running.files()
            if status != 0:
                assert mode == "normal", source.path
                assert status in (0xC000, 0xA900), f"{source.path}: {status}"
                assert not is_whole(source), f"{source.path} was refused with {status:04X}"
                assert not files
                continue
            assert status == 0, f"{source.path}: {status}"
            (stored,) = files
            content = stored.read_bytes()
            assert content.endswith(source.data), f"{source.path} was stored otherwise"
            meta = read_file_meta_info(stored)
            assert meta.TransferSyntaxUID == source.syntax
            os.unlink(stored)
        assert not running.leftovers()


def is_whole(source: Source) -> bool:
    """Whether the data set can be read to its very end, as its transfer syntax says, and names
    what its file meta information names."""
    try:
        data_set = dcmread(source.path)
        str(data_set)
    except Exception:  # as above
        return False
    if source.path.name in CUT_OFF:
        return False
    named = (data_set.get("SOPClassUID"), data_set.get("SOPInstanceUID"))
    return named == (source.sop_class, source.instance)
