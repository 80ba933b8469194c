"""Folders held open: the output folder with its incoming one, subfolders, shared syncs.

Everything is opened relative to a descriptor, without following symbolic links below the output
folder. A descriptor is never trusted for long: before it is used the path is asked again, so that a
folder that was removed, replaced or mounted over is noticed and opened anew, and service returns by
itself. (A store that is not durable, where asking would be felt, asks every ``_TRUSTED_S``.) A
folder's descriptors close when the last delivery that uses them lets go.
"""

import errno
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from dicomd.storage.incoming import INCOMING

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_SUBFOLDERS_KEPT_OPEN = 64
_TRUSTED_S = 0.002


class FolderSync:
    """fsync of one folder, shared by all who wait for it at the same time (group commit).

    Who comes while a sync runs waits for the next one: only a sync that began after the rename
    covers it. One of the waiting threads leads. A failed sync fails everyone it was meant for.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = False
        self._started = 0
        self._done = 0
        self._failures: dict[int, OSError] = {}
        self.waiting = 0
        """Threads inside ``sync`` just now."""

    def sync(self, descriptor: int) -> None:
        """Return when a sync that began after this call has ended. OSError when it failed."""
        with self._changed:
            turn = self._started + 1
            self.waiting += 1
            while self._done < turn:
                if self._running:
                    self._changed.wait()
                else:
                    self._lead(descriptor)
            self.waiting -= 1
            failure = self._failures.get(turn)
        if failure is not None:
            raise OSError(failure.errno, failure.strerror)

    def _lead(self, descriptor: int) -> None:
        self._running = True
        self._started += 1
        turn = self._started
        self._changed.release()
        failure: OSError | None = None
        try:
            os.fsync(descriptor)
        except OSError as exc:
            failure = exc
        finally:
            self._changed.acquire()
            self._running = False
            self._done = turn
            if failure is not None:
                self._failures[turn] = failure
                for old in [key for key in self._failures if key < turn - 1000]:
                    del self._failures[old]
            self._changed.notify_all()


class Folder:
    """One open folder that objects are named in."""

    __slots__ = ("__weakref__", "descriptor", "identity", "syncs")

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        status = os.fstat(descriptor)
        self.identity = (status.st_dev, status.st_ino)
        self.syncs = FolderSync()

    def sync(self) -> None:
        """Make the names in it durable."""
        self.syncs.sync(self.descriptor)

    def __del__(self) -> None:
        os.close(self.descriptor)


class OutputFolder(Folder):
    """The store's folder as it was opened once, with its incoming folder and open subfolders."""

    __slots__ = ("_lock", "_subfolders", "incoming")

    def __init__(self, descriptor: int, mode: int) -> None:
        super().__init__(descriptor)
        self._lock = threading.Lock()
        self._subfolders: OrderedDict[tuple[str, ...], Folder] = OrderedDict()
        _make(INCOMING, descriptor, mode)
        self.incoming = Folder(os.open(INCOMING, _OPEN | os.O_NOFOLLOW, dir_fd=descriptor))

    def subfolder(self, parts: tuple[str, ...], *, mode: int, durable: bool) -> Folder:
        """Open a subfolder, made as needed; with ``durable`` its parents' entries are synced.

        OSError when a part is a symbolic link or no folder.
        """
        with self._lock:
            known = self._subfolders.get(parts)
            if known is not None and known.identity == _identity(parts, self.descriptor):
                self._subfolders.move_to_end(parts)
                return known
            folder = self._open_chain(parts, mode, durable)
            self._subfolders[parts] = folder
            if len(self._subfolders) > _SUBFOLDERS_KEPT_OPEN:
                self._subfolders.popitem(last=False)
            return folder

    def _open_chain(self, parts: tuple[str, ...], mode: int, durable: bool) -> Folder:
        parent: Folder = self
        for part in parts:
            _make(part, parent.descriptor, mode)
            child = Folder(os.open(part, _OPEN | os.O_NOFOLLOW, dir_fd=parent.descriptor))
            if durable:
                # Also for a folder that was there: a sibling may have made it a moment ago and
                # not yet synced its name.
                parent.sync()
            parent = child
        return parent


class Output:
    """A store's folder by its path: opened when first needed, and anew when it was replaced.

    Mutable: the folder as it is open now, and how long it is believed to be the right one. Used
    from the event loop and helper threads.
    """

    def __init__(
        self,
        path: str,
        *,
        create: bool,
        mode: int,
        durable: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._create = create
        self._mode = mode
        self._durable = durable
        self._lock = threading.Lock()
        self._clock = clock
        self._folder: OutputFolder | None = None
        self._trusted_until = float("-inf")

    def current(self) -> OutputFolder:
        """The folder that the path leads to. OSError when it leads nowhere."""
        folder = self._folder
        now = self._clock()
        if now < self._trusted_until and folder is not None:
            return folder
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            self._folder = None
            if not self._create:
                raise
            self._make_path()
            return self._open()
        if folder is not None and folder.identity == (status.st_dev, status.st_ino):
            if not self._durable:
                self._trusted_until = now + _TRUSTED_S
            return folder
        return self._open()

    def reopen(self) -> OutputFolder:
        """Open it anew, as when it or its incoming folder was taken away under us."""
        self._folder = None
        return self.current()

    def close(self) -> None:
        """Let go; deliveries under way keep theirs."""
        self._folder = None

    def _open(self) -> OutputFolder:
        with self._lock:
            descriptor = os.open(self.path, _OPEN)
            known, status = self._folder, os.fstat(descriptor)
            if known is not None and known.identity == (status.st_dev, status.st_ino):
                os.close(descriptor)  # Another thread was here first.
                return known
            try:
                self._folder = OutputFolder(descriptor, self._mode)
            except OSError:
                self._folder = None
                raise
            return self._folder

    def _make_path(self) -> None:
        missing: list[str] = []
        path = os.path.abspath(self.path)
        while not os.path.isdir(path):
            missing.append(path)
            path = os.path.dirname(path)
        for folder in reversed(missing):
            try:
                os.mkdir(folder, self._mode)
            except FileExistsError:
                continue
            if self._durable:
                parent = os.open(os.path.dirname(folder), _OPEN)
                try:
                    os.fsync(parent)
                finally:
                    os.close(parent)


def _make(name: str, parent: int, mode: int) -> None:
    """Make a folder unless it is there. The umask is the caller's: a mode of 0777 keeps it."""
    try:
        os.mkdir(name, mode, dir_fd=parent)
    except FileExistsError:
        return
    if mode != 0o777:
        os.chmod(name, mode, dir_fd=parent)


def _identity(parts: tuple[str, ...], parent: int) -> tuple[int, int] | None:
    try:
        status = os.stat("/".join(parts), dir_fd=parent, follow_symlinks=False)
    except OSError as exc:
        if exc.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise
    return status.st_dev, status.st_ino
