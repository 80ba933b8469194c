"""The disk against the index: which objects are gone or changed."""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from dicomd.storage.receipts import Entry

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """An object that is not as it was received. ``why`` says it in words."""

    entry: Entry
    kind: Literal["gone", "changed", "unreadable"]
    why: str


def checksum(path: str) -> str:
    """SHA-256 of a regular file, in hexadecimal. OSError; a symbolic link is not followed."""
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def verify(entries: Iterable[Entry]) -> Iterator[Discrepancy]:
    """Compare each object with its file. One without checksum yet is compared by size alone."""
    for entry in entries:
        found = _examine(entry)
        if found is not None:
            yield found


def _examine(entry: Entry) -> Discrepancy | None:
    try:
        status = os.lstat(entry.path)
        if not stat.S_ISREG(status.st_mode):
            return Discrepancy(entry, "changed", "no regular file")
        if status.st_size != entry.bytes:
            return Discrepancy(entry, "changed", f"{status.st_size} bytes instead of {entry.bytes}")
        if entry.sha256 and checksum(entry.path) != entry.sha256:
            return Discrepancy(entry, "changed", "other content (SHA-256)")
    except FileNotFoundError:
        return Discrepancy(entry, "gone", "no such file")
    except OSError as exc:
        return Discrepancy(entry, "unreadable", exc.strerror or "cannot be read")
    return None
