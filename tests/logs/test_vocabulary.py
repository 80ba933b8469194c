"""The table of events and keys, held against the code and the README."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomd.logs.vocabulary import EVENTS, KEYS, as_markdown

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "daemon" / "dicomd"
LEVELS = {"trace", "debug", "info", "warning", "error", "critical", "exception", "log"}
EVENT = re.compile(r"[a-z]+\.[a-z_]+")
BESIDES = {"exc_info"}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "vocabulary.py")


def log_calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call that logs an event by its name, with the event."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        function = node.func.body if isinstance(node.func, ast.IfExp) else node.func
        if not isinstance(function, ast.Attribute) or function.attr not in LEVELS:
            continue
        names = [
            argument.value
            for argument in node.args[:2]
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
        ]
        if names and EVENT.fullmatch(names[0]):
            yield names[0], node


def bound_keys(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "bind"
            and not node.args
        ):
            yield from (keyword.arg for keyword in node.keywords if keyword.arg)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_is_logged_is_documented(path: Path) -> None:
    events = {event.name for event in EVENTS}
    keys = {key.name for key in KEYS} | BESIDES
    for event, call in log_calls(path):
        assert event in events, f"{path.name}:{call.lineno}: no row for event {event}"
        for keyword in call.keywords:
            assert keyword.arg is None or keyword.arg in keys, (
                f"{path.name}:{call.lineno}: no row for key {keyword.arg}"
            )
    for key in bound_keys(path):
        assert key in keys, f"{path.name}: no row for key {key}"


def test_what_is_documented_is_logged() -> None:
    code = "\n".join(path.read_text() for path in MODULES)
    for event in EVENTS:
        assert f'"{event.name}"' in code, f"nothing logs {event.name}"


def test_each_name_is_documented_once() -> None:
    assert len({event.name for event in EVENTS}) == len(EVENTS)
    assert len({key.name for key in KEYS}) == len(KEYS)


def test_the_readme_has_the_table() -> None:
    """`python -m tests.logs.test_vocabulary` writes it anew."""
    assert as_markdown() in (REPOSITORY / "README.md").read_text()


def write_table() -> None:
    """Put the table into the README, between its two marks."""
    readme = REPOSITORY / "README.md"
    begin, end = "<!-- events: begin -->\n", "<!-- events: end -->\n"
    before, _, rest = readme.read_text().partition(begin)
    _, _, after = rest.partition(end)
    readme.write_text(f"{before}{begin}\n{as_markdown()}\n{end}{after}")


if __name__ == "__main__":
    write_table()
