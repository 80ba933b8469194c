"""dicomd profile show, convert and diff."""

import json
from pathlib import Path

import pytest
from tests.config.profiles.test_asconfig import FULL, GOOD

from dicomd.cli.main import main

SHIPPED = Path(__file__).parents[2] / "profiles"


def write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_show_prints_what_would_be_negotiated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["profile", "show", write(tmp_path, "x.cfg", FULL), "p"]) == 0
    assert capsys.readouterr().out == (
        "profile P\n"
        "  acceptor:  accepts 1 presentation context\n"
        "  requestor: proposes 1 presentation context\n"
        "\n"
        "  transfer syntaxes, the most wanted first:\n"
        "    ExplicitVRLittleEndian\n"
        "  SOP class:\n"
        "    CTImageStorage, role SCU, extended negotiation 0102\n"
    )


def test_show_warns_on_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "x.cfg", GOOD.replace("\\TS\n", "\\TS\nPresentationContext3 = x\n"))
    assert main(["profile", "show", path]) == 0
    assert f"{path}:7:1: PresentationContext3 is never read" in capsys.readouterr().err


def test_show_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "show", "--json", write(tmp_path, "x.cfg", FULL)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["form"] == "asconfig"
    assert shown["profiles"]["P"]["acceptor"] == {"valid": True, "reason": None}
    assert shown["profiles"]["P"]["contexts"] == [
        {
            "sop_class": {"uid": "1.2.840.10008.5.1.4.1.1.2", "name": "CTImageStorage"},
            "transfer_syntaxes": [{"uid": "1.2.840.10008.1.2.1", "name": "ExplicitVRLittleEndian"}],
            "role": "SCU",
            "extended_negotiation": "0102",
        }
    ]


def test_show_tells_who_cannot_use_a_profile(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "show", str(SHIPPED / "storescu.cfg")]) == 0
    assert "acceptor:  not usable: SOP class" in capsys.readouterr().out
    assert main(["profile", "show", str(SHIPPED / "storescp.cfg"), "Default"]) == 0
    assert "requestor: not usable: 2" in capsys.readouterr().out


def test_an_unknown_profile_and_a_broken_file_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write(tmp_path, "x.cfg", GOOD)
    assert main(["profile", "show", good, "Q"]) == 78
    assert "no profile named 'Q'; this file has: P" in capsys.readouterr().err
    bad = write(tmp_path, "y.cfg", GOOD.replace("\\TS", "\\TT"))
    assert main(["profile", "diff", good, bad]) == 78
    assert f"{bad}:6:24: no section [TT]; there is [TS]" in capsys.readouterr().err


def test_convert_goes_there_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there, back = tmp_path / "x.yaml", tmp_path / "y.cfg"
    first = write(tmp_path, "x.cfg", FULL)
    assert main(["profile", "convert", first, "-o", str(there)]) == 0
    assert main(["profile", "convert", str(there), "--output", str(back)]) == 0
    assert main(["profile", "diff", first, str(there)]) == 0
    assert main(["profile", "diff", first, str(back)]) == 0
    assert capsys.readouterr().out == ""
    assert main(["profile", "convert", first]) == 0
    assert capsys.readouterr().out == there.read_text()


def test_diff_tells_what_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = write(tmp_path, "old.cfg", FULL)
    changed = FULL.replace("\\SCU", "\\BOTH").replace(
        "[[Pres", "TransferSyntax2 = JPEGBaseline\n[[Pres"
    )
    changed = changed.replace("\\TS\n", "\\TS\nPresentationContext2 = MRImageStorage\\TS\n")
    new = write(tmp_path, "new.cfg", changed + "[Q]\nPresentationContexts = PC\n")
    assert main(["profile", "diff", old, new]) == 1
    assert capsys.readouterr().out == (
        "profile Q: added\n"
        "profile P\n"
        "  + MRImageStorage (1.2.840.10008.5.1.4.1.1.4)\n"
        "  ~ CTImageStorage (1.2.840.10008.5.1.4.1.1.2)\n"
        "      + JPEGBaseline8Bit (1.2.840.10008.1.2.4.50)\n"
        "      role: SCU -> BOTH\n"
    )
    assert main(["profile", "diff", "--json", old, new]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["same"] is False
    assert told["added"] == ["Q"]
    assert told["changed"][0]["accepted"][0]["name"] == "MRImageStorage"
    assert told["changed"][0]["changed"][0]["role"] == {"before": "SCU", "now": "BOTH"}


def test_diff_compares_two_profiles_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(SHIPPED / "storescp.cfg")
    assert main(["profile", "diff", file, file, "Default", "default"]) == 0
    assert main(["profile", "diff", file, file, "Default", "AllDICOM"]) == 1
    out = capsys.readouterr().out
    assert "      + HTJ2KLossless (1.2.840.10008.1.2.4.201), preferred to Explicit" in out


def test_diff_json_says_same_with_exit_code_0(capsys: pytest.CaptureFixture[str]) -> None:
    file = str(SHIPPED / "verification.cfg")
    assert main(["profile", "diff", "--json", file, file]) == 0
    assert json.loads(capsys.readouterr().out)["same"] is True
