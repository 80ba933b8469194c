"""YAML text to values with places: YAML 1.2's scalars, no key twice."""

from typing import Any

import pytest

from dicomd.config.yaml_source import load_yaml, read_yaml
from dicomd.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("22:00", "22:00"),
        ("0123", 123),
        ("1_0", "1_0"),
        ("0x10", 16),
        ("0o17", 15),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("'true'", "true"),
        ('"12"', "12"),
        ("!!str 12", "12"),
        ("2026-01-01", "2026-01-01"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    assert load_yaml(f"key: {text}\n", "f").data == {"key": value}


def test_every_value_and_key_has_its_place() -> None:
    document = load_yaml("a:\n  - 1\n  - b: 2\n", "f")
    assert document.mark(("a", 1, "b")) == (3, 8)
    assert document.key_mark(("a", 1, "b")) == (3, 5)
    assert document.mark(("a", 1, "missing")) == (3, 5)


def test_keys_are_text_as_written() -> None:
    assert load_yaml("00100020: x\n", "f").data == {"00100020": "x"}


def test_every_key_given_twice_is_a_fault() -> None:
    with pytest.raises(ConfigError) as caught:
        load_yaml("a: 1\nb: {c: 1, c: 2}\na: 2\n", "f")
    assert [str(fault) for fault in caught.value.faults] == [
        "f:2:11: key 'c' is given twice; the first is in line 2",
        "f:3:1: key 'a' is given twice; the first is in line 1",
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [("a: [1\nb: 2\n", "f:2:"), ("a: &x [*x]\n", "f:1:"), ("a: !foo 1\n", "f:1:4"),
     ("a: \x01\n", "f:1"), ("? [a]\n: b\n", "f:1:")],
)  # fmt: skip
def test_what_is_no_sound_yaml_is_named_with_its_place(text: str, place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_yaml(text, "f")
    assert str(caught.value).startswith(place)


def test_an_empty_document_is_an_empty_mapping() -> None:
    assert load_yaml("# nothing\n", "f").data == {}


def test_a_file_that_cannot_be_read_is_a_fault() -> None:
    with pytest.raises(ConfigError, match="nowhere: cannot be read"):
        read_yaml("nowhere")


def test_a_tab_is_called_one() -> None:
    with pytest.raises(ConfigError) as caught:
        load_yaml("a:\n\tb: 1\n", "x.yaml")
    (fault,) = caught.value.faults
    assert str(fault).startswith("x.yaml:2:1: not YAML")
    assert str(fault).endswith("indent with blanks, not with tabs")
