"""How associations begin and end: what dcmrecv does, and where `dicomd recv` is better on purpose.

dcmrecv serves one caller at a time; ours serves all, so that no peer holds up another.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.journeys.peers import (
    COMMAND,
    LAST,
    Receiver,
    asconfig,
    dcmtk,
    request,
    small_data_set,
    store_rq,
)
from tests.journeys.running import wait_until
from tests.upper_layer.wire import (
    ABORT,
    ASSOCIATE_RJ,
    CT,
    EXPLICIT,
    IMPLICIT,
    RELEASE_RP,
    VERIFICATION,
    p_data,
    pdv,
)

pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("dcmrecv_associations")]

TOOLS = ("dcmrecv", "dicomd")


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    path = tmp_path_factory.mktemp("profile") / "test.cfg"
    asconfig(path, [(CT, (EXPLICIT,)), (VERIFICATION, (IMPLICIT,))])
    return ("-xf", str(path), "Test")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory, profile: tuple[str, ...]) -> Iterator[Receiver]:
    with Receiver("dicomd", tmp_path_factory.mktemp("ours") / "x", *profile) as receiver:
        yield receiver


def serves(receiver: Receiver) -> None:
    """The next good sender is served."""
    with receiver.sender() as sender:
        assert sender.associate().startswith("accepted")
        assert sender.echo() == "0000"
        assert sender.release() == "released"


def test_nobody_holds_up_another(ours: Receiver) -> None:
    """A silent connection, a rejected one that stays, an idle association, half an object."""
    with ours.sender(), ours.sender() as rejected, ours.sender() as idle, ours.sender() as half:
        assert rejected.associate(((1, "1.2.3", (EXPLICIT,)),)) == "rejected 1/1/1"
        assert idle.associate().startswith("accepted")
        assert half.associate().startswith("accepted")
        half.send(p_data(pdv(1, COMMAND | LAST, store_rq("1.2.3.1")), pdv(1, 0, b"\x08\x00")))
        began = time.monotonic()
        serves(ours)
        assert time.monotonic() - began < 2
        assert idle.echo() == "0000"


BAD_BEGINNINGS = {
    "text": b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "zeros": bytes(100),
    "an A-RELEASE-RQ": bytes.fromhex("05 00 00000004 00000000"),
    "P-DATA": p_data(pdv(1, 3, b"ab")),
    "an A-ASSOCIATE-RJ": ASSOCIATE_RJ,
    "an A-RELEASE-RP": RELEASE_RP,
    "a request cut short": request()[:60],
    "nothing": b"",
}


@pytest.mark.parametrize("tool", TOOLS)
def test_what_is_no_request_ends_the_connection_and_no_more(
    tmp_path: Path, profile: tuple[str, ...], tool: str
) -> None:
    with Receiver(tool, tmp_path / tool, *profile) as receiver:
        for name, data in BAD_BEGINNINGS.items():
            with receiver.sender() as sender:
                sender.send(data)
                if name not in ("a request cut short", "nothing"):
                    assert sender.answer() in ("aborted", "closed"), name
            serves(receiver)
        assert "Could not receive association request" in receiver.text()


@pytest.mark.parametrize("tool", TOOLS)
def test_a_peer_may_abort_or_vanish(tmp_path: Path, profile: tuple[str, ...], tool: str) -> None:
    with Receiver(tool, tmp_path / tool, *profile) as receiver:
        for data in (ABORT, b""):
            with receiver.sender() as sender:
                sender.associate()
                sender.send(data)
            serves(receiver)
            with receiver.sender() as sender:
                sender.associate()
                sender.send(p_data(pdv(1, COMMAND | LAST, store_rq("1.2.3"))))
                sender.send(p_data(pdv(1, 0, small_data_set("1.2.3"))) + data)
            serves(receiver)
        assert receiver.files() == []
        wait_until(lambda: "Received Association Abort Request" in receiver.text(), "the line")


@pytest.mark.parametrize("tool", TOOLS)
def test_a_silent_connection_is_closed_after_the_acse_timeout(
    tmp_path: Path, profile: tuple[str, ...], tool: str
) -> None:
    """Without a PDU, and with an error in the log."""
    with (
        Receiver(tool, tmp_path / tool, *profile, "-ta", "1") as receiver,
        receiver.sender() as sender,
    ):
        began = time.monotonic()
        assert sender.read_pdu() == b""
        assert 0.5 < time.monotonic() - began < 4
        serves(receiver)
        assert "E: Could not receive association request" in receiver.text()


@pytest.mark.parametrize("tool", TOOLS)
def test_an_idle_association_is_aborted_after_the_dimse_timeout(
    tmp_path: Path, profile: tuple[str, ...], tool: str
) -> None:
    with (
        Receiver(tool, tmp_path / tool, *profile, "-td", "1") as receiver,
        receiver.sender() as sender,
    ):
        sender.associate()
        began = time.monotonic()
        assert sender.answer() == "aborted"
        assert sender.abort[8] == 0, "by the service user"
        assert 0.5 < time.monotonic() - began < 4


@pytest.mark.parametrize("tool", TOOLS)
def test_a_message_that_stops_is_aborted_after_the_dimse_timeout(
    tmp_path: Path, profile: tuple[str, ...], tool: str
) -> None:
    with (
        Receiver(tool, tmp_path / tool, *profile, "-td", "1") as receiver,
        receiver.sender() as sender,
    ):
        sender.associate()
        sender.send(p_data(pdv(1, COMMAND | LAST, store_rq("1.2.3"))))
        sender.send(p_data(pdv(1, 0, small_data_set("1.2.3")[:20])))
        assert sender.answer() == "aborted"
        assert receiver.files() == []


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(
    "options", [("-aet", "OTHER"), ("-uca",), ("-aet", "A" * 20), ("-aet", "")]
)
def test_titles_of_the_command_line_have_no_effect_on_the_wire(
    tmp_path: Path, profile: tuple[str, ...], options: tuple[str, ...], tool: str
) -> None:
    with Receiver(tool, tmp_path / tool, *profile, *options) as receiver:
        with receiver.sender() as sender:
            assert sender.associate().startswith("accepted")
            assert sender.accept[10:26].strip() == b"ARCHIVE"
        found = dcmtk("echoscu", "-aec", "WHOEVER", "127.0.0.1", receiver.port)
        assert found.returncode == 0


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("size", [4096, 131072])
def test_the_announced_maximum_is_the_options(
    tmp_path: Path, profile: tuple[str, ...], size: int, tool: str
) -> None:
    with (
        Receiver(tool, tmp_path / tool, *profile, "-pdu", str(size)) as receiver,
        receiver.sender() as sender,
    ):
        sender.associate()
        assert sender.accept.find(b"\x51\0\0\4" + size.to_bytes(4)) > 0
        data = small_data_set("1.2.3")
        assert (
            sender.store(store_rq("1.2.3"), data + _filling(300_000), fragment=size - 6) == "0000"
        )


def _filling(size: int) -> bytes:
    head = b"\xe1\x7f\x10\x00OB\0\0" + size.to_bytes(4, "little")
    return head + bytes(size)


@pytest.mark.parametrize("tool", TOOLS)
def test_the_log_tells_the_story_in_dcmtks_words(
    tmp_path: Path, profile: tuple[str, ...], tool: str
) -> None:
    with Receiver(tool, tmp_path / tool, *profile) as receiver:
        path = receiver.objects / "CT.1.2.3"
        with receiver.sender() as sender:
            sender.associate()
            assert sender.store(store_rq("1.2.3"), small_data_set("1.2.3")) == "0000"
            assert sender.echo() == "0000"
            assert sender.release() == "released"
        wait_until(lambda: "Release Request" in receiver.text(), "the last line")
        lines = receiver.text().splitlines()
    start = next(at for at, line in enumerate(lines) if "SENDER -> ARCHIVE" in line)
    # Workers may be there before the supervisor says so, and one of them had a caller that only
    # looked whether the port is open.
    late = (
        "",
        "I: starting service class provider and listening ...",
        "I: Association Received 127.0.0.1:  -> ",
        "I: Refusing Association (bad application context)",
    )
    assert [line for line in lines[start:] if line not in late] == [
        "I: Association Received 127.0.0.1: SENDER -> ARCHIVE",
        "I: Association Acknowledged (Max Send PDV: 16372)",
        "I: Received C-STORE Request (MsgID 7)",
        f"I: Stored received object to file: {path}",
        "I: Sending C-STORE Response (Success)",
        "I: Received C-ECHO Request (MsgID 8)",
        "I: Sending C-ECHO Response (Success)",
        "I: Received Association Release Request",
    ]


def test_many_real_senders_at_once(ours: Receiver) -> None:
    """Eight of DCMTK's senders, each with its own association, all served."""
    from concurrent.futures import ThreadPoolExecutor

    from pydicom.data import get_testdata_file

    file = get_testdata_file("CT_small.dcm")

    def send(number: int) -> int:
        return dcmtk("storescu", "--repeat", "3", "127.0.0.1", ours.port, file).returncode

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(send, range(8))) == [0] * 8
