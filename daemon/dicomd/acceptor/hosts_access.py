"""/etc/hosts.allow and /etc/hosts.deny, asked through the system's libwrap (hosts_access(5)).

DCMTK's tools ask the same library, so that rules written for them hold here. The client's name
and user are given as unknown: nothing is looked up while a peer waits.
"""

import ctypes
import ctypes.util

from dicomd.errors import StartError

_UNKNOWN = b"unknown"  # STRING_UNKNOWN in tcpd.h
_LIBRARY = "libwrap.so.0"
NOT_ALLOWED = "host not allowed by hosts_access"


class HostsAccess:
    """libwrap's ``hosts_ctl`` for one daemon name. StartError where there is no libwrap."""

    def __init__(self, name: str) -> None:
        self._name = name.encode()
        try:
            library = ctypes.CDLL(_LIBRARY)
            hosts_ctl = library.hosts_ctl
        except (OSError, AttributeError) as exc:
            raise StartError(
                f"hosts_access: the system has no {_LIBRARY}; install libwrap0 or switch it off"
            ) from exc
        hosts_ctl.argtypes = [ctypes.c_char_p] * 4
        hosts_ctl.restype = ctypes.c_int
        self._hosts_ctl = hosts_ctl

    def admits(self, host: str) -> bool:
        """Whether the rules let this address in."""
        return bool(self._hosts_ctl(self._name, _UNKNOWN, host.encode(), _UNKNOWN))
