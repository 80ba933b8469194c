"""Command sets typed and written, with pynetdicom as the witness."""

from io import BytesIO
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.dsutils import decode, encode

from dicomd.dimse import codec, status
from dicomd.dimse.codec import (
    decode_command,
    encode_echo_response,
    encode_response,
    encode_store_response,
)
from dicomd.dimse.commands import (
    C_FIND_RQ,
    VERIFICATION,
    CCancelRequest,
    CEchoRequest,
    CommandError,
    CStoreRequest,
    OtherRequest,
    ResponseReceived,
    is_valid_uid,
)
from dicomd.upper_layer.framing import announces_dataset
from tests.upper_layer.wire import CT, ECHO, STORE, command_set, element, padded


def us(value: int) -> bytes:
    return pack("<H", value)


Elements = dict[int, bytes]


def elements(**changes: bytes | None) -> Elements:
    """A proper C-STORE-RQ's elements; a change is named e<hex number>, None leaves out."""
    proper: Elements = {
        0x0002: padded(CT),
        0x0100: us(1),
        0x0110: us(7),
        0x0700: us(0),
        0x0800: us(0),
        0x1000: padded("1.2.3.4"),
    }
    for name, value in changes.items():
        if value is None:
            proper.pop(int(name[1:], 16))
        else:
            proper[int(name[1:], 16)] = value
    return proper


def written(parts: Elements) -> bytes:
    return command_set(*(element(number, value) for number, value in sorted(parts.items())))


def slow(data: bytes) -> object:
    return codec._decode(codec._walk(data))


STORE_REQUEST = CStoreRequest(7, CT, "1.2.3.4")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (STORE, STORE_REQUEST),
        (ECHO, CEchoRequest(8)),
        (written(elements(e700=us(2))), CStoreRequest(7, CT, "1.2.3.4", 2)),
        (
            written(elements(e1030=b"MOVER ", e1031=us(99))),
            CStoreRequest(7, CT, "1.2.3.4", 0, "MOVER", 99),
        ),
        (written(elements(e1030=b"MOVER ")), CStoreRequest(7, CT, "1.2.3.4", 0, "MOVER")),
        (written(elements(e1030=b"")), STORE_REQUEST),
        (
            written(elements(e1030=b"FIFTEEN LONG AE ")),
            CStoreRequest(7, CT, "1.2.3.4", 0, "FIFTEEN LONG AE"),
        ),
        (
            written(elements(e1030=b"MOVER ", e1032=us(9))),
            CStoreRequest(7, CT, "1.2.3.4", 0, "MOVER"),
        ),
        (written(elements(e0003=b"1.2\0")), STORE_REQUEST),
        (written(elements(e5010=b"private?")), STORE_REQUEST),
        (written(elements(e1000=b"1.2.3.4 ")), STORE_REQUEST),
        (written(elements(e1000=b"1.2.3.4  \0\0 ")), STORE_REQUEST),
        (written(elements(e1000=b"1" * 64)), CStoreRequest(7, CT, "1" * 64)),
        (written(elements(e1000=b"../\xff\n")), CStoreRequest(7, CT, "../\xff\n")),
        (written(elements(e0800=us(0x0102))), STORE_REQUEST),
        (STORE[12:], STORE_REQUEST),  # no group length
        (element(0, b"\0\0\0\0") + STORE[12:], STORE_REQUEST),  # a wrong one
        (element(0x1000, b"1.2.3.4\0") + STORE[12:-16], STORE_REQUEST),  # another order
        (
            command_set(element(0x100, us(0xFFF)), element(0x120, us(5)), element(0x800, us(257))),
            CCancelRequest(5),
        ),
        (
            written(elements(e0100=us(C_FIND_RQ))),
            OtherRequest(C_FIND_RQ, 7, True, CT),
        ),
        (
            command_set(
                element(0x03, b"1.2\0"), element(0x100, us(0x140)), element(0x800, us(257))
            ),
            OtherRequest(0x140, None, False, "1.2"),
        ),
        (written(elements(e0100=us(0x7777))), OtherRequest(0x7777, 7, True, CT)),
        (
            command_set(
                element(0x100, us(0x8001)),
                element(0x120, us(3)),
                element(0x800, us(257)),
                element(0x900, us(0xA700)),
            ),
            ResponseReceived(0x8001, 3, 0xA700),
        ),
        (command_set(element(0x100, us(0x8030))), ResponseReceived(0x8030)),
        (
            command_set(
                element(0x02, padded(VERIFICATION)),
                element(0x100, us(0x30)),
                element(0x110, us(1)),
                element(0x800, us(0)),
            ),
            CEchoRequest(1, has_dataset=True),
        ),
    ],
)
def test_a_command_set_is_typed(data: bytes, expected: object) -> None:
    assert decode_command(data) == expected
    assert slow(data) == expected


