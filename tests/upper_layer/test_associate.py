"""A-ASSOCIATE-RQ decoded and A-ASSOCIATE-AC encoded, with pynetdicom and DCMTK as witnesses."""

from io import BytesIO
from pathlib import Path
from struct import pack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynetdicom import build_context, evt  # noqa: F401  # the package is initialised by this
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

from dicomd.errors import RemoteProtocolError
from dicomd.upper_layer.associate import ContextResult, decode_request, encode_accept
from dicomd.upper_layer.events import AssociateRequest, ProposedContext
from tests.upper_layer.wire import (
    APPLICATION,
    CT,
    EXPLICIT,
    IMPLICIT,
    VERIFICATION,
    associate_rq,
    context,
    item,
    user,
)

CAPTURED = Path(__file__).parent / "captured"
"""A-ASSOCIATE-RQs as DCMTK 3.6.7's tools sent them."""


def primitive() -> A_ASSOCIATE:
    """A request with every item that pynetdicom knows."""
    request = A_ASSOCIATE()
    request.application_context_name = "1.2.840.10008.3.1.1.1"
    request.calling_ae_title = "CALLING"
    request.called_ae_title = "CALLED AE"
    contexts = [build_context(CT, [EXPLICIT, IMPLICIT]), build_context(VERIFICATION, [IMPLICIT])]
    for number, proposed in enumerate(contexts):
        proposed.context_id = 2 * number + 1
    request.presentation_context_definition_list = contexts
    length = MaximumLengthNotification()
    length.maximum_length_received = 65536
    class_uid = ImplementationClassUIDNotification()
    class_uid.implementation_class_uid = "1.2.826.0.1"
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = "PYNETDICOM_X"
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 3
    roles = SCP_SCU_RoleSelectionNegotiation()
    roles.sop_class_uid = CT
    roles.scu_role, roles.scp_role = False, True
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid = CT
    extended.service_class_application_information = b"\x02\x00\x03\x00\x01\x00"
    common = SOPClassCommonExtendedNegotiation()
    common.sop_class_uid = CT
    common.service_class_uid = "1.2.840.10008.4.2"
    identity = UserIdentityNegotiation()
    identity.user_identity_type = 2
    identity.primary_field = b"somebody"
    identity.secondary_field = b"secret"
    request.user_information = [
        length, class_uid, version, window, roles, extended, common, identity,
    ]  # fmt: skip
    return request


def encoded(request: A_ASSOCIATE) -> bytes:
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(request)
    return bytes(pdu.encode())


def assert_like_pynetdicom(data: bytes) -> AssociateRequest:
    """Decode by both and compare what both know."""
    theirs: Any = A_ASSOCIATE_RQ()
    theirs.decode(data)
    ours = decode_request(data)
    assert ours.called_ae_title == theirs.called_ae_title.strip()
    assert ours.calling_ae_title == theirs.calling_ae_title.strip()
    assert ours.protocol_version == theirs.protocol_version
    assert ours.application_context == theirs.application_context_name
    assert [
        (c.context_id, c.abstract_syntax, list(c.transfer_syntaxes)) for c in ours.contexts
    ] == [
        (c.context_id, c.abstract_syntax, list(c.transfer_syntax))
        for c in theirs.presentation_context
    ]
    information = theirs.user_information
    assert ours.max_pdu == information.maximum_length
    assert ours.implementation_class_uid == str(information.implementation_class_uid)
    assert ours.implementation_version_name == (information.implementation_version_name or "")
    assert ours.roles == {
        str(uid): (bool(role.scu_role), bool(role.scp_role))
        for uid, role in information.role_selection.items()
    }
    assert ours.extended_negotiation == {
        str(e.uid): e.service_class_application_information for e in information.ext_neg
    }
    return ours


def test_a_request_with_every_item_decodes_as_pynetdicom_does() -> None:
    request = assert_like_pynetdicom(encoded(primitive()))
    assert request.called_ae_title == "CALLED AE"
    assert request.roles == {CT: (False, True)}
    assert request.extended_negotiation == {CT: b"\x02\x00\x03\x00\x01\x00"}
    assert request.user_identity_type == 2
    assert "secret" not in repr(request)


