"""Transfer syntax UID -> how a data set's elements are encoded (PS3.5 section 10 and annex A)."""

from dataclasses import dataclass

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
UNCOMPRESSED = (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED)


@dataclass(frozen=True, slots=True)
class Encoding:
    """Value representations written or not, byte order, deflated or not."""

    explicit: bool = True
    big_endian: bool = False
    deflated: bool = False
    encapsulated: bool = False
    """Pixel data may come in fragments."""


_ENCODINGS = {
    IMPLICIT_LITTLE: Encoding(explicit=False),
    "1.2.840.113619.5.2": Encoding(explicit=False),  # GE private, big endian pixel data
    "1.2.840.10008.1.20": Encoding(explicit=False),  # Papyrus 3, retired
    EXPLICIT_LITTLE: Encoding(),
    EXPLICIT_BIG: Encoding(big_endian=True),
    DEFLATED: Encoding(deflated=True),
    "1.2.840.10008.1.2.4.95": Encoding(deflated=True, encapsulated=True),  # JPIP, deflated
    "1.2.840.10008.1.2.4.205": Encoding(deflated=True, encapsulated=True),  # JPIP HTJ2K, deflated
}
_ENCAPSULATED = Encoding(encapsulated=True)


def encoding_of(transfer_syntax_uid: str) -> Encoding:
    """The encoding; every other syntax is Explicit VR Little Endian with fragments (A.4)."""
    return _ENCODINGS.get(transfer_syntax_uid, _ENCAPSULATED)
