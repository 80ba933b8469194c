"""dicomd check and dicomd schema."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from dicomd.cli.main import main
from dicomd.config.schema import json_schema

MODES = "expected 'normal', 'bit-preserving' or 'ignore'"
SOUND = """\
stores: {s: {directory: ., file_mode: "0600"}}
listeners: {a: {port: 0, access: {hosts: [10.0.0.0/8]}}}
jobs: {database: "postgresql://dicomd:topsecret@db/jobs"}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "dicomd.yaml"
    path.write_text(SOUND)
    return path


def test_a_sound_file_exits_0(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(config)]) == 0
    assert capsys.readouterr().out == f"{config}: sound: 1 listener, 1 store, 0 retrievals\n"


def test_each_fault_is_a_line_with_its_place(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text("listners: {}\nstores: {s: {directory: o, mode: bits}}\n")
    assert main(["check", "--config", str(config)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{config}:1:1: nothing to do: name at least one listener under `listeners:`",
        f"{config}:1:1: unknown key 'listners'; did you mean 'listeners'?",
        f'{config}:2:34: stores.s.mode: "bits" is not right; {MODES}',
    ]


def test_warnings_are_told_and_do_no_harm(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(SOUND.replace("directory: .", "directory: missing"))
    assert main(["check", "--config", str(config)]) == 0
    assert "missing does not exist" in capsys.readouterr().out


def test_the_environment_names_the_file(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DICOMD_CONFIG", str(config))
    assert main(["check"]) == 0
    assert str(config) in capsys.readouterr().out


def test_print_shows_the_settings_in_force_without_secrets(
    config: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["check", "--print", "--config", str(config)]) == 0
    shown = capsys.readouterr().out
    assert "topsecret" not in shown
    tree = yaml.safe_load(shown)
    assert tree["listeners"]["a"]["store"] == "s"
    assert tree["listeners"]["a"]["max_pdu"] == 131072
    assert tree["stores"]["s"]["file_mode"] == "0600"
    again = tmp_path / "again.yaml"
    again.write_text(shown)
    assert main(["check", "--config", str(again)]) == 0


def test_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema()


def definitions() -> dict[str, Any]:
    schema = json_schema()
    return {"DaemonSettings": schema, **schema["$defs"]}


def test_schema_has_the_keys_of_the_file_and_no_others() -> None:
    found = definitions()
    assert "negotiation" not in found["ListenerSettings"]["properties"]
    assert "AssociationProfile" not in found
    assert set(found["WindowSettings"]["properties"]) >= {"from", "to"}
    assert "include" in found["DaemonSettings"]["properties"]
    assert all(one["additionalProperties"] is False for one in found.values())


def test_schema_describes_the_keys() -> None:
    found = definitions()
    assert "PS3.8" in found["ListenerSettings"]["properties"]["max_pdu"]["description"]
    assert all(one["description"] for one in found.values())


def test_every_reference_of_the_schema_is_there() -> None:
    schema = json_schema()
    text = json.dumps(schema)
    for name in {part.split('"')[0] for part in text.split('"#/$defs/')[1:]}:
        assert name in schema["$defs"]
