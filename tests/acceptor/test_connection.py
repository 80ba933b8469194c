"""One association's socket and clocks, with a clock of the test's own."""

import select
import socket
from collections.abc import Iterator
from math import inf

import pytest

from dicomd.acceptor.connection import FAREWELL_PAUSE_S, Clocks, Connection, Surroundings
from dicomd.settings.listener import TimeoutSettings
from tests.acceptor.sessions import World, status_of
from tests.upper_layer.wire import ABORT, RELEASE_RP, RELEASE_RQ, STORE, associate_rq, p_data, pdv

USER_ABORT = ABORT
TIMEOUTS = TimeoutSettings(acse=30, artim=5, pdu=20, dimse=60, idle=300, send=40, association=0)


class Rig:
    """A connection with its peer's end and everything around it."""

    def __init__(self, timeouts: TimeoutSettings = TIMEOUTS, *, blocking: bool = False) -> None:
        self.now = 1000.0
        self.world = World(blocking=blocking)
        self.poll = select.epoll()
        self.closed: list[Connection] = []
        self.changes: list[bool] = []
        self.peer, ours = socket.socketpair()
        self.peer.setblocking(False)
        ours.setblocking(False)
        self.around = around = Surroundings(
            epoll=self.poll,
            buffer=memoryview(bytearray(256 << 10)),
            clock=lambda: self.now,
            clocks=Clocks.of(timeouts),
            counters=self.world.counters,
            quick_ack=True,
            log=self.world.services.log,
            changed=lambda connection: self.changes.append(connection.established),
            closed=self.closed.append,
            unread=lambda connection: None,
        )
        self.connection = Connection(around, ours, self.world.session(), "192.0.2.1")

    def turn(self) -> None:
        """Whatever epoll has, as the worker's loop does."""
        for _ in self.poll.poll(0):
            self.connection.ready()

    def send(self, data: bytes) -> None:
        self.peer.sendall(data)
        self.turn()

    def is_closed(self) -> bool:
        return self.connection.closed

    def heard(self) -> bytes:
        try:
            return self.peer.recv(65536)
        except BlockingIOError:
            return b"nothing"

    def passes(self, seconds: float) -> None:
        """Time goes by; the worker looks at the deadline."""
        self.now += seconds
        if self.connection.deadline <= self.now:
            self.connection.expire()

    def stop(self) -> None:
        """What a worker does when it is told to stop."""
        self.around.stop()
        self.connection.hurry()

    def establish(self) -> None:
        self.send(associate_rq())
        assert self.heard()[0] == 2
        assert self.changes == [True]

    def close(self) -> None:
        self.connection.close()
        self.peer.close()
        self.poll.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()


def test_silence_before_a_request_is_cut_without_an_abort(rig: Rig) -> None:
    rig.passes(29)
    assert not rig.is_closed()
    rig.passes(2)
    assert rig.is_closed()
    assert rig.heard() == b""


def test_bytes_that_trickle_in_do_not_prolong_the_wait_for_a_request(rig: Rig) -> None:
    for byte in associate_rq()[:31]:
        rig.passes(1)
        if rig.is_closed():
            break
        rig.send(bytes([byte]))
    assert rig.is_closed()
    assert rig.heard() == b""


def test_an_idle_association_is_aborted(rig: Rig) -> None:
    rig.establish()
    rig.passes(299)
    assert rig.heard() == b"nothing"
    rig.passes(2)
    assert rig.heard() == USER_ABORT
    assert not rig.is_closed(), "the peer may read it"
    assert rig.changes == [True, False]


def test_when_we_stop_an_association_that_pauses_is_aborted(rig: Rig) -> None:
    rig.establish()
    rig.passes(200)
    rig.stop()
    rig.passes(FAREWELL_PAUSE_S - 0.1)
    assert rig.heard() == b"nothing"
    rig.passes(0.2)
    assert rig.heard() == USER_ABORT


def test_when_we_stop_a_sender_may_send_what_it_has(rig: Rig) -> None:
    rig.establish()
    rig.send(p_data(pdv(1, 3, STORE)) + p_data(pdv(1, 0, b"half")))
    rig.stop()
    rig.passes(FAREWELL_PAUSE_S * 3)
    rig.send(p_data(pdv(1, 2, b"rest")))
    assert status_of(rig.heard()) == 0
    for _ in range(4):
        rig.passes(FAREWELL_PAUSE_S - 0.1)
        rig.send(p_data(pdv(1, 3, STORE)) + p_data(pdv(1, 2, b"DATA")))
        assert status_of(rig.heard()) == 0
    rig.passes(FAREWELL_PAUSE_S + 0.1)
    assert rig.heard() == USER_ABORT


def test_each_message_starts_the_idle_clock_anew(rig: Rig) -> None:
    rig.establish()
    for _ in range(3):
        rig.passes(250)
        rig.send(p_data(pdv(1, 3, STORE)) + p_data(pdv(1, 2, b"DATA")))
        assert status_of(rig.heard()) == 0


