"""What a line may say."""

import pytest

from dicomd.logs.privacy import Guard, Identifiers, escape

UID = "1.2.276.0.7230010.3.1.4.42"
SALT = b"s" * 32


def guard(identifiers: Identifiers, *, private: tuple[str, ...] = ()) -> Guard:
    return Guard(identifiers, salt=SALT, private=private)


def facts() -> dict[str, object]:
    return {
        "sop_instance": UID,
        "path": f"/data/CT.{UID}",
        "reason": f"no {UID} here",
        "patient_id": "ZZ1",
        "bytes": 3,
        "sop_class": "1.2.840.10008.5.1.4.1.1.2",
    }


def test_by_default_uids_are_shown_and_patients_hashed() -> None:
    said = guard("uids").guard(facts())
    assert said["sop_instance"] == UID
    assert said["path"] == f"/data/CT.{UID}"
    assert said["patient_id"] != "ZZ1"
    assert str(said["patient_id"]).startswith("#")


def test_show_shows_both() -> None:
    assert guard("show").guard(facts()) == facts()


def test_hash_hashes_uids_wherever_they_stand_and_alike() -> None:
    said = guard("hash").guard(facts())
    assert UID not in str(said)
    hashed = str(said["sop_instance"])
    assert said["path"] == f"/data/CT.{hashed}"
    assert said["reason"] == f"no {hashed} here"
    assert said["sop_class"] == "1.2.840.10008.5.1.4.1.1.2"
    assert said["bytes"] == 3


def test_a_hash_depends_on_the_salt() -> None:
    other = Guard("hash", salt=b"t" * 32)
    assert other.hashed(UID) != guard("hash").hashed(UID)


def test_omit_leaves_both_out() -> None:
    said = guard("omit").guard(facts())
    assert "sop_instance" not in said
    assert "patient_id" not in said
    assert UID not in str(said)


def test_below_a_private_folder_only_uids_are_told() -> None:
    private = guard("uids", private=("/data/by-patient",))
    path = f"/data/by-patient/ZZMARKER/{UID}"
    said = str(private.guard({"path": path})["path"])
    assert said.startswith("/data/by-patient/#")
    assert said.endswith(f"/{UID}")
    assert "ZZMARKER" not in said


def test_values_of_peers_are_cut() -> None:
    said = guard("uids").guard({"calling_ae": "A" * 100, "unknown_key": "B" * 100})
    assert said == {"calling_ae": "A" * 63 + "…", "unknown_key": "B" * 63 + "…"}


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain", "plain"),
        ("Grüße", "Grüße"),
        ("a\r\nb\tc", "a\\x0d\\x0ab\\x09c"),
        ("\x1b[31m\x7f\x9b", "\\x1b[31m\\x7f\\x9b"),
        ("\u2028\u202e", "\\u2028\\u202e"),
        ("\udcff", "\\udcff"),
    ],
)
def test_control_characters_are_escaped(text: str, escaped: str) -> None:
    assert escape(text) == escaped


def test_what_should_be_a_uid_and_is_none_is_hashed() -> None:
    said = guard("uids").guard({"sop_instance": "../ZZMARKER", "sop_class": "ZZMARKER"})
    assert "ZZMARKER" not in str(said)
    assert guard("uids").guard({"sop_instance": "", "sop_class": "1.2"}) == {
        "sop_instance": "",
        "sop_class": "1.2",
    }
