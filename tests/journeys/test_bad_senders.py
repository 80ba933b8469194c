"""What a strict daemon answers to senders that do it wrong, and that the next one is served.

Each row is sent on a connection of its own to one running daemon.
"""

from collections.abc import Iterator
from pathlib import Path
from struct import pack

import pytest
from tests.journeys.peers import (
    COMMAND,
    LAST,
    USUAL,
    Context,
    Sender,
    asconfig,
    command_elements,
    data_pdus,
    explicit,
    request,
    short_element,
    small_data_set,
    store_rq,
    uid_element,
)
from tests.journeys.running import Daemon, running
from tests.upper_layer.wire import (
    ABORT,
    APPLICATION,
    ASSOCIATE_RJ,
    CT,
    EXPLICIT,
    IMPLICIT,
    RELEASE_RP,
    RELEASE_RQ,
    VERIFICATION,
    associate_rq,
    command_set,
    context,
    element,
    item,
    p_data,
    pdv,
    user,
)

pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("bad_senders")]

MR = "1.2.840.10008.5.1.4.1.1.4"
UID = "1.2.3.4.5"
DATA = small_data_set(UID)
ASSOCIATE_AC = pack(">BxI", 2, 68) + bytes(68)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("daemon")
    profile = asconfig(
        folder / "test.cfg",
        [(CT, (EXPLICIT, IMPLICIT)), (MR, (EXPLICIT,)), (VERIFICATION, (IMPLICIT,))],
    )
    listener = {
        "address": "127.0.0.1",
        "port": 0,
        "workers": 2,
        "profile": {"file": str(profile), "name": "Test"},
        "max_pdu": 16384,
        "timeouts": {"artim": 0.2},
        "access": {"called_ae_titles": ["ARCHIVE"], "calling_ae_titles": ["SENDER", "MOD1"]},
    }
    with running(folder, listeners={"one": listener}) as started:
        yield started


@pytest.fixture(autouse=True)
def _the_next_sender_is_served(daemon: Daemon) -> Iterator[None]:
    yield
    with Sender(daemon.port()) as sender:
        assert sender.associate() == f"accepted 0:{EXPLICIT} 0:{IMPLICIT}"
        assert sender.store(store_rq("1.2.9"), small_data_set("1.2.9")) == "0000"
        assert sender.release() == "released"
    assert _stored(daemon) <= {"CT.1.2.9"}
    assert list(daemon.objects.glob(".incoming/*.part")) == []


def _stored(daemon: Daemon) -> set[str]:
    return {path.name for path in daemon.objects.iterdir() if path.name[0] != "."}


def _answer(sender: Sender) -> str:
    answer = sender.answer()
    return f"abort {sender.abort[8]}/{sender.abort[9]}" if answer == "aborted" else answer


_ITEMS = (APPLICATION, context(1, syntaxes=(EXPLICIT,)), user())
_FIXED = pack(">H2x16s16s32x", 1, b"ARCHIVE".ljust(16), b"SENDER".ljust(16))


def _request(*items: bytes) -> bytes:
    body = _FIXED + b"".join(items)
    return pack(">BxI", 1, len(body)) + body


