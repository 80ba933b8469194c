"""File names and subfolders: `dicomd recv` and dcmrecv side by side, generated parts apart."""

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.journeys.peers import Context, Receiver, asconfig, dcmtk, small_data_set, store_rq
from tests.upper_layer.wire import CT, EXPLICIT, VERIFICATION

pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("dcmrecv_names")]

TOOLS = ("dcmrecv", "dicomd")
MR = "1.2.840.10008.5.1.4.1.1.4"
SR = "1.2.840.10008.5.1.4.1.1.88.22"
PRIVATE = "1.2.3.4.5.6.7.8"
NEWER = "1.2.840.10008.5.1.4.1.1.9.100.1"
CLASSES = (CT, MR, SR, PRIVATE, NEWER)
Start = Callable[..., Receiver]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Receivers by tool and options, started when first asked for."""
    folder = tmp_path_factory.mktemp("names")
    profile = asconfig(
        folder / "test.cfg", [(uid, (EXPLICIT,)) for uid in (*CLASSES, VERIFICATION)]
    )
    running: dict[tuple[str, ...], Receiver] = {}
    with contextlib.ExitStack() as stack:

        def started(tool: str, *options: str) -> Receiver:
            key = (tool, *options)
            if key not in running:
                receiver = Receiver(
                    tool, folder / str(len(running)), "-xf", str(profile), "Test", *options
                )
                running[key] = stack.enter_context(receiver)
            running[key].clear()
            return running[key]

        yield started


def store(
    receiver: Receiver, instance: str, *, sop_class: str = CT, data: bytes | None = None
) -> str:
    """One object over an association of its own."""
    contexts: tuple[Context, ...] = ((1, sop_class, (EXPLICIT,)),)
    with receiver.sender() as sender:
        assert sender.associate(contexts).startswith("accepted")
        if data is None:
            data = small_data_set(instance, sop_class=sop_class)
        status = sender.store(store_rq(instance, sop_class=sop_class), data)
        assert sender.release() == "released"
    return status


UNSAFE: dict[str, str] = {
    "1.2.3": "1.2.3",
    "1.2.3 ": "1.2.3",
    "../evil": ".._evil",
    "1.2/3": "1.2_3",
    "../../../../tmp/x": ".._.._.._.._tmp_x",
    "/etc/passwd": "_etc_passwd",
    "..": "..",
    ".": ".",
    "1.2;rm -rf": "1.2_rm -rf",
    "$(id)": "__id_",
    "a:b*c?d": "a:b_c_d",
    "1.2\\3": "1.2_3",
    "abc~`'\"|<>": "abc_______",
    "1.2_3-4": "1.2_3-4",
    "x\x01y": "x_y",
    "x\x1by": "x_y",
    "x+y=z@w,v": "x_y_z@w_v",
    "x%y#z!^&": "x_y_z___",
    "x(y)[z]{w}": "x_y__z__w_",
    "01.002": "01.002",
    "\xe4.1": "_.1",
}
"""UID of the command -> its place in the name."""


@pytest.mark.parametrize("mode", ["-B", "+B"])
@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("uid", UNSAFE)
def test_unsafe_characters_become_underscores(start: Start, uid: str, tool: str, mode: str) -> None:
    """As Debian's dcmrecv does; a name never leads out of the folder."""
    receiver = start(tool, mode)
    assert store(receiver, uid, data=small_data_set("1.2.3")) == "0000"
    assert receiver.files() == [f"CT.{UNSAFE[uid]}"]


PREFIXES = [(CT, "CT", "CT"), (MR, "MR", "MR"), (SR, "SRe", "SRe"), (PRIVATE, "UNKNOWN", "XX")]


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(("sop_class", "prefix", "short"), PREFIXES)
def test_each_mode_has_its_names(
    start: Start, tool: str, sop_class: str, prefix: str, short: str
) -> None:
    before = time.strftime("%Y%m%d")
    expected = {
        "+fd": rf"{prefix}\.1\.2\.77",
        "+fu": rf"{prefix}\.X\.1\.2\.276\.0\.7230010\.3\.1\.4\.\d+\.\d+\.\d+\.\d+",
        "+fsu": rf"{short}_[0-9a-f]{{16}}",
        "+fst": rf"({before}|{time.strftime('%Y%m%d')})\d{{6}}\.\d{{6}}\.{prefix}",
    }
    for option, pattern in expected.items():
        for extension in ("", ".dcm"):
            extra = ("-fe", extension) if extension else ()
            receiver = start(tool, option, *extra)
            assert store(receiver, "1.2.77", sop_class=sop_class) == "0000"
            (name,) = receiver.files()
            assert re.fullmatch(pattern + re.escape(extension), name), (option, name)


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("option", ["+fu", "+fsu", "+fst"])
def test_generated_names_keep_every_object(start: Start, tool: str, option: str) -> None:
    receiver = start(tool, option)
    with receiver.sender() as sender:
        sender.associate(((1, CT, (EXPLICIT,)),))
        for _ in range(20):
            assert sender.store(store_rq("1.2.5"), small_data_set("1.2.5")) == "0000"
        assert sender.release() == "released"
    names = receiver.files()
    assert len(names) == 20
    if option == "+fsu":
        assert len({name[3:11] for name in names}) == 1, "the first half is the run's"


@pytest.mark.parametrize("tool", TOOLS)
def test_an_extension_is_appended_as_it_is(start: Start, tool: str) -> None:
    receiver = start(tool, "-fe", "dcm")
    assert store(receiver, "1.2.3.1") == "0000"
    assert receiver.files() == ["CT.1.2.3.1dcm"]


