"""What a worker holds does not depend on what peers send, or on how many wait."""

import os
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from struct import pack

import pytest
from tests.acceptor.peers import cpu_seconds, establish, heard
from tests.acceptor.service import Service
from tests.acceptor.sessions import status_of
from tests.upper_layer.wire import STORE, associate_rq, p_data, pdv

from dicomd.settings.listener import LimitSettings, ListenerSettings
from dicomd.settings.storage import StoreSettings

pytestmark = pytest.mark.journey
LIMIT_KIB = 80 << 10
MIB = 1 << 20


def resident_kib(service: Service) -> int:
    for line in Path(f"/proc/{service.pids[0]}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise AssertionError("no VmHWM")


def test_five_hundred_idle_associations_cost_little(tmp_path: Path) -> None:
    many = LimitSettings(associations=600, associations_per_host=600)
    with Service(tmp_path, listener=ListenerSettings(limits=many)) as service, ExitStack() as stack:
        before = resident_kib(service)
        socks = [
            stack.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=10))
            for _ in range(500)
        ]
        for sock in socks:
            sock.sendall(associate_rq())
        for sock in socks:
            assert heard(sock)[:1] == b"\x02"
        assert len(service.ask()) == 500
        after = resident_kib(service)
        assert after < LIMIT_KIB
        assert after - before < 12 << 10
        used = cpu_seconds(service.pids[0])
        select.select([], [], [], 1.0)
        assert cpu_seconds(service.pids[0]) - used < 0.02


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
def test_a_large_object_costs_what_a_small_one_costs(mode: str) -> None:
    size = 2 * 1024 * MIB if mode == "ignore" else 512 * MIB
    place = Path("/dev/shm") / f"dicomd-test-{os.getpid()}-{mode}"
    place.mkdir()
    store = StoreSettings(mode=mode, durability="none", min_free_space=0)  # type: ignore[arg-type]  # one of its literals
    try:
        with (
            Service(place, store=store) as service,
            socket.create_connection(("127.0.0.1", service.port), timeout=60) as sock,
        ):
            before = resident_kib(service)
            establish(sock)
            for part in large_object(size):
                sock.sendall(part)
            assert status_of(heard(sock)) == 0
            assert resident_kib(service) < LIMIT_KIB
            assert resident_kib(service) - before < 8 << 10
            if mode != "ignore":
                (path,) = service.files()
                assert path.stat().st_size > size
                path.unlink()
    finally:
        for path in sorted(place.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        place.rmdir()
