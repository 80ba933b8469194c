"""DCMTK's option grammar, as measured on its tools."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomd.cli.options import (
    CommandLineError,
    Grammar,
    Option,
    Parameter,
    Section,
    is_option,
    split,
)

GRAMMAR = Grammar(
    tool="tool",
    summary="a tool",
    parameters=(Parameter("peer", "a host"), Parameter("file", "files", optional=True, many=True)),
    sections=(
        Section(
            "options",
            (
                Option("--help", "-h", "help", ends=True),
                Option("--verbose", "-v", "talk"),
                Option("--directory", "-od", "a folder", ("D: a folder",)),
                Option("--pair", "+p", "two", ("one", "other")),
                Option("--normal", "-B", "one way"),
                Option("--exact", "+B", "other way"),
                Option("--ignore", "", "no way"),
                Option("--number", "-n", "a number", ("N: a number",)),
            ),
        ),
    ),
)
GROUP = ("--normal", "--exact", "--ignore")


@pytest.mark.parametrize(
    ("word", "expected"),
    [("-v", True), ("+B", True), ("--x", True), ("-", False), ("+", False), ("-5", False),
     ("+5", False), ("x", False), ("", False), ("--", True)],
)  # fmt: skip
def test_what_is_an_option(word: str, expected: bool) -> None:
    assert is_option(word) is expected


def test_a_value_may_look_like_an_option() -> None:
    line = GRAMMAR.parse(["-od", "-v", "host"])
    assert line.value("--directory") == "-v"
    assert not line.given("--verbose")


def test_the_rightmost_value_wins_and_all_are_kept() -> None:
    line = GRAMMAR.parse(["-n", "1", "host", "--number", "2"])
    assert line.number("--number", 0) == 2
    assert line.every("--number") == (("1",), ("2",))


@pytest.mark.parametrize(
    ("words", "counting"),
    [
        ("+B -B", ["--normal"]),
        ("-B +B", ["--normal", "--exact"]),
        ("+B --ignore", ["--exact", "--ignore"]),
        ("--ignore +B", ["--exact"]),
        ("-B --ignore +B", ["--normal", "--exact"]),
        ("+B -B --ignore", ["--normal", "--ignore"]),
        ("", []),
    ],
)
def test_losers_before_the_winner_in_the_help_count_too(words: str, counting: list[str]) -> None:
    line = GRAMMAR.parse([*words.split(), "host"])
    assert list(line.counting(*GROUP)) == counting
    assert line.last_of(*GROUP) == (counting[-1] if counting else "")


@given(st.lists(st.sampled_from(["-B", "+B", "--ignore"]), min_size=1))
def test_the_rightmost_of_a_group_wins(words: list[str]) -> None:
    names = {"-B": "--normal", "+B": "--exact", "--ignore": "--ignore"}
    assert GRAMMAR.parse([*words, "host"]).last_of(*GROUP) == names[words[-1]]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--bogus", "host"], "Unknown option --bogus"),
        (["--verb", "host"], "Unknown option --verb"),
        (["--number=5", "host"], "Unknown option --number=5"),
        (["-vv", "host"], "Unknown option -vv"),
        (["--", "host"], "Unknown option --"),
        (["host", "-n"], "Missing value for option --number"),
        (["host", "+p", "1"], "Missing value for option --pair"),
        (["-v"], "Missing parameter peer"),
        (["@/nowhere", "host"], "Cannot open command file '/nowhere'"),
    ],
)
def test_wrong_command_lines_in_dcmtks_words(words: list[str], text: str) -> None:
    with pytest.raises(CommandLineError) as caught:
        GRAMMAR.parse(words)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "Invalid value for option --number (x)"),
        ("5x", "Invalid value for option --number (5x)"),
        ("-5", "Invalid value for option --number (-5)"),
        ("", "Invalid value for option --number"),
        ("4", "Invalid value for option --number (underflow: 4)"),
        ("10", "Invalid value for option --number (overflow: 10)"),
    ],
)
def test_numbers_are_bounded(value: str, text: str) -> None:
    line = GRAMMAR.parse(["-n", value, "host"])
    with pytest.raises(CommandLineError) as caught:
        line.number("--number", 5, 9)
    assert str(caught.value) == text


def test_options_that_end_need_no_parameters() -> None:
    assert GRAMMAR.parse(["--help"]).given("--help")
    assert not GRAMMAR.parse([]).expanded


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b\tc\r\nd", ["a", "b", "c", "d"]),
        ('De"fa ult"x', ["Defa ult", "x"]),
        ('"" b', ["", "b"]),
        ("'a\"b' \"c'd\"", ['a"b', "c'd"]),
        ('"never closed\nhere', ["never closed\nhere"]),
        ('a"" b', ["a", "b"]),
        ("a\\ b # c", ["a\\", "b", "#", "c"]),
        ("", []),
    ],
)
def test_words_of_a_command_file(text: str, words: list[str]) -> None:
    assert split(text) == words


def test_a_command_file_is_put_in_its_place_and_not_searched_for_others(tmp_path: Path) -> None:
    file = tmp_path / "command"
    file.write_text('-od "a b" @other')
    line = GRAMMAR.parse(["-v", f"@{file}", "host"])
    assert line.expanded == ("--verbose", "--directory", "a b", "@other", "host")
    assert line.parameters == ("@other", "host")


def test_help_names_every_option_in_both_forms() -> None:
    text = GRAMMAR.usage()
    for name in GRAMMAR.names:
        assert f"{name} " in text or f"{name}\n" in text
    assert max(map(len, text.splitlines())) <= 100
