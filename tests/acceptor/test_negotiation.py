"""Profile x request, as measured on DCMTK 3.6.7."""

from dataclasses import replace

import pytest

from dicomd.acceptor.negotiation import Acceptance, Negotiator, Refusal
from dicomd.settings.profile import AssociationProfile, PresentationContext, Role
from dicomd.upper_layer.associate import decode_request
from dicomd.upper_layer.events import AssociateRequest, ProposedContext
from tests.upper_layer.wire import CT, EXPLICIT, IMPLICIT, VERIFICATION, associate_rq

JPEG = "1.2.840.10008.1.2.4.50"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"


def profile(role: Role | None = None, extended: bytes | None = None) -> AssociationProfile:
    return AssociationProfile(
        contexts=(
            PresentationContext(abstract_syntax=CT, transfer_syntaxes=(JPEG, EXPLICIT, IMPLICIT)),
            PresentationContext(abstract_syntax=VERIFICATION, transfer_syntaxes=(IMPLICIT,)),
        ),
        roles={} if role is None else {CT: role},
        extended_negotiation={} if extended is None else {CT: extended},
    )


def negotiator(of: AssociationProfile | None = None, **changes: bool) -> Negotiator:
    return Negotiator(
        of or profile(),
        max_pdu=131072,
        implementation_class_uid="1.2.3",
        implementation_version_name="TEST",
        tolerant=changes.get("tolerant", False),
        accept_empty=changes.get("accept_empty", False),
    )


def request(*contexts: tuple[str, tuple[str, ...]], **changes: object) -> AssociateRequest:
    proposed = contexts or ((CT, (IMPLICIT,)),)
    base = AssociateRequest(
        protocol_version=1,
        application_context=APPLICATION_CONTEXT,
        called_ae_title="ARCHIVE",
        calling_ae_title="MOD",
        contexts=tuple(
            ProposedContext(2 * place + 1, abstract, syntaxes)
            for place, (abstract, syntaxes) in enumerate(proposed)
        ),
        max_pdu=16384,
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # fields by name


def accepted(
    asked: AssociateRequest, of: AssociationProfile | None = None, encoded: bytes = b"?"
) -> Acceptance:
    answer = negotiator(of).negotiate(asked, encoded)
    assert isinstance(answer, Acceptance)
    return answer


def test_the_acceptors_order_of_transfer_syntaxes_decides() -> None:
    answer = accepted(request((CT, (IMPLICIT, EXPLICIT))))
    assert answer.transfer_syntaxes == {1: EXPLICIT}
    assert answer.abstract_syntaxes == {1: CT}


def test_each_context_is_answered_by_itself() -> None:
    answer = accepted(
        request(
            (CT, (IMPLICIT,)),
            (CT, ("1.2.840.10008.1.2.2",)),
            ("1.2.3.4", (IMPLICIT,)),
            (CT, (JPEG, IMPLICIT)),
        )
    )
    assert [(result.context_id, result.result) for result in answer.results] == [
        (1, 0),
        (3, 4),
        (5, 3),
        (7, 0),
    ]
    assert answer.transfer_syntaxes == {1: IMPLICIT, 7: JPEG}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (request(protocol_version=2), (1, 2, 2)),
        (request(application_context="1.2.3"), (1, 1, 2)),
        (request(contexts=()), (1, 1, 1)),
        (request(("1.2.3.4", (IMPLICIT,))), (1, 1, 1)),
        (request(max_pdu=7), (1, 1, 1)),
    ],
    ids=["version", "application context", "no contexts", "none acceptable", "tiny maximum"],
)
def test_refusals(asked: AssociateRequest, expected: tuple[int, int, int]) -> None:
    answer = negotiator().negotiate(asked, b"?")
    assert isinstance(answer, Refusal)
    assert (answer.result, answer.source, answer.reason) == expected


def test_tolerant_rejects_an_application_context_as_dcmrecv_does() -> None:
    answer = negotiator(tolerant=True).negotiate(request(application_context="1.2.3"), b"?")
    assert isinstance(answer, Refusal)
    assert (answer.result, answer.source, answer.reason) == (2, 1, 2)


def test_other_bits_of_the_protocol_version_do_not_matter() -> None:
    assert accepted(request(protocol_version=0x8003)).transfer_syntaxes


