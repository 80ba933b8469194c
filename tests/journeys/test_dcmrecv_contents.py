"""What is written: every file of pydicom's package, and odd ones, through whole receivers.

`dicomd recv` and dcmrecv get the same bytes over the wire; then the folders are compared: the
names, every element of the meta header, the data sets, as they parse or byte for byte.
"""

from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from struct import pack

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID
from tests.journeys.peers import (
    Context,
    Receiver,
    asconfig,
    dcmtk,
    explicit,
    small_data_set,
    store_rq,
)
from tests.upper_layer.wire import CT, EXPLICIT, IMPLICIT, VERIFICATION

pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("dcmrecv_contents")]

TOOLS = ("dcmrecv", "dicomd")
UIDS_OF_UNKNOWN_VR = ("rtdose_rle.dcm", "rtdose_rle_1frame.dcm")
"""dcmrecv finds no UIDs in elements of VR UN and makes some up; ours reads them."""
PACKAGE = Path(pydicom.__file__).parent / "data"
MADE_UP_CLASS = "1.2.276.0.7230010.3.1.0.1"
MADE_UP_ROOT = "1.2.276.0.7230010.3.1.4."


@dataclass(frozen=True)
class Sent:
    """A data set as it goes over the wire."""

    name: str
    sop_class: str
    instance: str
    transfer_syntax: str
    data: bytes


@cache
def packaged() -> tuple[Sent, ...]:
    """Every file with a meta header that names its syntax; the data set as it lies in the file."""
    found = []
    paths = sorted((PACKAGE / "test_files").rglob("*")) + sorted(
        (PACKAGE / "charset_files").glob("*.dcm")
    )
    for number, path in enumerate(paths, 1):
        if not path.is_file():
            continue
        whole = path.read_bytes()
        if whole[128:132] != b"DICM":
            continue
        try:
            meta = read_file_meta_info(path)
            syntax = str(meta.TransferSyntaxUID) or EXPLICIT
            sop_class = str(meta.MediaStorageSOPClassUID)
            start = 144 + meta.FileMetaInformationGroupLength
        except (AttributeError, pydicom.errors.InvalidDicomError):
            continue
        found.append(Sent(path.name, sop_class or CT, f"1.2.3.{number}", syntax, whole[start:]))
    return tuple(found)


_INNER = explicit(0x00080060, "CS", b"CT") + explicit(0x00081030, "LO", b"abcd")
_BEHIND = explicit(0x00100010, "PN", b"NOBODY") + explicit(0x00280010, "US", b"\1\0")


def _misfit(name: str, *, item_off: int = 0, sequence_off: int = 0, behind: bool = True) -> Sent:
    """A sequence of one item, whose lengths are wrong by so many bytes."""
    instance = f"1.2.5.{sum(map(ord, name))}"
    item = pack("<HHI", 0xFFFE, 0xE000, len(_INNER) + item_off) + _INNER
    sequence = explicit(0x00081140, "SQ", item, length=len(item) + sequence_off)
    head = explicit(0x00080016, "UI", CT.encode()) + explicit(0x00080018, "UI", instance.encode())
    return Sent(name, CT, instance, EXPLICIT, head + sequence + (_BEHIND if behind else b""))


MISFITS = (
    _misfit("a sequence too short by an element", sequence_off=-12),
    _misfit("a sequence too short, at the end", sequence_off=-12, behind=False),
    _misfit("a sequence that ends inside an element", sequence_off=-4),
    _misfit("an item that takes in the next element", item_off=14),
    _misfit("an item that takes in all that follows", item_off=100),
    _misfit("an item too long, at the end", item_off=14, behind=False),
    _misfit("a sequence too long", sequence_off=24, behind=False),
    _misfit("both too long", sequence_off=24, item_off=24, behind=False),
    _misfit("an item too short by an element", item_off=-12),
    _misfit("an item that ends inside an element", item_off=-4),
)

