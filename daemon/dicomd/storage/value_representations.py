"""VRs where a rewriting has to choose one, and what each means for bytes (PS3.5 6.2, PS3.6)."""

from array import array

from dicomd.storage.data_dictionary import ENTRIES, REPEATERS

_TEXT = frozenset(b"AE AS CS DA DS DT IS LO LT PN SH ST TM UC UR UT".split())
_WIDTHS = {
    **dict.fromkeys(b"AT OW SS US".split(), 2),
    **dict.fromkeys(b"FL OF OL SL UL".split(), 4),
    **dict.fromkeys(b"FD OD OV SV UV".split(), 8),
}
_AMBIGUOUS = {
    "US or SS": b"US",
    "OB or OW": b"OW",
    "US or OW": b"OW",
    "US or SS or OW": b"OW",
}
"""What DCMTK writes of an element whose VR depends on others (measured on DCMTK 3.6.7)."""
_KNOWN = {
    tag: _AMBIGUOUS.get(entry[0], entry[0].encode())
    for tag, entry in ENTRIES.items()
    if entry[0] != "NONE"
}
_SIGN_DEPENDS = frozenset(tag for tag, entry in ENTRIES.items() if entry[0] == "US or SS")
_REPEATERS = [
    (
        int(mask.replace("x", "0"), 16),
        int("".join("0" if digit == "x" else "F" for digit in mask), 16),
        _AMBIGUOUS.get(entry[0], entry[0].encode()),
    )
    for mask, entry in REPEATERS.items()
    if entry[0] != "NONE"
]
_ITEM_CODES = {2: "H", 4: "I", 8: "Q"}


def dictionary_vr(tag: int) -> bytes:
    """The VR of an element that came without one; UN when the dictionary does not know it."""
    known = _KNOWN.get(tag)
    if known is not None:
        return known
    group, element = tag >> 16, tag & 0xFFFF
    if not element:
        return b"UL"
    if group & 1:
        return b"LO" if 0x10 <= element <= 0xFF else b"UN"
    if tag == 0xFFFCFFFC:
        return b"OB"
    for value, mask, vr in _REPEATERS:
        if tag & mask == value:
            return vr
    return b"UN"


def signed_vr(tag: int) -> bytes:
    """The VR of an element that is US by the dictionary, where pixels are signed."""
    return b"SS" if tag in _SIGN_DEPENDS else b"US"


def padding_of(vr: bytes) -> bytes:
    """What makes an odd value even (PS3.5 6.2)."""
    return b" " if vr in _TEXT else b"\0"


def width_of(vr: bytes) -> int:
    """Bytes of one number of the VR; 1 where byte order does not matter."""
    return _WIDTHS.get(vr, 1)


def swapped(data: bytes, width: int) -> bytes:
    """The numbers with their byte order turned round; an incomplete last one is left."""
    whole = len(data) - len(data) % width
    numbers = array(_ITEM_CODES[width], data[:whole])
    numbers.byteswap()
    return numbers.tobytes() + data[whole:]
