"""DirectorySink: each object a file. incoming -> checks -> fsync -> name -> rename -> folder fsync.

The rules of this file:

- A temporary file lies in the incoming folder of the very folder that the object is named in, is
  made with O_EXCL and O_NOFOLLOW, and is named by us, never by a peer.
- Success is what ``commit`` returns, and it returns only when the final name holds the whole
  object, synced as ``durability`` says. Every result of write, fsync, close and rename counts.
- A failed fsync is final for that file: it is thrown away, never synced again.
- Whatever fails, the temporary file is gone when the StorageError leaves here.
- Nothing is remembered of a failure except that it was logged: the next object tries anew.

``write`` and ``discard`` are called on the event loop, ``commit`` there or on a helper thread, but
for one delivery never two at a time.
"""

import contextlib
import errno
import itertools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from dicomd.errors import StorageError
from dicomd.settings.storage import RewriteSettings, StoreSettings
from dicomd.storage import rewriting
from dicomd.storage.dataset_file import DatasetReader
from dicomd.storage.dataset_head import DatasetHead
from dicomd.storage.elements import ElementWalker
from dicomd.storage.faults import OUT_OF_RESOURCES, Condition, StoreError, fault_of
from dicomd.storage.folders import Output, OutputFolder
from dicomd.storage.incoming import name_prefix, remove_if_empty
from dicomd.storage.inspection import Inspector
from dicomd.storage.naming import naming_of, subfolders_of, unique_uid
from dicomd.storage.part10 import (
    DCMTK_GENERIC_SOP_CLASS_UID,
    Implementation,
    MetaHeader,
    writer_of,
)
from dicomd.storage.placing import Placed, Placing, Temporary
from dicomd.storage.sink import Delivery, Instance, Receipt
from dicomd.storage.space import FreeSpace
from dicomd.storage.verdicts import (
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    Checks,
    Rules,
    text_of,
)

_CREATE = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_SPANS = 1000  # IOV_MAX is 1024 on Linux
_HEADERS_KEPT = 512
_MUCH_BYTES = 1 << 20


