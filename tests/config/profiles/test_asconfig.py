"""asconfig text -> ProfileFile: the grammar, the checks, their places and DCMTK's words."""

import pytest

from dicomd.config.profiles.asconfig import DcmtkProfileError, parse_asconfig
from dicomd.config.profiles.asconfig_lexer import read_tree
from dicomd.settings.profile import AssociationProfile, PresentationContext, Role

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
JPEG = "1.2.840.10008.1.2.4.50"

SYNTAXES = "[[TransferSyntaxes]]\n[TS]\nTransferSyntax1 = LittleEndianExplicit\n"
CONTEXTS = "[[PresentationContexts]]\n[PC]\nPresentationContext1 = CTImageStorage\\TS\n"
ROLES = "[[SCPSCURoleSelection]]\n[R]\nRole1 = CTImageStorage\\SCU\n"
ITEMS = "[[ExtendedNegotiation]]\n[X]\nExtendedNegotiation1 = CTImageStorage\\0102\n"
PROFILES = "[[Profiles]]\n[P]\nPresentationContexts = PC\n"
GOOD = SYNTAXES + CONTEXTS + PROFILES
FULL = (
    SYNTAXES + CONTEXTS + ROLES + ITEMS + PROFILES
    + "SCPSCURoleSelection = R\nExtendedNegotiation = X\n"
)  # fmt: skip


def profile_of(text: str, name: str = "P") -> AssociationProfile:
    return parse_asconfig(text, "x.cfg").resolved(name)


def refused(text: str) -> DcmtkProfileError:
    with pytest.raises(DcmtkProfileError) as caught:
        parse_asconfig(text, "x.cfg")
    return caught.value


def reason(error: DcmtkProfileError) -> str:
    assert error.dcmtk_error is not None
    said = error.dcmtk_fatal.removeprefix("cannot load association configuration: ")
    assert error.dcmtk_error == f"Unable to parse association configuration file: x.cfg: {said}"
    return said


def one_context(*transfer_syntaxes: str) -> AssociationProfile:
    return AssociationProfile(
        contexts=(PresentationContext(abstract_syntax=CT, transfer_syntaxes=transfer_syntaxes),)
    )


def test_a_whole_file_becomes_its_profile() -> None:
    assert profile_of(FULL) == AssociationProfile(
        contexts=(PresentationContext(abstract_syntax=CT, transfer_syntaxes=(EXPLICIT,)),),
        roles={CT: Role.SCU},
        extended_negotiation={CT: b"\x01\x02"},
    )


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r"),
        GOOD.rstrip("\n"),
        GOOD.lower().replace("littleendianexplicit", "LittleEndianExplicit").replace(
            "ctimagestorage", "CTImageStorage"
        ),
        "# a comment\n" + GOOD.replace("[TS]", "# another\n[TS]"),
        GOOD.replace("[TS]", "[T . S/]"),
        GOOD.replace("[[Profiles]]", "[[[[Profiles]]]]"),
        GOOD.replace(" = ", "="),
        GOOD.replace(" = ", "\t=\t "),
        GOOD.replace("\\TS", "\\\n   TS"),
        GOOD.replace("\\TS", "\\t s"),
        GOOD.replace("[TS]\nT", "[TS]\n   T"),
        GOOD.replace("PresentationContext1", "Presentation Context 1"),
        GOOD.replace("= PC", "= p c "),
        "Key = value\n[Section]\nOther = value\n" + GOOD,
        PROFILES + CONTEXTS + SYNTAXES,
        GOOD + "[[Unknown]]\n[Section]\nKey = value\n",
        GOOD.replace("TransferSyntax1", "Unknown = 1\nTransferSyntax1"),
        GOOD + "[[TransferSyntaxes]]\n[TS]\nTransferSyntax1 = JPEGBaseline\n",
        GOOD.replace("Explicit\n", "Explicit\nTransferSyntax1 = JPEGBaseline\n"),
        GOOD.replace("Explicit\n", "Explicit\nTransferSyntax3 = JPEGBaseline\n"),
        GOOD.replace("Explicit\n", "Explicit\nTransferSyntax02 = JPEGBaseline\n"),
        GOOD.replace("LittleEndianExplicit", "=LittleEndianExplicit"),
        GOOD.replace("LittleEndianExplicit", "LocalEndianExplicit"),
        GOOD.replace("LittleEndianExplicit", "ExplicitVRLittleEndian"),
        GOOD.replace("LittleEndianExplicit", EXPLICIT),
    ],
)  # fmt: skip
def test_these_files_all_mean_the_same(text: str) -> None:
    found = parse_asconfig(text, "x.cfg")
    assert found.resolved(found.profile_name("p") or "") == one_context(EXPLICIT)


