"""What the writers write reads back as the same profiles, in either form."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.config.profiles.shipped import SHIPPED_PROFILES

from dicomd.config.profiles.asconfig import parse_asconfig
from dicomd.config.profiles.asconfig_lexer import reference_name
from dicomd.config.profiles.file import ListedContext, ProfileEntry, ProfileFile
from dicomd.config.profiles.load import is_yaml, read_profile_file
from dicomd.config.profiles.other_uids import OTHER_UIDS
from dicomd.config.profiles.storage_classes import STORAGE_CLASSES
from dicomd.config.profiles.transfer_syntaxes import TRANSFER_SYNTAXES
from dicomd.config.profiles.writer import write_asconfig, write_yaml
from dicomd.config.profiles.yaml_form import parse_profile_yaml
from dicomd.settings.profile import AssociationProfile, Role


def no_include(path: str) -> str:
    raise AssertionError(path)


def parse_yaml(text: str) -> ProfileFile:
    assert is_yaml(text)
    return parse_profile_yaml(text, "x.yaml", no_include, is_yaml)


def parse_dcmtk(text: str) -> ProfileFile:
    assert not is_yaml(text)
    return parse_asconfig(text, "x.cfg")


FORMS: list[tuple[Callable[[ProfileFile], str], Callable[[str], ProfileFile]]] = [
    (write_yaml, parse_yaml),
    (write_asconfig, parse_dcmtk),
]

uids = st.one_of(
    st.sampled_from([row.uid for row in (*TRANSFER_SYNTAXES, *STORAGE_CLASSES, *OTHER_UIDS)]),
    st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,5}){0,6}", fullmatch=True),
    st.sampled_from(["1", "1.2", ".1", "1..2.", "."]),
)
names = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True),
    st.sampled_from(["yes", "null", "extends", "add", "123", "1.5", "a b", "ä", "~", "#"]),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6),
).filter(lambda name: reference_name(name) != "")


@st.composite
def profile_files(draw: st.DrawFn) -> ProfileFile:
    def some_names(most: int) -> list[str]:
        return draw(st.lists(names, min_size=1, max_size=most, unique_by=reference_name))

    found = ProfileFile("x", "yaml")
    for name in some_names(3):
        found.transfer_syntaxes[name] = tuple(draw(st.lists(uids, min_size=1, max_size=5)))
    for name in some_names(3):
        found.contexts[name] = tuple(
            ListedContext(uid, draw(st.sampled_from(list(found.transfer_syntaxes))))
            for uid in draw(st.lists(uids, min_size=1, max_size=6))
        )
    for name in some_names(3):
        contexts = draw(st.sampled_from(list(found.contexts)))
        classes = [context.abstract_syntax for context in found.contexts[contexts]]
        chosen = st.lists(st.sampled_from(classes), unique=True)
        roles = {uid: draw(st.sampled_from(Role)) for uid in draw(chosen)}
        items = {uid: draw(st.binary(min_size=1, max_size=20)) for uid in draw(chosen)}
        if roles:
            found.roles[name] = roles
        if items:
            found.extended_negotiation[name] = items
        found.profiles[name] = ProfileEntry(contexts, name if roles else "", name if items else "")
    return found


def by_order(found: ProfileFile) -> list[AssociationProfile]:
    return list(found.resolved_all().values())


@pytest.mark.parametrize(("write", "parse"), FORMS, ids=["yaml", "asconfig"])
@settings(max_examples=60, deadline=None)
@given(found=profile_files())
def test_generated_profiles_keep_their_meaning(
    write: Callable[[ProfileFile], str], parse: Callable[[str], ProfileFile], found: ProfileFile
) -> None:
    read = parse(write(found))
    assert by_order(read) == by_order(found)
    again = parse(write(read))
    assert again.profiles == read.profiles
    assert write(again) == write(read)


@settings(max_examples=60, deadline=None)
@given(found=profile_files())
def test_there_and_back_over_the_other_form_keeps_the_meaning(found: ProfileFile) -> None:
    over_asconfig = parse_yaml(write_yaml(parse_dcmtk(write_asconfig(found))))
    over_yaml = parse_dcmtk(write_asconfig(parse_yaml(write_yaml(found))))
    assert by_order(over_asconfig) == by_order(over_yaml) == by_order(found)


@settings(max_examples=60, deadline=None)
@given(found=profile_files())
def test_yaml_keeps_every_name(found: ProfileFile) -> None:
    read = parse_yaml(write_yaml(found))
    assert list(read.profiles) == list(found.profiles)
    assert read.contexts == found.contexts
    assert read.transfer_syntaxes == found.transfer_syntaxes
    assert read.roles == found.roles
    assert read.extended_negotiation == found.extended_negotiation


@pytest.mark.parametrize("path", SHIPPED_PROFILES, ids=lambda path: path.name)
def test_shipped_profiles_keep_their_meaning(path: Path) -> None:
    found = read_profile_file(str(path))
    assert parse_yaml(write_yaml(found)).resolved_all() == found.resolved_all()
    assert parse_dcmtk(write_asconfig(found)).resolved_all() == found.resolved_all()


def test_asconfig_text_is_one_that_old_readers_know() -> None:
    found = ProfileFile("x", "yaml")
    found.transfer_syntaxes["New ones"] = ("1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.1")
    found.contexts["PC"] = (ListedContext("1.2.840.10008.5.1.4.1.1.2", "New ones"),)
    found.profiles["P"] = ProfileEntry("PC")
    assert write_asconfig(found) == (
        "[[TransferSyntaxes]]\n\n[Newones]\n# JPEGXLLossless\n"
        "TransferSyntax1 = 1.2.840.10008.1.2.4.110\nTransferSyntax2 = LittleEndianExplicit\n\n"
        "[[PresentationContexts]]\n\n[PC]\nPresentationContext1 = CTImageStorage\\Newones\n\n"
        "[[Profiles]]\n\n[P]\nPresentationContexts = PC\n"
    )
