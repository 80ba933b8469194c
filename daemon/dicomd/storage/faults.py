"""What the system refuses -> what the peer hears, and one log record for as long as it lasts.

Resource troubles are A7xxH, so that senders try again later (PS3.4 B.2.3). A comment names no path
and no patient.
"""

import errno
import threading
import time
from collections.abc import Callable

import structlog

from dicomd.errors import StorageError

OUT_OF_RESOURCES = 0xA700
DATA_SET_MISMATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
DUPLICATE_WITH_OTHER_CONTENT = 0xC001
INVALID_OBJECT_INSTANCE = 0x0117

_COMMENTS = {
    errno.ENOSPC: "No space left for objects",
    errno.EDQUOT: "Disk quota used up",
    errno.EFBIG: "File size limit reached",
    errno.EIO: "Input/output error on the store",
    errno.EROFS: "The store is read-only",
    errno.EACCES: "No permission to write to the store",
    errno.EPERM: "No permission to write to the store",
    errno.ENOENT: "The store's folder is missing",
    errno.ENOTDIR: "The store's folder is missing",
    errno.EISDIR: "The object's name is taken by a folder",
    errno.ENOTEMPTY: "The object's name is taken by a folder",
    errno.EMFILE: "Too many open files",
    errno.ENFILE: "Too many open files",
    errno.ENOMEM: "Out of memory",
}
_OF_ONE_OBJECT = {errno.EISDIR, errno.ENOTEMPTY, errno.ENAMETOOLONG}
"""Errors that say something about one object's name, not about the store."""

_log = structlog.get_logger("dicomd.storage")


class StoreError(StorageError):
    """A StorageError that came from the system: the store as a whole may be failing."""

    def __init__(self, reason: str, comment: str, *, of_store: bool = True) -> None:
        self.reason = reason
        self.of_store = of_store
        super().__init__(comment, status=OUT_OF_RESOURCES, comment=comment)


def fault_of(error: OSError) -> StoreError:
    """The refusal that a failed system call means."""
    number = error.errno or 0
    return StoreError(
        errno.errorcode.get(number, str(number)),
        _COMMENTS.get(number, "The object could not be stored"),
        of_store=number not in _OF_ONE_OBJECT,
    )


class Condition:
    """Whether a store is failing: ``storage.failing`` once, ``storage.recovered`` once.

    Mutable; called from the event loop and helper threads of one process.
    """

    def __init__(self, directory: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._clock = clock
        self._lock = threading.Lock()
        self._since = 0.0
        self._refused = 0
        self.failing = False

    def failed(self, fault: StoreError) -> None:
        """An object was refused for the store's sake."""
        if not fault.of_store:
            return
        with self._lock:
            self._refused += 1
            if self.failing:
                return
            self.failing = True
            self._since = self._clock()
        _log.error(
            "storage.failing", path=self._directory, reason=fault.comment, error=fault.reason
        )

    def succeeded(self) -> None:
        """An object was stored. Call it only while ``failing``."""
        with self._lock:
            if not self.failing:
                return
            self.failing = False
            refused, self._refused = self._refused, 0
            seconds = self._clock() - self._since
        _log.info(
            "storage.recovered",
            path=self._directory,
            objects=refused,
            seconds=round(seconds, 3),
        )