CRAFTED = (
    *MISFITS,
    Sent("odd lengths", CT, "1.2.4.1", EXPLICIT, small_data_set("1.2.4.1")),
    Sent("no UIDs", CT, "1.2.4.2", EXPLICIT, explicit(0x00080060, "CS", b"CT")),
    Sent("other UIDs", CT, "1.2.4.3", EXPLICIT, small_data_set("1.2.9.9", sop_class="1.2.8")),
    Sent(
        "values with blanks",
        CT,
        "1.2.4.4",
        EXPLICIT,
        explicit(0x00080016, "UI", CT.encode())
        + explicit(0x00080018, "UI", b"1.2.4.4 ")
        + explicit(0x00080060, "CS", b"  CT  ")
        + explicit(0x00100010, "PN", b" NOBODY  "),
    ),
    Sent(
        "private elements",
        CT,
        "1.2.4.5",
        EXPLICIT,
        explicit(0x00080016, "UI", CT.encode())
        + explicit(0x00080018, "UI", b"1.2.4.5")
        + explicit(0x00090010, "LO", b"ACME")
        + explicit(0x00091001, "UN", b"\1\2\3\4"),
    ),
)


@dataclass(frozen=True)
class Stored:
    """A stored file, taken apart."""

    meta: dict[int, bytes]
    data: bytes

    @classmethod
    def read(cls, path: Path) -> "Stored":
        """The meta header's values by element number, and what follows it."""
        whole = path.read_bytes()
        assert whole[:128] == bytes(128)
        assert whole[128:132] == b"DICM"
        values = {}
        at = 132
        end = 144 + int.from_bytes(whole[140:144], "little")
        while at < end:
            group, number = (int.from_bytes(whole[at + n : at + n + 2], "little") for n in (0, 2))
            assert group == 2
            long = whole[at + 4 : at + 6] in (b"OB", b"UN")
            head = 12 if long else 8
            size = int.from_bytes(whole[at + (8 if long else 6) : at + head], "little")
            assert size % 2 == 0, "values are padded to even length"
            values[number] = whole[at + head : at + head + size]
            at += head + size
        assert at == end, "the group length is right"
        return cls(values, whole[end:])


@dataclass(frozen=True)
class Results:
    """What one receiver answered and kept."""

    answers: dict[str, str]
    files: dict[str, Stored]


def _send(receiver: Receiver, objects: tuple[Sent, ...]) -> dict[str, str]:
    answers = {}
    for sent in objects:
        contexts: tuple[Context, ...] = ((1, sent.sop_class, (sent.transfer_syntax,)),)
        with receiver.sender() as sender:
            assert sender.associate(contexts).startswith("accepted"), sent
            command = store_rq(sent.instance, sop_class=sent.sop_class)
            answers[sent.instance] = sender.store(command, sent.data)
            if answers[sent.instance] == "0000":
                assert sender.release() == "released"
    return answers


@pytest.fixture(scope="module", params=["-B", "+B", "--ignore"])
def results(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, Results]]:
    """The mode, and what both made of all objects in it."""
    mode = str(request.param)
    folder = tmp_path_factory.mktemp("contents")
    objects = packaged() + CRAFTED
    syntaxes = tuple(sorted({sent.transfer_syntax for sent in objects}))
    classes = sorted({sent.sop_class for sent in objects} | {VERIFICATION})
    profile = asconfig(folder / "test.cfg", [(uid, syntaxes) for uid in classes])
    found = {}
    for tool in TOOLS:
        with Receiver(tool, folder / tool, "-xf", str(profile), "Test", mode) as receiver:
            answers = _send(receiver, objects)
            files = {name: Stored.read(receiver.objects / name) for name in receiver.files()}
        found[tool] = Results(answers, files)
    return mode, found


def test_there_is_enough_to_send() -> None:
    objects = packaged()
    assert len(objects) > 60
    assert len({sent.transfer_syntax for sent in objects}) > 10


def test_every_object_is_answered_alike(results: tuple[str, dict[str, Results]]) -> None:
    mode, found = results
    names = {sent.instance: sent.name for sent in packaged() + CRAFTED}
    theirs, ours = found["dcmrecv"].answers, found["dicomd"].answers
    different = {names[uid]: (theirs[uid], ours[uid]) for uid in theirs if theirs[uid] != ours[uid]}
    assert different == {}
    assert set(theirs.values()) <= {"0000", "aborted"}
    if mode == "+B":
        odd = {sent.instance for sent in packaged() if len(sent.data) & 1}
        assert {uid for uid, answer in ours.items() if answer != "0000"} == odd