def test_a_message_that_stops_is_aborted_and_discarded(rig: Rig) -> None:
    rig.establish()
    rig.send(p_data(pdv(1, 3, STORE)) + p_data(pdv(1, 0, b"half")))
    rig.passes(59)
    assert rig.heard() == b"nothing"
    rig.send(p_data(pdv(1, 0, b"more")))
    rig.passes(59)
    assert rig.heard() == b"nothing"
    rig.passes(2)
    assert rig.heard() == USER_ABORT
    assert rig.world.sink.deliveries[0].discarded


def test_a_data_pdu_that_trickles_is_no_progress(rig: Rig) -> None:
    rig.establish()
    rig.send(p_data(pdv(1, 3, STORE)))
    data = p_data(pdv(1, 0, bytes(8000)))
    rig.send(data[:100])
    for at in range(100, 800, 100):
        rig.passes(10)
        if rig.connection.session.ended:
            break
        rig.send(data[at : at + 100])
    assert rig.heard() == USER_ABORT


def test_a_pdu_that_does_not_end_is_aborted_by_the_provider(rig: Rig) -> None:
    rig.establish()
    rig.send(RELEASE_RQ[:3])
    rig.passes(10)
    rig.send(RELEASE_RQ[3:5])
    rig.passes(11)
    assert rig.heard() == bytes.fromhex("07 00 00000004 0000 02 00")


def test_after_our_last_word_bytes_are_dropped_until_artim_ends(rig: Rig) -> None:
    rig.establish()
    rig.send(RELEASE_RQ)
    assert rig.heard() == RELEASE_RP
    rig.passes(3)
    rig.send(associate_rq())
    assert rig.heard() == b"nothing"
    rig.passes(3)
    assert rig.is_closed()
    assert rig.heard() == b""


def test_the_peers_close_ends_the_wait(rig: Rig) -> None:
    rig.establish()
    rig.send(RELEASE_RQ)
    rig.peer.shutdown(socket.SHUT_WR)
    rig.turn()
    assert rig.closed == [rig.connection]


def test_a_peer_that_aborts_is_let_go_at_once(rig: Rig) -> None:
    rig.establish()
    rig.send(ABORT)
    assert rig.is_closed()
    assert rig.world.admission.open == 0


def test_a_peer_that_does_not_read_is_not_read_from(rig: Rig) -> None:
    rig.establish()
    echo = p_data(pdv(1, 3, STORE)) + p_data(pdv(1, 2, b"DATA"))
    answered = 0
    while rig.connection._mask & select.EPOLLIN and answered < 100_000:
        rig.send(echo)
        answered += 1
    assert answered < 100_000
    assert len(rig.connection._unsent) < 1000, "one answer at most"
    before = rig.world.counters.received_bytes
    rig.peer.send(echo)
    rig.turn()
    assert rig.world.counters.received_bytes == before
    rig.passes(39)
    assert not rig.is_closed()
    rig.passes(2)
    assert rig.is_closed()


def test_a_slow_reader_is_served_again_once_it_reads(rig: Rig) -> None:
    rig.establish()
    message = p_data(pdv(1, 3, STORE)) + p_data(pdv(1, 2, b"DATA"))
    sent = 0
    while rig.connection._mask & select.EPOLLIN:
        rig.send(message)
        sent += 1
    heard = b""
    while rig.heard() != b"nothing" or rig.connection._unsent:
        rig.turn()
    rig.send(message)
    heard = rig.heard()
    assert status_of(heard) == 0
    assert rig.world.counters.objects == sent + 1


def test_an_association_may_have_a_longest_time() -> None:
    rig = Rig(TimeoutSettings(idle=300, association=100))
    rig.establish()
    rig.passes(60)
    rig.send(p_data(pdv(1, 3, STORE)) + p_data(pdv(1, 2, b"DATA")))
    assert status_of(rig.heard()) == 0
    rig.passes(41)
    assert rig.heard() == USER_ABORT
    rig.close()


def test_clocks_that_are_off_never_end() -> None:
    rig = Rig(TimeoutSettings(acse=0, dimse=0, idle=0, artim=0))
    assert rig.connection.deadline == inf
    rig.establish()
    assert rig.connection.deadline == inf
    rig.send(p_data(pdv(1, 3, STORE)))
    assert rig.connection.deadline == inf
    rig.close()


def test_nothing_is_read_and_no_clock_runs_while_a_commit_waits() -> None:
    rig = Rig(blocking=True)
    rig.establish()
    rig.send(p_data(pdv(1, 3, STORE)) + p_data(pdv(1, 2, b"DATA")))
    assert rig.connection.deadline == inf
    before = rig.world.counters.received_bytes
    rig.send(RELEASE_RQ)
    rig.turn()
    assert rig.world.counters.received_bytes == before
    rig.world.work()
    assert status_of(rig.heard()) == 0
    rig.turn()
    assert rig.heard() == RELEASE_RP
    rig.close()


def test_a_peer_that_is_gone_while_a_commit_waits_costs_nothing() -> None:
    rig = Rig(blocking=True)
    rig.establish()
    rig.send(p_data(pdv(1, 3, STORE)) + p_data(pdv(1, 2, b"DATA")))
    rig.peer.close()
    rig.turn()
    assert rig.poll.poll(0) == [], "epoll does not keep asking"
    rig.world.work()
    assert rig.world.sink.stored
    rig.turn()
    assert rig.is_closed()
    rig.close()
