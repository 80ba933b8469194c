"""Profiles on disk: which form, which profile, for which role; the shipped ones; the default."""

from pathlib import Path

import pytest
from pydicom._uid_dict import UID_dictionary
from tests.config.profiles.shipped import SHIPPED, SHIPPED_PROFILES
from tests.config.profiles.test_asconfig import FULL, GOOD
from tests.config.profiles.test_yaml_form import BASE

from dicomd.config.profiles.asconfig import DcmtkProfileError
from dicomd.config.profiles.file import acceptor_obstacle, requestor_obstacle
from dicomd.config.profiles.load import (
    check_profile_file,
    default_profile,
    is_yaml,
    load_profile,
    read_profile_file,
)
from dicomd.config.profiles.storage_classes import STORAGE_CLASSES
from dicomd.config.profiles.transfer_syntax_order import (
    LOSSLESS_TRANSFER_SYNTAXES,
    LOSSY_TRANSFER_SYNTAXES,
    NOT_FOR_STORAGE,
    PREFERRED_TRANSFER_SYNTAXES,
)
from dicomd.config.profiles.transfer_syntaxes import TRANSFER_SYNTAXES
from dicomd.settings.profile import EXPLICIT_VR_LITTLE_ENDIAN, VERIFICATION, AssociationProfile

FOR_ACCEPTORS = [
    *((path.name, "Default") for path in SHIPPED_PROFILES
      if path.suffix == ".yaml" and path.name != "modality.yaml"),
    ("storescp.yaml", "AllDICOM"),
    ("storescp.yaml", "LosslessCTandMR"),
    ("storescp.cfg", "Default"),
    ("storescp.cfg", "AllDICOM"),
    ("verification.cfg", "Default"),
]  # fmt: skip


def write(folder: Path, text: str, name: str = "profile") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def classes_of(profile: AssociationProfile) -> set[str]:
    return {context.abstract_syntax for context in profile.contexts}


def storage_of_pydicom() -> set[str]:
    """What pydicom's dictionary calls storage, the two service classes' SOP classes apart."""
    return {
        uid
        for uid, (name, kind, *_) in UID_dictionary.items()
        if kind == "SOP Class"
        and "Storage" in name
        and not name.startswith(("Storage Commitment", "Media Storage"))
    }


def syntaxes_of_pydicom() -> set[str]:
    return {uid for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD, False),
        ("", False),
        ("nonsense\n", False),
        ("# profiles:\n" + GOOD, False),
        (GOOD.replace("[[Profiles]]", "[[Profiles]]\n  profiles: x = 1"), False),
        (BASE, True),
        ("# comment\n" + BASE, True),
        ("\ufeff" + BASE, True),
        ("---\na: 1\n", True),
        ("# comment\n\n{profiles: {}}\n", True),
        ('"include": x\n', True),
    ],
)
def test_the_form_is_told_by_content(text: str, expected: bool) -> None:
    assert is_yaml(text) is expected


def test_both_forms_load(tmp_path: Path) -> None:
    asconfig = load_profile(write(tmp_path, FULL), "p")
    yaml = load_profile(write(tmp_path, BASE), " default ")
    assert asconfig.contexts[0] == yaml.contexts[0].__class__(
        abstract_syntax=yaml.contexts[0].abstract_syntax,
        transfer_syntaxes=yaml.contexts[0].transfer_syntaxes[:1],
    )


def test_faults_of_yaml_have_the_words_that_recv_prints(tmp_path: Path) -> None:
    path = write(tmp_path, BASE.replace("Storage: Plain", "Storage: Plane"))
    with pytest.raises(DcmtkProfileError) as caught:
        load_profile(path, "Default")
    assert caught.value.dcmtk_error is not None
    assert caught.value.dcmtk_error.startswith(
        f"Unable to parse association configuration file: {path}: no 'Plane' in transfer_syntaxes"
    )
    assert caught.value.faults[0].line == 6


REPEATED = GOOD.replace("\\TS\n", "\\TS\nPresentationContext2 = 1.2.840.10008.5.1.4.1.1.2\\TS\n")


def test_a_repeated_sop_class_is_for_requestors_only(tmp_path: Path) -> None:
    path = write(tmp_path, REPEATED)
    assert len(load_profile(path, "P", role="requestor").contexts) == 2
    with pytest.raises(DcmtkProfileError) as caught:
        load_profile(path, "P")
    assert caught.value.faults[0].line == 7
    assert "CTImageStorage stands in more than one presentation context" in str(caught.value)


