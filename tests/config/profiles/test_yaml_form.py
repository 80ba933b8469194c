"""Profiles in YAML: lists, inheritance, includes, and faults with their places."""

from collections.abc import Mapping

import pytest

from dicomd.config.profiles.file import ProfileFile
from dicomd.config.profiles.load import is_yaml
from dicomd.config.profiles.yaml_form import parse_profile_yaml
from dicomd.errors import ConfigError, Fault
from dicomd.settings.profile import AssociationProfile, Role

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
US = "1.2.840.10008.5.1.4.1.1.6.1"
VERIFICATION = "1.2.840.10008.1.1"
EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
JPEG = "1.2.840.10008.1.2.4.50"

BASE = """\
transfer_syntaxes:
  Plain: [ExplicitVRLittleEndian, LittleEndianImplicit]
  Packed: [1.2.840.10008.1.2.4.50]
presentation_contexts:
  All:
    CTImageStorage: Plain
    MRImageStorage: Packed
role_selection:
  R: {CTImageStorage: both}
extended_negotiation:
  X: {MRImageStorage: "01 02"}
profiles:
  Default:
    presentation_contexts: All
    role_selection: R
    extended_negotiation: X
"""


def parse(text: str, files: Mapping[str, str] | None = None) -> ProfileFile:
    def read(path: str) -> str:
        name = path.removeprefix("/etc/")
        if name not in (files or {}):
            raise ConfigError([Fault(path, 0, 0, "cannot be read: No such file or directory")])
        return (files or {})[name]

    return parse_profile_yaml(text, "/etc/x.yaml", read, is_yaml)


def syntaxes(profile: AssociationProfile) -> list[tuple[str, tuple[str, ...]]]:
    return [(context.abstract_syntax, context.transfer_syntaxes) for context in profile.contexts]


def faults(text: str, files: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, files)
    return [str(fault) for fault in caught.value.faults]


def test_a_plain_file_becomes_its_profile() -> None:
    profile = parse(BASE).resolved("Default")
    assert syntaxes(profile) == [(CT, (EXPLICIT, IMPLICIT)), (MR, (JPEG,))]
    assert profile.roles == {CT: Role.BOTH}
    assert profile.extended_negotiation == {MR: b"\x01\x02"}


@pytest.mark.parametrize(
    "contexts",
    [
        "[{CTImageStorage: Plain}, {MRImageStorage: Packed}]",
        "[{CTImageStorage: Plain, MRImageStorage: Packed}]",
        "[{CTImageStorage: plain}, {MRImageStorage: 'pack ed'}]",
        "[{sop_classes: [CTImageStorage], transfer_syntaxes: Plain}, {MRImageStorage: Packed}]",
        "{CTImageStorage: [ExplicitVRLittleEndian, 1.2.840.10008.1.2], MRImageStorage: Packed}",
        "{CTImageStorage: Plain, 1.2.840.10008.5.1.4.1.1.4: [JPEGBaseline]}",
        "{extends: All}",
        "{extends: All, remove: CTImageStorage, add_first: {CTImageStorage: Plain}}",
        "{extends: All, override: {CTImageStorage: Plain}}",
        "All",
    ],
)
def test_contexts_can_be_written_in_many_ways(contexts: str) -> None:
    text = BASE + f"  Other:\n    presentation_contexts: {contexts}\n"
    found = parse(text)
    assert syntaxes(found.resolved("Other")) == syntaxes(found.resolved("Default"))


def test_a_sop_class_may_stand_in_several_contexts() -> None:
    contexts = "[{CTImageStorage: Plain}, {CTImageStorage: Packed}]"
    text = BASE + f"  Other:\n    presentation_contexts: {contexts}\n"
    assert syntaxes(parse(text).resolved("Other")) == [(CT, (EXPLICIT, IMPLICIT)), (CT, (JPEG,))]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{extends: Plain, add: [JPEGBaseline8Bit]}", (EXPLICIT, IMPLICIT, JPEG)),
        ("{extends: Plain, add_first: [JPEGBaseline8Bit]}", (JPEG, EXPLICIT, IMPLICIT)),
        ("{extends: Plain, remove: [ImplicitVRLittleEndian]}", (EXPLICIT,)),
        ("{extends: [Packed, Plain]}", (JPEG, EXPLICIT, IMPLICIT)),
        ("{add: [JPEGBaseline]}", (JPEG,)),
    ],
)
def test_transfer_syntax_lists_inherit(value: str, expected: tuple[str, ...]) -> None:
    found = parse(BASE.replace("  Packed:", f"  New: {value}\n  Packed:"))
    assert found.transfer_syntaxes["New"] == expected


