"""Warnings about what the asconfig format silently swallows."""

from pathlib import Path

import pytest
from tests.config.profiles.shipped import SHIPPED_PROFILES
from tests.config.profiles.test_asconfig import FULL, GOOD

from dicomd.config.profiles.check import check_asconfig
from dicomd.config.profiles.load import check_profile_file


def test_a_sound_file_has_no_warning() -> None:
    assert check_asconfig(FULL, "x.cfg") == []


@pytest.mark.parametrize("path", SHIPPED_PROFILES, ids=lambda path: path.name)
def test_the_shipped_files_have_no_warning(path: Path) -> None:
    assert check_profile_file(str(path)) == []


SECOND = "TransferSyntax{} = LittleEndianImplicit\n[[Pres"


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("\ufeff" + GOOD, 1, 1, "byte order mark"),
        ("Key = x\n" + GOOD, 1, 1, "'Key' stands before any section: it is ignored"),
        ("[S]\n" + GOOD, 1, 1, "[S] stands before the first [[…]]: it is ignored"),
        (GOOD + "[[Profile]]\n", 10, 1, "[[Profile]] is unknown: ignored; did you mean PROFILES?"),
        (GOOD + "[[profiles]]\n", 10, 1, "[[profiles]] again: only that in line 7 is read"),
        (GOOD.replace("[[Profiles]]", "[[[Profiles]]]"), 7, 1, "3 brackets count as two"),
        (GOOD.replace("[[Pres", SECOND.format(3)), 4, 1, "there is no TransferSyntax2"),
        (GOOD.replace("[[Pres", SECOND.format("02")), 4, 1, "leading zeros is never read"),
        (GOOD.replace("[[Pres", SECOND.format(0)), 4, 1, "numbers start at 1"),
        (GOOD.replace("[[Pres", SECOND.format(1)), 4, 1, "again: the one in line 3 counts"),
        (GOOD.replace("[[Pres", "TransfrSyntax2 = x\n[[Pres"), 4, 1, "did you mean TRANSFERSYNTAX"),
        (GOOD.replace("[[Pres", "[Other]\nTransferSyntax1 = 1.2\n[[Pres"), 4, 1, "never referred"),
        (GOOD.replace("[[Pres", "[Other]\n[[Pres"), 4, 1, "the section does not exist"),
        (GOOD.replace("[[Pres", "[tS]\nTransferSyntax1 = 1.2\n[[Pres"), 4, 1, "are appended"),
        (GOOD.replace("\\TS", "\\TS "), 6, 24, "blanks at the end of the value"),
        (GOOD.replace("\\TS\n", "\\TS\n  PresentationContext2 = x\n"), 7, 1, "is not read as what"),
        (GOOD.replace("\\TS\n", "\\\n TS\n"), 7, 1, "this line begins with a blank"),
        (GOOD.replace("\\TS", "\\TS # note"), 6, 0, "begins no comment and belongs to the value"),
        (
            GOOD.replace("[TS]\n", "[TS]\n  # note\n"),
            3,
            3,
            "begins no comment, and the key becomes",
        ),
        (GOOD.replace("[TS]", "[T.S]"), 2, 1, "'.' is dropped from the name 'T.S'"),
        (GOOD.replace("TransferSyntax1", "Transfer/Syntax1"), 3, 1, "'/' is dropped from the name"),
        (GOOD.replace("[TS]\n", "[TS]\nNote\n"), 3, 1, "no '=' in this line"),
        (GOOD.replace("[TS]\n", "[TS\n"), 2, 1, "bracket is not closed in its line"),
        (GOOD.replace("= PC\n", "= PC\nRoles = R\n"), 10, 1, "is no key of a profile: never read"),
        (GOOD.replace("LittleEndianExplicit", "CTImageStorage"), 3, 19, "is not a transfer syntax"),
        (GOOD.replace("CTImageStorage", "1.02.3"), 6, 24, "1.02.3 is no UID"),
        (GOOD.replace("CTImageStorage", "1..3"), 6, 24, "1..3 is no UID"),
        (GOOD.replace("CTImageStorage", "1." + "1" * 63), 6, 24, "is no UID"),
        (GOOD.replace("CTImageStorage", "JPEGBaseline"), 6, 24, "is a transfer syntax, not a SOP"),
    ],
)
def test_what_is_swallowed_is_named_with_its_place(
    text: str, line: int, column: int, said: str
) -> None:
    found = check_asconfig(text, "x.cfg")
    assert any((f.line, f.column) == (line, column) and said in f.text for f in found), found


def test_faults_and_warnings_survive_any_text() -> None:
    for text in ("", "[", "=", "\n #", "[[a", "[[TransferSyntaxes]]\n[x", "#", "a\0b=\0"):
        check_asconfig(text, "x.cfg")
