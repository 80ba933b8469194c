"""Whether two files hold the same data set, whoever sent them."""

import os
import stat

from dicomd.storage.part10 import META_LIMIT_BYTES, parse_meta

_CHUNK_BYTES = 1 << 20


def same_content(descriptor: int, header_bytes: int, other: int) -> bool:
    """Compare the data set behind a header with another file's, transfer syntax included.

    The headers themselves may differ: they name who sent the object and who wrote it.
    """
    status = os.fstat(other)
    if not stat.S_ISREG(status.st_mode):
        return False
    other_bytes = 0
    if header_bytes:
        ours = parse_meta(os.pread(descriptor, header_bytes, 0))
        theirs = parse_meta(os.pread(other, META_LIMIT_BYTES, 0))
        if ours is None or theirs is None:
            return False
        if ours.transfer_syntax_uid != theirs.transfer_syntax_uid:
            return False
        other_bytes = theirs.header_bytes
    size = os.fstat(descriptor).st_size - header_bytes
    if status.st_size - other_bytes != size:
        return False
    position = 0
    while position < size:
        mine = os.pread(descriptor, min(_CHUNK_BYTES, size - position), header_bytes + position)
        if not mine or mine != os.pread(other, len(mine), other_bytes + position):
            return False
        position += len(mine)
    return True