BEGINNINGS: dict[str, tuple[bytes, str]] = {
    "text": (b"GET / HTTP/1.1\r\n\r\n", "abort 2/1"),
    "PDU type 0": (bytes(10), "abort 2/1"),
    "PDU type 8": (b"\x08\0\0\0\0\4\0\0\0\0", "abort 2/1"),
    "an A-RELEASE-RQ": (RELEASE_RQ, "abort 2/2"),
    "an A-RELEASE-RP": (RELEASE_RP, "abort 2/2"),
    "an A-ASSOCIATE-AC": (ASSOCIATE_AC, "abort 2/2"),
    "an A-ASSOCIATE-RJ": (ASSOCIATE_RJ, "abort 2/2"),
    "P-DATA": (p_data(pdv(1, 3, b"ab")), "abort 2/2"),
    "an A-ABORT": (ABORT, "closed"),
    "a request of 4 GiB": (b"\1\0\xff\xff\xff\xff", "abort 2/6"),
    "a request over 1 MiB": (b"\1\0" + pack(">I", (1 << 20) + 1), "abort 2/6"),
    "a request shorter than its fields": (b"\1\0\0\0\0\4abcd", "abort 2/6"),
    "an item past its end": (_request(*_ITEMS[:2], item(0x50, b"", length=9)), "abort 2/6"),
    "a sub-item past its parent": (
        _request(*_ITEMS[:2], item(0x50, item(0x51, b"\0\0\1\0", length=99))),
        "abort 2/6",
    ),
    "a context without id": (_request(APPLICATION, item(0x20, b""), user()), "abort 2/6"),
    "an id twice": (_request(*_ITEMS[:2], context(1), user()), "abort 2/6"),
    "an even id": (_request(APPLICATION, context(2), user()), "abort 2/6"),
    "an unknown item": (_request(item(0x77, b"whatever"), *_ITEMS), f"accepted 0:{EXPLICIT}"),
    "an unknown sub-item": (
        _request(*_ITEMS[:2], user(item(0x7F, b"whatever"))),
        f"accepted 0:{EXPLICIT}",
    ),
    "protocol version 2": (associate_rq(*_ITEMS, version=2), "rejected 1/2/2"),
    "another application context": (
        _request(item(0x10, b"1.2.3"), *_ITEMS[1:]),
        "rejected 1/1/2",
    ),
    "no application context": (_request(*_ITEMS[1:]), "rejected 1/1/2"),
    "an unknown calling title": (
        associate_rq(*_ITEMS, calling=b"STRANGER".ljust(16)),
        "rejected 1/1/3",
    ),
    "a calling title that only begins right": (
        associate_rq(*_ITEMS, calling=b"SENDER2".ljust(16)),
        "rejected 1/1/3",
    ),
    "a calling title in small letters": (
        associate_rq(*_ITEMS, calling=b"sender".ljust(16)),
        "rejected 1/1/3",
    ),
    "another called title": (
        associate_rq(*_ITEMS, called=b"ELSEWHERE".ljust(16)),
        "rejected 1/1/7",
    ),
    "a maximum length below 8": (
        _request(*_ITEMS[:2], item(0x50, item(0x51, b"\0\0\0\7"))),
        "rejected 1/1/1",
    ),
    "nothing acceptable": (
        _request(APPLICATION, context(1, abstract="1.2.3"), user()),
        "rejected 1/1/1",
    ),
}


@pytest.mark.parametrize("row", BEGINNINGS)
def test_a_bad_beginning_is_answered(daemon: Daemon, row: str) -> None:
    data, expected = BEGINNINGS[row]
    with Sender(daemon.port()) as sender:
        sender.send(data)
        assert _answer(sender) == expected


def test_a_request_without_contexts_is_refused(daemon: Daemon) -> None:
    with Sender(daemon.port()) as sender:
        sender.send(_request(APPLICATION, user()))
        assert _answer(sender) in ("abort 2/6", "rejected 1/1/1")


_BEGUN = p_data(pdv(1, COMMAND | LAST, store_rq(UID)))
FAULTS: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "a second request": (request(), ("abort 2/2",)),
    "an A-ASSOCIATE-AC": (ASSOCIATE_AC, ("abort 2/2",)),
    "an A-RELEASE-RP": (RELEASE_RP, ("abort 2/2",)),
    "an unknown PDU": (b"\x0b\0\0\0\0\4abcd", ("abort 2/1",)),
    "a P-DATA of 4 GiB": (b"\4\0\xff\xff\xff\xff", ("abort 2/6",)),
    "a P-DATA of no length": (b"\4\0\0\0\0\0", ("abort 2/6",)),
    "a release of other length": (b"\5\0\0\0\0\5abcde", ("abort 2/6",)),
    "a PDV of length 0": (p_data(pack(">I", 0) + b"\1\3"), ("abort 2/6",)),
    "a PDV of length 1": (p_data(pack(">IB", 1, 1) + b"\3"), ("abort 2/6",)),
    "a PDV past its PDU": (p_data(pdv(1, 3, b"ab", length=400)), ("abort 2/6",)),
    "a context never proposed": (p_data(pdv(9, 3, b"ab")), ("abort 2/5", "abort 2/6")),
    "data before a command": (p_data(pdv(1, 2, b"ab")), ("abort 2/5", "abort 2/6")),
    "another context inside a message": (
        _BEGUN + p_data(pdv(3, 0, DATA[:10])),
        ("abort 2/5", "abort 2/6"),
    ),
    "a command inside a data set": (
        _BEGUN + p_data(pdv(1, 0, DATA[:10])) + _BEGUN,
        ("abort 2/5", "abort 2/6"),
    ),
    "a command set over 64 KiB": (
        b"".join(p_data(pdv(1, COMMAND, bytes(8000))) for _ in range(9)),
        ("abort 2/6",),
    ),
    "P-DATA behind the release": (RELEASE_RQ + _BEGUN + data_pdus(DATA), ("released",)),
}


