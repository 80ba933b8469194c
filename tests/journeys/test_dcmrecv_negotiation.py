"""What an acceptor does with a profile: `dicomd recv` and dcmrecv asked the same, side by side."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.journeys.peers import (
    Context,
    Receiver,
    Sender,
    asconfig,
    counted_items,
    dcmtk,
    echo_rq,
    extended_item,
    request,
    role_item,
    small_data_set,
    store_rq,
    user_items,
)
from tests.upper_layer.wire import (
    APPLICATION,
    CT,
    EXPLICIT,
    IMPLICIT,
    VERIFICATION,
    associate_rq,
    context,
    item,
    p_data,
    pdv,
    user,
)

pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("dcmrecv_negotiation")]

TOOLS = ("dcmrecv", "dicomd")
MR = "1.2.840.10008.5.1.4.1.1.4"
SC = "1.2.840.10008.5.1.4.1.1.7"
NM = "1.2.840.10008.5.1.4.1.1.20"
US = "1.2.840.10008.5.1.4.1.1.6.1"
CR = "1.2.840.10008.5.1.4.1.1.1"
PRIVATE = "1.2.3.4.5.6.7.8"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.50"
PRIVATE_SYNTAX = "1.2.3.99"
IMPLEMENTATION_CLASS = b"1.2.276.0.7230010.3.0.3.6.7"
IMPLEMENTATION_VERSION = b"OFFIS_DCMTK_367"


@dataclass(frozen=True)
class Receivers:
    """Both, under one set of options."""

    dcmrecv: Receiver
    dicomd: Receiver

    def __getitem__(self, tool: str) -> Receiver:
        return self.dcmrecv if tool == "dcmrecv" else self.dicomd


@pytest.fixture(scope="module")
def receivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receivers]:
    folder = tmp_path_factory.mktemp("negotiation")
    profile = asconfig(
        folder / "test.cfg",
        [
            (CT, (EXPLICIT, IMPLICIT)),
            (MR, (IMPLICIT,)),
            (VERIFICATION, (EXPLICIT, IMPLICIT)),
            (SC, (EXPLICIT,)),
            (US, (EXPLICIT,)),
            (NM, (EXPLICIT,)),
            (PRIVATE, (PRIVATE_SYNTAX, EXPLICIT)),
        ],
        roles=[(SC, "SCU"), (US, "SCP"), (NM, "BOTH")],
        extended=[(CT, "0102ff"), (MR, "00")],
    )
    options = ("-xf", str(profile), "Test", "-pdu", "32768")
    with (
        Receiver("dcmrecv", folder / "dcmrecv", *options) as theirs,
        Receiver("dicomd", folder / "dicomd", *options) as ours,
    ):
        yield Receivers(theirs, ours)


OUTCOMES: dict[str, tuple[tuple[Context, ...], str]] = {
    "the profile's order decides, not the requestor's": (
        ((1, CT, (IMPLICIT, EXPLICIT)),),
        f"accepted 0:{EXPLICIT}",
    ),
    "the first of the profile's that is offered": (
        ((1, CT, (BIG_ENDIAN, IMPLICIT)),),
        f"accepted 0:{IMPLICIT}",
    ),
    "each context by itself": (
        ((1, CT, (IMPLICIT,)), (3, CT, (EXPLICIT,)), (5, CR, (EXPLICIT,)), (7, MR, (EXPLICIT,))),
        f"accepted 0:{IMPLICIT} 0:{EXPLICIT} 3 4",
    ),
    "a private class and a private transfer syntax": (
        ((1, PRIVATE, (EXPLICIT, PRIVATE_SYNTAX)),),
        f"accepted 0:{PRIVATE_SYNTAX}",
    ),
    "ids need not ascend": (
        ((9, CT, (EXPLICIT,)), (3, VERIFICATION, (IMPLICIT,))),
        f"accepted 0:{EXPLICIT} 0:{IMPLICIT}",
    ),
    "an even id": (((2, CT, (EXPLICIT,)),), f"accepted 0:{EXPLICIT}"),
    "the highest id": (((255, CT, (EXPLICIT,)),), f"accepted 0:{EXPLICIT}"),
    "128 contexts": (
        tuple((at, CT, (EXPLICIT,)) for at in range(1, 257, 2)),
        "accepted " + " ".join([f"0:{EXPLICIT}"] * 128),
    ),
    "no class that is known": (((1, CR, (EXPLICIT,)),), "rejected 1/1/1"),
    "no transfer syntax that is known": (((1, CT, (JPEG,)),), "rejected 1/1/1"),
    "only a context that needs a role": (((1, US, (EXPLICIT,)),), "rejected 1/1/1"),
    "no contexts at all": ((), "rejected 1/1/1"),
    "a class with a digit more is another": (((1, CT + "1", (EXPLICIT,)),), "rejected 1/1/1"),
}


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("row", OUTCOMES)
def test_contexts_are_answered(receivers: Receivers, row: str, tool: str) -> None:
    contexts, expected = OUTCOMES[row]
    with receivers[tool].sender() as sender:
        assert sender.associate(contexts) == expected


_CONTEXT = context(1, syntaxes=(EXPLICIT,))
REQUESTS: dict[str, tuple[bytes, str]] = {
    "another application context": (
        associate_rq(item(0x10, b"1.2.840.10008.3.1.1.2"), _CONTEXT, user()),
        "rejected 2/1/2",
    ),
    "protocol version 2": (
        associate_rq(APPLICATION, _CONTEXT, user(), version=2),
        "rejected 1/2/2",
    ),
    "protocol version 0": (
        associate_rq(APPLICATION, _CONTEXT, user(), version=0),
        "rejected 1/2/2",
    ),
    "protocol versions 1 and 2": (
        associate_rq(APPLICATION, _CONTEXT, user(), version=3),
        f"accepted 0:{EXPLICIT}",
    ),
    "an unlimited maximum PDU": (
        associate_rq(APPLICATION, _CONTEXT, user(max_pdu=0)),
        f"accepted 0:{EXPLICIT}",
    ),
    "asynchronous operations proposed": (
        associate_rq(APPLICATION, _CONTEXT, user(item(0x53, b"\0\5\0\5"))),
        f"accepted 0:{EXPLICIT}",
    ),
    "a user identity": (
        associate_rq(APPLICATION, _CONTEXT, user(item(0x58, b"\1\0\0\4user\0\0"))),
        f"accepted 0:{EXPLICIT}",
    ),
}


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("row", REQUESTS)
def test_requests_are_answered(receivers: Receivers, row: str, tool: str) -> None:
    encoded, expected = REQUESTS[row]
    with receivers[tool].sender() as sender:
        sender.send(encoded)
        assert sender.answer() == expected
        if sender.accept:
            kinds = [kind for kind, _ in user_items(sender.accept)]
            assert 0x53 not in kinds, "no asynchronous operations are answered"
            assert 0x59 not in kinds, "no user identity is answered"


@pytest.mark.parametrize("tool", TOOLS)
def test_the_acceptance_says_who_answers(receivers: Receivers, tool: str) -> None:
    """Titles are those of the request, whatever they are; the implementation is DCMTK's."""
    encoded = associate_rq(
        APPLICATION,
        _CONTEXT,
        user(),
        called=b"NOBODY AT ALL   ",
        calling=b" SOMEBODY       ",
    )
    with receivers[tool].sender() as sender:
        sender.send(encoded)
        assert sender.answer() == f"accepted 0:{EXPLICIT}"
        items = dict(user_items(sender.accept))
    assert sender.accept[10:26].strip() == b"NOBODY AT ALL"
    assert sender.accept[26:42].strip() == b"SOMEBODY"
    assert items[0x51] == (32768).to_bytes(4)
    assert items[0x52] == IMPLEMENTATION_CLASS
    assert items[0x55] == IMPLEMENTATION_VERSION


ROLES: dict[tuple[str, str], str] = {
    # class (its configured role), proposed scu and scp -> the answer
    (CT, ""): "0 -",
    (CT, "10"): "0 -",
    (CT, "01"): "0 -",
    (CT, "11"): "0 -",
    (CT, "00"): "0 -",
    (SC, ""): "0 -",
    (SC, "10"): "0 10",
    (SC, "01"): "0 00",
    (SC, "11"): "0 10",
    (SC, "00"): "0 10",
    (US, ""): "2 -",
    (US, "10"): "0 00",
    (US, "01"): "0 01",
    (US, "11"): "0 01",
    (US, "00"): "0 01",
    (NM, ""): "0 -",
    (NM, "10"): "0 10",
    (NM, "01"): "0 01",
    (NM, "11"): "0 11",
    (NM, "00"): "0 11",
}


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("sop_class", [CT, SC, US, NM])
@pytest.mark.parametrize("proposed", ["", "10", "01", "11", "00"])
def test_roles_are_answered(receivers: Receivers, sop_class: str, proposed: str, tool: str) -> None:
    """CT is not configured, SC as SCU, US as SCP, NM as BOTH."""
    contexts = ((1, sop_class, (EXPLICIT,)), (3, VERIFICATION, (EXPLICIT,)))
    extra = [role_item(sop_class, int(proposed[0]), int(proposed[1]))] if proposed else []
    with receivers[tool].sender() as sender:
        answer = sender.associate(contexts, *extra)
        roles = counted_items(sender.accept, 0x54)
    result = answer.split()[1].partition(":")[0]
    role = "".join(map(str, roles[sop_class])) if sop_class in roles else "-"
    assert f"{result} {role}" == ROLES[sop_class, proposed]
    assert VERIFICATION not in roles


EXTENDED: dict[str, tuple[tuple[Context, ...], bytes, dict[str, bytes]]] = {
    "not proposed": (((1, CT, (EXPLICIT,)),), b"", {CT: b"\x01\x02\xff"}),
    "proposed otherwise": (
        ((1, CT, (EXPLICIT,)),),
        extended_item(CT, b"\x77"),
        {CT: b"\x01\x02\xff"},
    ),
    "two contexts of the class": (
        ((1, CT, (EXPLICIT,)), (3, CT, (IMPLICIT,))),
        b"",
        {CT: b"\x01\x02\xff"},
    ),
    "two classes": (
        ((1, CT, (EXPLICIT,)), (3, MR, (IMPLICIT,))),
        b"",
        {CT: b"\x01\x02\xff", MR: b"\x00"},
    ),
    "a class without accepted context": (
        ((1, CT, (EXPLICIT,)), (3, MR, (EXPLICIT,))),
        extended_item(MR, b"\x00"),
        {CT: b"\x01\x02\xff"},
    ),
    "a class that is not configured": (
        ((1, SC, (EXPLICIT,)),),
        extended_item(SC, b"\x01"),
        {},
    ),
}


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("row", EXTENDED)
def test_extended_negotiation_is_answered_from_the_profile(
    receivers: Receivers, row: str, tool: str
) -> None:
    contexts, extra, expected = EXTENDED[row]
    with receivers[tool].sender() as sender:
        assert sender.associate(contexts, *([extra] if extra else [])).startswith("accepted")
        assert counted_items(sender.accept, 0x56) == expected


