"""The append-only record of what was committed: spool files, one line an object.

Each process that receives has spool files of its own, named by its process id and start time and a
number. A line is written with one ``write`` to a descriptor in append mode, so a process that is
killed leaves at most one torn line behind, the last. The indexer reads the spools into the index
and deletes a file that is read and will not grow. A lost spool loses no object: the index can be
rebuilt from the files.
"""

import json
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from dicomd.storage.incoming import process_start_time
from dicomd.storage.sink import Receipt

_VERSION = 1
_ROTATE_BYTES = 16 << 20
_NAME = re.compile(r"(\d+)-(\d+)-(\d+)\.receipts")
_READ_BYTES = 1 << 20
_to_json = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One object of the index: a receipt with where and when it was received.

    ``received_at`` is Unix time. ``job`` and ``run`` name the retrieval that asked for it, "" when
    none is known to have. ``sha256`` of the file, "" until it is computed.
    """

    path: str
    sop_instance_uid: str
    sop_class_uid: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    transfer_syntax_uid: str = ""
    bytes: int = 0
    sha256: str = ""
    calling_ae_title: str = ""
    called_ae_title: str = ""
    peer: str = ""
    association: str = ""
    listener: str = ""
    store: str = ""
    received_at: float = 0.0
    job: str = ""
    run: str = ""


class ReceiptSpool:
    """Where one process notes its receipts. May be used from several threads.

    Mutable: the open spool file and its size.
    """

    def __init__(self, directory: str, *, rotate_bytes: int = _ROTATE_BYTES) -> None:
        self._directory = directory
        self._rotate_bytes = rotate_bytes
        pid = os.getpid()
        self._stem = f"{pid}-{process_start_time(pid)}"
        self._lock = threading.Lock()
        self._number = 0
        self._descriptor = -1
        self._bytes = 0
        self._torn = False
        os.makedirs(directory, mode=0o750, exist_ok=True)

    def append(
        self,
        receipt: Receipt,
        *,
        received_at: float,
        listener: str = "",
        store: str = "",
        job: str = "",
        run: str = "",
    ) -> None:
        """Note an object that is kept; one that was discarded is not noted. OSError."""
        if not receipt.path:
            return
        instance = receipt.instance
        line = _to_json(
            [
                _VERSION,
                receipt.path,
                instance.sop_instance_uid,
                instance.sop_class_uid,
                receipt.study_instance_uid,
                receipt.series_instance_uid,
                instance.transfer_syntax_uid,
                receipt.bytes,
                instance.calling_ae_title,
                instance.called_ae_title,
                instance.peer,
                instance.association,
                listener,
                store,
                received_at,
                job,
                run,
            ]
        ).encode()
        with self._lock:
            if self._descriptor < 0 or self._bytes >= self._rotate_bytes:
                self._open_next()
            # A line that was cut off by a full disk must not spoil the one after it.
            data = b"\n%b\n" % line if self._torn else line + b"\n"
            self._torn = True
            written = os.write(self._descriptor, data)
            self._bytes += written
            if written != len(data):
                raise OSError("a receipt was written in part")
            self._torn = False

    def _open_next(self) -> None:
        self.close()
        self._number += 1
        path = os.path.join(self._directory, f"{self._stem}-{self._number}.receipts")
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(path, flags, 0o640)
        self._bytes = os.fstat(self._descriptor).st_size
        self._torn = bool(self._bytes)

    def close(self) -> None:
        """Close the spool file; safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@dataclass(frozen=True, slots=True)
class Spooled:
    """Lines of one spool file that were read at once. ``end`` is the offset behind them."""

    spool: str
    entries: tuple[Entry, ...]
    end: int
    broken: int
    """Lines that are no receipts: torn by a crash or a full disk."""
    finished: bool
    """Everything is read and no more will come: the file may be deleted once this is kept."""


def read_spools(directory: str, offsets: dict[str, int]) -> Iterator[Spooled]:
    """What is new in the spools since ``offsets`` (spool -> bytes read); a MiB at a time.

    The caller notes ``end`` for each piece it has kept, and then deletes what is ``finished``.
    A last line without its end is left for later while its writer lives.
    """
    for name, grows in _spools(directory):
        offset = offsets.get(name, 0)
        while True:
            piece = _read_piece(directory, name, offset, grows=grows)
            if piece is None:
                break
            yield piece
            offset = piece.end
            if piece.finished:
                break


def spool_bytes(directory: str, offsets: dict[str, int]) -> int:
    """How much is not yet read."""
    waiting = 0
    for name, _ in _spools(directory):
        try:
            size = os.stat(os.path.join(directory, name)).st_size
        except OSError:
            continue
        waiting += max(0, size - offsets.get(name, 0))
    return waiting


def _spools(directory: str) -> list[tuple[str, bool]]:
    """The spool files, oldest first of each writer, and whether each may still grow."""
    found: list[tuple[int, int, int, str]] = []
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    for name in names:
        match = _NAME.fullmatch(name)
        if match is not None:
            found.append((int(match[1]), int(match[2]), int(match[3]), name))
    found.sort()
    newest = {(pid, started): number for pid, started, number, _ in found}
    return [
        (name, number == newest[pid, started] and process_start_time(pid) == started)
        for pid, started, number, name in found
    ]


def _read_piece(directory: str, name: str, offset: int, *, grows: bool) -> Spooled | None:
    try:
        with open(os.path.join(directory, name), "rb") as file:
            file.seek(offset)
            data = file.read(_READ_BYTES)
    except FileNotFoundError:
        return None
    if len(data) == _READ_BYTES or grows:
        data = data[: data.rfind(b"\n") + 1]
        if not data:
            return None
    entries: list[Entry] = []
    broken = 0
    for line in data.splitlines():
        if not line:
            continue
        entry = _parse(line)
        if entry is None:
            broken += 1
        else:
            entries.append(entry)
    finished = not grows and len(data) < _READ_BYTES
    return Spooled(name, tuple(entries), offset + len(data), broken, finished)


def _parse(line: bytes) -> Entry | None:
    try:
        fields = json.loads(line)
        version, path, instance, sop_class, study, series, syntax, size = fields[:8]
        calling, called, peer, association, listener, store, received_at, job, run = fields[8:17]
    except (ValueError, TypeError):
        return None
    if version != _VERSION:
        return None
    return Entry(
        path=path,
        sop_instance_uid=instance,
        sop_class_uid=sop_class,
        study_instance_uid=study,
        series_instance_uid=series,
        transfer_syntax_uid=syntax,
        bytes=size,
        calling_ae_title=calling,
        called_ae_title=called,
        peer=peer,
        association=association,
        listener=listener,
        store=store,
        received_at=received_at,
        job=job,
        run=run,
    )
