"""Peers that break the rules get the answer of the standard, and harm nobody."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from dicomd.settings.listener import ListenerSettings, TimeoutSettings
from tests.acceptor.peers import BEGUN, OBJECT, establish, heard, is_served, peer
from tests.acceptor.service import Service, wait_until
from tests.upper_layer.wire import ABORT, ECHO, RELEASE_RQ, STORE, associate_rq, p_data, pdv

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
