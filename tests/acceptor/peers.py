"""Peers over a raw socket, well behaved or not, and what they send."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import pack

from tests.acceptor.service import Service
from tests.acceptor.sessions import status_of
from tests.upper_layer.wire import (
    CT,
    RELEASE_RP,
    RELEASE_RQ,
    STORE,
    associate_rq,
    command_set,
    element,
    p_data,
    padded,
    pdv,
)


def data_set(instance: str = "1.2.3.4") -> bytes:
    """The least that is a CT, Implicit VR Little Endian."""
    return (
        element(0x0016, padded(CT)).replace(b"\0\0", b"\x08\0", 1)
        + element(0x0018, padded(instance)).replace(b"\0\0", b"\x08\0", 1)
        + element(0x4000, b"DATA" * 100).replace(b"\0\0", b"\x10\0", 1)
    )


def store(instance: str) -> bytes:
    """A C-STORE of an instance, whole."""
    command = command_set(
        element(0x0002, padded(CT)),
        element(0x0100, pack("<H", 0x0001)),
        element(0x0110, pack("<H", 7)),
        element(0x0700, pack("<H", 0)),
        element(0x0800, pack("<H", 0)),
        element(0x1000, padded(instance)),
    )
    return p_data(pdv(1, 3, command)) + p_data(pdv(1, 2, data_set(instance)))


OBJECT = store("1.2.3.4")
BEGUN = p_data(pdv(1, 3, STORE)) + p_data(pdv(1, 0, data_set()[:50]))
ENDING = p_data(pdv(1, 2, data_set()[50:]))


@contextmanager
def peer(service: Service) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as sock:
        yield sock


def heard(sock: socket.socket) -> bytes:
    """One PDU, or b"" when the connection was closed."""
    data = b""
    while len(data) < 6 or len(data) < 6 + int.from_bytes(data[2:6]):
        try:
            more = sock.recv(1 if len(data) < 6 else 6 + int.from_bytes(data[2:6]) - len(data))
        except ConnectionResetError:
            return b""
        if not more:
            return data
        data += more
    return data


def establish(sock: socket.socket) -> None:
    sock.sendall(associate_rq())
    assert heard(sock)[:1] == b"\x02"


def is_served(service: Service) -> bool:
    """The next good sender is served at once."""
    began = time.monotonic()
    with peer(service) as sock:
        establish(sock)
        sock.sendall(OBJECT)
        assert status_of(heard(sock)) == 0
        sock.sendall(RELEASE_RQ)
        assert heard(sock) == RELEASE_RP
    return time.monotonic() - began < 2.0


def cpu_seconds(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