def test_number_gives_the_order_and_the_line_does_not() -> None:
    text = GOOD.replace(
        "TransferSyntax1 =", "TransferSyntax2 = LittleEndianImplicit\nTransferSyntax1 ="
    )
    assert profile_of(text) == one_context(EXPLICIT, IMPLICIT)


def test_a_section_of_the_same_name_is_appended() -> None:
    text = GOOD.replace("[[Pre", "[ts]\nTransferSyntax1 = JPEGBaseline\n[[Pre")
    assert profile_of(text) == one_context(EXPLICIT, JPEG)


def test_an_indented_second_key_is_swallowed_into_the_value_before_it() -> None:
    error = refused(GOOD.replace("TS\n[[Prof", "TS\n PresentationContext2 = x\\TS\n[[Prof"))
    assert reason(error) == "transfer syntax key undefined: TSPRESENTATIONCONTEXT2=X\\TS"


def test_a_key_without_equals_sign_swallows_up_to_the_next_one() -> None:
    tree = read_tree("[[A]]\n[S]\nFoo\n[T]\nBar = x\n")
    assert [key.name for key in tree.supersections[0].sections[0].keys] == ["FOOTBAR"]


def test_lists_longer_than_128_contexts_serve_an_acceptor() -> None:
    entries = "".join(f"PresentationContext{n} = 1.2.{n}\\TS\n" for n in range(1, 200))
    text = GOOD.replace("PresentationContext1 = CTImageStorage\\TS\n", entries)
    assert len(profile_of(text).contexts) == 199


def test_one_uid_written_three_ways_is_one_uid() -> None:
    one = profile_of(GOOD.replace("CTImageStorage", CT))
    assert one == profile_of(GOOD) == profile_of(GOOD.replace("CTImageStorage", "=CTImageStorage"))


TOO_LONG = (
    "extended negotiation data too long, cannot handle > 1024 bytes "
    "in entry EXTENDEDNEGOTIATION1 in config file"
)
STRANGER = (
    "abstract syntax defined in role selection list '{}' "
    f"but not in presentation context list 'PC': {MR}"
)

