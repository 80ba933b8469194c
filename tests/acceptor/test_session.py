"""One association without a socket: bytes in, bytes out."""

from struct import pack

import pytest
from structlog.testing import capture_logs

from dicomd.acceptor.negotiation import Refusal
from dicomd.acceptor.session import Session
from dicomd.errors import StorageError
from dicomd.settings.listener import AccessSettings
from tests.acceptor.sessions import World, command_field_of, exchange, status_of
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
    one_byte_at_a_time,
    p_data,
    padded,
    pdv,
)

COMMAND, COMMAND_LAST, DATA, DATA_LAST = 1, 3, 0, 2
USER_ABORT = bytes.fromhex("07 00 00000004 00000000")
IN_ORDER = associate_rq()


def command(
    field: int,
    *,
    message_id: int | None = 9,
    sop_class: str = CT,
    instance: str | None = "1.2.3.4",
    dataset: bool = True,
) -> bytes:
    elements = [element(0x0002, padded(sop_class)), element(0x0100, pack("<H", field))]
    if message_id is not None:
        elements.append(element(0x0110, pack("<H", message_id)))
    elements.append(element(0x0700, pack("<H", 0)))
    elements.append(element(0x0800, pack("<H", 1 if dataset else 0x0101)))
    if instance is not None:
        elements.append(element(0x1000, padded(instance)))
    return command_set(*elements)


def message(encoded: bytes, data: bytes | None = b"DATA", context: int = 1) -> bytes:
    whole = p_data(pdv(context, COMMAND_LAST, encoded))
    return whole if data is None else whole + p_data(pdv(context, DATA_LAST, data))


def test_an_object_is_stored_and_answered() -> None:
    world = World()
    session = world.established()
    response = exchange(session, message(STORE))
    assert status_of(response) == 0
    assert command_field_of(response) == 0x8001
    assert world.sink.stored == {"1.2.3.4": b"DATA"}
    assert world.receipts[0].instance.calling_ae_title == "MOD1"
    assert (session.stored, session.stored_bytes) == (1, 4)
    assert world.counters.statuses == {0: 1}


def test_bytes_may_come_one_at_a_time() -> None:
    world = World()
    session = world.session()
    sent = b""
    for byte in one_byte_at_a_time(associate_rq() + message(STORE) + message(STORE, b"AGAIN.")):
        sent += exchange(session, byte)
    assert sent.count(b"1.2.3.4") == 2
    assert world.sink.stored == {"1.2.3.4": b"AGAIN."}


def test_echo_is_answered() -> None:
    world = World()
    response = exchange(world.established(), message(ECHO, None, context=3))
    assert (status_of(response), command_field_of(response)) == (0, 0x8030)
    assert world.counters.echoes == 1


def test_release_is_answered_and_the_closing_line_says_what_came() -> None:
    world = World()
    with capture_logs() as lines:
        session = world.established()
        exchange(session, message(STORE))
        assert exchange(session, RELEASE_RQ) == RELEASE_RP
    closing = lines[-1]
    assert closing["event"] == "association.released"
    assert (closing["objects"], closing["bytes"]) == (1, 4)
    assert (closing["peer"], closing["calling_ae"], closing["called_ae"]) == (
        "192.0.2.1",
        "MOD1",
        "ARCHIVE",
    )
    assert session.ended
    assert world.admission.open == 0


def test_one_line_an_object() -> None:
    world = World()
    with capture_logs() as lines:
        exchange(world.established(), message(STORE))
    (stored,) = [line for line in lines if line["event"] == "object.stored"]
    assert stored["sop_instance"] == "1.2.3.4"
    assert stored["status"] == "0000"
    assert stored["context"] == 1
    assert stored["association"] == "a-1"


@pytest.mark.parametrize("place", ["begin", "write", "commit"])
@pytest.mark.parametrize("strict", [True, False])
def test_a_failed_object_is_read_to_its_end_and_answered(place: str, strict: bool) -> None:
    world = World(strict=strict)
    session = world.established()
    world.sink.fail_at = place
    first = message(STORE, None) + p_data(pdv(1, DATA, b"some data."))
    assert exchange(session, first) == b""
    response = exchange(session, p_data(pdv(1, DATA_LAST, b"the end.")))
    assert status_of(response) == 0xA700
    assert (b"out of resources" in response) == strict
    world.sink.fail_at = ""
    assert status_of(exchange(session, message(STORE))) == 0
    assert world.counters.refused == 1


def test_an_error_of_ours_while_committing_is_no_success() -> None:
    world = World()
    world.sink.fail_at = "bug"
    assert status_of(exchange(world.established(), message(STORE))) == 0xA700
    assert world.sink.deliveries[0].discarded


