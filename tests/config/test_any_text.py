"""Whatever stands in a configuration file: settings or a ConfigError, never another exception."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicomd.config.build import dataclass_in, item_type, public_fields
from dicomd.config.load import load
from dicomd.config.yaml_source import load_yaml
from dicomd.errors import ConfigError, Fault
from dicomd.settings.daemon import DaemonSettings

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec="utf-8"), max_size=8)
    | st.sampled_from(["5m", "64KiB", "0640", "auto", "strict", "a", "none", "{StudyDate}", "*/5"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def tree_of(settings_type: type, depth: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    """Trees with the right keys and any values, at any depth."""
    keys: dict[str, st.SearchStrategy[Any]] = {}
    for key, hint in public_fields(settings_type).items():
        keys[key] = VALUES
        inner = dataclass_in(item_type(hint)) or dataclass_in(hint)
        if inner is None or depth > 2:
            continue
        below = tree_of(inner, depth + 1)
        named = dataclass_in(hint) is None
        keys[key] |= st.dictionaries(st.sampled_from("ab"), below) if named else below
    return st.fixed_dictionaries({}, optional=keys)


def no_name_server(*arguments: object, **options: object) -> NoReturn:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def faults_of(read: Callable[[], object]) -> tuple[Fault, ...]:
    try:
        read()
    except ConfigError as error:
        return error.faults
    return ()


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_is_yaml_or_a_fault(text: str) -> None:
    assert all(fault.file == "f" for fault in faults_of(lambda: load_yaml(text, "f")))


@given(tree=tree_of(DaemonSettings))
@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=100)
def test_any_values_are_settings_or_faults(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(json.dumps(tree))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", no_name_server)
        assert all(fault.text for fault in faults_of(lambda: load(str(path))))


def test_nesting_without_end_is_a_fault() -> None:
    with pytest.raises(ConfigError, match="nested"):
        load_yaml("[" * 5000 + "]" * 5000, "f")


def test_aliases_that_multiply_are_a_fault() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match="aliases"):
        load_yaml("\n".join(lines), "f")


def test_a_file_that_is_no_text_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "binary"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(str(path))
