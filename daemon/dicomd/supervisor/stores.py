"""The stores' folders: locked for this instance, swept of what was never acknowledged."""

import re
import time
from collections.abc import Iterable

import structlog

from dicomd.errors import StartError
from dicomd.settings.daemon import DaemonSettings
from dicomd.settings.storage import StoreSettings
from dicomd.storage.incoming import DirectoryLock, lock_directory, sweep

log = structlog.get_logger("dicomd.supervisor")

_RETRY_PAUSE_S = 0.05
_KEYWORD = re.compile(r"\{(\w+)")


class Stores:
    """Locks by folder. Mutable. Children inherit the lock of their own store: a supervisor that
    is killed leaves it held until its workers are gone too."""

    def __init__(self) -> None:
        self._locks: dict[str, DirectoryLock] = {}

    def lock(self, settings: DaemonSettings, *, patience_s: float = 0.0) -> list[str]:
        """Lock and sweep the folders that aren't locked yet; their paths. StartError when another
        instance has one, and then none of them stays locked.

        With a state directory the folders are this instance's alone. Without one (``recv``,
        ``move``) several may share a folder, as with the tools that they replace.
        """
        locked: list[str] = []
        shared = not settings.state_directory
        try:
            for store in used_stores(settings):
                directory = store.directory
                if directory in self._locks or store.mode == "ignore" or not directory:
                    continue
                lock = _lock(directory, shared=shared, patience_s=patience_s)
                if lock is None:
                    continue
                self._locks[directory] = lock
                locked.append(directory)
                _sweep(directory, dead_only=shared)
        except BaseException:
            self.release(locked)
            raise
        return locked

    def keep(self, settings: DaemonSettings, in_use: set[str]) -> None:
        """Let go of the folders that nobody uses any more."""
        wanted = {store.directory for store in used_stores(settings)} | in_use
        self.release([directory for directory in self._locks if directory not in wanted])

    def release(self, directories: Iterable[str]) -> None:
        """Let go of some."""
        for directory in directories:
            lock = self._locks.pop(directory, None)
            if lock is not None:
                lock.close()

    def keep_in_child(self, directory: str) -> None:
        """In a child: let go of all locks but its own store's."""
        self.release([other for other in self._locks if other != directory])

    def sweep_after(self, directory: str, pid: int, start_time: int) -> None:
        """Delete what a worker that is gone left behind; its siblings' files aren't touched."""
        if directory in self._locks:
            _sweep(directory, pid=pid, start_time=start_time)

    def close(self) -> None:
        """Let go of everything."""
        self.release(list(self._locks))


def used_stores(settings: DaemonSettings) -> list[StoreSettings]:
    """The stores that some listener fills."""
    names = {listener.store for listener in settings.listeners.values()}
    if "" in names and len(settings.stores) == 1:
        return list(settings.stores.values())
    return [store for name, store in settings.stores.items() if name in names]


def private_directories(settings: DaemonSettings) -> tuple[str, ...]:
    """Folders of stores whose file names hold more of a data set than UIDs: the log must not show
    them."""
    return tuple(
        store.directory
        for store in used_stores(settings)
        if any(
            not keyword.endswith("UID")
            for keyword in _KEYWORD.findall(f"{store.subdirectories} {store.filenames}")
        )
    )


def _lock(directory: str, *, shared: bool, patience_s: float) -> DirectoryLock | None:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return lock_directory(directory, shared=shared)
        except StartError:
            if shared:
                # A drop-in takes the folder as it is; faults show when an object is kept.
                return None
            if time.monotonic() >= deadline:
                raise
        time.sleep(_RETRY_PAUSE_S)


def _sweep(
    directory: str,
    *,
    pid: int | None = None,
    start_time: int | None = None,
    dead_only: bool = False,
) -> None:
    try:
        files, size = sweep(directory, pid=pid, start_time=start_time, dead_only=dead_only)
    except StartError:
        if pid is None:
            raise
        return
    if files:
        log.warning("store.swept", path=directory, files=files, bytes=size)
