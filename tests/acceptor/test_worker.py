"""Worker processes: spread, limits, orders, reports, bad peers."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from struct import pack

import pytest

from dicomd.settings.listener import (
    AccessSettings,
    LimitSettings,
    ListenerSettings,
    TimeoutSettings,
)
from dicomd.settings.storage import StoreSettings
from tests.acceptor.service import Service, wait_until
from tests.acceptor.sessions import status_of
from tests.upper_layer.wire import (
    ABORT,
    CT,
    ECHO,
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
LIMIT_EXCEEDED = bytes.fromhex("03 00 00000004 00 020302")
CONGESTION = bytes.fromhex("03 00 00000004 00 020301")


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


def test_objects_are_stored_and_counted(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        assert is_served(service)
        assert [path.name for path in service.files()] == ["CT.1.2.3.4"]
        assert service.files()[0].read_bytes().endswith(data_set())
        counters = service.counters()
        assert (counters["associations"], counters["objects"], counters["released"]) == (1, 1, 1)
        assert counters["statuses"] == {"0000": 1}
        assert not service.leftovers()


def test_durable_objects_are_committed_by_helper_threads(tmp_path: Path) -> None:
    durable = StoreSettings(min_free_space=0)
    with Service(tmp_path, store=durable) as service, peer(service) as sock:
        establish(sock)
        for number in range(20):
            sock.sendall(store(f"1.2.3.{number}"))
            assert status_of(heard(sock)) == 0
        assert len(service.files()) == 20


def test_eight_associations_at_once_land_on_both_workers(tmp_path: Path) -> None:
    with Service(tmp_path, workers=2) as service, ExitStack() as stack:
        socks = [stack.enter_context(peer(service)) for _ in range(8)]
        for sock in socks:
            sock.sendall(associate_rq())
        for sock in socks:
            assert heard(sock)[:1] == b"\x02"
        shares = sorted(len(service.ask(index)) for index in range(2))
        assert sum(shares) == 8
        assert shares[0] >= 3


def test_a_worker_that_stands_still_holds_nobody_up(tmp_path: Path) -> None:
    with Service(tmp_path, workers=2) as service:
        os.kill(service.pids[0], 19)
        try:
            with ExitStack() as stack:
                for _ in range(5):
                    sock = stack.enter_context(peer(service))
                    establish(sock)
        finally:
            os.kill(service.pids[0], 18)


def test_the_limit_of_associations_holds_over_all_workers(tmp_path: Path) -> None:
    listener = ListenerSettings(limits=LimitSettings(associations=3))
    with Service(tmp_path, listener=listener, workers=2) as service, ExitStack() as stack:
        for _ in range(3):
            establish(stack.enter_context(peer(service)))
        with peer(service) as fourth:
            fourth.sendall(associate_rq())
            assert heard(fourth) == LIMIT_EXCEEDED
        stack.close()
        wait_until(lambda: service.scoreboard.associations() == 0, "slots given back")
        assert is_served(service)


def test_the_limit_of_associations_of_a_host_holds(tmp_path: Path) -> None:
    listener = ListenerSettings(limits=LimitSettings(associations_per_host=2))
    with Service(tmp_path, listener=listener, workers=2) as service, ExitStack() as stack:
        for _ in range(2):
            establish(stack.enter_context(peer(service)))
        with peer(service) as third:
            third.sendall(associate_rq())
            assert heard(third) == LIMIT_EXCEEDED
        elsewhere = stack.enter_context(
            socket.create_connection(
                ("127.0.0.1", service.port), timeout=10, source_address=("127.0.0.2", 0)
            )
        )
        establish(elsewhere)


def test_connections_without_association_take_no_slot(tmp_path: Path) -> None:
    listener = ListenerSettings(limits=LimitSettings(associations=2, connections=4))
    with Service(tmp_path, listener=listener) as service, ExitStack() as stack:
        silent = [stack.enter_context(peer(service)) for _ in range(10)]
        assert is_served(service)
        wait_until(lambda: service.scoreboard.connections() <= 4, "the oldest are let go")
        silent[0].settimeout(5)
        assert silent[0].recv(1) == b""


def test_descriptors_that_run_out_do_not_make_the_loop_spin(tmp_path: Path) -> None:
    import resource

    def few_descriptors() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))

    with Service(tmp_path, in_child=few_descriptors) as service:
        with ExitStack() as stack:
            for _ in range(60):
                stack.enter_context(peer(service))
            before = cpu_seconds(service.pids[0])
            began = time.monotonic()
            service.counters()
            service.counters()
            used = cpu_seconds(service.pids[0]) - before
            assert used < 0.3 * (time.monotonic() - began)
        wait_until(lambda: service.scoreboard.connections() == 0, "connections are gone")
        assert is_served(service)


def cpu_seconds(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def test_a_stop_ends_idle_associations_at_once_and_exits(tmp_path: Path) -> None:
    with Service(tmp_path) as service, peer(service) as idle:
        establish(idle)
        service.order(order="drain", seconds=30)
        assert heard(idle) == ABORT
        idle.close()
        assert service.wait_for_exit() == 0


def test_a_stop_lets_an_object_under_way_be_acknowledged(tmp_path: Path) -> None:
    with Service(tmp_path) as service, peer(service) as sending, peer(service) as late:
        establish(sending)
        sending.sendall(BEGUN)
        wait_until(lambda: service.ask()[0]["state"] == "receiving", "the object begins")
        service.order(order="drain", seconds=30)
        late.sendall(associate_rq())
        assert heard(late) == CONGESTION
        sending.sendall(ENDING)
        assert status_of(heard(sending)) == 0
        assert heard(sending) == ABORT
        sending.close()
        late.close()
        assert service.wait_for_exit() == 0
        assert len(service.files()) == 1


def test_a_drain_that_takes_too_long_is_cut_without_a_partial_file(tmp_path: Path) -> None:
    with Service(tmp_path) as service, peer(service) as sending:
        establish(sending)
        sending.sendall(BEGUN)
        wait_until(lambda: service.ask()[0]["state"] == "receiving", "the object begins")
        service.order(order="drain", seconds=0.3)
        assert heard(sending) == ABORT
        sending.close()
        assert service.wait_for_exit() == 0
        assert not service.files()
        assert not service.leftovers()


def test_a_reload_lets_associations_go_on(tmp_path: Path) -> None:
    with Service(tmp_path) as service, peer(service) as sock:
        establish(sock)
        service.order(order="drain", seconds=30, reason="reload")
        assert service.ask()[0]["state"] == "idle"
        for _ in range(3):
            sock.sendall(OBJECT)
            assert status_of(heard(sock)) == 0
        sock.sendall(RELEASE_RQ)
        assert heard(sock) == RELEASE_RP
        sock.close()
        assert service.wait_for_exit() == 0


def test_a_draining_worker_leaves_calls_to_the_next(tmp_path: Path) -> None:
    with Service(tmp_path) as service, peer(service) as held:
        establish(held)
        service.order(order="drain", seconds=None, reason="reload")
        service.fork_worker()
        assert is_served(service)
        assert len(service.ask(0)) == 1


def test_a_worker_whose_supervisor_is_gone_ends(tmp_path: Path) -> None:
    with Service(tmp_path) as service, peer(service) as sock:
        establish(sock)
        sock.sendall(BEGUN)
        wait_until(lambda: service.ask()[0]["state"] == "receiving", "the object begins")
        service.lifelines[0].close()
        assert heard(sock) in (ABORT, b"")
        assert service.wait_for_exit() == 1
        assert not service.files()
        assert not service.leftovers()


def test_a_birth_that_fails_is_reported(tmp_path: Path) -> None:
    listener = ListenerSettings(access=AccessSettings(hosts=("no-such-host.invalid",)))
    with Service(tmp_path, listener=listener) as service:
        assert service.listen_to(0)[0]["report"] == "failed"
        assert "no-such-host.invalid" in service.listen_to(0)[0]["text"]
        assert service.wait_for_exit() == 1


def test_a_snapshot_says_who_is_there(tmp_path: Path) -> None:
    with Service(tmp_path) as service, peer(service) as sock, peer(service):
        establish(sock)
        sock.sendall(OBJECT)
        heard(sock)
        wait_until(lambda: len(service.ask()) == 2, "both are there")
        first, second = sorted(service.ask(), key=lambda entry: str(entry["state"]))
        assert (first["state"], second["state"]) == ("connecting", "idle")
        assert second["calling_ae"] == "MOD1"
        assert second["objects"] == 1
        assert second["peer"] == "127.0.0.1"


def test_receipts_are_written_before_the_answer(tmp_path: Path) -> None:
    receipts = tmp_path / "receipts"
    with Service(tmp_path / "o", receipts_directory=receipts) as service, peer(service) as sock:
        (tmp_path / "o").mkdir(exist_ok=True)
        establish(sock)
        sock.sendall(OBJECT)
        assert status_of(heard(sock)) == 0
        (spool,) = receipts.iterdir()
        assert b"1.2.3.4" in spool.read_bytes()


IMPATIENT = TimeoutSettings(acse=0.6, artim=0.5, pdu=0.5, dimse=0.6, idle=0.6, send=0.6)


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that all bad peers share: what one does must not harm the next."""
    directory = tmp_path_factory.mktemp("impatient")
    with Service(directory, listener=ListenerSettings(timeouts=IMPATIENT)) as service:
        yield service


