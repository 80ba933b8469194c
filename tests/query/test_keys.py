"""Matching keys, as measured on DCMTK 3.6.7's movescu."""

import pytest

from dicomd.query.dictionary import Dictionary, QueryError
from dicomd.query.identifier import Identifier, encode
from dicomd.query.keys import apply_keys, parse_key, repeated_keys

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
BIG_ENDIAN = "1.2.840.10008.1.2.2"


def sent(*texts: str, transfer_syntax: str = EXPLICIT) -> bytes:
    identifier = Identifier()
    apply_keys(identifier, [parse_key(text, Dictionary()) for text in texts])
    return encode(identifier, transfer_syntax)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("10,20=C", b"\x10\x00\x20\x00LO\x02\x00C "),
        ("0x10,0x20=C", b"\x10\x00\x20\x00LO\x02\x00C "),
        ("PatientID=C", b"\x10\x00\x20\x00LO\x02\x00C "),
        ("PatientID", b"\x10\x00\x20\x00LO\x00\x00"),
        ("PatientID=", b"\x10\x00\x20\x00LO\x00\x00"),
        ("PatientID==a", b"\x10\x00\x20\x00LO\x02\x00=a"),
        ("0010,0020 = x", b"\x10\x00\x20\x00LO\x02\x00 x"),
        ("0010,0020=xy ", b"\x10\x00\x20\x00LO\x02\x00xy"),
        ("0010,0020= ", b"\x10\x00\x20\x00LO\x00\x00"),
        ("0028,0010=5\\6", b"\x28\x00\x10\x00US\x04\x00\x05\x00\x06\x00"),
        ("0028,0010=1x", b"\x28\x00\x10\x00US\x02\x00\x01\x00"),
        ("0028,0009=(0018,1063)", b"\x28\x00\x09\x00AT\x04\x00\x18\x00\x63\x10"),
        ("0009,0010=ACME", b"\x09\x00\x10\x00LO\x04\x00ACME"),
        ("0008,0018=abc", b"\x08\x00\x18\x00UI\x04\x00abc\x00"),
        ("0008,0018=1.2 ", b"\x08\x00\x18\x00UI\x04\x001.2\x00"),
        ("0008,1110", b"\x08\x00\x10\x11SQ\x00\x00\x00\x00\x00\x00"),
        ("0002,0010=1.2", b"\x02\x00\x10\x00UI\x04\x001.2\x00"),
        ("5400,1010=1", b"\x00\x54\x10\x10OB\x00\x00\x02\x00\x00\x00\x01\x00"),
    ],
)
def test_a_key_is_sent_as_movescu_sends_it(key: str, expected: bytes) -> None:
    assert sent(key) == expected


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("zzz", "bad key format or dictionary name not found in dictionary: zzz"),
        (
            "PatientID = x",
            "bad key format or dictionary name not found in dictionary: PatientID ",
        ),
        ("7fff,1234", "unknown tag: (7fff,1234)"),
        ("0009,1001=a", "unknown tag: (0009,1001)"),
        ("fffe,e000", "cannot create element for tag: (fffe,e000)"),
        ("0008,1110=X", 'cannot put tag value: (0008,1110)="X"'),
        ("0028,0010=abc", 'cannot put tag value: (0028,0010)="abc"'),
        ("0028,0009=0018,1063", 'cannot put tag value: (0028,0009)="0018,1063"'),
        ("PatientID[0].StudyDate=1", "bad key format or dictionary name not found in dictionary: "),
    ],
)
def test_a_bad_key_is_refused_in_movescus_words(key: str, text: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_key(key, Dictionary())
    assert str(caught.value).startswith(text)


def test_the_leftmost_of_two_keys_for_one_element_wins() -> None:
    assert sent("PatientID=a", "0010,0020=b") == sent("PatientID=a")


def test_repeated_keys_are_found_for_the_warning() -> None:
    keys = [parse_key(text, Dictionary()) for text in ("PatientID=a", "10,20=b", "10,10=c")]
    assert repeated_keys(keys) == [0x00100020]


def test_elements_go_out_in_ascending_order_whatever_the_order_of_keys() -> None:
    assert sent("StudyDate=1", "PatientID=a") == sent("PatientID=a", "StudyDate=1")


def test_a_path_reaches_into_a_sequence() -> None:
    item = sent("0008,1155=1.2.3")
    head = b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item
    expected = b"\x08\x00\x10\x11SQ\x00\x00" + len(head).to_bytes(4, "little") + head
    assert sent("ReferencedStudySequence[0].ReferencedSOPInstanceUID=1.2.3") == expected
    assert sent("(0008,1110)[0].(0008,1155)=1.2.3") == expected
    assert sent("0008,1110[0].0008,1155=1.2.3") == expected


def test_two_paths_share_their_sequence() -> None:
    data = sent(
        "ReferencedStudySequence[1].ReferencedSOPInstanceUID=1.2.3",
        "ReferencedStudySequence[0].ReferencedSOPClassUID=1.2",
        transfer_syntax=IMPLICIT,
    )
    assert data.count(b"\xfe\xff\x00\xe0") == 2


def test_big_endian_swaps_binary_values_only() -> None:
    data = sent("0028,0010=5", "PatientID=ab", transfer_syntax=BIG_ENDIAN)
    assert data == b"\x00\x10\x00\x20LO\x00\x02ab\x00\x28\x00\x10US\x00\x02\x00\x05"


def test_a_group_length_counts_what_follows_it() -> None:
    data = sent("0008,0000=99", "0008,0060=CT")
    assert data[:12] == b"\x08\x00\x00\x00UL\x04\x00\x0a\x00\x00\x00"
