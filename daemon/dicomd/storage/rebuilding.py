"""The index made anew from the files of the stores.

What only the receipts knew (who called, which listener, which job) is taken over from the old index
where a file of the same path and size is in it.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from dicomd.storage.dataset_head import LIMIT_BYTES, DatasetHead
from dicomd.storage.incoming import INCOMING
from dicomd.storage.index import Index
from dicomd.storage.inspection import IDENTITY
from dicomd.storage.part10 import META_LIMIT_BYTES, parse_meta
from dicomd.storage.receipts import Entry
from dicomd.storage.verdicts import SERIES_INSTANCE_UID, STUDY_INSTANCE_UID, text_of

_BATCH = 1000
_CHUNK_BYTES = 65536


@dataclass(slots=True)
class Rebuilt:
    """What a rebuild found. ``skipped`` files are no DICOM files, or could not be read."""

    objects: int = 0
    skipped: int = 0
    forgotten: int = 0


def rebuild(index: Index, stores: Mapping[str, str]) -> Rebuilt:
    """Walk the folders (store name -> directory) and make the rows match. OSError when a store's
    folder cannot be listed: then nothing of it is forgotten."""
    result = Rebuilt()
    for store, directory in stores.items():
        top = os.path.abspath(directory)
        present: set[str] = set()
        batch: list[Entry] = []
        for path in _files(top):
            entry = read_entry(path, store)
            if entry is None:
                result.skipped += 1
                continue
            known = index.at(path)
            if known is not None and known.bytes == entry.bytes:
                entry = replace(
                    known,
                    sop_class_uid=entry.sop_class_uid,
                    study_instance_uid=entry.study_instance_uid,
                    series_instance_uid=entry.series_instance_uid,
                    transfer_syntax_uid=entry.transfer_syntax_uid,
                    store=store,
                )
            present.add(path)
            batch.append(entry)
            result.objects += 1
            if len(batch) >= _BATCH:
                index.add(batch)
                batch.clear()
        index.add(batch)
        below = os.path.join(top, "")
        gone = [
            entry.path
            for entry in index.entries()
            if entry.path.startswith(below) and entry.path not in present
        ]
        index.forget(gone)
        result.forgotten += len(gone)
    return result


def read_entry(path: str, store: str) -> Entry | None:
    """The row of a file by what the file itself says; None when it is no DICOM file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(descriptor, "rb", buffering=0) as file:
        try:
            status = os.fstat(file.fileno())
            meta = parse_meta(file.read(META_LIMIT_BYTES) or b"")
            if meta is None:
                return None
            head = DatasetHead(meta.transfer_syntax_uid, IDENTITY)
            file.seek(meta.header_bytes)
            for _ in range(LIMIT_BYTES // _CHUNK_BYTES):
                chunk = file.read(_CHUNK_BYTES)
                if not chunk or head.done:
                    break
                head.feed(chunk)
        except OSError:
            return None
    return Entry(
        path=path,
        sop_instance_uid=meta.sop_instance_uid,
        sop_class_uid=meta.sop_class_uid,
        study_instance_uid=text_of(head.values, STUDY_INSTANCE_UID),
        series_instance_uid=text_of(head.values, SERIES_INSTANCE_UID),
        transfer_syntax_uid=meta.transfer_syntax_uid,
        bytes=status.st_size,
        calling_ae_title=meta.source_ae_title,
        store=store,
        received_at=status.st_mtime,
    )


def _files(top: str) -> Iterator[str]:
    """Regular files below a folder; incoming folders and symbolic links are passed by."""
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        with os.scandir(folder) as found:
            for item in found:
                if item.is_dir(follow_symlinks=False):
                    if item.name != INCOMING:
                        waiting.append(item.path)
                elif item.is_file(follow_symlinks=False):
                    yield item.path