@pytest.mark.parametrize("path", sorted(CAPTURED.glob("*.bin")), ids=lambda path: path.stem)
def test_a_captured_request_decodes_as_pynetdicom_does(path: Path) -> None:
    request = assert_like_pynetdicom(path.read_bytes())
    assert request.implementation_version_name == "OFFIS_DCMTK_367"
    assert request.contexts


def test_titles_lose_padding_and_keep_the_rest() -> None:
    request = decode_request(
        associate_rq(called=b"  LEADING  AE    ", calling=b"NULS\0\0\0\0".ljust(16))
    )
    assert (request.called_ae_title, request.calling_ae_title) == ("LEADING  AE", "NULS")


def test_bytes_outside_printable_ascii_are_escaped() -> None:
    titles = {"called": b"A\xe4\\\n\x1b[0m".ljust(16), "calling": b"A\0B".ljust(16)}
    request = decode_request(associate_rq(**titles))  # type: ignore[arg-type]  # keywords by name
    assert request.called_ae_title == r"A\xe4\x5c\x0a\x1b[0m"
    assert request.calling_ae_title == r"A\x00B"


def test_unknown_items_and_sub_items_are_ignored() -> None:
    known = context(1)
    unknown = item(0x7F, b"what")
    inside = item(0x20, known[4:] + item(0x77, b"odd"))
    request = decode_request(
        associate_rq(unknown, APPLICATION, inside, user(item(0x60, b"new"), item(0x5F, b"")))
    )
    assert request.contexts == (ProposedContext(1, CT, (IMPLICIT,)),)
    assert request.max_pdu == 16384


def test_what_cannot_be_agreed_on_is_left_to_negotiation() -> None:
    request = decode_request(associate_rq(version=2, called=bytes(16)) + b"", strict=True)
    assert request.protocol_version == 2
    assert request.called_ae_title == ""
    request = decode_request(associate_rq(user()))
    assert (request.application_context, request.contexts) == ("", ())
    request = decode_request(associate_rq(APPLICATION, context(1, syntaxes=())))
    assert request.contexts == (ProposedContext(1, CT, ()),)
    assert (request.max_pdu, request.implementation_class_uid) == (0, "")


def test_128_contexts_are_taken() -> None:
    request = decode_request(associate_rq(*(context(2 * n + 1) for n in range(128))))
    assert len(request.contexts) == 128


WRONG: dict[str, bytes] = {
    "an item past the PDU": associate_rq(APPLICATION, item(0x20, b"1", length=200)),
    "a header past the PDU": associate_rq(APPLICATION, b"\x20\0\0"),
    "a context without id": associate_rq(item(0x20, b"")),
    "a context of three bytes": associate_rq(item(0x20, b"\x01\0\0")),
    "a syntax past its context": associate_rq(
        item(0x20, b"\x01\0\0\0" + item(0x30, b"1.2", length=4)), user()
    ),
    "a context without abstract syntax": associate_rq(
        item(0x20, b"\x01\0\0\0" + item(0x40, IMPLICIT.encode()))
    ),
    "a context with two abstract syntaxes": associate_rq(
        item(0x20, b"\x01\0\0\0" + item(0x30, b"1.2") * 2)
    ),
    "a repeated id": associate_rq(APPLICATION, context(1), context(1)),
    "an even id": associate_rq(APPLICATION, context(2)),
    "id zero": associate_rq(APPLICATION, context(0)),
    "a sub-item past the user information": associate_rq(
        item(0x50, item(0x52, b"1.2", length=300))
    ),
    "a maximum length of three bytes": associate_rq(item(0x50, item(0x51, b"\0\0\1"))),
    "a role without roles": associate_rq(user(item(0x54, pack(">H", 3) + b"1.2"))),
    "a role with three": associate_rq(user(item(0x54, pack(">H", 3) + b"1.2\0\1\0"))),
    "a role's class past its sub-item": associate_rq(user(item(0x54, pack(">H", 9) + b"1.2"))),
    "a role of one byte": associate_rq(user(item(0x54, b"\0"))),
    "an extended negotiation's class past it": associate_rq(user(item(0x56, b"\xff\xff1.2"))),
    "an empty user identity": associate_rq(user(item(0x58, b""))),
    "a user's name past its sub-item": associate_rq(user(item(0x58, b"\1\0\0\7abc"))),
    "a user identity with a tail": associate_rq(user(item(0x58, b"\1\0\0\1a\0\0b"))),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_malformed_request_is_an_invalid_parameter(name: str) -> None:
    with pytest.raises(RemoteProtocolError) as error:
        decode_request(WRONG[name])
    assert (error.value.source, error.value.reason) == (2, 6)


def test_even_ids_pass_where_checks_are_tolerant_but_repeated_ones_never() -> None:
    assert decode_request(WRONG["an even id"], strict=False).contexts[0].context_id == 2
    with pytest.raises(RemoteProtocolError):
        decode_request(WRONG["a repeated id"], strict=False)
    over = associate_rq(*(context(n) for n in range(129)))
    with pytest.raises(RemoteProtocolError):
        decode_request(over, strict=False)


def test_a_shorter_pdu_than_its_fixed_fields_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        decode_request(associate_rq()[:73])


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 400), st.binary(max_size=6), st.integers(0, 6))
def test_a_changed_request_decodes_or_is_refused(at: int, put: bytes, cut: int) -> None:
    data = encoded(primitive())
    at = min(at, len(data))
    changed = data[:at] + put + data[at + cut :]
    try:
        request = decode_request(changed)
    except RemoteProtocolError as error:
        assert error.reason == 6  # noqa: PT017  # either outcome is right
    else:
        assert len({c.context_id for c in request.contexts}) == len(request.contexts)


