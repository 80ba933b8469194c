"""A finished temporary file gets its final name, by the duplicates policy, durably.

A name that may replace what is there is given with renameat2, which says whether it does, and then
with rename; one that may not, with link and unlink, or renameat2 where the file system knows no
links. The folder is synced behind it.
"""

import contextlib
import errno
import os
from typing import NamedTuple

from dicomd.errors import StorageError
from dicomd.settings.storage import StoreSettings
from dicomd.storage.contents import same_content
from dicomd.storage.faults import DUPLICATE_WITH_OTHER_CONTENT
from dicomd.storage.folders import Folder, Output, OutputFolder
from dicomd.storage.naming import GeneratedNaming, Naming, Values
from dicomd.storage.renaming import NOT_OFFERED, rename_new
from dicomd.storage.sink import Instance

_TRIES = 1024
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


class Placed(NamedTuple):
    """Where an object lies, and how it came there: a ``Receipt.outcome``."""

    path: str
    outcome: str
    bytes: int | None = None
    """Size of the file that was kept instead of the new one."""


class Temporary(NamedTuple):
    """A temporary file, whole and closed. ``header_bytes`` of it come before the data set."""

    folder: OutputFolder
    name: str
    header_bytes: int


class Placing:
    """The last steps of a commit, for one store. Mutable: what the file system cannot do."""

    def __init__(
        self,
        settings: StoreSettings,
        *,
        output: Output,
        naming: Naming,
        folder_mode: int,
    ) -> None:
        self._output = output
        self._naming = naming
        self._folder_mode = folder_mode
        self._durable = settings.durability == "object"
        self._duplicates = settings.duplicates
        self._extension = settings.extension
        self._asks_first = False
        """The file system has no renameat2: whether a name is taken is looked up."""
        self._directory = settings.directory.rstrip("/")
        if not self._directory:
            self._directory = "/" if settings.directory.startswith("/") else "."

    def place(
        self, temporary: Temporary, instance: Instance, values: Values, parts: tuple[str, ...]
    ) -> Placed:
        """Name it. When this returns, ``temporary.name`` is gone. OSError, StorageError."""
        root = temporary.folder
        current = self._output.current()
        if current is not root and current.identity != root.identity:
            raise OSError(errno.ENOENT, "the folder was replaced")
        target: Folder = root
        if parts:
            target = root.subfolder(parts, mode=self._folder_mode, durable=self._durable)
        name = self._naming.name(instance, values)
        if self._duplicates == "overwrite" and not self._naming.generated:
            name += self._extension
            replaces = self._replace(root.incoming.descriptor, temporary.name, target, name)
            if self._durable:
                self._sync(target, name, removable=not replaces)
            return Placed(self._path(parts, name), "overwritten" if replaces else "stored")
        return self._place_beside(temporary, target, name, instance, values, parts)

    def _replace(self, source: int, name: str, target: Folder, new_name: str) -> bool:
        """Move the file to its name; returns whether another had it, which is gone. OSError."""
        descriptor = target.descriptor
        if not self._asks_first:
            try:
                if rename_new(source, name, descriptor, new_name):
                    return False
            except OSError as exc:
                if exc.errno not in NOT_OFFERED:
                    raise
                self._asks_first = True
        taken = os.access(new_name, os.F_OK, dir_fd=descriptor, follow_symlinks=False)
        os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=descriptor)
        return taken

    def _place_beside(
        self,
        temporary: Temporary,
        target: Folder,
        stem: str,
        instance: Instance,
        values: Values,
        parts: tuple[str, ...],
    ) -> Placed:
        """Give it a name that nothing has yet, or find that the content is there already."""
        made_up = isinstance(self._naming, GeneratedNaming)
        candidate = stem
        for attempt in range(2, _TRIES + 2):
            name = candidate + self._extension
            if _name_new(temporary, name, target.descriptor):
                self._sync(target, name, removable=True)
                return Placed(self._path(parts, name), "stored")
            if made_up:
                candidate = self._naming.name(instance, values)
                continue
            size = self._known(temporary, name, target)
            if size is not None:
                os.unlink(temporary.name, dir_fd=temporary.folder.incoming.descriptor)
                return Placed(self._path(parts, name), "kept", size)
            if self._duplicates == "keep-first" and not self._naming.generated:
                raise StorageError(
                    "the instance is stored already, with other content",
                    status=DUPLICATE_WITH_OTHER_CONTENT,
                    comment="Stored already with other content",
                )
            candidate = f"{stem}_{attempt}"
        raise OSError(errno.EEXIST, "no free name")

    def _known(self, temporary: Temporary, name: str, target: Folder) -> int | None:
        """The size of a file of that name when it holds the same content, durably; else None."""
        with contextlib.ExitStack() as opened:
            try:
                descriptor = os.open(name, _READ, dir_fd=target.descriptor)
            except OSError:
                return None
            opened.callback(os.close, descriptor)
            incoming = temporary.folder.incoming.descriptor
            ours = os.open(temporary.name, _READ, dir_fd=incoming)
            opened.callback(os.close, ours)
            if not same_content(ours, temporary.header_bytes, descriptor):
                return None
            if self._durable:
                os.fdatasync(descriptor)
                target.sync()
            return os.fstat(descriptor).st_size

    def _sync(self, target: Folder, name: str, *, removable: bool) -> None:
        if not self._durable:
            return
        try:
            target.sync()
        except OSError:
            # Not durable, so not answered with Success: nothing new may stay under the name.
            if removable:
                os.unlink(name, dir_fd=target.descriptor)
            raise

    def _path(self, parts: tuple[str, ...], name: str) -> str:
        directory = self._directory
        if parts:
            name = "/".join((*parts, name))
        return f"{directory}/{name}" if directory != "/" else f"/{name}"


def _name_new(temporary: Temporary, name: str, target: int) -> bool:
    """Move the file to a name that nothing has; False when something has it. OSError."""
    incoming = temporary.folder.incoming.descriptor
    try:
        os.link(temporary.name, name, src_dir_fd=incoming, dst_dir_fd=target, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as exc:
        if exc.errno not in _NO_LINKS:
            raise
        return rename_new(incoming, temporary.name, target, name)
    os.unlink(temporary.name, dir_fd=incoming)
    return True