@pytest.mark.parametrize("mode", ["-B", "+B"])
@pytest.mark.parametrize("tool", TOOLS)
def test_the_name_is_the_commands(start: Start, tool: str, mode: str) -> None:
    """Class and instance; the data set's are other ones."""
    receiver = start(tool, mode)
    data = small_data_set("1.2.88", sop_class=MR)
    assert store(receiver, "1.2.99", data=data) == "0000"
    assert receiver.files() == ["CT.1.2.99"]


@pytest.mark.parametrize("tool", TOOLS)
def test_classes_newer_than_the_tool_are_unknown(start: Start, tool: str) -> None:
    receiver = start(tool)
    assert store(receiver, "1.2.99", sop_class=NEWER) == "0000"
    assert receiver.files() == ["UNKNOWN.1.2.99"]


TODAY = "undef/TODAY"
SERIES_DATES: dict[str, tuple[bytes | None, str]] = {
    "a date": (b"20240315", "data/2024/03/15"),
    "the old form": (b"2024.03.15", "data/2024/03/15"),
    "a day that the month has not": (b"20240230", "data/2024/02/30"),
    "two values": (b"20240101\\20250202", "data/2024/01/01"),
    "none": (None, TODAY),
    "an empty one": (b"", TODAY),
    "a year": (b"2024", TODAY),
    "with hyphens": (b"2024-03-15", TODAY),
    "a month 13": (b"20241345", TODAY),
    "zeros": (b"00000000", TODAY),
    "a range": (b"20240101-20240202", TODAY),
    "a leading blank": (b" 20240315", TODAY),
    "a trailing blank": (b"20240315 ", "data/2024/03/15"),
    "a day 32": (b"20240132", TODAY),
    "a day 31": (b"20240431", "data/2024/04/31"),
    "a month 00": (b"20240015", TODAY),
    "a day 00": (b"20240100", TODAY),
    "letters": (b"2024AB15", TODAY),
    "a path": (b"../../../", TODAY),
    "nine digits": (b"202403155", TODAY),
    "the old form, cut": (b"2024.03.1", TODAY),
    "mixed forms": (b"2024.0315", TODAY),
    "other separators": (b"2024/03/15", TODAY),
    "an empty first value": (b"\\20240315", TODAY),
    "a very old one": (b"00010101", "data/0001/01/01"),
}


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("row", SERIES_DATES)
def test_the_series_date_makes_folders(start: Start, row: str, tool: str) -> None:
    value, folder = SERIES_DATES[row]
    receiver = start(tool, "+ssd")
    days = [time.strftime("%Y%m%d")]
    data = small_data_set("1.2.3.1", series_date=value)
    assert store(receiver, "1.2.3.1", data=data) == "0000"
    days.append(time.strftime("%Y%m%d"))
    assert receiver.files() in [[f"{folder.replace('TODAY', day)}/CT.1.2.3.1"] for day in days]


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("umask", [0o022, 0o027, 0o002])
def test_folders_and_files_have_the_modes_that_the_umask_leaves(
    tmp_path: Path, umask: int, tool: str
) -> None:
    profile = asconfig(tmp_path / "test.cfg", [(CT, (EXPLICIT,))])
    options = ("-xf", str(profile), "Test", "+ssd")
    with Receiver(tool, tmp_path / tool, *options, umask=umask) as receiver:
        data = small_data_set("1.2.3.1", series_date=b"20240315")
        assert store(receiver, "1.2.3.1", data=data) == "0000"
        file = receiver.objects / "data/2024/03/15/CT.1.2.3.1"
        assert file.stat().st_mode & 0o7777 == 0o666 & ~umask
        for folder in file.parents[:4]:
            assert folder.stat().st_mode & 0o7777 == 0o777 & ~umask


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(
    ("given", "shown"),
    [("objects", "objects/"), ("objects/", "objects/"), (".", "./"), ("", "./"), ("./x", "./x/")],
)
def test_the_log_names_the_file_as_the_folder_was_given(
    tmp_path: Path, given: str, shown: str, tool: str
) -> None:
    profile = asconfig(tmp_path / "test.cfg", [(CT, (EXPLICIT,))])
    (tmp_path / tool / "x").mkdir(parents=True)
    options = ("-xf", str(profile), "Test", "-od", given)
    with Receiver(tool, tmp_path / tool, *options) as receiver:
        assert store(receiver, "1.2.3.1") == "0000"
    lines = receiver.text().splitlines()
    assert f"I: Stored received object to file: {shown}CT.1.2.3.1" in lines
    assert (tmp_path / tool / given / "CT.1.2.3.1").is_file()


@pytest.mark.parametrize("option", ["+fd", "+fst", "+ssd"])
def test_real_senders_find_the_same_names(start: Start, tmp_path: Path, option: str) -> None:
    """dcmsend's objects of several classes, into both."""
    from pydicom.data import get_testdata_file

    files = [get_testdata_file(name) for name in ("CT_small.dcm",)]
    found = []
    for tool in TOOLS:
        receiver = start(tool, option)
        result = dcmtk("dcmsend", "127.0.0.1", receiver.port, *files)
        assert result.returncode == 0, result.stderr
        names = receiver.files()
        assert len(names) == 1
        found.append([re.sub(r"^\d{14}\.\d{6}\.", "TIME.", name) for name in names])
    assert found[0] == found[1]
