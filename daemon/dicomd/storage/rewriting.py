"""When a received data set is written again, and the files it takes.

A walk tells what a data set holds (``Seen``); only when that is not as the settings want it, the
data set is rewritten, from the temporary file into a second one. Deflated data sets are inflated
into a file that has no name first, since lengths and order can only be seen there.
"""

import functools
import os
from dataclasses import dataclass

from dicomd.settings.storage import RewriteSettings
from dicomd.storage.dataset_file import DatasetReader, DatasetWriter, inflate
from dicomd.storage.elements import ElementWalker, Seen
from dicomd.storage.reencode import CannotRewriteError, Rewriting
from dicomd.storage.transfer_syntaxes import UNCOMPRESSED, Encoding, encoding_of

_ALWAYS = Seen.ODD_LENGTH | Seen.UNSORTED | Seen.UNKNOWN_VR | Seen.UNKNOWN_SEQUENCE


class UnsoundError(Exception):
    """The data set cannot be parsed after all. The text holds no value."""


def target_syntax(settings: RewriteSettings, transfer_syntax_uid: str) -> str:
    """The transfer syntax that is written for one that is received."""
    if settings.transfer_syntax and transfer_syntax_uid in UNCOMPRESSED:
        return settings.transfer_syntax
    return transfer_syntax_uid


def is_wanted(settings: RewriteSettings, transfer_syntax_uid: str, seen: int) -> bool:
    """Whether a data set that holds this would be written otherwise than it came."""
    if target_syntax(settings, transfer_syntax_uid) != transfer_syntax_uid:
        return True
    if settings.group_lengths == "add" or settings.padding == "pad":
        return True
    return bool(seen & _unwanted(settings))


@functools.lru_cache(maxsize=64)
def _unwanted(settings: RewriteSettings) -> int:
    """Flags of what would be written otherwise."""
    unwanted = int(_ALWAYS | Seen.GROUP_LENGTH)
    unwanted |= (
        Seen.UNDEFINED_LENGTH if settings.sequence_lengths == "explicit" else Seen.EXPLICIT_LENGTH
    )
    if settings.padding == "remove":
        unwanted |= Seen.TRAILING_PADDING
    if not settings.new_vrs:
        unwanted |= Seen.NEW_VR
    return unwanted


def rewrite(
    reader: DatasetReader,
    descriptor: int,
    header: bytes,
    settings: RewriteSettings,
    transfer_syntax_uid: str,
    *,
    seen: int,
) -> int:
    """Write header and rewritten data set; returns the file's size. OSError, UnsoundError.

    ``reader`` holds the data set inflated.
    """
    target = target_syntax(settings, transfer_syntax_uid)
    encoding = encoding_of(target)
    level = settings.compression_level if encoding.deflated else None
    plain = DatasetWriter(descriptor)
    plain.write(header)
    size = plain.finish()
    writer = DatasetWriter(descriptor, deflate_level=level)
    rewriting = Rewriting(
        reader,
        _inflated(encoding_of(transfer_syntax_uid)),
        _inflated(encoding),
        settings,
        sort=bool(seen & Seen.UNSORTED),
        header_bytes=len(header),
    )
    try:
        rewriting.write(writer)
    except CannotRewriteError as exc:
        raise UnsoundError(str(exc)) from exc
    return size + writer.finish()


def copy(reader: DatasetReader, descriptor: int, header: bytes) -> int:
    """Write header and data set as it is; returns the file's size. OSError."""
    writer = DatasetWriter(descriptor)
    writer.write(header)
    for chunk in reader.chunks(0, reader.size):
        writer.write(chunk)
    return writer.finish()


@dataclass(frozen=True, slots=True)
class Plain:
    """An inflated data set and what a walk through it has seen."""

    reader: DatasetReader
    seen: int


def inflated(
    reader: DatasetReader, scratch: int, transfer_syntax_uid: str, limit: int | None
) -> Plain:
    """Inflate a data set into a file and walk it on the way. OSError, UnsoundError."""
    walker = ElementWalker(_inflated(encoding_of(transfer_syntax_uid)))
    try:
        size = inflate(reader, scratch, walker.feed, limit)
    except ValueError as exc:
        raise UnsoundError(str(exc)) from exc
    walker.finish()
    if walker.fault:
        raise UnsoundError(walker.fault)
    return Plain(DatasetReader(scratch, 0, size), walker.seen)


def scratch_file(folder: int) -> int:
    """A file without a name on the store's file system. OSError."""
    try:
        return os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=folder)
    except OSError:
        name = f".scratch-{os.getpid()}-{id(object())}"
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o600, dir_fd=folder)
        os.unlink(name, dir_fd=folder)
        return descriptor


def _inflated(encoding: Encoding) -> Encoding:
    return Encoding(
        explicit=encoding.explicit,
        big_endian=encoding.big_endian,
        encapsulated=encoding.encapsulated,
    )
