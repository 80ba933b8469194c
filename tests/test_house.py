"""Imports run down only: the table in CONTRIBUTING.md, held against the code."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "daemon" / "dicomd"

SLAB = {"settings", "lifeline", "errors"}
MAY_IMPORT = {
    "__init__": set[str](),
    "__main__": {"cli"},
    "errors": set[str](),
    "lifeline": set[str](),
    "settings": set[str](),
    "upper_layer": {"errors"},
    "dimse": {"errors"},
    "storage": {"settings", "errors"},
    "config": {"settings", "errors", "query"},
    "logs": {"settings", "errors"},
    "query": {"errors"},
    "acceptor": SLAB | {"upper_layer", "dimse", "storage"},
    "requestor": SLAB | {"dimse", "storage", "query"},
    "indexer": SLAB | {"storage"},
    "supervisor": SLAB | {"acceptor", "requestor", "indexer", "logs", "storage"},
    "cli": {"settings", "errors", "supervisor", "config", "storage", "query"},
}
"""Room -> rooms it may import, itself and the package's version apart."""

DOORS = {
    "pynetdicom": {"upper_layer", "dimse", "requestor"},
    "pydicom": {"upper_layer", "dimse", "storage", "requestor", "cli", "config", "query"},
    "yaml": {"config"},
    "pydantic": {"config"},
    "pydantic_core": {"config", "settings"},
    "dbos": {"requestor"},
    "sdnotify": {"supervisor"},
    "prometheus_client": {"supervisor"},
}
"""Third party -> the rooms it comes in by."""

NO_INPUT_OUTPUT = {"upper_layer", "dimse"}
FORBIDDEN_WITHOUT_IO = {"socket", "os", "time", "logging", "structlog", "pathlib", "asyncio"}


def room_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imported_modules(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            if node.module == "dicomd":
                names.update(f"dicomd.{alias.name}" for alias in node.names)
    return names


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_down_only(path: Path) -> None:
    room = room_of(path)
    for name in imported_modules(path):
        top, _, rest = name.partition(".")
        if top == "dicomd":
            other = rest.partition(".")[0]
            allowed = {room, "", "__version__"} | MAY_IMPORT[room]
            assert other in allowed, f"{room} imports {name}"
        elif top in DOORS:
            assert room in DOORS[top], f"{name} comes in by another door than {room}"
        elif room in NO_INPUT_OUTPUT:
            assert top not in FORBIDDEN_WITHOUT_IO, f"{room} does no I/O but imports {name}"
