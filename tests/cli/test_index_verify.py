"""dicomd index rebuild, then dicomd verify."""

import json
import os
from pathlib import Path

import pytest
from tests.storage.objects import dataset, instance_of, sink_of, store

from dicomd.cli.main import main

CONFIG = """
state_directory: {state}
listeners:
  main: {{address: 127.0.0.1, port: 11112, store: archive}}
stores:
  archive: {{directory: {store}, subdirectories: "{{StudyInstanceUID}}"}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "objects"
    folder.mkdir()
    sink = sink_of(folder, subdirectories="{StudyInstanceUID}")
    for number in range(3):
        store(sink, dataset(f"1.2.{number}"), instance_of(f"1.2.{number}"))
    sink.close()
    path = tmp_path / "dicomd.yaml"
    path.write_text(CONFIG.format(state=tmp_path / "state", store=folder))
    return path


def run(*arguments: str) -> int:
    try:
        return main(list(arguments))
    except SystemExit as ended:
        return int(ended.code or 0)


def test_a_rebuilt_index_verifies(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("index", "rebuild", "--config", str(config)) == 0
    assert "3 objects indexed, 0 forgotten, 0 files" in capsys.readouterr().out
    assert run("verify", "--config", str(config)) == 0
    assert run("verify", "--study", "1.2.3.4", "--config", str(config)) == 0
    assert "3 objects examined" in capsys.readouterr().err


def test_what_is_gone_or_changed_is_listed_and_exits_1(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("index", "rebuild", "--config", str(config)) == 0
    study = tmp_path / "objects" / "1.2.3.4"
    os.unlink(study / "CT.1.2.0")
    with open(study / "CT.1.2.1", "ab") as file:
        file.write(b"more")
    capsys.readouterr()
    assert run("verify", "--config", str(config)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["gone", "changed"]
    assert run("verify", "--json", "--config", str(config)) == 1
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["kind"], one["sop_instance"]) for one in found] == [
        ("gone", "1.2.0"),
        ("changed", "1.2.1"),
    ]


def test_a_study_that_nobody_knows_exits_1(config: Path) -> None:
    run("index", "rebuild", "--config", str(config))
    assert run("verify", "--study", "9.9", "--config", str(config)) == 1


def test_no_index_is_said_so(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", "--config", str(config)) != 0
    assert "no index there" in capsys.readouterr().err