BAD = [
    (CONTEXTS + PROFILES, 0, "cannot find section [[TRANSFERSYNTAXES]] in config file"),
    (SYNTAXES + PROFILES, 0, "cannot find section [[PRESENTATIONCONTEXTS]] in config file"),
    (SYNTAXES + CONTEXTS, 0, "cannot find section [[PROFILES]] in config file"),
    ("\ufeff" + GOOD, 1, "cannot find section [[TRANSFERSYNTAXES]] in config file"),
    (
        GOOD.replace("LittleEndianExplicit", "LittleEndianExplicit "),
        3,
        "not a valid transfer syntax UID: LittleEndianExplicit ",
    ),
    (
        GOOD.replace("LittleE", "littlee"),
        3,
        "not a valid transfer syntax UID: littleendianExplicit",
    ),
    (GOOD.replace("LittleEndianExplicit", "1.2x"), 3, "not a valid transfer syntax UID: 1.2x"),
    (GOOD.replace("LittleEndianExplicit", ""), 3, "not a valid transfer syntax UID: "),
    (
        GOOD.replace("\\TS", ""),
        6,
        "syntax error: missing '\\' in entry PRESENTATIONCONTEXT1 in config file",
    ),
    (GOOD.replace("\\TS", "\\TX"), 6, "transfer syntax key undefined: TX"),
    (GOOD.replace("\\TS", "\\TS # c"), 6, "transfer syntax key undefined: TS#C"),
    (
        GOOD.replace("[TS]", "[T.S]").replace("\\TS", "\\T.S"),
        6,
        "transfer syntax key undefined: T.S",
    ),
    (GOOD.replace("CTImageStorage\\", "\\"), 6, "Illegal call, perhaps wrong parameters"),
    (
        GOOD.replace("CTImageStorage\\", "CTImageStorage \\"),
        6,
        "not a valid abstract syntax UID: CTImageStorage ",
    ),
    (GOOD.replace("TransferSyntax1", "TransferSyntax2"), 6, "transfer syntax key undefined: TS"),
    (
        FULL.replace("\\SCU", "\\ SCU"),
        9,
        "syntax error: unknown role key in entry ROLE1 in config file",
    ),
    (
        FULL.replace("\\SCU\n", "\\scu\nRole2 = " + CT + "\\SCP\n"),
        10,
        f"role selection defined twice for abstract syntax UID: {CT}",
    ),
    (
        FULL.replace("\\0102\n", "\\0102\nExtendedNegotiation2 = CTImageStorage\\01\n"),
        13,
        "extended negotiation defined twice for abstract syntax UID: CTImageStorage",
    ),
    (
        FULL.replace("\\0102", "\\01 02"),
        12,
        "parse error in extended negotiation data in entry EXTENDEDNEGOTIATION1 in config file",
    ),
    (
        FULL.replace("\\0102", "\\" + "00" * 1024),
        12,
        TOO_LONG,
    ),
    (FULL.replace("\\0102", "\\"), 12, "Illegal call, perhaps wrong parameters"),
    (
        GOOD.replace("PresentationContexts = PC", "Contexts = PC"),
        8,
        "no PRESENTATIONCONTEXTS  entry in section P in config file",
    ),
    (GOOD.replace("= PC", "= pd"), 9, "presentation context key undefined: PD"),
    (FULL.replace("= R", "= S"), 16, "role selection key undefined: S"),
    (FULL.replace("= X", "= Y"), 17, "extended negotiation key undefined: Y"),
    (
        FULL.replace("\\SCU\n", "\\SCU\nRole2 = MRImageStorage\\SCU\n"),
        17,
        STRANGER.format("R"),
    ),
    (
        FULL.replace("= CTImageStorage\\0102", "= MRImageStorage\\0102"),
        17,
        STRANGER.format("X"),
    ),
    (GOOD + "[p]\nPresentationContexts = PC\n", 10, "two profiles defined for key: PC"),
]


@pytest.mark.parametrize(("text", "line", "said"), BAD, ids=[said[:60] for _, _, said in BAD])
def test_faults_have_their_line_and_the_words_of_dcmtk(text: str, line: int, said: str) -> None:
    error = refused(text)
    assert reason(error) == said
    assert error.faults[0].line == line
    assert all(fault.file == "x.cfg" for fault in error.faults)


def test_all_faults_are_reported_and_the_first_is_the_one_of_dcmtk() -> None:
    text = (
        FULL.replace("Explicit\n", "Explicitt\n").replace("\\SCU", "\\SUC").replace("= PC", "= PD")
    )
    error = refused(text)
    assert [fault.line for fault in error.faults] == [3, 9, 15]
    assert reason(error) == "not a valid transfer syntax UID: LittleEndianExplicitt"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (GOOD.replace("\\TS", "\\TSS"), "did you mean [TS]?"),
        (GOOD.replace("CTImageStorage", "CTImagStorage"), "did you mean 'CTImageStorage'?"),
        (GOOD.replace("LittleEndian", "littleendian"), "did you mean 'LittleEndianExplicit'?"),
        (GOOD.replace("CTImageStorage\\", "CTImageStorage \\"), "take the blank away"),
        (GOOD.replace("[TS]", "[T.S]").replace("\\TS", "\\T.S"), "refer to it by that name"),
        (GOOD.replace("\\TS", "\\TS # c"), "column 1"),
        ("\ufeff" + GOOD, "byte order mark"),
        (GOOD.replace("TransferSyntax1", "TransferSyntax01"), "numbers start at 1"),
    ],
)  # fmt: skip
def test_the_remedy_is_named(text: str, hint: str) -> None:
    assert hint in str(refused(text))
