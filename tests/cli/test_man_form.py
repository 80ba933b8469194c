"""The manual pages are sound, and neither they nor the shell's completion miss an option."""

import argparse
import importlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomd.cli.main import VERBS

PACKAGING = Path(__file__).parents[2] / "packaging"
PAGES = sorted((PACKAGING / "man").glob("*.[1-9]"))
OWN = [name for name, verb in VERBS.items() if verb.grammar == "argparse"]


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The long options of a parser and of all below it, and the names of what is below."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield name
                yield from options(below)
        yield from (one for one in action.option_strings if one.startswith("--"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_groff_formats_the_page_without_a_warning(page: Path) -> None:
    done = subprocess.run(
        ["groff", "-mandoc", "-Tutf8", "-ww", "-rLL=100n", str(page)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    assert done.stderr == ""


@pytest.mark.parametrize("verb", OWN)
def test_every_option_is_in_the_manual_and_in_the_completion(verb: str) -> None:
    parser = argparse.ArgumentParser()
    parser.set_defaults(verb=verb)
    importlib.import_module(VERBS[verb].module).add_arguments(parser)
    page = "dicomd-jobs.1" if verb == "jobs" else "dicomd.1"
    manual = (PACKAGING / "man" / page).read_text().split()
    completion = (PACKAGING / "completion" / "dicomd.bash").read_text()
    assert verb in completion
    for option in {*options(parser)} - {"--help"}:
        assert option in completion, option
        assert option.removeprefix("-") in manual, f"{option} in {page}"
