"""The state directory: made if it is missing, and locked for one instance."""

import fcntl
import os
import time

from dicomd.errors import StartError

_LOCK_FILE = "lock"
_MODE = 0o750
_RETRY_PAUSE_S = 0.05
FOLDERS = ("receipts",)


class StateDirectory:
    """The lock on it. Mutable. Children inherit the lock, so that a new instance waits until the
    last of a killed one is gone."""

    def __init__(self) -> None:
        self._descriptor = -1

    def open(
        self, path: str, *, owner: tuple[int, int] | None = None, patience_s: float = 0.0
    ) -> None:
        """Make the folder and what belongs in it, for ``owner`` (user and group id), and lock it.
        StartError when it can't be made, or when another instance has it."""
        try:
            for folder in (path, *(os.path.join(path, name) for name in FOLDERS)):
                if not os.path.isdir(folder):
                    os.mkdir(folder, _MODE)
                    if owner is not None:
                        os.chown(folder, *owner)
            name = os.path.join(path, _LOCK_FILE)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(name, flags, 0o640)
            if owner is not None:
                os.fchown(self._descriptor, *owner)
        except OSError as error:
            raise StartError(f"state_directory {path}: {error.strerror or error}") from error
        deadline = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    self.close()
                    raise StartError(
                        f"state_directory {path}: another dicomd uses it; give each instance its"
                        " own"
                    ) from error
                time.sleep(_RETRY_PAUSE_S)
            else:
                return

    def close(self) -> None:
        """Let go; safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
