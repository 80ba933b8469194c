"""Worker processes: spread, limits, orders, reports, bad peers."""

import os
import select
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

from dicomd.acceptor.gate import Gate
from dicomd.settings.listener import (
    AccessSettings,
    LimitSettings,
    ListenerSettings,
)
from dicomd.settings.storage import StoreSettings
from tests.acceptor.peers import (
    BEGUN,
    ENDING,
    OBJECT,
    cpu_seconds,
    data_set,
    establish,
    heard,
    is_served,
    peer,
    store,
)
from tests.acceptor.service import Service, wait_until
from tests.acceptor.sessions import status_of
from tests.upper_layer.wire import (
    ABORT,
    RELEASE_RP,
    RELEASE_RQ,
    STORE,
    associate_rq,
    p_data,
    pdv,
)

LIMIT_EXCEEDED = bytes.fromhex("03 00 00000004 00 020302")
CONGESTION = bytes.fromhex("03 00 00000004 00 020301")


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


def test_an_object_over_the_limit_is_refused_and_the_association_goes_on(tmp_path: Path) -> None:
    small = ListenerSettings(limits=LimitSettings(object_size=1000))
    with Service(tmp_path, listener=small) as service, peer(service) as sock:
        establish(sock)
        large = p_data(pdv(1, 3, STORE)) + p_data(pdv(1, 0, data_set())) * 5
        sock.sendall(large + p_data(pdv(1, 2, b"DATA")))
        assert status_of(heard(sock)) == 0xA700
        sock.sendall(OBJECT)
        assert status_of(heard(sock)) == 0
        assert len(service.files()) == 1
        assert not service.leftovers()


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


def test_a_stop_does_not_wait_for_silent_connections(tmp_path: Path) -> None:
    with Service(tmp_path) as service, peer(service), peer(service) as idle:
        establish(idle)
        wait_until(lambda: len(service.ask()) == 2, "both are there")
        began = time.monotonic()
        service.order(order="drain", seconds=30)
        assert heard(idle) == ABORT
        idle.close()
        assert service.wait_for_exit() == 0
        assert time.monotonic() - began < 1.5


def test_sockets_that_are_accepted_watch_for_peers_that_vanish() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        poll = select.epoll()
        gate = Gate(
            [listener],
            epoll=poll,
            clock=time.monotonic,
            siblings_turn=lambda: False,
            alone=lambda: True,
            taken=lambda sock, address: None,
            log=None,
        )
        with socket.create_connection(listener.getsockname()):
            sock, _ = listener.accept()
            with sock:
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
        gate.release()
        poll.close()


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
