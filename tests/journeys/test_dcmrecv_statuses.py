"""What a C-STORE is answered with, in each mode: `dicomd recv` and dcmrecv side by side.

The cells are what dcmrecv says (measured on DCMTK 3.6.7); where ours is better on purpose, the
cell holds both, ours behind a bar. What follows a semicolon is how the association went on:
``goes on`` or ``aborted``; then the files that are left.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.journeys.peers import (
    COMMAND,
    LAST,
    Receiver,
    Sender,
    asconfig,
    command_elements,
    data_pdus,
    explicit,
    short_element,
    small_data_set,
    store_rq,
    uid_element,
)
from tests.journeys.running import wait_until
from tests.upper_layer.wire import (
    CT,
    EXPLICIT,
    IMPLICIT,
    VERIFICATION,
    command_set,
    p_data,
    pdv,
)

pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("dcmrecv_statuses")]

TOOLS = ("dcmrecv", "dicomd")
MODES = ("-B", "+B", "--ignore")
MR = "1.2.840.10008.5.1.4.1.1.4"
UID = "1.2.3.4.5"
NAME = f"CT.{UID}"
DATA = small_data_set(UID)


@pytest.fixture(scope="module")
def receivers(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str, str], Receiver]]:
    """Receivers by tool and mode, started when first asked for."""
    folder = tmp_path_factory.mktemp("statuses")
    profile = asconfig(
        folder / "test.cfg",
        [(CT, (EXPLICIT, IMPLICIT)), (MR, (EXPLICIT,)), (VERIFICATION, (IMPLICIT,))],
    )
    running: dict[tuple[str, str], Receiver] = {}
    with contextlib.ExitStack() as stack:

        def receiver(tool: str, mode: str) -> Receiver:
            known = running.get((tool, mode))
            if known is None:
                known = Receiver(tool, folder / f"{tool}{mode}", "-xf", str(profile), "Test", mode)
                running[tool, mode] = stack.enter_context(known)
            return known

        yield receiver


def _store(data: bytes, command: bytes | None = None) -> bytes:
    return p_data(pdv(1, COMMAND | LAST, command or store_rq(UID))) + data_pdus(data)


def _with(*elements: bytes) -> bytes:
    return command_set(*elements)


_TRUNCATED = DATA[:-2]
_PAST_THE_END = DATA + explicit(0x7FE10010, "OB", b"1234", length=400)


@dataclass(frozen=True)
class Row:
    """What is sent on the association, and what becomes of it in the modes -B, +B, --ignore."""

    sent: bytes
    normal: str
    preserving: str
    ignoring: str
    tools: tuple[str, ...] = TOOLS
    """Ours alone where dcmrecv crashes or waits for ever."""

    def expected(self, mode: str, tool: str) -> str:
        cell = {"-B": self.normal, "+B": self.preserving, "--ignore": self.ignoring}[mode]
        theirs, bar, ours = cell.partition(" | ")
        return ours if tool == "dicomd" and bar else theirs


KEPT = f"0000; goes on; {NAME}"
DROPPED = "0000; goes on; "
ABORTED = "aborted; "

ROWS: dict[str, Row] = {
    "a sound object": Row(_store(DATA), KEPT, KEPT, DROPPED),
    "no bytes": Row(_store(b""), "C000; goes on; ", KEPT, DROPPED),
    "cut inside its last element": Row(_store(_TRUNCATED), ABORTED, KEPT, ABORTED),
    "a length beyond the end": Row(_store(_PAST_THE_END), ABORTED, KEPT, ABORTED),
    "another instance in the data set": Row(_store(small_data_set("1.2.3.9")), KEPT, KEPT, DROPPED),
    "another class in the data set": Row(
        _store(small_data_set(UID, sop_class=MR)), KEPT, KEPT, DROPPED
    ),
    "no SOP UIDs in the data set": Row(
        _store(explicit(0x00080060, "CS", b"CT")), KEPT, KEPT, DROPPED
    ),
    "many PDVs in one PDU": Row(
        p_data(
            pdv(1, COMMAND | LAST, store_rq(UID)),
            pdv(1, 0, DATA[:10]),
            pdv(1, 0, DATA[10:40]),
            pdv(1, LAST, DATA[40:]),
        ),
        KEPT,
        KEPT,
        DROPPED,
        tools=("dicomd",),
    ),
    "two PDVs in one PDU": Row(
        p_data(pdv(1, COMMAND | LAST, store_rq(UID)))
        + p_data(pdv(1, 0, DATA[:10]), pdv(1, LAST, DATA[10:])),
        KEPT,
        KEPT,
        DROPPED,
    ),
    "a command in pieces": Row(
        p_data(pdv(1, COMMAND, store_rq(UID)[:22]))
        + p_data(pdv(1, COMMAND | LAST, store_rq(UID)[22:]))
        + data_pdus(DATA),
        KEPT,
        KEPT,
        DROPPED,
        tools=TOOLS,
    ),
    "a data set two bytes at a time": Row(
        p_data(pdv(1, COMMAND | LAST, store_rq(UID))) + data_pdus(DATA, fragment=2),
        KEPT,
        KEPT,
        DROPPED,
    ),
    "an empty last fragment": Row(
        p_data(pdv(1, COMMAND | LAST, store_rq(UID)), pdv(1, 0, DATA)) + p_data(pdv(1, LAST, b"")),
        KEPT,
        KEPT,
        DROPPED,
        tools=("dicomd",),
    ),
    "the data set on another context": Row(
        p_data(pdv(1, COMMAND | LAST, store_rq(UID))) + data_pdus(DATA, context_id=3),
        ABORTED,
        f"aborted; {NAME} | aborted; ",
        ABORTED,
    ),
    "a command that announces no data set": Row(
        p_data(
            pdv(
                1,
                COMMAND | LAST,
                _with(
                    uid_element(0x0002, CT),
                    short_element(0x0100, 1),
                    short_element(0x0110, 7),
                    short_element(0x0700, 0),
                    short_element(0x0800, 0x0101),
                    uid_element(0x1000, UID),
                ),
            )
        ),
        ABORTED,
        ABORTED,
        ABORTED,
    ),
    "an empty SOP instance UID": Row(_store(DATA, store_rq("")), ABORTED, ABORTED, ABORTED),
    # In normal mode dcmrecv takes the data set's class then.
    "an empty SOP class UID": Row(
        _store(DATA, store_rq(UID, sop_class="")),
        f"{KEPT} | {ABORTED}",
        ABORTED,
        f"{DROPPED} | {ABORTED}",
    ),
    "an instance UID of 64 characters": Row(
        _store(DATA, store_rq("1." + "2" * 62)),
        f"0000; goes on; CT.1.{'2' * 62}",
        f"0000; goes on; CT.1.{'2' * 62}",
        DROPPED,
    ),
    "an instance UID of 66 characters": Row(
        _store(DATA, store_rq("1." + "2" * 64)), ABORTED, ABORTED, ABORTED
    ),
    "a PDV of odd length": Row(
        p_data(pdv(1, COMMAND | LAST, store_rq(UID)))
        + p_data(pdv(1, 0, DATA[:7]))
        + p_data(pdv(1, LAST, DATA[7:])),
        ABORTED,
        ABORTED,
        ABORTED,
    ),
    "C-FIND": Row(
        p_data(
            pdv(
                1,
                COMMAND | LAST,
                _with(
                    uid_element(0x0002, CT),
                    short_element(0x0100, 0x0020),
                    short_element(0x0110, 7),
                    short_element(0x0700, 0),
                    short_element(0x0800, 0x0101),
                ),
            )
        ),
        ABORTED,
        ABORTED,
        ABORTED,
    ),
    "N-CREATE": Row(
        p_data(
            pdv(
                1,
                COMMAND | LAST,
                _with(
                    uid_element(0x0002, CT),
                    short_element(0x0100, 0x0140),
                    short_element(0x0110, 7),
                    short_element(0x0800, 0x0101),
                ),
            )
        ),
        ABORTED,
        ABORTED,
        ABORTED,
    ),
    "a response that nobody awaits": Row(
        p_data(
            pdv(
                1,
                COMMAND | LAST,
                _with(
                    uid_element(0x0002, CT),
                    short_element(0x0100, 0x8001),
                    short_element(0x0120, 7),
                    short_element(0x0800, 0x0101),
                    short_element(0x0900, 0),
                    uid_element(0x1000, UID),
                ),
            )
        ),
        ABORTED,
        ABORTED,
        ABORTED,
    ),
}


def _outcome(receiver: Receiver, sent: bytes) -> str:
    with receiver.sender() as sender:
        assert sender.associate().startswith("accepted")
        sender.send(sent)
        answer = sender.answer()
        if answer in ("aborted", "closed"):
            outcome = f"{answer}; "
        else:
            on = sender.echo()
            outcome = f"{answer}; {'goes on' if on == '0000' else on}; "
            if on == "0000":
                assert sender.release() == "released"
    with receiver.sender() as sender:
        assert sender.associate().startswith("accepted"), "the next sender is served"
        assert sender.echo() == "0000"
        assert sender.release() == "released"
    return outcome + " ".join(receiver.files())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("row", "tool"), [(name, tool) for name, row in ROWS.items() for tool in row.tools]
)
def test_a_store_is_answered(
    receivers: Callable[[str, str], Receiver], row: str, tool: str, mode: str
) -> None:
    receiver = receivers(tool, mode)
    receiver.clear()
    assert _outcome(receiver, ROWS[row].sent) == ROWS[row].expected(mode, tool)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tool", TOOLS)
def test_a_response_names_the_instance_and_nothing_more(
    receivers: Callable[[str, str], Receiver], tool: str, mode: str
) -> None:
    """Affected SOP Class and Instance UID, data set type 0101H, no Error Comment."""
    with receivers(tool, mode).sender() as sender:
        sender.associate()
        sender.send(_store(DATA, store_rq(UID, message_id=513)))
        elements = command_elements(sender.read_pdu())
        sender.send(_store(b""))
        failed = command_elements(sender.read_pdu())
    assert elements[0x0002].rstrip(b"\0") == CT.encode()
    assert elements[0x1000].rstrip(b"\0") == UID.encode()
    assert int.from_bytes(elements[0x0100], "little") == 0x8001
    assert int.from_bytes(elements[0x0120], "little") == 513
    assert int.from_bytes(elements[0x0800], "little") == 0x0101
    assert set(elements) == {0x0000, 0x0002, 0x0100, 0x0120, 0x0800, 0x0900, 0x1000}
    assert set(failed) == set(elements)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tool", TOOLS)
def test_the_same_instance_again_replaces_the_first(
    receivers: Callable[[str, str], Receiver], tool: str, mode: str
) -> None:
    receiver = receivers(tool, mode)
    receiver.clear()
    with receiver.sender() as sender:
        sender.associate()
        assert sender.store(store_rq(UID), DATA) == "0000"
        more = DATA + explicit(0x7FE10010, "OB", b"more")
        assert sender.store(store_rq(UID), more) == "0000"
        assert sender.release() == "released"
    if mode == "--ignore":
        assert receiver.files() == []
    else:
        assert receiver.files() == [NAME]
        assert (receiver.objects / NAME).read_bytes().endswith(more)
        said = f"file already exists, overwriting: {receiver.objects / NAME}"
        wait_until(lambda: said in receiver.text(), said)


@pytest.mark.parametrize("mode", ["-B", "+B"])
@pytest.mark.parametrize("tool", TOOLS)
def test_a_folder_at_the_final_name_is_answered_with_a700(
    receivers: Callable[[str, str], Receiver], tool: str, mode: str
) -> None:
    """dcmrecv's +B aborts behind it; ours goes on."""
    receiver = receivers(tool, mode)
    receiver.clear()
    in_the_way = receiver.objects / NAME
    in_the_way.mkdir()
    try:
        outcome = _outcome(receiver, _store(DATA))
    finally:
        in_the_way.rmdir()
    if tool == "dcmrecv" and mode == "+B":
        assert outcome == "A700; aborted; "
    else:
        assert outcome == "A700; goes on; "
    assert _outcome(receiver, _store(DATA)) == KEPT