def test_a_profile_inherits_and_changes_its_contexts() -> None:
    text = BASE + (
        "  Site:\n    extends: Default\n    remove: [MRImageStorage]\n"
        "    override: {CTImageStorage: Packed}\n"
        "    add: [{UltrasoundImageStorage: Plain}]\n    add_first: {Verification: Plain}\n"
    )
    profile = parse(text).resolved("Site")
    assert syntaxes(profile) == [
        (VERIFICATION, (EXPLICIT, IMPLICIT)),
        (CT, (JPEG,)),
        (US, (EXPLICIT, IMPLICIT)),
    ]
    assert profile.roles == {CT: Role.BOTH}
    assert profile.extended_negotiation == {}
    assert parse(text).resolved("Default") == parse(BASE).resolved("Default")


def test_a_profile_can_drop_an_inherited_list() -> None:
    text = BASE + "  Site: {extends: Default, role_selection: null, extended_negotiation: ~}\n"
    profile = parse(text).resolved("Site")
    assert profile.roles == {}
    assert profile.extended_negotiation == {}


def test_roles_inherit_and_are_overridden() -> None:
    text = BASE.replace(
        "  R:",
        "  S: {extends: R, override: {CTImageStorage: SCP}, add: {MRImageStorage: SCU}}\n  R:",
    )
    assert parse(text).roles["S"] == {CT: Role.SCP, MR: Role.SCU}


def test_an_included_definition_can_be_extended_under_its_own_name() -> None:
    text = "include: base.yaml\nprofiles:\n  Default: {extends: Default, remove: MRImageStorage}\n"
    profile = parse(text, {"base.yaml": BASE}).resolved("Default")
    assert syntaxes(profile) == [(CT, (EXPLICIT, IMPLICIT))]


def test_a_replaced_list_is_seen_by_what_is_included() -> None:
    text = "include: [base.yaml]\ntransfer_syntaxes:\n  plain: [ExplicitVRLittleEndian]\n"
    profile = parse(text, {"base.yaml": BASE}).resolved("Default")
    assert syntaxes(profile)[0] == (CT, (EXPLICIT,))


def test_an_asconfig_file_can_be_included() -> None:
    asconfig = (
        "[[TransferSyntaxes]]\n[TS]\nTransferSyntax1 = JPEGBaseline\n[[PresentationContexts]]\n"
        "[PC]\nPresentationContext1 = CTImageStorage\\TS\n[[Profiles]]\n[P]\n"
        "PresentationContexts = PC\n"
    )
    text = "include: a.cfg\nprofiles:\n  Site: {extends: P, add: {MRImageStorage: ts}}\n"
    found = parse(text, {"a.cfg": asconfig})
    assert syntaxes(found.resolved("Site")) == [(CT, (JPEG,)), (MR, (JPEG,))]
    assert syntaxes(found.resolved("P")) == [(CT, (JPEG,))]