LONG_UID = b"1." * 33


@pytest.mark.parametrize(
    ("data", "kind", "code", "message_id"),
    [
        (b"", "missing", None, None),
        (b"\0" * 7, "malformed", None, None),
        (written(elements(e0002=None)), "missing", 0x0212, 7),
        (written(elements(e0100=None)), "missing", None, None),
        (written(elements(e0110=None)), "missing", None, None),
        (written(elements(e0700=None)), "missing", 0x0212, 7),
        (written(elements(e0800=None)), "missing", 0x0212, 7),
        (written(elements(e1000=None)), "missing", 0x0212, 7),
        (written(elements(e0100=b"\1")), "mistyped", None, None),
        (written(elements(e0110=b"\1\0\0\0")), "mistyped", None, None),
        (written(elements(e0110=b"")), "mistyped", None, None),
        (written(elements(e0700=b"LOW ")), "mistyped", 0x0212, 7),
        (written(elements(e0800=b"")), "mistyped", 0x0212, 7),
        (written(elements(e0002=b"")), "invalid_uid", 0x0117, 7),
        (written(elements(e1000=b"")), "invalid_uid", 0x0117, 7),
        (written(elements(e1000=b"\0\0")), "invalid_uid", 0x0117, 7),
        (written(elements(e0002=LONG_UID)), "invalid_uid", 0x0117, 7),
        (written(elements(e1000=LONG_UID)), "invalid_uid", 0x0117, 7),
        (written(elements(e0800=us(0x0101))), "no_dataset", 0xC000, 7),
        (STORE + element(0x0002, b"1.2\0"), "repeated", 0x0212, 7),
        (STORE + element(0x0100, us(1)), "repeated", 0x0212, 7),
        (STORE + element(0x0110, us(8)), "repeated", None, None),
        (STORE + element(0x0700, us(0)), "repeated", 0x0212, 7),
        (STORE + element(0x0800, us(0)), "repeated", 0x0212, 7),
        (STORE + element(0x1000, b"1.2\0"), "repeated", 0x0212, 7),
        (STORE + b"\0\0\0", "malformed", 0x0212, 7),
        (STORE + element(0x1031, b"", length=0xFFFFFFFF), "malformed", 0x0212, 7),
        (STORE + element(0x1031, b"1", length=2), "malformed", 0x0212, 7),
        (pack("<HHI", 8, 0x16, 0) + STORE, "malformed", 0x0212, 7),
        (command_set(element(0x100, us(0xFFF))), "missing", None, None),
        (
            command_set(element(0x100, us(0x30)), element(0x110, us(9)), element(0x800, us(257))),
            "missing",
            0x0212,
            9,
        ),
    ],
)
def test_a_command_set_that_is_wrong_says_what_can_be_answered(
    data: bytes, kind: str, code: int | None, message_id: int | None
) -> None:
    with pytest.raises(CommandError) as caught:
        decode_command(data)
    error = caught.value
    assert (error.kind, error.status, error.message_id) == (kind, code, message_id)
    assert error.has_dataset is announces_dataset(data)