def test_no_limit_of_the_peer_is_accepted() -> None:
    assert accepted(request(max_pdu=0)).peer_max_pdu == 0


def test_an_association_without_contexts_stands_where_movescu_accepts_it() -> None:
    answer = negotiator(accept_empty=True).negotiate(request(("1.2.3.4", (IMPLICIT,))), b"?")
    assert isinstance(answer, Acceptance)
    assert answer.transfer_syntaxes == {}


Proposal = tuple[bool, bool] | None
SCU, SCP, BOTH, NEITHER = (True, False), (False, True), (True, True), (False, False)

ROLES: list[tuple[Role | None, Proposal, Proposal, str]] = [
    (None, None, None, ""),
    (None, SCU, None, ""),
    (None, SCP, None, ""),
    (None, BOTH, None, ""),
    (None, NEITHER, None, ""),
    (Role.SCU, None, None, ""),
    (Role.SCU, SCU, SCU, ""),
    (Role.SCU, SCP, NEITHER, "warning"),
    (Role.SCU, BOTH, SCU, ""),
    (Role.SCU, NEITHER, SCU, "warning"),
    (Role.SCP, SCU, NEITHER, "warning"),
    (Role.SCP, SCP, SCP, ""),
    (Role.SCP, BOTH, SCP, ""),
    (Role.SCP, NEITHER, SCP, "warning"),
    (Role.BOTH, None, None, ""),
    (Role.BOTH, SCU, SCU, ""),
    (Role.BOTH, SCP, SCP, ""),
    (Role.BOTH, BOTH, BOTH, ""),
    (Role.BOTH, NEITHER, BOTH, "warning"),
]


@pytest.mark.parametrize(("configured", "proposed", "expected", "level"), ROLES)
def test_roles(configured: Role | None, proposed: Proposal, expected: Proposal, level: str) -> None:
    roles = {} if proposed is None else {CT: proposed}
    answer = accepted(request(roles=roles), profile(configured))
    item = b"\x54" if expected is not None else None
    sent = b"\x00" + bytes([len(CT)]) + CT.encode()
    if item is None:
        assert sent not in answer.answer
    else:
        at = answer.answer.index(sent) + len(sent)
        assert expected is not None
        assert answer.answer[at : at + 2] == bytes(expected)
    assert [notice.level for notice in answer.notices] == ([level] if level else [])
    assert answer.transfer_syntaxes == {1: IMPLICIT}


def test_a_role_of_scp_refuses_those_who_propose_none() -> None:
    answer = accepted(request((CT, (IMPLICIT,)), (VERIFICATION, (IMPLICIT,))), profile(Role.SCP))
    assert [result.result for result in answer.results] == [2, 0]
    assert [notice.level for notice in answer.notices] == ["error"]


def test_a_refused_role_for_all_contexts_rejects_the_association() -> None:
    answer = negotiator(profile(Role.SCP)).negotiate(request(), b"?")
    assert isinstance(answer, Refusal)
    assert answer.notices


def test_extended_negotiation_is_answered_even_when_it_was_not_proposed() -> None:
    answer = accepted(request(), profile(extended=b"\1\2\3"))
    assert answer.answer.endswith(CT.encode() + b"\1\2\3")


def test_extended_negotiation_is_not_answered_for_a_class_that_was_refused() -> None:
    answer = accepted(
        request((CT, ("1.2.840.10008.1.2.2",)), (VERIFICATION, (IMPLICIT,))),
        profile(extended=b"\1\2\3"),
    )
    assert b"\1\2\3" not in answer.answer


def test_answers_are_memoised_on_the_requests_bytes() -> None:
    asked = associate_rq()
    made = negotiator()
    first = made.negotiate(decode_request(asked), asked)
    assert made.negotiate(decode_request(asked), asked) is first
    other = associate_rq(calling=b"OTHER".ljust(16))
    second = made.negotiate(decode_request(other), other)
    assert isinstance(second, Acceptance)
    assert b"OTHER" in second.answer


def test_requests_with_a_user_identity_are_not_kept() -> None:
    made = negotiator()
    asked = request(user_identity_type=2)
    assert made.negotiate(asked, b"?") is not made.negotiate(asked, b"?")


def test_the_memo_is_bounded() -> None:
    made = negotiator()
    for number in range(1000):
        made.negotiate(request(), b"%d" % number)
    assert len(made._memo) <= 256
