"""File names and subfolders as dcmrecv makes them, and by template."""

from datetime import UTC, date, datetime

import pytest

from dicomd.settings.storage import StoreSettings
from dicomd.storage.modality import PREFIXES
from dicomd.storage.naming import (
    DefaultNaming,
    GeneratedNaming,
    is_safe_uid,
    naming_of,
    prefix_of,
    series_date_folder,
    subfolders_of,
)
from dicomd.storage.templates import parse_template
from tests.storage.objects import MR, instance_of

TODAY = date(2026, 11, 21)
PHOTOACOUSTIC = "1.2.840.10008.5.1.4.1.1.6.3"


def test_the_default_name_is_prefix_and_uid() -> None:
    assert DefaultNaming("dicomd").name(instance_of("1.2.3"), {}) == "CT.1.2.3"
    assert DefaultNaming("dicomd").name(instance_of("1.2.3 "), {}) == "CT.1.2.3"


def test_an_unknown_class_has_each_tool_s_name() -> None:
    private = instance_of("1.2.3", sop_class="1.2.3.4.5.6")
    assert DefaultNaming("dcmrecv").name(private, {}) == "UNKNOWN.1.2.3"
    assert DefaultNaming("movescu").name(private, {}) == "_null_.1.2.3"


@pytest.mark.parametrize(
    ("uid", "name"),
    [("../evil", "CT..._evil"), ("1.2/3", "CT.1.2_3"), ("a\0b", "CT.a_b"), ("1\n", "CT.1_")],
)
def test_unsafe_characters_become_underscores(uid: str, name: str) -> None:
    assert DefaultNaming("dcmrecv").name(instance_of(uid), {}) == name


def test_newer_classes_have_prefixes_in_the_daemon_only() -> None:
    assert prefix_of(PHOTOACOUSTIC, "dicomd") == "PA"
    assert prefix_of(PHOTOACOUSTIC, "dcmrecv") is None
    assert len(PREFIXES) == 194


def generated(kind: str) -> GeneratedNaming:
    return GeneratedNaming(
        kind=kind,  # type: ignore[arg-type] # the parameter of the test
        implementation="dcmrecv",
        now=lambda: datetime(2026, 11, 21, 9, 8, 7, 42, tzinfo=UTC),
        token=lambda size: "0a" * size,
        started=0x6920ABCD,
    )


def test_short_unique_names_start_with_the_start_time() -> None:
    assert generated("short-unique").name(instance_of(), {}) == "CT_6920abcd0a0a0a0a"
    other = instance_of(sop_class="1.2.3.4.5.6")
    assert generated("short-unique").name(other, {}) == "XX_6920abcd0a0a0a0a"


def test_system_time_names_are_time_then_prefix() -> None:
    assert generated("system-time").name(instance_of(), {}) == "20261121090807.000042.CT"


def test_unique_names_never_repeat() -> None:
    naming = generated("unique")
    names = {naming.name(instance_of(sop_class=MR), {}) for _ in range(100)}
    assert len(names) == 100
    assert all(name.startswith("MR.X.1.2.276.0.7230010.3.1.4.") for name in names)


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (b"20240315", ("data", "2024", "03", "15")),
        (b"2024.03.15", ("data", "2024", "03", "15")),
        (b"20240230", ("data", "2024", "02", "30")),
        (b"20240101\\20250202", ("data", "2024", "01", "01")),
        *(
            (bad, ("undef", "20261121"))
            for bad in (
                None,
                b"",
                b"2024",
                b"2024-03-15",
                b"20241345",
                b"00000000",
                b"20240101-20240201",
                b" 20240315",
                b"../../etc",
                b"2024\xb203\xb2",
            )
        ),
    ],
)
def test_series_date_folders_are_dcmrecv_s(value: bytes | None, parts: tuple[str, ...]) -> None:
    assert series_date_folder(value, TODAY) == parts


@pytest.mark.parametrize("uid", ["1", "1.2.3", "0.1", "1." * 31 + "12", "1.02"])
def test_a_safe_uid_is_safe(uid: str) -> None:
    assert is_safe_uid(uid)


@pytest.mark.parametrize(
    "uid", ["", ".", "1.", ".1", "1..2", "1.2 ", "1.2\n", "1/2", "\u0661.\u0662", "1" * 65]
)
def test_an_unsafe_uid_is_not(uid: str) -> None:
    assert not is_safe_uid(uid)


VALUES = {
    0x0020000D: b"1.2.3.4\0",
    0x0020000E: b"1.2/../3",
    0x00080020: b"20240315",
    0x00080060: b"CT",
    0x00100020: b"../ID 7\xe9",
    0x00080050: b"",
}


@pytest.mark.parametrize(
    ("template", "parts"),
    [
        ("{StudyInstanceUID}", ("1.2.3.4",)),
        ("{StudyInstanceUID}/{SeriesInstanceUID}", ("1.2.3.4", "undef")),
        ("by-study/{StudyDate:%Y}/{StudyDate:%m-%d}", ("by-study", "2024", "03-15")),
        ("{StudyDate}_{Modality}", ("20240315_CT",)),
        ("{PatientID}", ("_._ID_7_",)),
        ("{AccessionNumber}", ("undef",)),
        ("{CallingAETitle}/{ModalityPrefix}", ("SENDER", "CT")),
    ],
)
def test_templates_expand_to_safe_parts(template: str, parts: tuple[str, ...]) -> None:
    settings = StoreSettings(subdirectories=template)
    assert subfolders_of(settings, "dicomd").parts(instance_of(), VALUES, TODAY) == parts


@pytest.mark.parametrize(
    ("template", "hint"),
    [
        ("", "empty"),
        ("/abs", "empty folder name"),
        ("a//b", "empty folder name"),
        ("../up", "dot"),
        (".incoming", "dot"),
        ("{StudyInstanceUId}", "did you mean {StudyInstanceUID}"),
        ("{PixelData}", "cannot name a file"),
        ("{StudyTime:%Y}", "only dates"),
        ("{StudyDate:%H}", "only dates"),
        ("a b", "cannot stand"),
        ("{", "cannot stand"),
    ],
)
def test_a_wrong_template_says_what_is_wrong(template: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint.replace("{", r"\{").replace("}", r"\}")):
        parse_template(template, folders=True)


def test_a_file_template_has_no_folders() -> None:
    with pytest.raises(ValueError, match="folder"):
        naming_of(StoreSettings(filenames="{Modality}/{SOPInstanceUID}"), "dicomd")


def test_a_file_template_without_the_instance_must_not_replace() -> None:
    assert naming_of(StoreSettings(filenames="{Modality}"), "dicomd").generated
    assert not naming_of(StoreSettings(filenames="{SOPInstanceUID}.dcm"), "dicomd").generated