def test_more_than_128_contexts_are_for_acceptors_only(tmp_path: Path) -> None:
    entries = "".join(f"PresentationContext{n} = 1.2.{n}\\TS\n" for n in range(1, 130))
    path = write(tmp_path, GOOD.replace("PresentationContext1 = CTImageStorage\\TS\n", entries))
    assert len(load_profile(path, "P").contexts) == 129
    with pytest.raises(DcmtkProfileError, match="129 presentation contexts"):
        load_profile(path, "P", role="requestor")


def test_more_than_128_transfer_syntaxes_are_for_acceptors_only(tmp_path: Path) -> None:
    entries = "".join(f"TransferSyntax{n} = 1.2.{n}\n" for n in range(1, 130))
    path = write(tmp_path, GOOD.replace("TransferSyntax1 = LittleEndianExplicit\n", entries))
    load_profile(path, "P")
    with pytest.raises(DcmtkProfileError, match="129 transfer syntaxes"):
        load_profile(path, "P", role="requestor")


def test_an_unknown_profile_is_told_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(DcmtkProfileError, match="no profile named 'X'; this file has: P"):
        load_profile(write(tmp_path, GOOD), "X")


def test_bytes_that_are_not_utf8_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "profile"
    path.write_bytes(b"# caf\xe9\n" + GOOD.encode())
    load_profile(str(path), "P")
    assert check_profile_file(str(path)) == []


@pytest.mark.parametrize(("name", "profile"), FOR_ACCEPTORS)
def test_shipped_profiles_serve_an_acceptor(name: str, profile: str) -> None:
    loaded = load_profile(str(SHIPPED / name), profile)
    assert VERIFICATION in classes_of(loaded)


def test_the_shipped_requestor_profile_serves_a_requestor_alone() -> None:
    profile = load_profile(str(SHIPPED / "storescu.cfg"), "Default", role="requestor")
    assert requestor_obstacle(profile) is None
    assert acceptor_obstacle(profile) is not None


def test_every_shipped_file_of_profiles_is_sound() -> None:
    assert len(SHIPPED_PROFILES) > 10
    for path in SHIPPED_PROFILES:
        read_profile_file(str(path))


@pytest.mark.parametrize("profile", ["Default", "AllDICOM"])
def test_shipped_receivers_take_every_storage_class(profile: str) -> None:
    loaded = classes_of(load_profile(str(SHIPPED / "storescp.cfg"), profile))
    assert storage_of_pydicom() - loaded == set()
    assert {row.uid for row in STORAGE_CLASSES} - loaded == set()


def test_shipped_receiver_prefers_explicit_vr() -> None:
    loaded = load_profile(str(SHIPPED / "storescp.cfg"), "Default")
    assert {context.transfer_syntaxes[0] for context in loaded.contexts} == {
        EXPLICIT_VR_LITTLE_ENDIAN
    }


def test_the_default_takes_every_storage_class_in_every_transfer_syntax() -> None:
    profile = default_profile()
    assert acceptor_obstacle(profile) is None
    assert classes_of(profile) - {VERIFICATION} >= storage_of_pydicom()
    known = syntaxes_of_pydicom() | {row.uid for row in TRANSFER_SYNTAXES}
    for context in profile.contexts[1:]:
        assert set(context.transfer_syntaxes) == known - NOT_FOR_STORAGE


def test_the_default_is_the_shipped_profile_for_everything() -> None:
    assert default_profile() == load_profile(str(SHIPPED / "storescp.cfg"), "AllDICOM")


def test_no_sender_is_led_to_lose_information() -> None:
    order = PREFERRED_TRANSFER_SYNTAXES
    assert len(set(order)) == len(order)
    uncompressed = order.index(EXPLICIT_VR_LITTLE_ENDIAN)
    assert all(order.index(uid) < uncompressed for uid in LOSSLESS_TRANSFER_SYNTAXES)
    assert all(order.index(uid) > uncompressed for uid in LOSSY_TRANSFER_SYNTAXES)


RLE, JPEG_BASELINE = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50"
IMPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"


@pytest.mark.parametrize(
    ("offered", "accepted"),
    [
        # What dcmsend offers for an RLE object, for an uncompressed one, for a lossy one.
        ([RLE, EXPLICIT_VR_LITTLE_ENDIAN, BIG_ENDIAN, IMPLICIT], RLE),
        ([EXPLICIT_VR_LITTLE_ENDIAN, BIG_ENDIAN, IMPLICIT], EXPLICIT_VR_LITTLE_ENDIAN),
        ([JPEG_BASELINE], JPEG_BASELINE),
        # A modality that could compress with loss.
        ([JPEG_BASELINE, IMPLICIT], IMPLICIT),
    ],
)
def test_senders_that_offer_several_keep_what_they_have(offered: list[str], accepted: str) -> None:
    for context in default_profile().contexts[1:]:
        assert next(uid for uid in context.transfer_syntaxes if uid in offered) == accepted