RESULTS = (ContextResult(1, 0, EXPLICIT), ContextResult(3, 3))


def accept(request: AssociateRequest, **changes: Any) -> Any:
    """An acceptance as pynetdicom reads it."""
    arguments: dict[str, Any] = {
        "max_pdu": 131072,
        "implementation_class_uid": "1.2.276.0.7230010.3.0.3.6.7",
        "implementation_version_name": "OFFIS_DCMTK_367",
        "roles": {CT: (False, True)},
        "extended": {CT: b"\x01\x02\x03"},
    }
    data = encode_accept(request, RESULTS, **(arguments | changes))
    assert int.from_bytes(data[2:6], "big") == len(data) - 6
    theirs = A_ASSOCIATE_AC()
    theirs.decode(data)
    assert BytesIO(theirs.encode()).getvalue() == data
    return theirs


def test_an_acceptance_reads_as_it_was_meant() -> None:
    theirs = accept(decode_request(associate_rq()))
    assert theirs.protocol_version == 1
    assert theirs.application_context_name == "1.2.840.10008.3.1.1.1"
    assert [(c.context_id, c.result) for c in theirs.presentation_context] == [(1, 0), (3, 3)]
    assert theirs.presentation_context[0].transfer_syntax == EXPLICIT
    information = theirs.user_information
    assert information.maximum_length == 131072
    assert information.implementation_class_uid == "1.2.276.0.7230010.3.0.3.6.7"
    assert information.implementation_version_name == "OFFIS_DCMTK_367"
    (role,) = information.role_selection.values()
    assert (role.uid, role.scu_role, role.scp_role) == (CT, 0, 1)
    (extended,) = information.ext_neg
    assert extended.service_class_application_information == b"\x01\x02\x03"


def test_an_acceptance_leaves_out_what_there_is_not() -> None:
    theirs = accept(
        decode_request(associate_rq()), roles={}, extended={}, implementation_version_name=""
    )
    information = theirs.user_information
    assert information.implementation_version_name is None
    assert not information.role_selection
    assert not information.ext_neg


def test_an_acceptance_repeats_the_requests_title_bytes() -> None:
    """PS3.8 9.3.3: the fields are sent as received, odd padding and reserved bytes included."""
    request = bytearray(associate_rq(called=b"  ODD\0\xff".ljust(16), calling=b" X".rjust(16)))
    request[42:74] = bytes(range(32))
    decoded = decode_request(bytes(request))
    data = encode_accept(
        decoded, RESULTS, max_pdu=0, implementation_class_uid="1.2",
        implementation_version_name="", roles={}, extended={},
    )  # fmt: skip
    assert data[10:74] == bytes(request[10:74])


def test_a_request_made_by_hand_is_answered_with_its_titles() -> None:
    request = AssociateRequest(1, "1.2", "CALLED", "CALLING", (), 0)
    theirs = accept(request)
    assert theirs.reserved_aet == "CALLED"
    assert theirs.reserved_aec == "CALLING"