def test_a_failure_may_ask_for_an_abort() -> None:
    world = World(strict=False)
    world.sink.failure = StorageError("unparsable", status=0xC000, abort=True)
    world.sink.fail_at = "commit"
    session = world.established()
    assert exchange(session, message(STORE)) == USER_ABORT
    assert session.ended


def test_data_behind_a_release_is_never_stored() -> None:
    world = World()
    session = world.established()
    assert exchange(session, RELEASE_RQ + message(STORE)) == RELEASE_RP
    assert exchange(session, message(STORE)) == b""
    assert not world.sink.deliveries


def test_an_abort_discards_the_object_under_way() -> None:
    world = World()
    session = world.established()
    exchange(session, message(STORE, None) + p_data(pdv(1, DATA, b"half")))
    exchange(session, ABORT)
    assert session.hung_up
    assert world.sink.deliveries[0].discarded
    assert not world.sink.stored


def test_a_lost_connection_discards_the_object_under_way() -> None:
    world = World()
    session = world.established()
    exchange(session, message(STORE, None) + p_data(pdv(1, DATA, b"half")))
    session.receive_eof()
    assert world.sink.deliveries[0].discarded
    assert world.admission.open == 0


def test_a_fault_behind_a_good_object_aborts_and_keeps_it() -> None:
    world = World()
    response = exchange(world.established(), message(STORE) + b"\x00garbage..")
    assert response == bytes.fromhex("07 00 00000004 0000 02 01")
    assert world.sink.stored


@pytest.mark.parametrize(
    ("encoded", "data", "context", "expected"),
    [
        (command(0x0001, sop_class="1.2.840.10008.5.1.4.1.1.4"), b"DATA", 1, 0x0122),
        (STORE, b"DATA", 3, 0x0122),
        (ECHO, None, 1, 0x0122),
        (command(0x0020), b"DATA", 1, 0x0211),
        (command(0x0030 + 0x0100, instance=None, dataset=False), None, 1, 0x0211),
        (command(0x0001, instance=None), b"DATA", 1, 0x0212),
        (command(0x0001, instance="1." * 40), b"DATA", 1, 0x0117),
        (command(0x0001, dataset=False), None, 1, 0xC000),
    ],
    ids=[
        "class of another context",
        "storage on Verification",
        "echo on storage",
        "C-FIND",
        "N-EVENT-REPORT",
        "no instance",
        "instance too long",
        "no data set",
    ],
)
def test_strict_answers_what_tolerant_takes_or_aborts(
    encoded: bytes, data: bytes | None, context: int, expected: int
) -> None:
    world = World()
    session = world.established()
    response = exchange(session, message(encoded, data, context))
    assert status_of(response) == expected
    assert not world.sink.stored
    assert status_of(exchange(session, message(STORE))) == 0, "the association goes on"


@pytest.mark.parametrize(
    ("encoded", "data", "context"),
    [
        (command(0x0001, sop_class="1.2.840.10008.5.1.4.1.1.4"), b"DATA", 1),
        (STORE, b"DATA", 3),
        (ECHO, None, 1),
    ],
    ids=["class of another context", "storage on Verification", "echo on storage"],
)
def test_tolerant_takes_what_dcmrecv_takes(
    encoded: bytes, data: bytes | None, context: int
) -> None:
    session = World(strict=False).established()
    assert status_of(exchange(session, message(encoded, data, context))) == 0


@pytest.mark.parametrize(
    "encoded",
    [
        command(0x0020),
        command(0x0FFF, dataset=False),
        command(0x8001, dataset=False),
        command(0x0001, dataset=False),
        command(0x0001, instance=""),
        command(0x0001, sop_class=""),
        command(0x0001, instance="1." * 40),
    ],
    ids=[
        "C-FIND",
        "C-CANCEL",
        "a response",
        "no data set",
        "empty instance",
        "empty class",
        "instance too long",
    ],
)
def test_tolerant_aborts_where_dcmrecv_aborts(encoded: bytes) -> None:
    session = World(strict=False).established()
    assert exchange(session, message(encoded, None)) == USER_ABORT


@pytest.mark.parametrize(
    "encoded",
    [
        command_set(
            element(0x0100, pack("<H", 0x0FFF)),
            element(0x0120, pack("<H", 3)),
            element(0x0800, pack("<H", 0x0101)),
        ),
        command_set(
            element(0x0100, pack("<H", 0x8001)),
            element(0x0120, pack("<H", 3)),
            element(0x0800, pack("<H", 0x0101)),
            element(0x0900, pack("<H", 0)),
        ),
    ],
    ids=["C-CANCEL", "a response"],
)
def test_strict_ignores_what_nobody_awaits(encoded: bytes) -> None:
    session = World().established()
    assert exchange(session, message(encoded, None)) == b""
    assert status_of(exchange(session, message(STORE))) == 0


