"""Room on the disk of a store. Asked by those who may wait for a disk, never by the supervisor."""

import os


def room_of(directory: str) -> tuple[int, int] | None:
    """Free and whole size in bytes of the disk that a folder is on; None when it isn't there."""
    if not directory:
        return None
    try:
        stat = os.statvfs(directory)
    except OSError:
        return None
    return stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize
