"""The same files given to the real dcmrecv and to us: exit code, messages, what is negotiated.

dcmrecv reads its profile before it opens its port. On a port that is taken it ends at once, with
exit code 64 where the profile is good and 66 where it is not.
"""

import random
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file
from pynetdicom import AE, build_context, evt
from tests.config.profiles.shipped import SHIPPED, SHIPPED_PROFILES

from dicomd.config.profiles.asconfig import DcmtkProfileError
from dicomd.config.profiles.load import load_profile, read_profile_file
from dicomd.config.profiles.other_uids import OTHER_UIDS
from dicomd.config.profiles.storage_classes import STORAGE_CLASSES
from dicomd.config.profiles.transfer_syntaxes import TRANSFER_SYNTAXES
from dicomd.config.profiles.well_known_uids import WELL_KNOWN_UIDS
from dicomd.config.profiles.writer import write_asconfig
from dicomd.settings.profile import AssociationProfile

DCMRECV, STORESCU = "/usr/bin/dcmrecv", "/usr/bin/storescu"
MODALITIES = [
    path
    for path in SHIPPED_PROFILES
    if path.suffix == ".yaml" and path.name not in ("modality.yaml", "storescp.yaml")
]
GOOD, REFUSED = 64, 66
FILE = """# comment
[[TransferSyntaxes]]
[TS]
TransferSyntax1 = LittleEndianExplicit
TransferSyntax2 = LittleEndianImplicit

[JPEG 1]
TransferSyntax1 = JPEGBaseline
[[PresentationContexts]]
[PC]
PresentationContext1 = CTImageStorage\\TS
PresentationContext2 = MRImageStorage\\JPEG1
PresentationContext3 = 1.2.3.4\\TS
[[SCPSCURoleSelection]]
[R]
Role1 = CTImageStorage\\SCU
Role2 = MRImageStorage\\BOTH
[[ExtendedNegotiation]]
[X]
ExtendedNegotiation1 = CTImageStorage\\0102
[[Profiles]]
[P]
PresentationContexts = PC
SCPSCURoleSelection = R
ExtendedNegotiation = X
[Q]
PresentationContexts = PC
"""
ODD_VALUES = (
    "=LittleEndianExplicit", "==LittleEndianExplicit", "=1.2", "1..2.", ".", "=.", "1.2a", "=",
    "LocalEndianExplicit", "=OppositeEndianExplicit", "CTImageStorage", "", "Ä", "1" * 100,
)  # fmt: skip
WRITTEN = [
    *(FILE.replace("= LittleEndianExplicit", f"= {value}") for value in ODD_VALUES),
    "",
    "[",
    "[[Profiles",
    FILE.replace("[TS]", "[.]"),
    FILE.replace("[TS]", "[.]").replace("\\TS", "\\"),
    FILE.replace("[PC]", "[.]").replace("= PC", "="),
    FILE.replace("[R]", "[.]").replace("= R", "="),
    FILE.replace("[X]", "[]").replace("= X", "="),
    FILE.replace("CTImageStorage\\TS", "\\TS"),
    FILE.replace("CTImageStorage\\SCU", "\\SCU"),
    FILE.replace("CTImageStorage\\0102", "\\"),
    FILE.replace("\\0102", "\\" + "ab" * 1023),
    FILE.replace("\\0102", "\\" + "ab" * 1024),
    FILE.replace("1.2.3.4\\TS", "CTImageStorage\\JPEG1"),
    FILE.replace("[[Profiles]]", "[Profiles]"),
    FILE.replace("[[Profiles]]", "[[Profiles]"),
    FILE + "[[Profiles]]\n[Z]\nPresentationContexts = none\n",
    FILE + "[Z]\nPresentationContexts = PC\nSCPSCURoleSelection =\n",
]
MUTATED = 60


def mutated(seed: int) -> str:
    """A small accident of an editor's, or a few of them."""
    chance = random.Random(seed)
    text = FILE
    for _ in range(chance.choice([1, 1, 2, 3])):
        lines = text.split("\n")
        line, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        at = chance.randrange(len(text) + 1)
        match chance.randrange(9):
            case 0:
                text = text[:at] + text[at + 1 :]
            case 1:
                text = (
                    text[:at] + chance.choice([*'[]=\\# \t\n\r\0.1A"', "\n  ", "\n#"]) + text[at:]
                )
            case 2:
                del lines[line]
                text = "\n".join(lines)
            case 3:
                lines.insert(line, lines[other])
                text = "\n".join(lines)
            case 4:
                lines[line] = " " + lines[line]
                text = "\n".join(lines)
            case 5:
                lines[line] += chance.choice([" ", "\t", "#c", " # c", "\\"])
                text = "\n".join(lines)
            case 6:
                text = text.replace("\n", chance.choice(["\r\n", "\r"]))
            case 7:
                lines[line] = lines[line].replace("1", chance.choice(["01", "2", " 1", ".1"]))
                text = "\n".join(lines)
            case _:
                lines[line] = lines[line].replace("=", chance.choice(["", "==", " ", "=\n  "]))
                text = "\n".join(lines)
    return text


