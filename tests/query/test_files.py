from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from dicomd.query.dictionary import Dictionary, QueryError, read_dictionaries
from dicomd.query.files import read_query_file
from dicomd.query.identifier import encode
from dicomd.query.keys import parse_key
from tests.requestor.archive import EXPLICIT, IMPLICIT, encoded_dataset

BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"


def query() -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.QueryRetrieveLevel = "STUDY"
    dataset.PatientName = "Müller*"
    dataset.Rows = 5
    item = Dataset()
    item.ReferencedSOPInstanceUID = "1.2.3"
    dataset.ReferencedStudySequence = [item]
    return dataset


@pytest.mark.parametrize("source", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
@pytest.mark.parametrize("with_header", [True, False])
def test_a_file_in_any_syntax_gives_the_same_identifier(
    tmp_path: Path, source: str, with_header: bool
) -> None:
    path = tmp_path / "query"
    data = encoded_dataset(query(), source)
    header = b""
    if with_header:
        uid = source.encode() + b"\0" * (len(source) % 2)
        element = b"\x02\x00\x10\x00UI" + len(uid).to_bytes(2, "little") + uid
        length = len(element).to_bytes(4, "little")
        header = bytes(128) + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00" + length + element
    path.write_bytes(header + data)
    identifier = read_query_file(str(path), Dictionary())
    for target in (EXPLICIT, IMPLICIT, BIG_ENDIAN):
        assert encode(identifier, target) == encoded_dataset(query(), target)


def test_a_deflated_file_is_read() -> None:
    path = get_testdata_file("image_dfl.dcm")
    assert isinstance(path, str)
    identifier = read_query_file(path, Dictionary())
    assert identifier.text(0x0020000D) == dcmread(path).StudyInstanceUID


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\necho no DICOM here at all\n", b"\0" * 200])
def test_a_file_that_is_no_dicom_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "query"
    path.write_bytes(content)
    with pytest.raises(QueryError, match="bad DICOM file"):
        read_query_file(str(path), Dictionary())


def test_a_site_dictionary_adds_names_and_overrides(tmp_path: Path) -> None:
    path = tmp_path / "site.dic"
    path.write_text(
        "# ours\n(0011-o-0013,1001)\tLO\tSiteRange\t1\tSite\n(0011,1002)\tDA\tSiteDate\t1\tSite\n"
        '(0019,"ACME",01)\tLO\tAcme\t1\tPrivate\nnot an entry\n'
    )
    dictionary, complaints = read_dictionaries([str(path), str(tmp_path / "missing")])
    assert parse_key("SiteDate=20200101", dictionary).element.vr == "DA"
    assert parse_key("0013,1001=x", dictionary).element.vr == "LO"
    assert len(complaints) == 2
    assert f"{path}:5:" in complaints[0]