def test_a_file_that_two_others_include_is_no_clash() -> None:
    files = {
        "base.yaml": BASE,
        "one.yaml": "include: base.yaml\nprofiles:\n  One: {extends: Default}\n",
        "two.yaml": "include: base.yaml\nprofiles:\n  Two: {extends: Default}\n",
    }
    assert set(parse("include: [one.yaml, two.yaml]\n", files).profiles) == {
        "Default", "One", "Two"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("profils: {}\n", "1:1: unknown key 'profils'; did you mean 'profiles'?"),
        ("profiles: []\n", "1:11: profiles is a mapping of names to definitions"),
        ("- a\n", "1:1: a profile file is a mapping of keys"),
        (BASE.replace("Plain: [", "Plain: [CTImagStorage, "), "2:11: 'CTImagStorage' is neither"),
        (BASE.replace("[1.2.840.10008.1.2.4.50]", "[1.2]"), "3:12: a UID or its name belongs here"),
        (BASE.replace("[1.2.840.10008.1.2.4.50]", "[]"), "3:11: this list is empty"),
        (BASE.replace("[1.2.840.10008.1.2.4.50]", "JPEG"), "3:11: a list of transfer syntaxes"),
        (BASE.replace("Storage: Plain", "Storage: Plane"), "6:21: no 'Plane' in transfer_syntaxes"),
        (BASE.replace("both", "SUC"), "9:23: a role is SCU, SCP or BOTH"),
        (BASE.replace('"01 02"', "0102"), "11:23: hexadecimal digits in quotes"),
        (BASE.replace("01 02", "012"), "11:23: not pairs of hexadecimal digits"),
        (BASE.replace("01 02", ""), "11:23: 0 bytes; from 1 to 1023 are possible"),
        (BASE.replace("contexts: All", "contexts: Al"), "14:28: no 'Al' in presentation_contexts"),
        (BASE.replace("R: {CTI", "R: {UltrasoundI"), "13:3: list 'R' mentions UltrasoundImageSt"),
        (BASE + "  default: {extends: Default}\n", "17:3: 'default' is the same name as 'Default'"),
        (BASE + "  A: {extends: A}\n", "17:16: profile 'A' extends itself; nothing of that name"),
        (BASE + "  A: {extends: B}\n  B: {extends: A}\n", "extends itself, by a circle"),
        (BASE + "  A: {role_selection: R}\n", "17:3: profile 'A' has no presentation_contexts"),
        (BASE + "  A: {presentation_contexts: ~}\n", "17:3: profile 'A' has no presentation_cont"),
        (
            BASE + "  A: {extends: Default, remove: [CTImageStorage, MRImageStorage]}\n",
            "17:3: nothing is left of what profile 'A' inherits",
        ),
        (BASE + "  A: {extend: Default}\n", "17:7: unknown key 'extend'; did you mean 'extends'?"),
        (
            BASE + "  A: {extends: Default, remove: [UltrasoundImageStorage]}\n",
            "is not in what is inherited",
        ),
        (
            BASE + "  A: {extends: Default, override: {UltrasoundImageStorage: Plain}}\n",
            "is not in what is inherited; use add",
        ),
        (
            BASE.replace("Plain: [", "Other: {extends: Packed, add: [JPEGBaseline]}\n  Plain: ["),
            "is there already",
        ),
        (BASE + "include: missing.yaml\n", "17:10: included file missing.yaml cannot be read"),
        (BASE + "include: x.yaml\n", "17:10: x.yaml includes this file again: a circle"),
        (BASE + "profiles: {}\n", "17:1: key 'profiles' is given twice"),
    ],
)
def test_a_fault_names_its_place_and_the_remedy(text: str, expected: str) -> None:
    found = faults(text)
    assert any(fault.startswith("/etc/x.yaml:") and expected in fault for fault in found), found


def test_every_fault_is_reported() -> None:
    text = BASE.replace("both", "x").replace("01 02", "0").replace("Storage: Plain", "Storage: P")
    assert len(faults(text)) == 3


def test_two_included_files_that_define_one_name_clash() -> None:
    found = faults("include: [a.yaml, b.yaml]\n", {"a.yaml": BASE, "b.yaml": BASE})
    assert "'Plain' of transfer_syntaxes is defined in /etc/a.yaml and in /etc/b.yaml" in found[0]


def test_faults_of_an_included_file_name_that_file() -> None:
    found = faults("include: a.cfg\n", {"a.cfg": "[[TransferSyntaxes]]\n[TS]\nTransferSyntax1=x\n"})
    assert found[0].startswith("/etc/a.cfg:3:17: 'x' is neither a UID")
