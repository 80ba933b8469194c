"""A log file: whole lines appended, rotated by size or age, compressed, opened anew.

One process (the log writer), and in it one thread, writes a file, so rotation needs no lock and no
line is torn. A line that a full disk cut is ended as soon as there is room again: what was not
written waits here, and lines behind it are counted by the queue in front.
"""

import gzip
import os
import re
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from dicomd.settings.log import RotateSettings

FILE_MODE = 0o640
_RETRY_S = 60.0
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)")
_COPY_BYTES = 1 << 20


def open_for_append(path: str, *, truncate: bool = False, mode: int = FILE_MODE) -> int:
    """The file's descriptor, made if missing. OSError when it cannot be opened, or when it is a
    named pipe that nobody reads."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
    return os.open(path, flags | (os.O_TRUNC if truncate else 0), mode)


class LogFile:
    """An open log file. Mutable: descriptor, size, age, bytes that still have to be written."""

    def __init__(self, path: str, rotate: RotateSettings | None = None) -> None:
        self.path = path
        self._rotate = rotate
        self._names = threading.Lock()
        self._compressing: threading.Thread | None = None
        self._rotation_failed = 0.0
        self._pending = b""
        self.rotations = 0
        self.fd = open_for_append(path)
        self._measure()

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more fit before the file is rotated for its size."""
        limit = self._rotate.size if self._rotate else None
        return limit is None or self._size + len(self._pending) + size <= limit

    def write(self, lines: Sequence[bytes]) -> None:
        """Append whole lines, rotating between two when it is due. OSError when the disk is full
        or broken: then nothing is lost, ``resume`` goes on."""
        limit = self._rotate.size if self._rotate else None
        if limit is None:
            self._pending += b"".join(lines)
        else:
            size = self._size + len(self._pending)
            part: list[bytes] = []
            for index, line in enumerate(lines):
                if size and size + len(line) > limit:
                    self._pending += b"".join(part)
                    try:
                        self.resume()
                    except OSError:
                        self._pending += b"".join(lines[index:])
                        raise
                    part = []
                    self.rotate()
                    size = self._size
                part.append(line)
                size += len(line)
            self._pending += b"".join(part)
        self.resume()
        self.rotate_if_old()

    def resume(self) -> None:
        """Write what waits."""
        while self._pending:
            written = os.write(self.fd, self._pending)
            self._size += written
            self._pending = self._pending[written:]

    def reopen(self) -> None:
        """Open the path anew, then let the old file go. OSError: the old one stays."""
        fd = open_for_append(self.path)
        if not self._pending:
            os.close(self.fd)
        else:  # the rest of a cut line belongs to the old file
            old, pending, self._pending = self.fd, self._pending, b""
            try:
                os.write(old, pending)
            finally:
                os.close(old)
        self.fd = fd
        self._measure()

    def rotate_if_old(self) -> None:
        """Rotate when the file is older than ``age``."""
        age = self._rotate.age if self._rotate else None
        if age and self._size and time.time() - self._started >= age:
            self.rotate()

    def rotate(self) -> None:
        """``x.log`` becomes ``x.log.1`` and so on up to ``keep``. When a rename fails the file
        goes on as it is, and it is tried again a minute later."""
        if self._rotate is None or time.monotonic() < self._rotation_failed:
            return
        try:
            with self._names:
                self._shift(self._rotate.keep)
            self.reopen()
        except OSError:
            self._rotation_failed = time.monotonic() + _RETRY_S
            return
        self.rotations += 1
        if self._rotate.compress and not (self._compressing and self._compressing.is_alive()):
            self._compressing = threading.Thread(target=self._compress, daemon=True)
            self._compressing.start()

    def close(self) -> None:
        """Let go of the file."""
        if self._compressing:
            self._compressing.join(timeout=5)
        os.close(self.fd)

    def _measure(self) -> None:
        found = os.fstat(self.fd)
        self._size = found.st_size
        self._started = time.time()
        if self._size and self._rotate and self._rotate.age:
            self._started = _first_stamp(self.path) or found.st_mtime

    def _shift(self, keep: int) -> None:
        for suffix in ("", ".gz"):
            Path(f"{self.path}.{keep}{suffix}").unlink(missing_ok=True)
            for number in range(keep - 1, 0, -1):
                source = f"{self.path}.{number}{suffix}"
                if os.path.exists(source):
                    os.rename(source, f"{self.path}.{number + 1}{suffix}")
        os.rename(self.path, f"{self.path}.1")

    def _compress(self) -> None:
        """On its own thread: every rotated file that is still plain, the oldest first. A file
        may be renamed meanwhile; its inode says which it is."""
        assert self._rotate
        part = f"{self.path}.gz.part"
        while True:
            with self._names:
                plain = [
                    number
                    for number in range(self._rotate.keep, 0, -1)
                    if os.path.exists(f"{self.path}.{number}")
                ]
                if not plain:
                    return
                source = open(f"{self.path}.{plain[0]}", "rb")  # noqa: SIM115 - closed below
            try:
                with source, open(part, "wb") as raw, gzip.GzipFile("", "wb", 6, raw) as packed:
                    os.fchmod(raw.fileno(), FILE_MODE)
                    inode = os.fstat(source.fileno()).st_ino
                    shutil.copyfileobj(source, packed, _COPY_BYTES)
                with self._names:
                    for number in range(1, self._rotate.keep + 1):
                        name = f"{self.path}.{number}"
                        if os.path.exists(name) and os.stat(name).st_ino == inode:
                            os.rename(part, f"{name}.gz")
                            os.unlink(name)
                            break
                    else:
                        os.unlink(part)
            except OSError:
                return


def _first_stamp(path: str) -> float | None:
    """When the file's first line was written, by its own words."""
    import calendar

    try:
        with open(path, "rb") as file:
            found = _STAMP.search(file.read(200))
    except OSError:
        return None
    if not found:
        return None
    return float(calendar.timegm(time.strptime(found[1].decode(), "%Y-%m-%dT%H:%M:%S")))