PROVIDER_ABORT = {
    reason: bytes.fromhex("07 00 00000004 0000 02") + bytes([reason]) for reason in (1, 2, 5, 6)
}

BAD_PEERS: dict[str, tuple[list[bytes], bytes]] = {
    "nothing": ([], b""),
    "HTTP": ([b"GET / HTTP/1.1\r\n\r\n"], PROVIDER_ABORT[1]),
    "half a request": ([associate_rq()[:40]], b""),
    "release first": ([RELEASE_RQ], PROVIDER_ABORT[2]),
    "data first": ([OBJECT], PROVIDER_ABORT[2]),
    "4 GiB request": ([b"\x01\x00\xff\xff\xff\xff"], PROVIDER_ABORT[6]),
    "two requests": ([associate_rq(), associate_rq()], PROVIDER_ABORT[2]),
    "unknown PDU": ([associate_rq(), b"\x0a\x00\x00\x00\x00\x04abcd"], PROVIDER_ABORT[1]),
    "4 GiB of data": ([associate_rq(), b"\x04\x00\xff\xff\xff\xff" + bytes(6)], PROVIDER_ABORT[6]),
    "empty P-DATA": ([associate_rq(), b"\x04\x00\x00\x00\x00\x00" + bytes(6)], PROVIDER_ABORT[6]),
    "PDV past its PDU": (
        [associate_rq(), p_data(pdv(1, 3, b"12345678", length=99))],
        PROVIDER_ABORT[6],
    ),
    "PDV of one byte": ([associate_rq(), p_data(pdv(1, 3, b"", length=1))], PROVIDER_ABORT[6]),
    "another context": ([associate_rq(), p_data(pdv(9, 3, STORE))], PROVIDER_ABORT[5]),
    "data before a command": ([associate_rq(), p_data(pdv(1, 2, b"DATA"))], PROVIDER_ABORT[6]),
    "context changed": (
        [associate_rq(), p_data(pdv(1, 3, STORE)), p_data(pdv(3, 2, b"DATA"))],
        PROVIDER_ABORT[6],
    ),
    "half an object": ([associate_rq(), BEGUN], ABORT),
    "idle": ([associate_rq()], ABORT),
    "half a PDU": ([associate_rq(), RELEASE_RQ[:4]], b"\x07\x00\x00\x00\x00\x04\x00\x00\x02\x00"),
    "no contexts": ([associate_rq(associate_rq()[74:99])], bytes.fromhex("0300 00000004 00010101")),
    "version": ([associate_rq(version=2)], bytes.fromhex("0300 00000004 00010202")),
}