def test_a_command_that_cannot_be_answered_aborts() -> None:
    session = World().established()
    assert exchange(session, message(command(0x0020, message_id=None))) == USER_ABORT


def test_a_commit_that_waits_is_answered_afterwards() -> None:
    world = World(blocking=True)
    session = world.established()
    assert exchange(session, message(STORE)) == b""
    assert bool(session.pending)
    assert not world.sink.stored
    resumed: list[bool] = []
    session.resume = lambda: resumed.append(True)
    world.work()
    assert status_of(session.take_outgoing()) == 0
    assert not bool(session.pending)
    assert resumed == [True]


def test_what_comes_along_with_a_waiting_commit_is_held_back() -> None:
    world = World(blocking=True)
    session = world.established()
    second = command(0x0001, instance="1.2.3.5")
    assert exchange(session, message(STORE) + message(second, b"OTHER.") + RELEASE_RQ) == b""
    world.work()
    assert status_of(session.take_outgoing()) == 0
    world.work()
    answer = session.take_outgoing()
    assert status_of(answer) == 0
    assert answer.endswith(RELEASE_RP)
    assert world.sink.stored == {"1.2.3.4": b"DATA", "1.2.3.5": b"OTHER."}


def test_a_fault_behind_a_waiting_commit_waits_for_it() -> None:
    world = World(blocking=True)
    session = world.established()
    exchange(session, message(STORE) + b"\x00garbage..")
    assert bool(session.ended) is False
    world.work()
    assert bool(session.ended) is True
    assert world.sink.stored


def test_a_peer_that_is_gone_loses_no_committed_object() -> None:
    world = World(blocking=True)
    session = world.established()
    exchange(session, message(STORE))
    session.receive_eof()
    world.work()
    assert session.ended
    assert world.sink.stored
    assert world.receipts
    assert session.take_outgoing() == b""


@pytest.mark.parametrize(
    ("request_bytes", "access", "expected"),
    [
        (associate_rq(version=2), AccessSettings(), (1, 2, 2)),
        (IN_ORDER, AccessSettings(called_ae_titles=("OTHER",)), (1, 1, 7)),
        (IN_ORDER, AccessSettings(calling_ae_titles=("OTHER",)), (1, 1, 3)),
        (IN_ORDER, AccessSettings(hosts=("198.51.100.0/24",)), (1, 1, 3)),
    ],
    ids=["version", "called", "calling", "host"],
)
def test_rejections(
    request_bytes: bytes, access: AccessSettings, expected: tuple[int, int, int]
) -> None:
    world = World(access=access)
    with capture_logs() as lines:
        answer = exchange(world.session(), request_bytes)
    assert answer == bytes.fromhex("03 00 00000004 00") + bytes(expected)
    (line,) = [line for line in lines if line["event"] == "association.rejected"]
    assert (line["result"], line["source"], line["code"]) == expected
    assert world.counters.rejected == 1


def test_a_limit_is_answered_as_transient() -> None:
    world = World()
    world.admission.refusal = Refusal(2, 3, 2, "association limit")
    answer = exchange(world.session(), associate_rq())
    assert answer == bytes.fromhex("03 00 00000004 00 020302")


def test_hosts_access_is_asked() -> None:
    asked: list[str] = []

    def admits(host: str) -> bool:
        asked.append(host)
        return False

    answer = exchange(World(admits_host=admits).session(), associate_rq())
    assert answer.startswith(b"\x03")
    assert asked == ["192.0.2.1"]


def test_values_from_peers_are_cut_in_the_log() -> None:
    with capture_logs() as lines:
        World(strict=False).established(
            associate_rq(called=b"\xff" * 16, calling=b"A\x1b\r\nB".ljust(16))
        )
    for line in lines:
        if "calling_ae" in line:
            assert len(line["called_ae"]) <= 64
            assert "\x1b" not in line["calling_ae"]
            assert "\n" not in line["calling_ae"]


def test_a_port_check_is_no_warning() -> None:
    session: Session = World().session()
    with capture_logs() as lines:
        session.receive_eof()
    assert [line["log_level"] for line in lines] == ["debug"]


def test_duplicates_are_told() -> None:
    world = World()
    world.sink.outcome = "overwritten"
    with capture_logs() as lines:
        exchange(world.established(), message(STORE))
    assert "object.duplicated" in [line["event"] for line in lines]
    assert world.counters.duplicates == 1
