"""renameat2(2), which Python does not offer: a name that must be new is given in one call.

It says whether the name was taken, atomically and for the price of a rename. File systems without
it (NFS for one) answer EINVAL, kernels and systems without it ENOSYS.
"""

import ctypes
import errno
import os
from collections.abc import Callable
from functools import cache

NOT_OFFERED = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
_RENAME_NOREPLACE = 1  # linux/fs.h


def rename_new(source: int, name: str, target: int, new_name: str) -> bool:
    """Move ``name`` in the open folder ``source`` to ``new_name`` in ``target``, unless something
    has that name: then False. OSError; one of ``NOT_OFFERED`` where the system cannot do it."""
    call = _renameat2()
    if not call(source, os.fsencode(name), target, os.fsencode(new_name), _RENAME_NOREPLACE):
        return True
    number = ctypes.get_errno()
    if number == errno.EEXIST:
        return False
    raise OSError(number, os.strerror(number))


@cache
def _renameat2() -> Callable[[int, bytes, int, bytes, int], int]:
    found = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if found is None:
        return _missing
    found.argtypes = (
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_uint,
    )
    found.restype = ctypes.c_int
    renameat2: Callable[[int, bytes, int, bytes, int], int] = found
    return renameat2


def _missing(*_: object) -> int:
    ctypes.set_errno(errno.ENOSYS)
    return -1
