"""Listening sockets: bind, or adopt from systemd; kept, opened and closed as settings change.

A socket belongs to a place (an address and port, or a name that systemd gives). As long as some
listener asks for the place its socket stays open, over reloads and generations of workers, so no
connection is refused. ``prepare`` does all that can fail and changes nothing; ``commit`` closes
what is not asked for any more; ``abandon`` closes what ``prepare`` opened.
"""

import errno
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dicomd.errors import BindError, StartError
from dicomd.settings.listener import ListenerSettings

BACKLOG = 4096
"""Cut to net.core.somaxconn by the kernel."""
STORED_PREFIX = "dicomd-stored-"
LEAVE_AFTER_S = 0.25
"""From the order to drain until nobody listens any more: workers read the order first."""
_RETRY_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Place:
    """What one socket is asked for. ``owner`` is set when the kernel chooses the port: two
    listeners with port 0 are two places."""

    address: str = ""
    port: int = 0
    name: str = ""
    owner: str = ""

    def __str__(self) -> str:
        if self.name:
            return f"socket {self.name}"
        return f"{self.address or '*'} port {self.port}"

    @property
    def stored_name(self) -> str:
        """What the socket is called in systemd's descriptor store; no colon may be in it."""
        text = self.name or f"{self.address}_{self.port}_{self.owner}"
        return STORED_PREFIX + "".join(c if c.isascii() and c.isalnum() else "." for c in text)


def place_of(name: str, listener: ListenerSettings) -> Place:
    """The place that a listener asks for."""
    if listener.socket:
        return Place(name=listener.socket)
    return Place(address=listener.address, port=listener.port, owner="" if listener.port else name)


@dataclass(frozen=True, slots=True, eq=False)
class Prospect:
    """Sockets as they would be: every place that is asked for, and those just opened for it."""

    by_owner: dict[str, Place]
    opened: dict[Place, tuple[socket.socket, ...]] = field(default_factory=dict)