def test_an_error_carries_what_its_answer_needs_and_no_value_in_its_text() -> None:
    with pytest.raises(CommandError) as caught:
        decode_command(written(elements(e0700=b"SECRET", e1000=b"1.2.99.4")))
    error = caught.value
    assert (error.command_field, error.sop_class_uid, error.sop_instance_uid) == (1, CT, "1.2.99.4")
    assert "SECRET" not in str(error)
    assert "99" not in str(error)
    with pytest.raises(CommandError) as caught:
        decode_command(written(elements(e1000=LONG_UID)))
    assert caught.value.sop_instance_uid == ""


@pytest.mark.parametrize("number", sorted(elements()))
def test_a_mandatory_element_of_any_other_length_never_passes(number: int) -> None:
    for size in (0, 1, 3, 4, 66, 70):
        parts = elements() | {number: b"1" * size}
        if size and size <= 64 and number in (0x0002, 0x1000):
            assert isinstance(decode_command(written(parts)), CStoreRequest)
        else:
            with pytest.raises(CommandError):
                decode_command(written(parts))


uids = st.from_regex(r"[1-9][0-9]{0,8}(\.[1-9][0-9]{0,6}){1,6}", fullmatch=True)
shorts = st.integers(0, 0xFFFF)


@st.composite
def store_datasets(draw: st.DrawFn) -> Dataset:
    command = Dataset()
    command.CommandGroupLength = draw(st.integers(0, 0xFFFFFFFF))
    command.AffectedSOPClassUID = UID(draw(uids))
    command.CommandField = 1
    command.MessageID = draw(shorts)
    command.Priority = draw(st.sampled_from((0, 1, 2)))
    command.CommandDataSetType = draw(shorts.filter(lambda value: value != 0x0101))
    command.AffectedSOPInstanceUID = UID(draw(uids))
    if draw(st.booleans()):
        command.MoveOriginatorApplicationEntityTitle = draw(
            st.from_regex(r"[A-Z][A-Z0-9_ ]{0,14}[A-Z]", fullmatch=True)
        )
    if draw(st.booleans()):
        command.MoveOriginatorMessageID = draw(shorts)
    return command


@settings(max_examples=200, deadline=None)
@given(store_datasets())
def test_generated_store_requests_decode_as_pynetdicom_does(command: Dataset) -> None:
    data = encode(command, is_implicit_vr=True, is_little_endian=True)
    assert data is not None
    theirs = decode(BytesIO(data), True, True)
    ours = decode_command(data)
    assert isinstance(ours, CStoreRequest)
    assert ours.message_id == theirs.MessageID
    assert ours.sop_class_uid == theirs.AffectedSOPClassUID
    assert ours.sop_instance_uid == theirs.AffectedSOPInstanceUID
    assert ours.priority == theirs.Priority
    title = theirs.get("MoveOriginatorApplicationEntityTitle", "")
    assert ours.move_originator_ae_title == title
    assert ours.move_originator_message_id == theirs.get("MoveOriginatorMessageID")
    assert slow(data) == ours
    assert announces_dataset(data)


def test_requests_as_pynetdicom_sends_them_are_typed() -> None:
    from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ

    store = C_STORE()
    store.MessageID = 5
    store.AffectedSOPClassUID = CT
    store.AffectedSOPInstanceUID = "1.2.3"
    store.Priority = 1
    store.DataSet = BytesIO(b"\0\0")
    echo = C_ECHO()
    echo.MessageID = 6
    echo.AffectedSOPClassUID = VERIFICATION
    store_message, echo_message = C_STORE_RQ(), C_ECHO_RQ()
    store_message.primitive_to_message(store)
    echo_message.primitive_to_message(echo)
    sent = [
        encode(message.command_set, True, True) or b"" for message in (store_message, echo_message)
    ]
    assert [decode_command(data) for data in sent] == [
        CStoreRequest(5, CT, "1.2.3", 1),
        CEchoRequest(6),
    ]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_a_command_or_a_command_error(data: bytes) -> None:
    try:
        decode_command(data)
    except CommandError as error:
        assert error.has_dataset is announces_dataset(data)  # noqa: PT017  # either is right


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 200), st.binary(max_size=3), st.integers(0, 3))
def test_both_ways_of_decoding_agree_on_changed_requests(at: int, put: bytes, cut: int) -> None:
    proper = written(elements(e1030=b"MOVER ", e1031=us(99)))
    data = proper[:at] + put + proper[at + cut :]
    fast = codec._decode_usual_store(data)
    if fast is not None:
        assert slow(data) == fast
        assert announces_dataset(data)