@pytest.mark.parametrize("name", BAD_PEERS)
def test_bad_peers_get_their_answer_and_harm_nobody(impatient: Service, name: str) -> None:
    sent, expected = BAD_PEERS[name]
    with peer(impatient) as sock:
        for place, part in enumerate(sent):
            sock.sendall(part)
            if place == 0 and len(sent) > 1:
                assert heard(sock)[:1] == b"\x02"
        last = heard(sock)
        if last[:1] == b"\x02":
            last = heard(sock)
        assert last == expected
        assert is_served(impatient)
        if expected:
            assert heard(sock) == b"", "after ARTIM the connection is closed"
    assert not impatient.leftovers()


def test_a_peer_that_keeps_its_rejected_connection_is_let_go(impatient: Service) -> None:
    with peer(impatient) as sock:
        sock.sendall(associate_rq(version=2))
        assert heard(sock)[:1] == b"\x03"
        assert heard(sock) == b""


def test_a_peer_that_reads_no_answers_holds_nobody_up(impatient: Service) -> None:
    with peer(impatient) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        establish(sock)
        echoes = p_data(pdv(3, 3, ECHO)) * 50
        sock.settimeout(0.2)
        try:
            while True:
                sock.sendall(echoes)
        except (TimeoutError, ConnectionError):
            pass
        assert is_served(impatient)
        wait_until(lambda: impatient.scoreboard.associations() == 0, "it is let go")


def test_many_silent_peers_hold_nobody_up(impatient: Service) -> None:
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(peer(impatient))
        assert is_served(impatient)


def test_dcmtk_echoes_and_stores(tmp_path: Path) -> None:
    from pydicom.data import get_testdata_file

    source = str(get_testdata_file("CT_small.dcm"))
    durable = StoreSettings(min_free_space=0)
    with Service(tmp_path, store=durable, workers=2) as service:
        port = str(service.port)
        echo = ["/usr/bin/echoscu", "127.0.0.1", port]
        subprocess.run(echo, check=True, capture_output=True, timeout=30)
        send = ["/usr/bin/storescu", "127.0.0.1", port, source]
        subprocess.run(send, check=True, capture_output=True, timeout=30)
        assert len(service.files()) == 1
