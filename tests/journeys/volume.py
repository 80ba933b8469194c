"""A small ext4 file system in a file, mounted through a loop device; needs root."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Volume:
    """An image and the place it is mounted at."""

    def __init__(self, folder: Path, *, mebibytes: int) -> None:
        self.image = folder / "volume.img"
        self.path = folder / "volume"
        self.path.mkdir()
        with self.image.open("wb") as file:
            file.truncate(mebibytes << 20)
        run("/sbin/mkfs.ext4", "-q", "-F", str(self.image))

    def mount(self) -> None:
        """Mount it."""
        run("/bin/mount", "-o", "loop", str(self.image), str(self.path))

    def remount(self, options: str) -> None:
        """Mount it otherwise, under whoever uses it."""
        run("/bin/mount", "-o", f"remount,{options}", str(self.path))

    def unmount(self) -> None:
        """Take it away, even from under those who use it."""
        run("/bin/umount", "-l", str(self.path))

    @contextmanager
    def after_a_power_cut(self, place: Path) -> Iterator[Path]:
        """What a machine finds that lost its power at this moment: the image as it is, copied,
        checked and mounted elsewhere."""
        place.mkdir()
        copy = place / "copy.img"
        shutil.copyfile(self.image, copy)
        # 1: errors were corrected, the journal's replay among them.
        run("/sbin/e2fsck", "-p", "-f", str(copy), good=(0, 1))
        there = place / "there"
        there.mkdir()
        run("/bin/mount", "-o", "loop", str(copy), str(there))
        try:
            yield there
        finally:
            run("/bin/umount", str(there))
            copy.unlink()


def run(*arguments: str, good: tuple[int, ...] = (0,)) -> None:
    """Run a tool of the system; AssertionError with its words when it fails."""
    result = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert result.returncode in good, result.stdout + result.stderr


@contextmanager
def volume(folder: Path, *, mebibytes: int = 16) -> Iterator[Volume]:
    """A mounted file system, gone afterwards."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    made = Volume(folder, mebibytes=mebibytes)
    made.mount()
    try:
        yield made
    finally:
        if os.path.ismount(made.path):
            made.unmount()
