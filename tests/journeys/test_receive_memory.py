"""What a worker of a real daemon holds does not depend on what peers send, or on how many wait."""

import select
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from struct import pack
from typing import Any

import pytest
from tests.acceptor.peers import cpu_seconds, establish, heard
from tests.acceptor.sessions import status_of
from tests.journeys.running import Daemon, running
from tests.upper_layer.wire import STORE, associate_rq, p_data, pdv

pytestmark = pytest.mark.journey
LIMIT_KIB = 80 << 10
MIB = 1 << 20
QUIET = {"level": "info"}


def listeners(**keys: Any) -> dict[str, Any]:
    return {"one": {"address": "127.0.0.1", "port": 0, "workers": 1, **keys}}


def peak_kib(daemon: Daemon) -> int:
    """The most memory that the worker has had resident."""
    (pid,) = daemon.workers()
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise AssertionError("no VmHWM")


def test_five_hundred_idle_associations_cost_little(tmp_path: Path) -> None:
    many = {"associations": 600, "associations_per_host": 600}
    log = {"file": {"path": str(tmp_path / "dicomd.log")}, **QUIET}
    with (
        running(tmp_path, listeners=listeners(limits=many), logging=log) as daemon,
        ExitStack() as stack,
    ):
        before = peak_kib(daemon)
        port = daemon.port()
        socks = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            for _ in range(500)
        ]
        for sock in socks:
            sock.sendall(associate_rq())
        for sock in socks:
            assert heard(sock)[:1] == b"\x02"
        assert len(daemon.status()["associations"]) == 500
        after = peak_kib(daemon)
        assert after < LIMIT_KIB
        assert after - before < 12 << 10
        (pid,) = daemon.workers()
        used = cpu_seconds(pid)
        select.select([], [], [], 1.0)
        assert cpu_seconds(pid) - used < 0.02


def large_object(size: int) -> Iterator[bytes]:
    """A C-STORE of that many bytes of pixels, Implicit VR Little Endian, PDU by PDU."""
    yield p_data(pdv(1, 3, STORE))
    head = (
        b"\x08\x00\x16\x00\x1a\x00\x00\x001.2.840.10008.5.1.4.1.1.2\0"
        b"\x08\x00\x18\x00\x08\x00\x00\x001.2.3.4\0"
    )
    yield p_data(pdv(1, 0, head + pack("<HHI", 0x7FE0, 0x0010, size)))
    part = p_data(pdv(1, 0, bytes(MIB // 16 - 6)))
    body = MIB // 16 - 6
    for _ in range(size // body):
        yield part
    yield p_data(pdv(1, 2, bytes(size % body)))


@pytest.mark.parametrize("mode", ["bit-preserving", "normal", "ignore"])
def test_a_large_object_costs_what_a_small_one_costs(mode: str, tmp_path: Path) -> None:
    size = 2 * 1024 * MIB if mode == "ignore" else 512 * MIB
    place = tempfile.mkdtemp(prefix="dicomd-test-", dir="/dev/shm")
    store = {"directory": place, "mode": mode, "durability": "none", "min_free_space": 0}
    if mode == "ignore":
        del store["directory"]
    log = {"file": {"path": str(tmp_path / "dicomd.log")}, **QUIET}
    try:
        with (
            running(
                tmp_path,
                listeners=listeners(),
                stores={"archive": store},
                logging=log,
                index={"checksums": False},
            ) as daemon,
            socket.create_connection(("127.0.0.1", daemon.port()), timeout=60) as sock,
        ):
            before = peak_kib(daemon)
            establish(sock)
            for part in large_object(size):
                sock.sendall(part)
            assert status_of(heard(sock)) == 0
            assert peak_kib(daemon) < LIMIT_KIB
            assert peak_kib(daemon) - before < 8 << 10
            if mode != "ignore":
                (path,) = Path(place).glob("CT.*")
                assert path.stat().st_size > size
    finally:
        shutil.rmtree(place)
