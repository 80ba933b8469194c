"""The table of verbs, exit codes, and what an import costs."""

import importlib
import subprocess
import sys

import pytest
from tests.journeys.running import command, environment

from dicomd.cli.main import VERBS, main
from dicomd.errors import ConfigError, Fault, StartError


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_its_module(name: str) -> None:
    verb = VERBS[name]
    module = importlib.import_module(verb.module)
    wanted = ("main",) if verb.grammar == "dcmtk" else ("add_arguments", "run")
    assert all(callable(getattr(module, one)) for one in wanted)


def test_help_lists_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in VERBS)


def test_no_verb_is_a_wrong_command_line() -> None:
    assert main([]) == 1


def test_a_misspelt_verb_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chekc"]) == 1
    assert "did you mean 'check'?" in capsys.readouterr().err


@pytest.mark.parametrize("name", [one for one in VERBS if VERBS[one].grammar == "argparse"])
def test_a_wrong_option_exits_1(name: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main([name, "--no-such-option"])
    assert caught.value.code == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConfigError([Fault("f", 1, 2, "wrong")]), 78), (StartError("no"), 71)],
)
def test_errors_of_a_start_have_sysexits_codes(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module(VERBS["run"].module)

    def fail(arguments: object) -> int:
        raise error

    monkeypatch.setattr(module, "run", fail)
    assert main(["run"]) == code


def test_a_missing_configuration_exits_78() -> None:
    ended = subprocess.run(
        command("run", "--config", "/nowhere/dicomd.yaml"),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 78
    assert "/nowhere/dicomd.yaml: cannot be read" in ended.stderr


def test_the_front_door_imports_no_library() -> None:
    heavy = ("pydantic", "yaml", "pydicom", "pynetdicom", "dbos", "structlog", "ssl")
    code = f"import sys, dicomd.cli.main; print([n for n in {heavy!r} if n in sys.modules])"
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[]"


def test_version_is_told() -> None:
    ended = subprocess.run(
        command("--version"), env=environment(), capture_output=True, text=True, check=True
    )
    assert ended.stdout.startswith("dicomd 0.")