def test_the_same_files_lie_there(results: tuple[str, dict[str, Results]]) -> None:
    mode, found = results
    assert sorted(found["dcmrecv"].files) == sorted(found["dicomd"].files)
    assert bool(found["dicomd"].files) is (mode != "--ignore")


def _comparable(meta: dict[int, bytes]) -> dict[int, bytes]:
    """Without what is made up anew each time, and without the padding of a UID."""
    values = {number: value.rstrip(b" \0") or value for number, value in meta.items()}
    if values[0x0002] == MADE_UP_CLASS.encode():
        assert values[0x0003].startswith(MADE_UP_ROOT.encode())
        values[0x0003] = b"made up"
        del values[0x0000]
    return values


def test_meta_headers_are_the_same(results: tuple[str, dict[str, Results]]) -> None:
    mode, found = results
    known = {sent.instance: sent.name for sent in packaged()}
    for name, theirs in found["dcmrecv"].files.items():
        ours = found["dicomd"].files[name]
        if mode == "-B" and known.get(name.partition(".")[2]) in UIDS_OF_UNKNOWN_VR:
            assert ours.meta[0x0002].rstrip(b"\0") == b"1.2.840.10008.5.1.4.1.1.481.2"
            continue
        assert _comparable(ours.meta) == _comparable(theirs.meta), name
        wanted = {0x0000, 0x0001, 0x0002, 0x0003, 0x0010, 0x0012, 0x0013}
        if mode == "+B":
            wanted |= {0x0016}
            assert ours.meta[0x0016].rstrip() == b"SENDER"
        assert set(ours.meta) == wanted
        assert ours.meta[0x0001] == b"\0\1"


def test_data_sets_are_the_same(results: tuple[str, dict[str, Results]]) -> None:
    """Byte for byte where bytes are kept, element for element where they are written anew."""
    mode, found = results
    sent = {f"{uid.instance}": uid for uid in packaged() + CRAFTED}
    for name, theirs in found["dcmrecv"].files.items():
        ours = found["dicomd"].files[name]
        source = sent[name[name.index(".") + 1 :]]
        if mode == "+B":
            assert ours.data == theirs.data == source.data, source.name
        elif ours.data != theirs.data:
            deflated = source.transfer_syntax == "1.2.840.10008.1.2.1.99"
            assert parsed(ours) == parsed(theirs), source.name
            assert deflated or len(ours.data) == len(theirs.data), source.name


def parsed(stored: Stored) -> Dataset:
    """The data set, with every element decoded."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(stored.meta[0x0010].rstrip(b"\0").decode())
    whole = BytesIO()
    pydicom.dcmwrite(whole, _empty(meta), enforce_file_format=False)
    return pydicom.dcmread(BytesIO(whole.getvalue() + stored.data), force=True)


def _empty(meta: FileMetaDataset) -> Dataset:
    data_set = Dataset()
    data_set.file_meta = meta
    return data_set


@pytest.mark.parametrize("mode", ["-B", "+B"])
@pytest.mark.parametrize("client", ["dcmsend", "storescu"])
def test_real_clients_leave_the_same_files(tmp_path: Path, client: str, mode: str) -> None:
    """DCMTK's senders, with what they will send of the package, uncompressed."""
    files = []
    for name in ("CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "reportsi.dcm", "test-SR.dcm"):
        files.append(PACKAGE / "test_files" / name)
    classes = {str(read_file_meta_info(path).MediaStorageSOPClassUID) for path in files}
    profile = asconfig(
        tmp_path / "test.cfg",
        [(uid, (EXPLICIT, IMPLICIT)) for uid in (*sorted(classes), VERIFICATION)],
    )
    found: dict[str, dict[str, Stored]] = {}
    for tool in TOOLS:
        with Receiver(tool, tmp_path / tool, "-xf", str(profile), "Test", mode) as receiver:
            options = [] if client == "dcmsend" else ["-R"]
            result = dcmtk(client, *options, "127.0.0.1", receiver.port, *files)
            assert result.returncode == 0, result.stderr
            found[tool] = {name: Stored.read(receiver.objects / name) for name in receiver.files()}
    assert len(found["dicomd"]) == len(files)
    assert found["dicomd"] == found["dcmrecv"]
