"""dcmrecv's options to the daemon's settings."""

from pathlib import Path

import pytest

from dicomd.cli.options import CommandLineError
from dicomd.cli.recv import GRAMMAR, RecvError, options_of, settings_of
from dicomd.cli.tool import logging_of
from dicomd.settings.daemon import DaemonSettings
from dicomd.settings.listener import ListenerSettings
from dicomd.settings.profile import VERIFICATION_ONLY
from dicomd.settings.storage import DCMRECV_REWRITE, StoreSettings


def settings(*arguments: str) -> DaemonSettings:
    line = GRAMMAR.parse([*arguments, "11112"])
    log = logging_of(line, "dcmrecv")
    return settings_of(options_of(line, log), line, log, [])


def listener(*arguments: str) -> ListenerSettings:
    return settings(*arguments).listeners["recv"]


def store(*arguments: str) -> StoreSettings:
    return settings(*arguments).stores["received"]


def test_without_options_it_is_dcmrecv_as_it_comes() -> None:
    plain = settings()
    assert plain.state_directory == ""
    assert plain.control_socket == ""
    assert listener().negotiation == VERIFICATION_ONLY
    assert listener().checks == "tolerant"
    assert listener().max_pdu == 16384
    assert listener().address == "0.0.0.0"
    assert listener().timeouts.acse == 30
    assert (listener().timeouts.dimse, listener().timeouts.idle) == (0, 0)
    assert store().directory == "."
    assert store().rewrite == DCMRECV_REWRITE
    assert store().durability == "object"
    assert store().file_mode is None
    assert store().create_directory
    assert store().abort_unparsable


def test_timeouts_and_pdu() -> None:
    own = listener("-ta", "5", "-td", "7", "-pdu", "131072")
    assert (own.timeouts.acse, own.timeouts.dimse, own.timeouts.idle) == (5, 7, 7)
    assert own.max_pdu == 131072


@pytest.mark.parametrize(
    ("options", "mode", "rewritten"),
    [("-B", "normal", True), ("+B", "bit-preserving", False), ("--ignore", "ignore", False),
     ("+B -B", "normal", True), ("-B --ignore", "ignore", False)],
)  # fmt: skip
def test_storage_modes(options: str, mode: str, rewritten: bool) -> None:
    kept = store(*options.split())
    assert (kept.mode, kept.rewrite is not None) == (mode, rewritten)


def test_naming() -> None:
    kept = store("+ssd", "+fu", "-fe", "dcm")
    assert kept.subdirectories == "series-date"
    assert (kept.filenames, kept.extension) == ("unique", "dcm")


@pytest.mark.parametrize(
    ("given", "directory"), [("", "."), (".", "."), ("/", "/"), ("/tmp//", "/tmp")]
)
def test_folders_are_kept_as_given_without_the_last_slash(given: str, directory: str) -> None:
    assert store("-od", given).directory == directory


@pytest.mark.parametrize(("option", "address"), [("-i4", "0.0.0.0"), ("-i6", "::"), ("-i0", "")])
def test_kinds_of_addresses(option: str, address: str) -> None:
    assert listener(option).address == address


def test_options_of_our_own() -> None:
    own = settings("--strict", "--durability", "none", "--workers", "3", "--max-associations", "7")
    assert own.listeners["recv"].checks == "strict"
    assert own.listeners["recv"].workers == 3
    assert own.listeners["recv"].limits.associations == 7
    assert own.stores["received"].durability == "none"
    assert settings("--json-log", "-v").logging.dcmtk is None
    assert settings("--json-log", "-v").logging.level == "info"


def test_the_called_title_is_checked_only_when_strict_and_set() -> None:
    assert listener("-aet", "MINE").access.called_ae_titles == ()
    assert listener("--strict").access.called_ae_titles == ()
    assert listener("--strict", "-aet", "MINE").access.called_ae_titles == ("MINE",)
    assert listener("--strict", "-aet", "MINE", "-uca").access.called_ae_titles == ()


@pytest.mark.parametrize(
    "wrong", [["--durability", "some"], ["--workers", "0"], ["--max-associations", "x"]]
)
def test_wrong_values_of_our_own_options_are_refused(wrong: list[str]) -> None:
    with pytest.raises(CommandLineError, match=f"Invalid value for option {wrong[0]}"):
        settings(*wrong)


def test_what_is_named_is_read_in_dcmrecvs_order(tmp_path: Path) -> None:
    with pytest.raises(RecvError) as caught:
        settings("-od", str(tmp_path / "gone"), "-xf", str(tmp_path / "none"), "p")
    assert caught.value.code == 66
    with pytest.raises(RecvError) as caught:
        settings("-od", str(tmp_path / "gone"), "+tls", "a", "b")
    assert caught.value.code == 45
    with pytest.raises(RecvError) as caught:
        settings("-od", str(tmp_path), "+tls", "a", "b")
    assert caught.value.code == 71


def test_the_warning_about_a_missing_profile_goes_to_the_log() -> None:
    assert len(settings().warnings) == 1