def read(data: bytes) -> Dataset:
    """A response as pynetdicom reads it; its group length is right."""
    assert pack("<I", len(data) - 12) == data[8:12]
    response: Dataset = decode(BytesIO(data), True, True)
    tags = [int(part.tag) for part in response]
    assert tags == sorted(tags)
    return response


def test_a_store_response_carries_both_uids() -> None:
    response = read(encode_store_response(STORE_REQUEST, status.SUCCESS))
    assert response.CommandField == 0x8001
    assert response.MessageIDBeingRespondedTo == 7
    assert response.CommandDataSetType == 0x0101
    assert response.Status == 0
    assert response.AffectedSOPClassUID == CT
    assert response.AffectedSOPInstanceUID == "1.2.3.4"
    assert "ErrorComment" not in response


def test_a_failed_store_response_carries_its_comment() -> None:
    response = read(encode_store_response(STORE_REQUEST, status.OUT_OF_RESOURCES, "no space"))
    assert (response.Status, response.ErrorComment) == (0xA700, "no space")
    assert response.AffectedSOPInstanceUID == "1.2.3.4"


@pytest.mark.parametrize(
    ("comment", "sent"),
    [("x" * 100, "x" * 64), ("odd", "odd"), ("a\\b\nc\xe4", "a?b?c?")],
)
def test_a_comment_is_a_long_string(comment: str, sent: str) -> None:
    assert read(encode_store_response(STORE_REQUEST, 0xA700, comment)).ErrorComment == sent


@given(uids, uids, shorts, shorts)
def test_the_template_writes_what_the_general_way_writes(
    sop_class: str, instance: str, message_id: int, code: int
) -> None:
    request = CStoreRequest(message_id, sop_class, instance)
    assert encode_store_response(request, code) == encode_response(
        1, message_id, sop_class, code, sop_instance_uid=instance
    )


def test_a_response_repeats_an_odd_uid_byte_for_byte() -> None:
    request = decode_command(written(elements(e1000=b"1.2\xff\x80")))
    assert isinstance(request, CStoreRequest)
    assert encode_store_response(request, 0x0117).endswith(element(0x1000, b"1.2\xff\x80\0"))


def test_an_echo_response_is_as_the_standard_has_it() -> None:
    response = read(encode_echo_response(CEchoRequest(9)))
    assert response.CommandField == 0x8030
    assert response.MessageIDBeingRespondedTo == 9
    assert response.AffectedSOPClassUID == VERIFICATION
    assert (response.CommandDataSetType, response.Status) == (0x0101, 0)


def test_a_refusal_of_another_service_names_its_response() -> None:
    response = read(encode_response(C_FIND_RQ, 3, "", status.UNRECOGNIZED_OPERATION))
    assert (response.CommandField, response.Status) == (0x8020, 0x0211)
    assert "AffectedSOPClassUID" not in response


@pytest.mark.parametrize(
    ("uid", "valid"),
    [
        ("1.2.840.10008.1.1", True),
        ("0", True),
        ("1" * 64, True),
        ("1" * 65, False),
        ("", False),
        ("1.", False),
        (".1", False),
        ("1..2", False),
        ("1.2\n", False),
        ("1.2 ", False),
        ("1.a", False),
        ("../etc/passwd", False),
        ("\u0661.\u0662", False),
    ],
)
def test_a_valid_uid_is_digits_and_dots(uid: str, valid: bool) -> None:
    assert is_valid_uid(uid) is valid
