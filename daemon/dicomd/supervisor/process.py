"""What a process asks of the kernel about itself: its name, its end, its limits, its user."""

import ctypes
import gc
import grp
import os
import pwd
import resource
import signal
from contextlib import suppress
from pathlib import Path

from dicomd.errors import StartError

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_NAME_BYTES = 15
IGNORED_IN_CHILDREN = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGPIPE,
    signal.SIGXFSZ,
)
"""The supervisor gives the orders; a broken pipe or a file-size limit is an error of the call."""

_libc = ctypes.CDLL(None, use_errno=True)


def become_child(name: str, parent: int) -> None:
    """What a process does first after the fork: no handlers, an end with its parent, a name."""
    signal.set_wakeup_fd(-1)
    for number in IGNORED_IN_CHILDREN:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        # The parent went before the kernel knew that we want to go with it.
        os._exit(0)
    _libc.prctl(_PR_SET_NAME, name.encode()[:_NAME_BYTES], 0, 0, 0)
    os.environ.pop("NOTIFY_SOCKET", None)


def start_time(pid: int) -> int:
    """When a process began, in clock ticks since boot; with the pid it names a process for good.
    0 when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    # The second field is the name in parentheses and may hold anything; field 22 is the time.
    return int(stat.rpartition(")")[2].split()[19])


def raise_descriptor_limit() -> None:
    """Allow this process and its children as many descriptors as the system lets them have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        wanted = hard if hard != resource.RLIM_INFINITY else max(soft, 1 << 20)
        # A service manager may forbid the call; then its own limit is what counts.
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def share_memory_with_children() -> None:
    """Keep the garbage collector from touching, and so copying, what the children inherit."""
    gc.collect()
    gc.freeze()


def identity(user: str, group: str) -> tuple[int, int] | None:
    """User and group id to become, or None to stay who we are. StartError for unknown names."""
    if not user and not group:
        return None
    try:
        if user:
            entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
            uid, gid = entry.pw_uid, entry.pw_gid
        else:
            uid, gid = os.geteuid(), os.getegid()
        if group:
            gid = int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise StartError(f"user: {user or group!r} is not known on this machine") from error
    return uid, gid


def drop_privileges(user: str, group: str) -> None:
    """Become ``user`` for good, with its groups. Does nothing when it is who we are already."""
    wanted = identity(user, group)
    if wanted is None or wanted == (os.geteuid(), os.getegid()):
        return
    uid, gid = wanted
    try:
        if uid != 0:
            os.initgroups(pwd.getpwuid(uid).pw_name, gid)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except PermissionError as error:
        raise StartError(f"user: only root can become {user or group!r}") from error
    if uid != 0 and 0 in os.getresuid():
        raise StartError(f"user: root was not given up for {user!r}")
