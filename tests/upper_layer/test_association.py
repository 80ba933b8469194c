"""Wire bytes and what is seen of them; each table is run three ways."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest

from dicomd.errors import LocalProtocolError
from dicomd.upper_layer.association import Association
from dicomd.upper_layer.events import (
    Aborted,
    AssociationRequested,
    CommandReceived,
    DatasetReceived,
    Event,
    PeerClosed,
    ReleaseRequested,
)
from dicomd.upper_layer.framing import ASSOCIATE_RQ_LIMIT_BYTES, COMMAND_SET_LIMIT_BYTES
from dicomd.upper_layer.states import State
from tests.upper_layer import wire
from tests.upper_layer.wire import (
    ABORT,
    ECHO,
    MAX_PDU,
    RELEASE_RQ,
    STORE,
    Data,
    associate_rq,
    established,
    feed,
    one_byte_at_a_time,
    p_data,
    pdv,
)

Seen = list[Event | Data]


def cut(data: bytes, size: int) -> Iterable[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


WAYS: dict[str, Callable[[bytes], Iterable[bytes]]] = {
    "all at once": lambda data: [data],
    "one byte at a time": one_byte_at_a_time,
    "seven bytes at a time": lambda data: cut(data, 7),
}

WHOLE = p_data(pdv(1, 3, STORE)) + p_data(pdv(1, 2, b"PAYLOAD!"))
WHOLE_SEEN: Seen = [CommandReceived(1, STORE), (1, b"PAYLOAD!", True)]

GOOD: dict[str, tuple[bytes, Seen]] = {
    "an echo": (p_data(pdv(3, 3, ECHO)), [CommandReceived(3, ECHO)]),
    "a store in two PDUs": (WHOLE, WHOLE_SEEN),
    "a store in one PDU": (p_data(pdv(1, 3, STORE), pdv(1, 2, b"PAYLOAD!")), WHOLE_SEEN),
    "two stores": (WHOLE * 2, WHOLE_SEEN * 2),
    "two stores in one PDU": (
        p_data(pdv(1, 3, STORE), pdv(1, 2, b"AB"), pdv(3, 3, STORE), pdv(3, 2, b"CD")),
        [CommandReceived(1, STORE), (1, b"AB", True), CommandReceived(3, STORE), (3, b"CD", True)],
    ),
    "a command in fragments": (
        p_data(pdv(1, 1, STORE[:2]), pdv(1, 1, STORE[2:20]))
        + p_data(pdv(1, 3, STORE[20:]))
        + p_data(pdv(1, 2, b"PAYLOAD!")),
        WHOLE_SEEN,
    ),
    "a command that ends with an empty fragment": (
        p_data(pdv(1, 1, STORE), pdv(1, 3, b""), pdv(1, 2, b"PAYLOAD!")),
        WHOLE_SEEN,
    ),
    "a data set of many PDVs": (
        p_data(pdv(1, 3, STORE))
        + p_data(*(pdv(1, 0, bytes((n, n))) for n in range(200)))
        + p_data(pdv(1, 2, b"XY")),
        [CommandReceived(1, STORE), (1, bytes(n // 2 for n in range(400)) + b"XY", True)],
    ),
    "empty PDVs": (
        p_data(pdv(1, 1, b""), pdv(1, 3, STORE))
        + p_data(pdv(1, 0, b""))
        + p_data(pdv(1, 0, b"PAYLOAD!"), pdv(1, 0, b""), pdv(1, 2, b"")),
        WHOLE_SEEN,
    ),
    "an empty data set": (
        p_data(pdv(1, 3, STORE), pdv(1, 2, b"")),
        [CommandReceived(1, STORE), (1, b"", True)],
    ),
    "an empty command": (p_data(pdv(1, 3, b"")), [CommandReceived(1, b"")]),
    "reserved bits of the control header": (
        p_data(pdv(1, 0xFF, STORE), pdv(1, 0xFE, b"PAYLOAD!")),
        WHOLE_SEEN,
    ),
    "a PDU of the announced length": (
        p_data(pdv(1, 3, STORE)) + p_data(pdv(1, 2, bytes(MAX_PDU - 6))),
        [CommandReceived(1, STORE), (1, bytes(MAX_PDU - 6), True)],
    ),
    "a PDU whose sender forgot its headers": (
        p_data(pdv(1, 3, STORE)) + p_data(pdv(1, 2, bytes(MAX_PDU + 6))),
        [CommandReceived(1, STORE), (1, bytes(MAX_PDU + 6), True)],
    ),
    "a release": (WHOLE + RELEASE_RQ, [*WHOLE_SEEN, ReleaseRequested()]),
    "a release inside a message": (
        p_data(pdv(1, 3, STORE)) + p_data(pdv(1, 0, b"AB")) + RELEASE_RQ,
        [CommandReceived(1, STORE), (1, b"AB", False), ReleaseRequested()],
    ),
    "data behind a release is dropped": (RELEASE_RQ + WHOLE, [ReleaseRequested()]),
    "an abort behind a release": (
        RELEASE_RQ + WHOLE + ABORT,
        [ReleaseRequested(), Aborted(0, 0)],
    ),
    "an abort": (WHOLE + ABORT[:8] + b"\x02\x06", [*WHOLE_SEEN, Aborted(2, 6)]),
    "data behind an abort is dropped": (ABORT + WHOLE, [Aborted(0, 0)]),
    "nothing": (b"", []),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", GOOD)
def test_what_is_right_is_seen(name: str, way: str) -> None:
    data, expected = GOOD[name]
    association = established()
    assert feed(association, WAYS[way](data)) == expected
    assert association.fault is None
    assert association.take_outgoing() == b""
    assert not association.in_pdu
    assert association.held_bytes == 0


@pytest.mark.parametrize("name", GOOD)
def test_trailing_bytes_of_the_next_pdu_change_nothing(name: str) -> None:
    data, expected = GOOD[name]
    for trailing in (p_data(pdv(1, 3, STORE)), RELEASE_RQ, ABORT):
        for size in range(1, 10):
            association = established()
            if ReleaseRequested() in expected and trailing == RELEASE_RQ:
                continue  # a second release is a fault, see below
            assert feed(association, [data + trailing[:size]]) == expected
            assert association.fault is None
            assert association.in_pdu is not association.closing


@dataclass(frozen=True)
class Bad:
    data: bytes
    reason: int
    seen: tuple[Event | Data, ...] = ()
    unread: bytes = b""
    """What would follow on the wire, and is not needed to tell."""


STORE_SEEN = (CommandReceived(1, STORE),)
LONG = MAX_PDU + 1024

BAD: dict[str, Bad] = {
    "an unknown PDU type": Bad(b"\x08", 1, unread=bytes(9)),
    "a PDU type of zero": Bad(b"\x00", 1),
    "text": Bad(b"G", 1, unread=b"ET / HTTP/1.1\r\n"),
    "a second request": Bad(associate_rq()[:1], 2, unread=associate_rq()[1:]),
    "an A-ASSOCIATE-AC": Bad(b"\x02", 2),
    "an A-ASSOCIATE-RJ": Bad(wire.ASSOCIATE_RJ[:1], 2),
    "an A-RELEASE-RP": Bad(wire.RELEASE_RP[:1], 2),
    "a second release": Bad(RELEASE_RQ + RELEASE_RQ[:1], 2, (ReleaseRequested(),)),
    "a request behind a release": Bad(RELEASE_RQ + b"\x01", 2, (ReleaseRequested(),)),
    "a release of another length": Bad(RELEASE_RQ[:5] + b"\x05", 6, unread=bytes(5)),
    "an abort of another length": Bad(ABORT[:2] + b"\xff\xff\xff\xff", 6),
    "an abort of no length": Bad(ABORT[:2] + bytes(4), 6),
    "P-DATA of no length": Bad(p_data(), 6),
    "P-DATA too short for a PDV": Bad(p_data(length=5), 6, unread=bytes(5)),
    "P-DATA over the announced length": Bad(p_data(length=LONG), 6, unread=bytes(LONG)),
    "P-DATA of 4 GiB": Bad(p_data(length=0xFFFFFFFF), 6),
    "P-DATA over the length behind a release": Bad(
        RELEASE_RQ + p_data(length=LONG), 6, (ReleaseRequested(),)
    ),
    "a PDV of no length": Bad(p_data(pdv(1, 3, b"", length=0)), 6),
    "a PDV of length 1": Bad(p_data(pdv(1, 3, b"", length=1), b"AB"), 6),
    "a PDV past its PDU": Bad(p_data(pdv(1, 3, STORE, length=len(STORE) + 4)), 6),
    "a PDV of 4 GiB": Bad(p_data(pdv(1, 3, STORE, length=0xFFFFFFFE)), 6),
    "a PDV of odd length": Bad(p_data(pdv(1, 3, STORE), pdv(1, 2, b"ODD")), 6, STORE_SEEN),
    "a PDU with bytes behind its PDV": Bad(p_data(pdv(1, 3, STORE), b"\0\0\0\0"), 6),
    "a context that is not accepted": Bad(p_data(pdv(5, 3, STORE)), 5),
    "context zero": Bad(p_data(pdv(0, 3, STORE)), 5),
    "data of a context that is not accepted": Bad(
        p_data(pdv(1, 3, STORE), pdv(5, 2, b"AB")), 5, STORE_SEEN
    ),
    "data before a command": Bad(p_data(pdv(1, 2, b"AB")), 6),
    "data behind an echo": Bad(
        p_data(pdv(1, 3, ECHO), pdv(1, 2, b"AB")), 6, (CommandReceived(1, ECHO),)
    ),
    "data behind a command that can't be walked": Bad(
        p_data(pdv(1, 3, b"AB"), pdv(1, 2, b"AB")), 6, (CommandReceived(1, b"AB"),)
    ),
    "a command where data is due": Bad(p_data(pdv(1, 3, STORE), pdv(1, 3, ECHO)), 6, STORE_SEEN),
    "a command inside a data set": Bad(
        p_data(pdv(1, 3, STORE), pdv(1, 0, b"AB"), pdv(1, 3, ECHO)),
        6,
        (*STORE_SEEN, (1, b"AB", False)),
    ),
    "data on another context than the command": Bad(
        p_data(pdv(1, 3, STORE), pdv(3, 2, b"AB")), 6, STORE_SEEN
    ),
    "a context changed inside a command": Bad(
        p_data(pdv(1, 1, STORE[:20]), pdv(3, 3, STORE[20:])), 6
    ),
    "a context changed inside a data set": Bad(
        p_data(pdv(1, 3, STORE), pdv(1, 0, b"AB"), pdv(3, 2, b"CD")),
        6,
        (*STORE_SEEN, (1, b"AB", False)),
    ),
    "data before the command is complete": Bad(p_data(pdv(1, 1, STORE[:20]), pdv(1, 2, b"AB")), 6),
    "a good message, then garbage": Bad(WHOLE + b"\xff", 1, tuple(WHOLE_SEEN), unread=WHOLE),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_aborted_and_what_came_before_is_seen(name: str, way: str) -> None:
    bad = BAD[name]
    association = established()
    assert feed(association, WAYS[way](bad.data)) == list(bad.seen)
    assert association.fault is not None
    assert (association.fault.source, association.fault.reason) == (2, bad.reason)
    assert association.take_outgoing() == ABORT[:8] + bytes((2, bad.reason))
    assert association.state is State.AWAITING_CLOSE
    assert association.closing
    assert association.artim_running
    assert feed(association, [bad.unread + WHOLE + ABORT]) == []
    assert association.take_outgoing() == b""


@pytest.mark.parametrize("name", BAD)
def test_a_fault_is_found_with_bytes_trailing(name: str) -> None:
    bad = BAD[name]
    association = established()
    assert feed(association, [bad.data + bad.unread + WHOLE]) == list(bad.seen)
    assert association.take_outgoing() == ABORT[:8] + bytes((2, bad.reason))


FIRST: dict[str, tuple[bytes, int]] = {
    "P-DATA": (p_data(pdv(1, 3, ECHO)), 2),
    "a release": (RELEASE_RQ, 2),
    "an answer to a release": (wire.RELEASE_RP, 2),
    "an acceptance": (b"\x02" + associate_rq()[1:], 2),
    "a rejection": (wire.ASSOCIATE_RJ, 2),
    "text": (b"GET / HTTP/1.1\r\n\r\n", 1),
    "zeros": (bytes(100), 1),
    "TLS": (bytes.fromhex("1603010200010001fc0303"), 1),
    "a request over the limit": (b"\x01\0" + (ASSOCIATE_RQ_LIMIT_BYTES + 1).to_bytes(4, "big"), 6),
    "a request of 4 GiB": (b"\x01\0\xff\xff\xff\xff", 6),
    "a request without its fixed fields": (b"\x01\0\0\0\0\x43" + bytes(67), 6),
    "a request with a broken item": (associate_rq(wire.item(0x10, b"1", length=9)), 6),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", FIRST)
def test_anything_but_a_request_first_is_aborted(name: str, way: str) -> None:
    data, reason = FIRST[name]
    association = Association(max_pdu=MAX_PDU)
    assert feed(association, WAYS[way](data)) == []
    assert association.take_outgoing() == ABORT[:8] + bytes((2, reason))
    assert association.state is State.AWAITING_CLOSE


@pytest.mark.parametrize("way", WAYS)
def test_an_abort_first_ends_without_an_answer(way: str) -> None:
    association = Association(max_pdu=MAX_PDU)
    assert feed(association, WAYS[way](ABORT)) == [Aborted(0, 0)]
    assert association.take_outgoing() == b""
    assert association.state is State.CLOSED
    assert association.closing


@pytest.mark.parametrize("way", WAYS)
def test_a_request_is_seen_with_its_bytes(way: str) -> None:
    association = Association(max_pdu=MAX_PDU)
    (event,) = feed(association, WAYS[way](associate_rq()))
    assert isinstance(event, AssociationRequested)
    assert event.encoded == associate_rq()
    assert event.request.calling_ae_title == "MOD1"
    assert Association(max_pdu=MAX_PDU).artim_running
    assert association.state is State.AWAITING_ANSWER
    assert not association.artim_running
    assert association.held_bytes == 0


@pytest.mark.parametrize("way", WAYS)
def test_data_before_the_answer_is_aborted_and_the_answer_dropped(way: str) -> None:
    association = Association(max_pdu=MAX_PDU)
    (event,) = feed(association, WAYS[way](associate_rq() + p_data(pdv(1, 3, ECHO))))
    assert isinstance(event, AssociationRequested)
    association.accept(b"AC", {1: wire.IMPLICIT}, 16384)
    association.send_command(1, b"late")
    association.release()
    association.reject(1, 1, 1)
    association.abort(0, 0)
    assert association.take_outgoing() == ABORT[:8] + bytes((2, 2))


def test_a_rejection_waits_for_the_close() -> None:
    association = Association(max_pdu=MAX_PDU)
    feed(association, [associate_rq()])
    association.reject(2, 3, 2)
    assert association.take_outgoing() == bytes.fromhex("03 00 00000004 00 02 03 02")
    assert association.artim_running
    assert association.closing
    assert feed(association, [WHOLE]) == []


def test_a_release_is_answered_and_waits_for_the_close() -> None:
    association = established()
    feed(association, [RELEASE_RQ])
    assert not association.closing
    association.release()
    assert association.take_outgoing() == wire.RELEASE_RP
    assert association.state is State.AWAITING_CLOSE
    assert association.artim_running
    assert association.take_outgoing() == b""


def test_an_answer_may_precede_that_to_the_release() -> None:
    """PS3.8 AR-7: what was asked before the release is answered before it."""
    association = established()
    feed(association, [p_data(pdv(3, 3, ECHO)) + RELEASE_RQ])
    association.send_command(3, b"RESPONSE")
    association.release()
    assert association.take_outgoing() == p_data(pdv(3, 3, b"RESPONSE")) + wire.RELEASE_RP


def test_our_abort_carries_source_and_reason() -> None:
    association = established()
    association.abort(0, 3)
    assert association.take_outgoing() == ABORT  # a user's abort has no reason
    association = established()
    association.abort(2, 5)
    assert association.take_outgoing() == ABORT[:8] + bytes((2, 5))
    assert association.closing


@pytest.mark.parametrize("state", ["fresh", "requested", "established", "message", "closing"])
def test_the_peers_close_ends_it_in_any_state(state: str) -> None:
    association = Association(max_pdu=MAX_PDU)
    if state == "requested":
        feed(association, [associate_rq()])
    elif state != "fresh":
        association = established()
        feed(association, [p_data(pdv(1, 3, STORE))] if state == "message" else [])
        if state == "closing":
            association.abort(0, 0)
    assert association.receive_eof() == [PeerClosed()]
    assert association.state is State.CLOSED
    assert association.closing
    assert not association.artim_running
    assert not association.in_message
    association.send_command(1, b"late")


OUT_OF_ORDER: dict[str, Callable[[Association], None]] = {
    "accept": lambda association: association.accept(b"", {}, 0),
    "reject": lambda association: association.reject(1, 1, 1),
    "release": lambda association: association.release(),
    "unaccepted context": lambda association: association.send_command(9, b""),
}


@pytest.mark.parametrize("call", OUT_OF_ORDER)
def test_our_call_out_of_order_is_a_local_error(call: str) -> None:
    with pytest.raises(LocalProtocolError, match="STA6"):
        OUT_OF_ORDER[call](established())


def test_a_peer_that_takes_under_eight_bytes_cannot_be_accepted() -> None:
    association = Association(max_pdu=MAX_PDU)
    feed(association, [associate_rq()])
    with pytest.raises(LocalProtocolError):
        association.accept(b"AC", {1: wire.IMPLICIT}, 7)


@pytest.mark.parametrize("peer_max_pdu", [0, 8, 9, 10, 64, 137, 138, 139, 16384])
def test_a_response_fits_the_peers_maximum_length(peer_max_pdu: int) -> None:
    response = bytes(n & 0xFF for n in range(132))
    sender = established(peer_max_pdu=peer_max_pdu)
    sender.send_command(3, response)
    sent = sender.take_outgoing()
    at, lengths = 0, []
    while at < len(sent):
        lengths.append(int.from_bytes(sent[at + 2 : at + 6], "big"))
        at += 6 + lengths[-1]
    assert all(length <= (peer_max_pdu or 138) and length % 2 == 0 for length in lengths)
    if peer_max_pdu == 0 or peer_max_pdu >= 138:
        assert len(lengths) == 1
    assert feed(established(), [sent]) == [CommandReceived(3, response)]


def test_a_data_set_is_one_event_a_read_over_pdus_and_pdvs() -> None:
    association = established()
    feed(association, [p_data(pdv(1, 3, STORE))])
    read = p_data(pdv(1, 0, b"AB"), pdv(1, 0, b"CD")) + p_data(pdv(1, 0, b"EF"))[:13]
    with memoryview(read) as view:
        (event,) = association.receive(view)
        assert isinstance(event, DatasetReceived)
        assert [bytes(span) for span in event.spans] == [b"AB", b"CD", b"E"]
        assert all(span.obj is read for span in event.spans)
        assert not event.last


def test_in_message_and_in_pdu_follow_the_bytes() -> None:
    association = established()
    stream = p_data(pdv(1, 1, STORE[:20])) + p_data(pdv(1, 3, STORE[20:]), pdv(1, 2, b"AB"))
    first = 12 + 20
    for at in range(len(stream)):
        feed(association, [stream[at : at + 1]])
        read = at + 1
        assert association.in_pdu is (read not in (first, len(stream))), read
        assert association.in_message is (12 <= read < len(stream)), read
    feed(association, [p_data(pdv(3, 3, ECHO))])
    assert not association.in_message


def test_a_command_set_of_64_kib_passes_and_two_more_bytes_do_not() -> None:
    fragment = pdv(1, 1, bytes(1024))
    association = established(max_pdu=131072)
    whole = p_data(*[fragment] * 64) + p_data(pdv(1, 3, b""))
    assert feed(association, [whole]) == [CommandReceived(1, bytes(COMMAND_SET_LIMIT_BYTES))]
    association = established(max_pdu=131072)
    assert feed(association, [p_data(*[fragment] * 64) + p_data(pdv(1, 3, b"AB"))]) == []
    assert association.take_outgoing() == ABORT[:8] + bytes((2, 6))


def test_thousands_of_tiny_fragments_are_one_message() -> None:
    data = b"".join(p_data(pdv(1, 0, bytes((n & 0xFF, 0)))) for n in range(5000))
    stream = p_data(pdv(1, 3, STORE)) + data + p_data(pdv(1, 2, b""))
    expected = b"".join(bytes((n & 0xFF, 0)) for n in range(5000))
    assert feed(established(), cut(stream, 4096)) == [
        CommandReceived(1, STORE),
        (1, expected, True),
    ]


def test_what_is_kept_does_not_grow_with_a_data_set() -> None:
    association = established(max_pdu=131072)
    feed(association, [p_data(pdv(1, 3, STORE))])
    payload = p_data(pdv(1, 0, bytes(131066)))
    for cut_at in range(1, 1000, 7):
        feed(association, [payload[:cut_at], payload[cut_at:]])
        assert association.held_bytes < 12


def test_even_context_ids_pass_only_where_checks_are_tolerant() -> None:
    request = associate_rq(wire.APPLICATION, wire.context(2), wire.user())
    association = Association(max_pdu=MAX_PDU, strict=False)
    (event,) = feed(association, [request])
    assert isinstance(event, AssociationRequested)
    association.accept(b"AC", {2: wire.IMPLICIT}, 16384)
    assert feed(association, [p_data(pdv(2, 3, ECHO))]) == [CommandReceived(2, ECHO)]
    association = Association(max_pdu=MAX_PDU)
    assert feed(association, [request]) == []
    assert association.take_outgoing() == ABORT[:8] + bytes((2, 6))