@pytest.mark.parametrize("row", FAULTS)
def test_a_fault_inside_an_association_is_answered(daemon: Daemon, row: str) -> None:
    data, expected = FAULTS[row]
    with Sender(daemon.port()) as sender:
        sender.associate()
        sender.send(data)
        assert _answer(sender) in expected
        assert sender.answer() == "closed", "no more is said"


def _store(data: bytes, command: bytes | None = None, *, on: int = 1) -> bytes:
    command = command or store_rq(UID)
    return p_data(pdv(on, COMMAND | LAST, command)) + data_pdus(data, context_id=on)


def _command(field: int, *more: bytes, data_set: int = 0x0101) -> bytes:
    return p_data(
        pdv(
            1,
            COMMAND | LAST,
            command_set(
                uid_element(0x0002, CT),
                short_element(0x0100, field),
                short_element(0x0110, 7),
                *more,
                short_element(0x0800, data_set),
            ),
        )
    )


STATUSES: dict[str, tuple[bytes, str]] = {
    "another class in the data set": (_store(small_data_set(UID, sop_class=MR)), "A900"),
    "another instance in the data set": (_store(small_data_set("1.2.3.9")), "A900"),
    "no UIDs in the data set": (_store(explicit(0x00080060, "CS", b"CT")), "A900"),
    "an empty data set": (_store(b""), "C000"),
    "cut inside an element": (_store(DATA[:-2]), "C000"),
    "a length past the end": (
        _store(DATA + explicit(0x7FE10010, "OB", b"1234", length=400)),
        "C000",
    ),
    "text": (_store(b"GET / HTTP/1.1\r\nHost: xy\r\n\r\n"), "C000"),
    "a class that is not its context's": (
        _store(small_data_set(UID, sop_class=MR), store_rq(UID, sop_class=MR)),
        "0122",
    ),
    "an object on the Verification context": (_store(DATA, on=3), "0122"),
    "a path for a UID": (_store(DATA, store_rq("../../evil")), "0117"),
    "letters in a UID": (_store(DATA, store_rq("1.2.x4")), "0117"),
    "an empty UID": (_store(DATA, store_rq("")), "0117"),
    "a UID of 66 characters": (_store(DATA, store_rq("1." + "2" * 64)), "0117"),
    "no priority": (_store(DATA, store_rq(UID, without=[0x0700])), "0212"),
    "no instance": (_store(DATA, store_rq(UID, without=[0x1000])), "0212"),
    "no class": (_store(DATA, store_rq(UID, without=[0x0002])), "0212"),
    "C-FIND": (_command(0x0020, short_element(0x0700, 0)), "0211"),
    "C-MOVE": (_command(0x0021, short_element(0x0700, 0)), "0211"),
    "C-FIND with its identifier": (
        _command(0x0020, short_element(0x0700, 0), data_set=1) + data_pdus(DATA),
        "0211",
    ),
    "N-EVENT-REPORT": (_command(0x0100), "0211"),
    "N-CREATE": (_command(0x0140), "0211"),
    "a command that nobody knows": (_command(0x0777), "0211"),
}


@pytest.mark.parametrize("row", STATUSES)
def test_a_message_that_cannot_be_served_has_its_status(daemon: Daemon, row: str) -> None:
    """The association goes on behind it."""
    data, expected = STATUSES[row]
    with Sender(daemon.port()) as sender:
        sender.associate()
        sender.send(data)
        assert _answer(sender) == expected
        assert sender.echo() == "0000"
        assert sender.release() == "released"


def test_an_error_comment_names_no_path_and_no_patient(daemon: Daemon) -> None:
    with Sender(daemon.port()) as sender:
        sender.associate()
        sender.send(_store(small_data_set("1.2.3.9")))
        elements = command_elements(sender.read_pdu())
    comment = elements.get(0x0902, b"").decode()
    assert len(comment) <= 64
    assert str(daemon.objects) not in comment
    assert "NOBODY" not in comment


