"""The folder of objects under way: names, the lock of an instance, the sweep of leftovers.

Temporary files lie in ``<directory>/.incoming``, so that a rename onto the final name stays within
one file system. Their names carry the process id and start time of the worker that writes them:
what a dead worker leaves behind can be told from its siblings' files.
"""

import errno
import fcntl
import os
import re
import secrets
from types import TracebackType

from dicomd.errors import StartError

INCOMING = ".incoming"
_LOCK_FILE = ".lock"
_NAME = re.compile(r"dicomd-(\d+)-(\d+)-[0-9a-f]+-[0-9a-f]+\.part")
_NOT_LOCKABLE = {errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL}


def process_start_time(pid: int) -> int:
    """When a process started, in clock ticks since boot (proc(5), stat, field 22); 0 when it is
    gone or the system does not say."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def name_prefix() -> str:
    """The start of this process's temporary names; a counter and ``.part`` follow."""
    pid = os.getpid()
    return f"dicomd-{pid}-{process_start_time(pid)}-{secrets.token_hex(6)}"


class DirectoryLock:
    """The lock of one instance of the daemon on a folder; children inherit it at the fork.

    Released when ``close`` has been called, or its holder and all who inherited it are gone.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def close(self) -> None:
        """Let go; safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> "DirectoryLock":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def lock_directory(path: str, *, shared: bool = False) -> DirectoryLock:
    """Lock a folder for this instance. StartError when another instance has it.

    ``shared`` lets several instances in, as dcmrecv does, but none beside an exclusive one; with
    it, only sweep files of processes that are gone (``sweep(path, dead_only=True)``).
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as exc:
        raise StartError(f"{path}: cannot open the store's folder: {exc.strerror}") from exc
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(descriptor)
        if exc.errno in _NOT_LOCKABLE:  # NFS wants a file that is open for writing
            return _lock_file(path, kind)
        raise _refusal(path, exc) from exc
    return DirectoryLock(descriptor)


def _lock_file(path: str, kind: int) -> DirectoryLock:
    folder = os.path.join(path, INCOMING)
    descriptor = -1
    try:
        if not os.path.isdir(folder):
            os.mkdir(folder, 0o750)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(os.path.join(folder, _LOCK_FILE), flags, 0o640)
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as exc:
        if descriptor >= 0:
            os.close(descriptor)
        raise _refusal(path, exc) from exc
    return DirectoryLock(descriptor)


def _refusal(path: str, error: OSError) -> StartError:
    if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
        return StartError(
            f"{path}: another instance stores objects here; give each instance its own folder"
        )
    return StartError(f"{path}: cannot lock the store's folder: {error.strerror}")


def sweep(
    path: str, *, pid: int | None = None, start_time: int | None = None, dead_only: bool = False
) -> tuple[int, int]:
    """Delete leftovers of objects that were never acknowledged; (files, bytes) deleted.

    Hold the folder's lock. With ``pid`` (and ``start_time``) only the files of that worker, after
    it was reaped; with ``dead_only`` only those whose process is gone. A folder that is missing
    has no leftovers; one that cannot be read raises StartError.
    """
    try:
        folder = os.open(
            os.path.join(path, INCOMING),
            os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC,
        )
    except FileNotFoundError:
        return 0, 0
    except OSError as exc:
        raise StartError(f"{path}/{INCOMING}: cannot be swept: {exc.strerror}") from exc
    files = size = 0
    try:
        for name in os.listdir(folder):
            match = _NAME.fullmatch(name)
            if match is None:
                continue
            owner, started = int(match[1]), int(match[2])
            if pid is not None and (owner != pid or (start_time or started) != started):
                continue
            if dead_only and process_start_time(owner) == started:
                continue
            try:
                length = os.stat(name, dir_fd=folder, follow_symlinks=False).st_size
                os.unlink(name, dir_fd=folder)
            except OSError:
                continue
            files += 1
            size += length
    finally:
        os.close(folder)
    return files, size


def remove_if_empty(path: str) -> None:
    """Take the folder of objects under way away when nothing is in it."""
    try:
        os.rmdir(os.path.join(path, INCOMING))
    except OSError:
        return