@pytest.mark.parametrize("tool", TOOLS)
def test_an_echo_is_answered_on_any_context(receivers: Receivers, tool: str) -> None:
    with receivers[tool].sender() as sender:
        sender.associate()
        assert sender.echo(3) == "0000"
        assert sender.echo(1) == "0000"
        assert sender.release() == "released"


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("sop_class", [MR, VERIFICATION, "1.2.3.4.5.999"])
def test_a_store_is_taken_whatever_class_the_context_is_of(
    receivers: Receivers, sop_class: str, tool: str
) -> None:
    with receivers[tool].sender() as sender:
        sender.associate(((1, CT, (EXPLICIT,)), (3, VERIFICATION, (EXPLICIT,))))
        instance = "1.2.3.1"
        data = small_data_set(instance, sop_class=sop_class)
        assert sender.store(store_rq(instance, sop_class=sop_class), data) == "0000"
        assert sender.store(store_rq("1.2.3.2"), small_data_set("1.2.3.2"), context_id=3) == "0000"
        assert sender.release() == "released"


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("context_id", [1, 5, 7, 2, 200])
def test_a_message_on_a_context_that_is_not_accepted_aborts(
    receivers: Receivers, context_id: int, tool: str
) -> None:
    """1 and 5 were refused, the others never proposed."""
    with receivers[tool].sender() as sender:
        sender.associate(
            ((1, CR, (EXPLICIT,)), (3, VERIFICATION, (IMPLICIT,)), (5, CT, (BIG_ENDIAN,)))
        )
        sender.send(p_data(pdv(context_id, 3, echo_rq())))
        assert sender.answer() == "aborted"


@pytest.mark.parametrize("tool", TOOLS)
def test_without_a_profile_only_verification_is_accepted(tmp_path: Path, tool: str) -> None:
    with Receiver(tool, tmp_path / tool) as receiver:
        for contexts, expected in (
            (((1, VERIFICATION, (IMPLICIT,)),), f"accepted 0:{IMPLICIT}"),
            (((1, VERIFICATION, (EXPLICIT, IMPLICIT)),), f"accepted 0:{IMPLICIT}"),
            (((1, VERIFICATION, (EXPLICIT,)),), "rejected 1/1/1"),
            (((1, CT, (IMPLICIT,)),), "rejected 1/1/1"),
            (
                ((1, VERIFICATION, (EXPLICIT,)), (3, VERIFICATION, (IMPLICIT,))),
                f"accepted 4 0:{IMPLICIT}",
            ),
        ):
            with receiver.sender() as sender:
                assert sender.associate(contexts) == expected
                if sender.accept:
                    assert int.from_bytes(dict(user_items(sender.accept))[0x51]) == 16384
        assert "SCP will only support the Verification SOP Class" in receiver.text()
        assert dcmtk("echoscu", "-aec", "ANY-SCP", "127.0.0.1", receiver.port).returncode == 0


@pytest.mark.parametrize("tool", TOOLS)
def test_a_profile_without_verification_answers_no_echo(tmp_path: Path, tool: str) -> None:
    profile = asconfig(tmp_path / "test.cfg", [(CT, (EXPLICIT,))])
    with Receiver(tool, tmp_path / tool, "-xf", str(profile), "Test") as receiver:
        with receiver.sender() as sender:
            assert sender.associate(((1, VERIFICATION, (IMPLICIT,)),)) == "rejected 1/1/1"
        assert dcmtk("echoscu", "127.0.0.1", receiver.port).returncode != 0


def test_strict_asks_for_the_called_title_and_odd_ids(tmp_path: Path) -> None:
    """What dcmrecv never asks: --strict with -aet."""
    profile = asconfig(tmp_path / "test.cfg", [(CT, (EXPLICIT,))])
    options = ("-xf", str(profile), "Test", "-aet", "MYSELF", "--strict")
    with Receiver("dicomd", tmp_path / "strict", *options) as receiver:
        for called, expected in ((b"MYSELF", f"accepted 0:{EXPLICIT}"), (b"MY", "rejected 1/1/7")):
            with Sender(receiver.port) as sender:
                sender.send(associate_rq(APPLICATION, _CONTEXT, user(), called=called.ljust(16)))
                assert sender.answer() == expected
        with Sender(receiver.port) as sender:
            sender.send(request(((2, CT, (EXPLICIT,)),)))
            assert sender.answer() == "aborted"
            assert (sender.abort[8], sender.abort[9]) == (2, 6)