MESSAGES_WITHOUT_ANSWER: dict[str, bytes] = {
    "C-CANCEL": p_data(
        pdv(
            1,
            COMMAND | LAST,
            command_set(
                short_element(0x0100, 0x0FFF),
                short_element(0x0120, 7),
                short_element(0x0800, 0x0101),
            ),
        )
    ),
    "a response": p_data(
        pdv(
            1,
            COMMAND | LAST,
            command_set(
                uid_element(0x0002, CT),
                short_element(0x0100, 0x8001),
                short_element(0x0120, 7),
                short_element(0x0800, 0x0101),
                short_element(0x0900, 0),
            ),
        )
    ),
}


@pytest.mark.parametrize("row", MESSAGES_WITHOUT_ANSWER)
def test_what_nobody_awaits_is_ignored(daemon: Daemon, row: str) -> None:
    with Sender(daemon.port()) as sender:
        sender.associate()
        sender.send(MESSAGES_WITHOUT_ANSWER[row])
        assert sender.echo() == "0000"


COMMANDS_WITHOUT_ID: dict[str, bytes] = {
    "no message id": store_rq(UID, without=[0x0110]),
    "no command field": store_rq(UID, without=[0x0100]),
    "no elements": b"",
    "text": b"GET / HTTP/1.1\r\n\r\n",
    "a length past its end": element(0x0000, b"\4\0\0\0") + element(0x0100, b"\1\0", length=9),
}


@pytest.mark.parametrize("row", COMMANDS_WITHOUT_ID)
def test_what_has_no_message_id_aborts(daemon: Daemon, row: str) -> None:
    with Sender(daemon.port()) as sender:
        sender.associate()
        sender.send(p_data(pdv(1, COMMAND | LAST, COMMANDS_WITHOUT_ID[row])))
        assert sender.answer() == "aborted"


@pytest.mark.parametrize("fragment", [2, 8, 100])
def test_right_messages_in_odd_pieces_are_stored(daemon: Daemon, fragment: int) -> None:
    """A message over many tiny fragments, many of them in one PDU."""
    data = small_data_set("1.2.9")
    pieces = [data[at : at + fragment] for at in range(0, len(data), fragment)]
    pdvs = [pdv(1, 0, piece) for piece in pieces[:-1]] + [pdv(1, LAST, pieces[-1])]
    with Sender(daemon.port()) as sender:
        sender.associate()
        sender.send(p_data(pdv(1, COMMAND | LAST, store_rq("1.2.9")), *pdvs))
        assert sender.answer() == "0000"
        assert sender.release() == "released"


@pytest.mark.parametrize("max_pdu", [8, 10, 64, 0])
def test_a_peers_maximum_binds_what_is_sent(daemon: Daemon, max_pdu: int) -> None:
    contexts: tuple[Context, ...] = USUAL
    items = [context(number, abstract=uid, syntaxes=syntaxes) for number, uid, syntaxes in contexts]
    with Sender(daemon.port()) as sender:
        sender.send(_request(APPLICATION, *items, user(max_pdu=max_pdu)))
        assert sender.answer().startswith("accepted")
        sender.send(_store(small_data_set("1.2.9"), store_rq("1.2.9")))
        answer = b""
        while True:
            pdu = sender.read_pdu()
            assert pdu[:1] == b"\4"
            assert not max_pdu or len(pdu) - 6 <= max_pdu
            answer += pdu[12:]
            if pdu[11] & LAST:
                break
        assert b"\0\0\0\x09\2\0\0\0\0\0" in answer


def test_limits_of_associations(tmp_path: Path) -> None:
    listener = {
        "address": "127.0.0.1",
        "port": 0,
        "workers": 1,
        "limits": {"associations": 2, "associations_per_host": 2},
    }
    with running(tmp_path, listeners={"one": listener}) as started:
        port = started.port()
        with Sender(port) as first, Sender(port) as second:
            assert first.associate().startswith("accepted")
            assert second.associate().startswith("accepted")
            with Sender(port) as third:
                assert third.associate() == "rejected 2/3/2"
            assert second.release() == "released"
            with Sender(port) as third:
                assert third.associate().startswith("accepted")