@pytest.mark.parametrize("mode", ["-B", "+B"])
@pytest.mark.parametrize("tool", TOOLS)
def test_a_folder_that_disappears_is_made_again(tmp_path: Path, tool: str, mode: str) -> None:
    objects = tmp_path / "above" / "objects"
    objects.mkdir(parents=True)
    profile = asconfig(tmp_path / "test.cfg", [(CT, (EXPLICIT,)), (VERIFICATION, (IMPLICIT,))])
    options = ("-xf", str(profile), "Test", "-od", str(objects), mode)
    with Receiver(tool, tmp_path / tool, *options) as receiver:
        receiver.objects = objects
        assert _outcome(receiver, _store(DATA)) == KEPT
        for path in sorted(objects.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        objects.rmdir()
        objects.parent.rmdir()
        assert _outcome(receiver, _store(DATA)) == KEPT


@pytest.mark.parametrize("mode", ["-B", "+B"])
@pytest.mark.parametrize("tool", TOOLS)
def test_a_file_at_the_folders_place_is_answered_with_a700(
    tmp_path: Path, tool: str, mode: str
) -> None:
    """The folder is taken away, and what stands there cannot be made one."""
    profile = asconfig(tmp_path / "test.cfg", [(CT, (EXPLICIT,)), (VERIFICATION, (IMPLICIT,))])
    with Receiver(tool, tmp_path / tool, "-xf", str(profile), "Test", mode) as receiver:
        objects = receiver.objects
        for hidden in objects.iterdir():
            hidden.rmdir()
        objects.rmdir()
        objects.write_text("no folder")
        try:
            outcome = _outcome(receiver, _store(DATA))
        finally:
            objects.unlink()
        objects.mkdir()
        # What is at the folder's place makes dcmrecv's +B abort without an answer.
        expected = "aborted; " if (tool, mode) == ("dcmrecv", "+B") else "A700; goes on; "
        assert outcome == expected
        assert _outcome(receiver, _store(DATA)) == KEPT


@pytest.mark.parametrize("mode", ["-B", "+B"])
@pytest.mark.parametrize("how", ["closed", "aborted", "released"])
def test_an_association_that_breaks_keeps_the_older_copy(
    receivers: Callable[[str, str], Receiver], mode: str, how: str
) -> None:
    """dcmrecv's +B has truncated it by then."""
    receiver = receivers("dicomd", mode)
    receiver.clear()
    assert _outcome(receiver, _store(DATA)) == KEPT
    before = (receiver.objects / NAME).read_bytes()
    with receiver.sender() as sender:
        sender.associate()
        sender.send(p_data(pdv(1, COMMAND | LAST, store_rq(UID)), pdv(1, 0, DATA[:20])))
        if how == "aborted":
            sender.send(bytes.fromhex("07 00 00000004 00000000"))
            assert sender.answer() == "closed"
        elif how == "released":
            sender.release()
    assert (
        _outcome(receiver, _store(DATA, store_rq("1.2.77")))
        == f"{KEPT[: -len(NAME)]}CT.1.2.3.4.5 CT.1.2.77"
    )
    assert (receiver.objects / NAME).read_bytes() == before
    assert _under_way(receiver) == []


def _under_way(receiver: Receiver) -> list[str]:
    folder = receiver.objects / ".incoming"
    return sorted(os.listdir(folder)) if folder.exists() else []


@pytest.mark.parametrize("mode", MODES)
def test_a_receiver_leaves_nothing_hidden(tmp_path: Path, mode: str) -> None:
    profile = asconfig(tmp_path / "test.cfg", [(CT, (EXPLICIT,)), (VERIFICATION, (IMPLICIT,))])
    receiver = Receiver("dicomd", tmp_path / "dicomd", "-xf", str(profile), "Test", mode)
    with receiver, Sender(receiver.port) as sender:
        sender.associate()
        assert sender.store(store_rq(UID), DATA) == "0000"
    assert receiver.process.returncode == 0
    assert os.listdir(receiver.objects) == ([] if mode == "--ignore" else [NAME])


WARNINGS = {
    "an empty SOP instance UID": "AffectedSOPInstanceUID: bad size",
    "a command that announces no data set": "DataSetType == NULL",
    "cut inside its last element": "E: Unable to receive C-STORE dataset on presentation context 1",
    "N-CREATE": "E: cannot handle this kind of DIMSE command (0x0140), we are a Storage SCP only",
}


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("row", WARNINGS)
def test_an_abort_is_told_in_dcmtks_words(
    receivers: Callable[[str, str], Receiver], row: str, tool: str
) -> None:
    receiver = receivers(tool, "-B")
    before = len(receiver.text())
    _outcome(receiver, ROWS[row].sent)
    wait_until(lambda: WARNINGS[row] in receiver.text()[before:], WARNINGS[row])