class DirectorySink:
    """Keeps objects as files under one folder. Mutable: serial number, cached meta headers."""

    def __init__(
        self,
        settings: StoreSettings,
        *,
        checks: Checks,
        implementation: Implementation,
        max_object_bytes: int | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.blocking = settings.durability == "object"
        self.durable = self.blocking
        bit_preserving = settings.mode == "bit-preserving"
        self.rules = Rules(checks, implementation, bit_preserving, settings.abort_unparsable)
        self._is_strict = checks == "strict"
        self.never_waits = (
            bit_preserving and not self.blocking and settings.duplicates == "overwrite"
        )
        self.naming = naming_of(settings, implementation)
        self.subfolders = subfolders_of(settings, implementation)
        mode = settings.file_mode
        self.file_mode = 0o666 if mode is None else mode
        self.folder_mode = 0o777 if mode is None else _with_search(mode)
        self.fix_mode = mode is not None and bool(mode & _umask())
        self.max_object_bytes = max_object_bytes
        self.output = Output(
            settings.directory,
            create=settings.create_directory,
            mode=self.folder_mode,
            durable=self.durable,
            clock=clock,
        )
        self.placing = Placing(
            settings, output=self.output, naming=self.naming, folder_mode=self.folder_mode
        )
        self.inspector = Inspector(
            settings,
            checks=checks,
            implementation=implementation,
            tags=self.naming.tags | self.subfolders.tags,
        )
        self.space = FreeSpace(settings.min_free_space, clock)
        self.condition = Condition(settings.directory, clock)
        self._writer = writer_of(implementation, bit_preserving=bit_preserving)
        self._prefix = name_prefix()
        self._serial = itertools.count(1)
        self._headers: dict[tuple[str, str, str], MetaHeader] = {}

    def begin(self, instance: Instance) -> Delivery:
        """Open a temporary file. StorageError when there is no room, no folder or no valid UID."""
        if self._is_strict:
            self.rules.check_command(instance)
        try:
            folder = self.output.current()
            self.space.check(folder.descriptor)
            try:
                name, descriptor = self.temporary(folder)
            except FileNotFoundError:  # it or its incoming folder was taken away
                folder = self.output.reopen()
                name, descriptor = self.temporary(folder)
        except OSError as exc:
            raise self.failed(exc) from exc
        except StoreError as exc:
            self.condition.failed(exc)
            raise
        return DirectoryDelivery(self, instance, folder, name, descriptor)

    def temporary(self, folder: OutputFolder) -> tuple[str, int]:
        """A new temporary file in the incoming folder: its name and descriptor. OSError."""
        name = f"{self._prefix}-{next(self._serial):x}.part"
        descriptor = os.open(name, _CREATE, self.file_mode, dir_fd=folder.incoming.descriptor)
        if self.fix_mode:
            os.fchmod(descriptor, self.file_mode)
        return name, descriptor

    def failed(self, error: OSError) -> StoreError:
        """Note a failure of the system; returns what to raise."""
        fault = fault_of(error)
        self.space.forget()
        self.condition.failed(fault)
        return fault

    def header(
        self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, caller: str
    ) -> bytes:
        """Preamble and meta header; empty when the store keeps bare data sets."""
        if not self.settings.meta_header:
            return b""
        key = (sop_class_uid, transfer_syntax_uid, caller)
        known = self._headers.get(key)
        if known is None:
            if len(self._headers) >= _HEADERS_KEPT:
                self._headers.clear()
            known = self._headers[key] = MetaHeader(self._writer, *key)
        return known.encode(sop_instance_uid)

    def header_of_dataset(
        self, instance: Instance, values: Mapping[int, bytes], transfer_syntax_uid: str
    ) -> bytes:
        """The header of normal mode: it names the data set's UIDs, the command's where those are
        missing. dcmrecv names a class of its own and a new instance then."""
        sop_class = text_of(values, SOP_CLASS_UID)
        sop_instance = text_of(values, SOP_INSTANCE_UID)
        if self.rules.implementation != "dicomd":
            sop_class = sop_class or DCMTK_GENERIC_SOP_CLASS_UID
            sop_instance = sop_instance or unique_uid(next(self._serial))
        return self.header(
            sop_class or instance.sop_class_uid,
            sop_instance or instance.sop_instance_uid,
            transfer_syntax_uid,
            instance.calling_ae_title,
        )

    def close(self) -> None:
        """Let go of the folder; an incoming folder that is empty is removed."""
        self.output.close()
        remove_if_empty(self.settings.directory)


class DirectoryDelivery:
    """One temporary file on its way to its name. Mutable: what was written so far."""

    __slots__ = (
        "_descriptor",
        "_folder",
        "_header",
        "_inspection",
        "_instance",
        "_name",
        "_sink",
        "_written",
    )

    def __init__(
        self,
        sink: DirectorySink,
        instance: Instance,
        folder: OutputFolder,
        name: str,
        descriptor: int,
    ) -> None:
        self._sink = sink
        self._instance = instance
        self._folder = folder
        self._name = name
        self._descriptor = descriptor
        self._inspection = sink.inspector.begin(instance)
        self._written = 0
        self._header = sink.header(
            instance.sop_class_uid,
            instance.sop_instance_uid,
            instance.transfer_syntax_uid,
            instance.calling_ae_title,
        )

    @property
    def blocking(self) -> bool:
        """Whether ``commit`` syncs, rewrites, or may have much to compare."""
        sink = self._sink
        if sink.never_waits:
            return False
        if sink.blocking:
            return True
        may_copy = not sink.rules.bit_preserving or sink.settings.duplicates != "overwrite"
        return self._may_rewrite() or (may_copy and self._written > _MUCH_BYTES)

    def _may_rewrite(self) -> bool:
        """Whether the data set is not as the settings want it, or has to be inflated to know."""
        settings = self._sink.settings.rewrite
        if settings is None:
            return False
        if not isinstance(self._inspection, ElementWalker):
            return self._inspection is not None
        return rewriting.is_wanted(
            settings, self._instance.transfer_syntax_uid, self._inspection.seen
        )

    def write(self, spans: Sequence[memoryview]) -> None:
        """Write the spans behind what is there, the meta header first."""
        inspection = self._inspection
        if inspection is not None:
            for span in spans:
                if inspection.done:
                    break
                inspection.feed(span)
        self._write(spans)

    def _write(self, spans: Sequence[memoryview | bytes]) -> None:
        length = 0
        for span in spans:
            length += len(span)
        if not self._written:
            spans = (self._header, *spans)
            length += len(self._header)
        self._written += length
        limit = self._sink.max_object_bytes
        if limit is not None and self._written - len(self._header) > limit:
            self.discard()
            raise StorageError(
                "larger than the object size limit",
                status=OUT_OF_RESOURCES,
                comment="Object larger than the limit",
            )
        try:
            if len(spans) > _MAX_SPANS or os.writev(self._descriptor, spans) != length:
                self._write_the_long_way(spans, length)
        except OSError as exc:
            self.discard()
            raise self._sink.failed(exc) from exc

    def _write_the_long_way(self, spans: Sequence[memoryview | bytes], length: int) -> None:
        """After a short write, or with more spans than one call takes."""
        position = self._written - length
        os.lseek(self._descriptor, position, os.SEEK_SET)
        for start in range(0, len(spans), _MAX_SPANS):
            rest = [memoryview(span) for span in spans[start : start + _MAX_SPANS]]
            while rest:
                done = os.writev(self._descriptor, rest)
                while rest and done >= len(rest[0]):
                    done -= len(rest[0])
                    rest.pop(0)
                if rest and done:
                    rest[0] = rest[0][done:]

    def commit(self) -> Receipt:
        """Check, rewrite where asked, sync, name, sync. What fails leaves nothing behind."""
        try:
            return self._commit()
        except OSError as exc:
            raise self._sink.failed(exc) from exc
        except rewriting.UnsoundError as exc:
            raise self._sink.rules.unparsable(str(exc)) from exc
        finally:
            if self._name or self._descriptor >= 0:
                self.discard()

    def _commit(self) -> Receipt:
        sink = self._sink
        instance = self._instance
        if self._written <= len(self._header):
            sink.rules.check_not_empty(self._written - len(self._header) if self._written else 0)
            if not self._written:
                self._write(())
        values: dict[int, bytes] = {}
        warnings: tuple[str, ...] = ()
        inspection = self._inspection
        if inspection is not None:
            inspection.finish()
            values = inspection.values
            trailing = inspection.trailing_bytes if isinstance(inspection, ElementWalker) else 0
            warnings = sink.rules.check_sound(inspection.fault, trailing)
            warnings += sink.rules.check_uids(instance, values)
            if not sink.rules.bit_preserving and (warnings or self._may_rewrite()):
                self._rewrite(inspection, values, trailing)
        parts: tuple[str, ...] = ()
        if sink.subfolders.kind != "none":
            parts = sink.subfolders.parts(instance, values, datetime.now().astimezone().date())
        if sink.durable:
            os.fdatasync(self._descriptor)
        # Some file systems report a failed write only here: so before the name, not after.
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)
        placed = sink.placing.place(
            Temporary(self._folder, self._name, len(self._header)), instance, values, parts
        )
        self._name = ""
        if sink.condition.failing:
            sink.condition.succeeded()
        return self._receipt(placed, values, warnings)

    def _rewrite(
        self,
        inspection: ElementWalker | DatasetHead,
        values: Mapping[int, bytes],
        trailing_bytes: int,
    ) -> None:
        """Normal mode: make the file what it should be, where what was received is not."""
        sink, instance = self._sink, self._instance
        settings = sink.settings.rewrite
        received = instance.transfer_syntax_uid
        start = len(self._header)
        size = self._written - start
        if settings is not None:
            size -= trailing_bytes
        reader = DatasetReader(self._descriptor, start, size)
        seen = inspection.seen if isinstance(inspection, ElementWalker) else 0
        target = received
        wanted = False
        with contextlib.ExitStack() as scratch:
            if settings is not None:
                target = rewriting.target_syntax(settings, received)
                if isinstance(inspection, DatasetHead):
                    descriptor = rewriting.scratch_file(self._folder.incoming.descriptor)
                    scratch.callback(os.close, descriptor)
                    plain = rewriting.inflated(reader, descriptor, received, sink.max_object_bytes)
                    seen = plain.seen
                    wanted = rewriting.is_wanted(settings, received, seen)
                    reader = plain.reader if wanted else reader
                else:
                    wanted = rewriting.is_wanted(settings, received, seen) or bool(trailing_bytes)
            header = sink.header_of_dataset(instance, values, target)
            if not wanted and header == self._header:
                return
            if not wanted and len(header) == start:
                if os.pwrite(self._descriptor, header, 0) != start:
                    raise OSError(errno.EIO, "short write")
                self._header = header
                return
            self._replace(reader, header, settings if wanted else None, received, seen)

    def _replace(
        self,
        reader: DatasetReader,
        header: bytes,
        settings: RewriteSettings | None,
        received: str,
        seen: int,
    ) -> None:
        """Write a second temporary file and let go of the first."""
        old = (self._name, self._descriptor)
        name, descriptor = self._sink.temporary(self._folder)
        try:
            if settings is None:
                size = rewriting.copy(reader, descriptor, header)
            else:
                size = rewriting.rewrite(reader, descriptor, header, settings, received, seen=seen)
        except BaseException:
            self._forget(name, descriptor)
            raise
        self._forget(*old)
        self._name, self._descriptor = name, descriptor
        self._header = header
        self._written = size

    def _receipt(
        self, placed: Placed, values: dict[int, bytes], warnings: tuple[str, ...]
    ) -> Receipt:
        path, outcome, kept_bytes = placed
        return Receipt(
            self._instance,
            path,
            self._written if kept_bytes is None else kept_bytes,
            text_of(values, STUDY_INSTANCE_UID) if values else "",
            text_of(values, SERIES_INSTANCE_UID) if values else "",
            outcome,
            warnings,
        )

    def discard(self) -> None:
        """Close and unlink what is left of the temporary file."""
        descriptor, self._descriptor = self._descriptor, -1
        name, self._name = self._name, ""
        self._forget(name, descriptor)

    def _forget(self, name: str, descriptor: int) -> None:
        if descriptor >= 0:
            # The file is thrown away, whatever became of its last bytes.
            with contextlib.suppress(OSError):
                os.close(descriptor)
        if name:
            # What cannot be unlinked is swept at the next start.
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self._folder.incoming.descriptor)


def _with_search(mode: int) -> int:
    """A folder's mode for a file's: who may read may search."""
    return mode | (mode & 0o444) >> 2 | 0o700


def _umask() -> int:
    """The process's umask, read without setting it where the system allows."""
    try:
        with open("/proc/self/status", "rb") as file:
            for line in file:
                if line.startswith(b"Umask:"):
                    return int(line.split()[1], 8)
    except OSError:
        pass
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