class ListeningSockets:
    """All listening sockets of the daemon, by place. Mutable."""

    def __init__(self, inherited: Mapping[str, Sequence[socket.socket]]) -> None:
        self._held: dict[Place, tuple[socket.socket, ...]] = {}
        self._inherited = {name: tuple(socks) for name, socks in inherited.items()}
        self._own: set[Place] = set()
        self._prospects: list[Prospect] = []
        self._leaving: list[tuple[float, socket.socket]] = []

    def prepare(self, wanted: Mapping[str, Place], *, patience_s: float = 0.0) -> Prospect:
        """Open what is not open yet. BindError or StartError, and then nothing stays open.

        ``patience_s`` is how long a place may be in use by somebody who is about to go: workers
        of a supervisor that was killed hold it for an instant.
        """
        seen: dict[Place, str] = {}
        for owner, place in wanted.items():
            if place in seen:
                raise StartError(
                    f"{owner} and {seen[place]} both ask for {place}; give one another port"
                )
            seen[place] = owner
        prospect = Prospect(dict(wanted))
        self._prospects.append(prospect)
        try:
            for place in wanted.values():
                if place not in self._held:
                    prospect.opened[place] = self._open(place, patience_s, prospect)
        except BaseException:
            self.abandon(prospect)
            raise
        return prospect

    def sockets_of(self, prospect: Prospect, owner: str) -> tuple[socket.socket, ...]:
        """The sockets that an owner has in a prospect, or has already."""
        place = prospect.by_owner[owner]
        return prospect.opened.get(place) or self._held[place]

    def commit(self, prospect: Prospect) -> tuple[list[Place], list[Place]]:
        """Make the prospect true. Returns the places opened and closed."""
        self._prospects.remove(prospect)
        wanted = set(prospect.by_owner.values())
        ports = {place.port for place in prospect.opened if place.port}
        closed = [place for place in self._held if place not in wanted]
        for place in closed:
            # At the port of a new place callers must find that one at once, not after a while.
            pause_s = 0.0 if place.port in ports else LEAVE_AFTER_S
            leaves_at = time.monotonic() + pause_s
            for sock in self._held.pop(place):
                if not self._is_inherited(sock):
                    self._leaving.append((leaves_at, sock))
            self._own.discard(place)
        self._held.update(prospect.opened)
        self._leaving.sort(key=lambda item: item[0])
        self.turn()
        for place in prospect.opened:
            if not place.name:
                self._inherited.pop(place.stored_name, None)
        return list(prospect.opened), closed

    def drop_stored(self) -> list[str]:
        """Close sockets of systemd's descriptor store that no listener wants any more; their
        names."""
        names = [name for name in self._inherited if name.startswith(STORED_PREFIX)]
        for name in names:
            for sock in self._inherited.pop(name):
                sock.close()
        return names

    def abandon(self, prospect: Prospect) -> None:
        """Close what the prospect opened."""
        if prospect in self._prospects:
            self._prospects.remove(prospect)
        for place, socks in prospect.opened.items():
            self._own.discard(place)
            for sock in socks:
                if not self._is_inherited(sock):
                    _shut(sock)
        prospect.opened.clear()

    def held(self, place: Place) -> tuple[socket.socket, ...]:
        """The open sockets of a place; none when it is not open."""
        return self._held.get(place, ())

    def everything(self) -> list[socket.socket]:
        """All open sockets: those just opened and those of systemd that nobody asked for
        included."""
        found = [sock for socks in self._held.values() for sock in socks]
        found += [sock for socks in self._inherited.values() for sock in socks]
        found += [sock for _, sock in self._leaving]
        for prospect in self._prospects:
            found += [sock for socks in prospect.opened.values() for sock in socks]
        return list(dict.fromkeys(found))

    def turn(self) -> None:
        """Stop listening where nobody does any more. Workers of an old generation may hold such a
        socket for as long as an association of theirs runs: callers must not wait there."""
        now = time.monotonic()
        while self._leaving and self._leaving[0][0] <= now:
            _shut(self._leaving.pop(0)[1])

    def refuse_callers(self) -> None:
        """Stop listening, for every process that shares the sockets we bound ourselves. Those of
        systemd stay: callers wait there for the next instance."""
        for place in self._own:
            for sock in self._held.pop(place, ()):
                _shut(sock)

    def close(self) -> None:
        """Close everything."""
        for sock in self.everything():
            sock.close()
        self._leaving.clear()
        self._held.clear()
        self._inherited.clear()

    def _bind_beside(self, place: Place, prospect: Prospect) -> tuple[socket.socket, ...]:
        """Bind, although a place that is about to be given up may overlap: 127.0.0.1 and 0.0.0.0
        at one port. The two share it while both are open; a second daemon cannot join them."""
        wanted = set(prospect.by_owner.values())
        rivals = [
            sock
            for other, socks in self._held.items()
            if other not in wanted and not other.name and other.port == place.port
            for sock in socks
        ]
        if not rivals or not place.port:
            return tuple(bind(place.address, place.port))
        try:
            for sock in rivals:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            socks = tuple(bind(place.address, place.port, share=True))
            for sock in socks:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
        finally:
            for sock in rivals:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
        return socks

    def _is_inherited(self, sock: socket.socket) -> bool:
        return any(sock in socks for socks in self._inherited.values())

    def _open(
        self, place: Place, patience_s: float, prospect: Prospect
    ) -> tuple[socket.socket, ...]:
        if place.name:
            socks = self._inherited.get(place.name)
            if not socks:
                names = ", ".join(sorted(self._inherited)) or "none"
                raise StartError(
                    f"systemd handed over no socket named {place.name!r} (it gave: {names});"
                    " see FileDescriptorName= in systemd.socket(5)"
                )
            return socks
        stored = self._inherited.get(place.stored_name)
        if stored:
            return stored
        deadline = time.monotonic() + patience_s
        while True:
            try:
                socks = self._bind_beside(place, prospect)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or time.monotonic() >= deadline:
                    raise BindError(str(place), error) from error
                time.sleep(_RETRY_PAUSE_S)
            else:
                self._own.add(place)
                return socks


def bind(address: str, port: int, *, share: bool = False) -> list[socket.socket]:
    """Listening sockets for an address: one, or one for each address of a host name.

    ``""`` and ``::`` serve IPv4 and IPv6 on one socket, or IPv4 alone where the system has no
    IPv6. ``share``: beside other sockets of ours that share the port too. OSError as the system
    has it.
    """
    if address in ("", "::"):
        try:
            return [_listen(socket.AF_INET6, ("::", port), share=share, dual=True)]
        except OSError as error:
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                raise
            return [_listen(socket.AF_INET, ("0.0.0.0", port), share=share)]
    found = socket.getaddrinfo(
        address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_ADDRCONFIG
    ) or socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    socks: list[socket.socket] = []
    try:
        for family, _, _, _, where in dict.fromkeys(found):
            socks.append(_listen(family, where, share=share))
    except BaseException:
        for sock in socks:
            sock.close()
        raise
    return socks


def _shut(sock: socket.socket) -> None:
    """End the listening of every process that shares the socket, and close it here."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    finally:
        sock.close()


def _listen(
    family: int,
    where: tuple[str | int, ...] | tuple[int, bytes],
    *,
    share: bool,
    dual: bool = False,
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
        sock.bind(where)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def address_of(sock: socket.socket) -> str:
    """``192.0.2.1:11112`` or ``[::]:11112``; a socket's path for a Unix socket."""
    name = sock.getsockname()
    if isinstance(name, str):
        return name
    host, port = name[0], name[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
