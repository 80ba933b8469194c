"""Fragmentations: how a stream is cut decides nothing; what is sent never breaks the reader."""

from itertools import pairwise
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomd.upper_layer.association import Association
from dicomd.upper_layer.events import CommandReceived, Event
from dicomd.upper_layer.framing import (
    ASSOCIATE_RQ_LIMIT_BYTES,
    COMMAND_SET_LIMIT_BYTES,
    announces_dataset,
)
from tests.upper_layer.wire import (
    ABORT,
    ECHO,
    RELEASE_RQ,
    STORE,
    Data,
    element,
    established,
    feed,
    p_data,
    pdv,
)

HELD_LIMIT = max(ASSOCIATE_RQ_LIMIT_BYTES, COMMAND_SET_LIMIT_BYTES) + 12

RECORDED = (
    p_data(pdv(3, 3, ECHO))
    + p_data(pdv(1, 3, STORE))
    + p_data(pdv(1, 0, bytes(range(100))), pdv(1, 0, b""), pdv(1, 2, b"LAST"))
    + p_data(pdv(3, 1, STORE[:30]), pdv(3, 3, STORE[30:]), pdv(3, 2, b""))
    + RELEASE_RQ
)


def test_a_recorded_stream_cut_once_at_every_offset_is_seen_the_same() -> None:
    expected = feed(established(), [RECORDED])
    for at in range(len(RECORDED) + 1):
        assert feed(established(), [RECORDED[:at], RECORDED[at:]]) == expected, at


def test_a_recorded_stream_cut_twice_is_seen_the_same() -> None:
    expected = feed(established(), [RECORDED])
    for at in range(0, len(RECORDED), 3):
        for size in range(1, 14):
            chunks = [RECORDED[:at], RECORDED[at : at + size], RECORDED[at + size :]]
            assert feed(established(), chunks) == expected, (at, size)


@st.composite
def messages(draw: st.DrawFn) -> tuple[bytes, list[Event | Data]]:
    """A stream of whole messages, fragmented at will, and what is to be seen of it."""
    stream, seen, pending = b"", list[Event | Data](), list[bytes]()
    even = st.binary(max_size=40).map(lambda data: data + bytes(len(data) % 2))
    for _ in range(draw(st.integers(1, 4))):
        context = draw(st.sampled_from((1, 3)))
        command = draw(st.sampled_from((STORE, ECHO)))
        parts = [command]
        at = draw(st.integers(0, len(command) // 2)) * 2
        parts = [command[:at], command[at:]]
        pending += [pdv(context, 1 | 2 * (n == 1), part) for n, part in enumerate(parts)]
        seen.append(CommandReceived(context, command))
        if command is STORE:
            parts = draw(st.lists(even, min_size=1, max_size=5))
            last = len(parts) - 1
            pending += [pdv(context, 2 * (n == last), part) for n, part in enumerate(parts)]
            seen.append((context, b"".join(parts), True))
    while pending:
        count = draw(st.integers(1, 4))
        stream += p_data(*pending[:count])
        del pending[:count]
    return stream, seen


@settings(max_examples=150, deadline=None)
@given(messages(), st.lists(st.integers(0, 1000), max_size=8))
def test_generated_messages_are_seen_however_they_are_fragmented(
    sent: tuple[bytes, list[Event | Data]], cuts: list[int]
) -> None:
    stream, expected = sent
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    association = established()
    chunks = [stream[a:b] for a, b in pairwise(places)]
    assert feed(association, chunks) == expected
    assert association.fault is None
    assert not association.in_message
    assert association.held_bytes == 0


@settings(max_examples=300, deadline=None)
@given(st.booleans(), st.lists(st.binary(max_size=200), max_size=10))
def test_random_bytes_only_ever_end_the_association(is_open: bool, chunks: list[bytes]) -> None:
    association = established() if is_open else Association(max_pdu=16384)
    for chunk in chunks:
        feed(association, [chunk])
        assert association.held_bytes <= HELD_LIMIT
    assert (association.fault is None) or association.take_outgoing()[:1] == b"\x07"


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(RECORDED) - 1), st.binary(min_size=1, max_size=4), st.integers(1, 60))
def test_a_changed_stream_is_seen_the_same_however_it_is_cut(
    at: int, change: bytes, size: int
) -> None:
    changed = RECORDED[:at] + change + RECORDED[at + len(change) :]
    whole, pieces = established(), established()
    expected = feed(whole, [changed])
    seen = feed(pieces, [changed[n : n + size] for n in range(0, len(changed), size)])
    assert seen == expected
    assert (whole.fault is None) == (pieces.fault is None)
    assert whole.take_outgoing() == pieces.take_outgoing()
    assert whole.state is pieces.state


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (STORE, True),
        (ECHO, False),
        (b"", False),
        (b"\0", False),
        (element(0x0800, b"\x01\x01"), False),
        (element(0x0800, b"\x00\x01"), True),
        (element(0x0800, b"\x00\x00"), True),
        (element(0x0800, b"\x01"), False),
        (element(0x0800, b"\0\0\0\0"), False),
        (element(0x0800, b"\0", length=2), False),
        (element(0x0002, element(0x0800, b"\0\0")), False),
        (element(0x0002, b"AB", length=0xFFFFFFFF) + element(0x0800, b"\0\0"), False),
        (pack("<HHI", 0x0800, 0, 2) + b"\0\0", False),
    ],
)
def test_the_peek_reads_the_command_data_set_type(command: bytes, expected: bool) -> None:
    assert announces_dataset(command) is expected


def test_an_abort_inside_a_header_is_only_bytes() -> None:
    """A PDU is told by its first byte, never by what follows."""
    association = established()
    feed(association, [p_data(pdv(1, 3, STORE))])
    assert feed(association, [p_data(pdv(1, 2, ABORT))]) == [(1, ABORT, True)]


def test_a_command_set_cut_off_in_its_second_element_announces_nothing() -> None:
    begun = bytes.fromhex("00000000040000005a000000000002001a00000000")
    for length in range(len(begun) + 1):
        assert not announces_dataset(begun[:length])