@pytest.fixture(scope="module")
def taken_port() -> Iterator[int]:
    with socket.socket() as sock:
        sock.bind(("0.0.0.0", 0))
        sock.listen(1)
        yield sock.getsockname()[1]


def as_dcmrecv_says(file: str, profile: str, port: int, folder: Path) -> tuple[int, str]:
    ended = subprocess.run(
        [DCMRECV, "-xf", file, profile, str(port)], cwd=folder, capture_output=True, check=False
    )
    text = ended.stderr.decode() if ended.returncode == REFUSED else ""
    return ended.returncode, text.rstrip("\n")


def as_we_say(file: str, profile: str) -> tuple[int, str]:
    try:
        load_profile(file, profile)
    except DcmtkProfileError as error:
        lines = []
        if error.dcmtk_error is not None:
            lines += [f"E: {line}" for line in error.dcmtk_error.split("\n")]
        lines += [f"F: {line}" for line in error.dcmtk_fatal.split("\n")]
        return REFUSED, "\n".join(lines)
    return GOOD, ""


def compare(
    text: str, profile: str, port: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "x.cfg").write_bytes(text.encode())
    assert as_we_say("x.cfg", profile) == as_dcmrecv_says("x.cfg", profile, port, folder), text


@pytest.mark.parametrize("number", range(len(WRITTEN)))
def test_written_files_are_taken_or_refused_as_dcmrecv_does(
    number: int, taken_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare(WRITTEN[number], "P", taken_port, tmp_path, monkeypatch)


def test_files_after_accidents_are_taken_or_refused_as_dcmrecv_does(
    taken_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(MUTATED):
        compare(mutated(seed), "P", taken_port, tmp_path, monkeypatch)


@pytest.mark.parametrize("profile", ["p", " Q ", "Z", "P.", ""])
def test_profiles_are_found_or_missed_as_dcmrecv_does(
    profile: str, taken_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare(FILE, profile, taken_port, tmp_path, monkeypatch)
    compare("", profile, taken_port, tmp_path, monkeypatch)


@pytest.mark.parametrize("file", ["missing.cfg", "", "."])
def test_files_that_cannot_be_read_are_refused_as_dcmrecv_does(
    file: str, taken_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert as_we_say(file, "P") == as_dcmrecv_says(file, "P", taken_port, tmp_path)


def test_dcmrecv_knows_the_names_that_we_say_it_knows(taken_port: int, tmp_path: Path) -> None:
    tables = (*TRANSFER_SYNTAXES, *STORAGE_CLASSES, *OTHER_UIDS, *WELL_KNOWN_UIDS)
    names = [row.name for row in tables if row.dcmtk in ("all", "old")]
    entries = "".join(f"TransferSyntax{n} = {name}\n" for n, name in enumerate(names, start=1))
    text = FILE.replace("[JPEG 1]", f"[Names]\n{entries}[JPEG 1]")
    (tmp_path / "x.cfg").write_text(text)
    assert len(names) > 400
    assert as_dcmrecv_says("x.cfg", "P", taken_port, tmp_path) == (GOOD, "")


@pytest.mark.parametrize("path", MODALITIES, ids=lambda path: path.name)
def test_dcmrecv_takes_what_is_converted_from_yaml(
    path: Path, taken_port: int, tmp_path: Path
) -> None:
    found = read_profile_file(str(path))
    (tmp_path / "x.cfg").write_text(write_asconfig(found))
    for profile in found.profiles:
        assert as_dcmrecv_says("x.cfg", profile, taken_port, tmp_path) == (GOOD, "")


def test_dcmrecv_takes_the_shipped_verification_profile(taken_port: int) -> None:
    assert as_dcmrecv_says("verification.cfg", "Default", taken_port, SHIPPED) == (GOOD, "")


def test_storescu_proposes_the_shipped_requestor_profile() -> None:
    profile = load_profile(str(SHIPPED / "storescu.cfg"), "Default", role="requestor")
    proposed: list[tuple[str, list[str]]] = []

    def keep(event: evt.Event) -> None:
        for context in event.assoc.requestor.requested_contexts:
            proposed.append((str(context.abstract_syntax), [*map(str, context.transfer_syntax)]))

    ae = AE()
    ae.supported_contexts = [build_context("1.2.840.10008.1.1")]
    handlers: list[evt.EventHandlerType] = [(evt.EVT_REQUESTED, keep)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    try:
        file = get_testdata_file("CT_small.dcm", download=False)
        port = server.server_address[1]
        command = [STORESCU, "-xf", str(SHIPPED / "storescu.cfg"), "Default", "127.0.0.1"]
        sent = [*command, str(port), str(file)]
        subprocess.run(sent, capture_output=True, check=False, timeout=30)
    finally:
        server.shutdown()
    expected = [(c.abstract_syntax, [*c.transfer_syntaxes]) for c in profile.contexts]
    assert proposed == expected


@contextmanager
def running_dcmrecv(file: Path, profile: str) -> Iterator[int]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    command = [DCMRECV, "--ignore", "-xf", str(file), profile, str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < deadline
        yield port
    finally:
        process.terminate()
        process.wait(10)


Offers = list[tuple[str, list[str]]]


def answers_of_dcmrecv(port: int, offers: Offers) -> tuple[list[tuple[int, str]], dict[str, bytes]]:
    """Result (PS3.8 9.3.3.2) and accepted transfer syntax of each context; extended negotiation."""
    extended: dict[str, bytes] = {}

    def keep(event: evt.Event) -> None:
        answer = event.assoc.acceptor
        extended.update({str(uid): data for uid, data in answer.sop_class_extended.items()})

    ae = AE()
    ae.requested_contexts = [build_context(uid, syntaxes) for uid, syntaxes in offers]
    association = ae.associate("127.0.0.1", port, evt_handlers=[(evt.EVT_ACCEPTED, keep)])
    assert association.is_established
    contexts = [*association.accepted_contexts, *association.rejected_contexts]
    association.release()
    by_id = {context.context_id: context for context in contexts}
    answers = []
    for position in range(len(offers)):
        context = by_id[2 * position + 1]
        assert context.result is not None
        accepted = str(context.transfer_syntax[0]) if context.result == 0 else ""
        answers.append((context.result, accepted))
    return answers, extended


def our_answers(
    profile: AssociationProfile, offers: Offers
) -> tuple[list[tuple[int, str]], dict[str, bytes]]:
    """What asconfig's rules say, in the plainest words."""
    ours = {context.abstract_syntax: context.transfer_syntaxes for context in profile.contexts}
    answers = []
    for uid, offered in offers:
        chosen = [syntax for syntax in ours.get(uid, ()) if syntax in offered]
        result = 3 if uid not in ours else 0 if chosen else 4
        answers.append((result, chosen[0] if chosen else ""))
    accepted = {uid for (uid, _), (result, _) in zip(offers, answers, strict=True) if result == 0}
    extended = {uid: d for uid, d in profile.extended_negotiation.items() if uid in accepted}
    return answers, extended


NEGOTIATED = [
    FILE,
    FILE.replace("TransferSyntax2", "TransferSyntax02"),
    FILE.replace("TransferSyntax2 =", "TransferSyntax1 ="),
    FILE.replace("PresentationContext2", "PresentationContext4").replace("Role2", "Role3"),
    FILE + "[[TransferSyntaxes]]\n[JPEG1]\nTransferSyntax1 = LittleEndianExplicit\n",
    FILE.replace("[[Pres", "[j PEG 1]\nTransferSyntax1 = LittleEndianImplicit\n[[Pres"),
    FILE.replace("TransferSyntax1 =", "TransferSyntax3 = JPEGBaseline\nTransferSyntax1 =", 1),
    FILE.replace("TransferSyntax1 = JPEG", " TransferSyntax1 = JPEG"),
    FILE.replace("\\TS\nPres", "\\\n T\n S\nPres"),
]


@pytest.mark.parametrize("number", range(len(NEGOTIATED)))
def test_contexts_are_answered_as_dcmrecv_answers(number: int, tmp_path: Path) -> None:
    explicit, implicit, jpeg = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.50"
    classes = ["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.3.4", "1.2.3.5"]
    sets = [[implicit, explicit, jpeg], [implicit, jpeg], [jpeg], [implicit], ["1.2.3"]]
    offers = [(uid, syntaxes) for uid in classes for syntaxes in sets]
    file = tmp_path / "x.cfg"
    file.write_text(NEGOTIATED[number])
    for name in ("P", "Q") if number == 0 else ("P",):
        with running_dcmrecv(file, name) as port:
            theirs = answers_of_dcmrecv(port, offers)
        assert our_answers(load_profile(str(file), name), offers) == theirs
