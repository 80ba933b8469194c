"""Data elements walked in a stream of bytes, one at a time (PS3.5 section 7 and annex A).

The rules of this file:

- Bytes are pushed in with ``feed``, in pieces of any size. Values are skipped, not read, but for
  the few short ones that are asked for. Between two pieces one element header is kept at most.
- No recursion: open sequences and items lie on a stack of at most ``DEEPEST`` levels.
- The first thing that cannot be parsed sets ``fault`` and ends the walk. Nothing is raised, and no
  text holds a value.
- ``seen`` gathers what a rewriting may want to change, as flags.

A data set is whole when ``finish`` finds that the last element ended exactly where the bytes did.
"""

import struct
from collections.abc import Set
from dataclasses import dataclass
from enum import IntFlag

from dicomd.storage.sequences import SEQUENCE_TAGS
from dicomd.storage.transfer_syntaxes import Encoding

DEEPEST = 128
"""Levels of nesting; deeper data sets are refused."""
UNDEFINED = 0xFFFFFFFF
ITEM = 0xFFFEE000
ITEM_END = 0xFFFEE00D
SEQUENCE_END = 0xFFFEE0DD
PIXEL_DATA = 0x7FE00010
TRAILING_PADDING = 0xFFFCFFFC
_LONGEST_VALUE = 1024
"""Of the values that are asked for; longer ones are not taken."""

SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
"""A 16-bit length follows (PS3.5 table 7.1-2)."""
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""Two reserved bytes and a 32-bit length follow (PS3.5 table 7.1-1)."""
_FRAGMENTED = frozenset({b"OB", b"OW"})


class Seen(IntFlag):
    """What a data set holds that one of the rewritings would write otherwise."""

    NOTHING = 0
    ODD_LENGTH = 1
    UNSORTED = 2
    """Also duplicates."""
    GROUP_LENGTH = 4
    EXPLICIT_LENGTH = 8
    """A sequence or item that is not empty has a length."""
    UNDEFINED_LENGTH = 16
    TRAILING_PADDING = 32
    UNKNOWN_VR = 64
    NEW_VR = 128
    """A VR that +u and -u treat unlike: UN, UT and those added later."""
    UNKNOWN_SEQUENCE = 256
    """UN of undefined length: a sequence in Implicit VR (PS3.5 6.2.2)."""
    ITEMS = 512
    """Any sequence item at all."""


NEW_VRS = frozenset({b"UN", b"UT", b"UC", b"UR", b"OF", b"OD", b"OL", b"SV", b"OV", b"UV"})

_CONTENT, _SEQUENCE, _FRAGMENTS = range(3)
# As plain numbers: the hot path is spared the enumeration's arithmetic.
_ODD_LENGTH = int(Seen.ODD_LENGTH)
_UNSORTED = int(Seen.UNSORTED)
_GROUP_LENGTH = int(Seen.GROUP_LENGTH)
_TRAILING_PADDING = int(Seen.TRAILING_PADDING)
_UNKNOWN_VR = int(Seen.UNKNOWN_VR)
_NEW_VR = int(Seen.NEW_VR)


@dataclass(slots=True)
class _Level:
    """An open data set or item (content), sequence, or row of fragments."""

    kind: int
    end: int
    """Absolute offset; -1 = undefined length."""
    explicit: bool
    big_endian: bool
    last_tag: int = -1


_EXPLICIT = {
    False: struct.Struct("<HH2sH").unpack_from,
    True: struct.Struct(">HH2sH").unpack_from,
}
_IMPLICIT = {
    False: struct.Struct("<HHI").unpack_from,
    True: struct.Struct(">HHI").unpack_from,
}
_LENGTH = {False: struct.Struct("<I").unpack_from, True: struct.Struct(">I").unpack_from}


class ElementWalker:
    """Walks one data set. Mutable: the stack, the bytes of a header that is not yet whole.

    With ``head`` the walk ends (``done``) behind the last of the wanted tags, or after so many
    bytes, and does not look into sequences of known length. A ``lenient`` walk believes an item
    whose length leads behind its sequence, or behind the end of all, as DCMTK does (measured on
    3.6.7): the item is read as far as its length says, and the sequence ends with it.
    """

    def __init__(
        self,
        encoding: Encoding,
        wanted: Set[int] = frozenset(),
        *,
        head: int | None = None,
        lenient: bool = False,
    ) -> None:
        self._encoding = encoding
        self._wanted = wanted
        self._last_wanted = max(wanted, default=-1) if head is not None else UNDEFINED
        self._head = head
        self._lenient = lenient
        self._overrun = False
        self._stack = [_Level(_CONTENT, -1, encoding.explicit, encoding.big_endian)]
        self._left = b""
        self._skip = 0
        self._offset = 0
        self.values: dict[int, bytes] = {}
        self.seen = 0
        """Flags of ``Seen``."""
        self.fault = ""
        self.trailing_bytes = 0
        """With a fault at the very end: so many bytes behind the last whole element of the top
        level, too few for another. Without them the data set is sound."""
        self.done = False

    def feed(self, span: memoryview | bytes) -> None:
        """Walk over the next bytes."""
        if self.done:
            return
        length = len(span)
        skip = self._skip
        if skip >= length:
            self._skip = skip - length
            self._offset += length
            return
        # A copy, for headers are read out of bytes in half the time; the values of a large element
        # were passed over above and are not in it.
        data = bytes(span[skip:])
        self._offset += skip
        self._skip = 0
        if self._left:
            data = self._left + data
            self._left = b""
        used = self._walk(data)
        if used > len(data):
            self._skip = used - len(data)
            used = len(data)
        elif not self.done:
            self._left = data[used:]
        self._offset += used
        if self._head is not None and self._offset > self._head:
            self.done = True

    def finish(self) -> None:
        """The data set has ended: whatever is still open is a fault."""
        if self.done:
            return
        self.done = True
        if self._skip:
            self.fault = "the last element is cut off"
        elif self._left:
            self.fault = "the data set ends inside an element header"
            if len(self._stack) == 1:
                self.trailing_bytes = len(self._left)
        else:
            self._close_ended()
            if len(self._stack) > 1:
                self.fault = "a sequence or item is not ended"
            elif self._overrun and self.seen & _UNSORTED:
                self.fault = "an item runs past the end of its sequence, and nothing is in order"

    def _close_ended(self) -> None:
        stack = self._stack
        while stack[-1].end == self._offset or (self._overrun and self._ends_by_overrun()):
            stack.pop()

    def _ends_by_overrun(self) -> bool:
        """Whether the innermost level has ended with the data, though its length says otherwise."""
        level = self._stack[-1]
        if level.kind == _SEQUENCE:
            return 0 <= level.end < self._offset
        return len(self._stack) > 1 and level.end >= 0 and 0 <= self._stack[-2].end <= self._offset

    def _walk(self, data: bytes) -> int:
        """Walk as far as the data goes; returns where the next header starts, which may lie
        behind the end of the data."""
        stack = self._stack
        base = self._offset
        size = len(data)
        position = 0
        while not self.done:
            level = stack[-1]
            if level.end >= 0 and base + position >= level.end:
                if base + position > level.end and not (self._overrun and level.kind == _SEQUENCE):
                    self._fail("an element runs past the end of its item")
                stack.pop()
            elif position + 8 > size:
                break
            elif level.kind == _CONTENT:
                start = position
                position = self._content(level, data, position)
                if position == start:
                    break
            else:
                position = self._item(level, data, position)
        return position

    def _content(self, level: _Level, data: bytes, position: int) -> int:
        """Pass over the elements of one level, up to the first that opens or ends another.

        Returns where the next header starts; where it was when a header or a wanted value is not
        yet whole. This is the hot path of normal mode.
        """
        explicit, big = level.explicit, level.big_endian
        header = _EXPLICIT[big] if explicit else _IMPLICIT[big]
        size = len(data)
        stop = size if level.end < 0 else min(size, level.end - self._offset)
        top = level.end < 0 and len(self._stack) == 1
        wanted, last_wanted = self._wanted, self._last_wanted
        last_tag = level.last_tag
        seen = 0
        while position + 8 <= stop:
            start = position
            if explicit:
                group, element, vr, length = header(data, position)
                tag = group << 16 | element
                if vr in SHORT_VRS:
                    position += 8
                    if (
                        tag > last_tag
                        and element
                        and not length & 1
                        and not (top and (tag in wanted or tag > last_wanted))
                    ):
                        last_tag = tag
                        position += length
                        continue
                elif group == 0xFFFE:
                    level.last_tag = last_tag
                    self.seen |= seen
                    return self._delimiter(level, tag, position)
                elif vr in LONG_VRS or (vr.isalpha() and vr.isupper()):
                    if position + 12 > size:
                        break
                    (length,) = _LENGTH[big](data, position + 8)
                    position += 12
                    if vr in NEW_VRS:
                        seen |= _NEW_VR
                    elif vr not in LONG_VRS:
                        seen |= _UNKNOWN_VR
                else:
                    position += 8
                    seen |= _UNKNOWN_VR
            else:
                group, element, length = header(data, position)
                tag = group << 16 | element
                if group == 0xFFFE:
                    level.last_tag = last_tag
                    self.seen |= seen
                    return self._delimiter(level, tag, position)
                vr = b"SQ" if tag in SEQUENCE_TAGS else b""
                position += 8
                if (
                    not vr
                    and tag > last_tag
                    and element
                    and not length & 1  # also: not undefined
                    and not (top and (tag in wanted or tag > last_wanted))
                    and tag != TRAILING_PADDING
                ):
                    last_tag = tag
                    position += length
                    continue
            if top:
                if tag > last_wanted:
                    self.done = True
                    break
                if tag in wanted and length <= _LONGEST_VALUE:
                    if position + length > size:
                        position = start
                        break
                    self.values.setdefault(tag, bytes(data[position : position + length]))
            if tag <= last_tag:
                seen |= _UNSORTED
            last_tag = tag
            if length == UNDEFINED or vr == b"SQ":
                if self._head is None or length == UNDEFINED:
                    position = self._open(level, tag, vr, length, position)
                    break
            elif length & 1:
                seen |= _ODD_LENGTH
            if not element:
                seen |= _GROUP_LENGTH
            elif tag == TRAILING_PADDING:
                seen |= _TRAILING_PADDING
            position += length
        else:
            if stop < size and position < stop:
                self._fail("an item ends inside an element header")
        level.last_tag = last_tag
        self.seen |= seen
        return position

    def _open(self, level: _Level, tag: int, vr: bytes, length: int, position: int) -> int:
        """An element that holds items: a sequence, or fragments of pixel data."""
        end = -1 if length == UNDEFINED else self._offset + position + length
        explicit, big = level.explicit, level.big_endian
        kind = _SEQUENCE
        if end < 0 and (vr in _FRAGMENTED or tag == PIXEL_DATA):
            kind = _FRAGMENTS
            if vr != b"OB":
                self.seen |= Seen.UNKNOWN_VR  # fragments are OB (PS3.5 A.4)
        elif end < 0 and vr == b"UN":
            explicit = big = False
            self.seen |= Seen.UNKNOWN_SEQUENCE
        elif end < 0 and vr not in (b"SQ", b""):
            self._fail("an element of undefined length that is no sequence")
        if end < 0:
            self.seen |= Seen.UNDEFINED_LENGTH if kind == _SEQUENCE else 0
        else:
            self.seen |= Seen.EXPLICIT_LENGTH
        if 0 <= level.end < end:
            self._fail("a sequence runs past the end of its item")
        self._push(_Level(kind, end, explicit, big))
        return position

    def _push(self, level: _Level) -> None:
        if len(self._stack) > DEEPEST:
            self._fail("nested too deeply")
        self._stack.append(level)

    def _delimiter(self, level: _Level, tag: int, position: int) -> int:
        """A tag of group FFFE among elements: only the end of an item of undefined length."""
        if tag != ITEM_END or level.end >= 0 or len(self._stack) == 1:
            self._fail("an item delimiter outside of an item")
        self._stack.pop()
        return position + 8

    def _item(self, level: _Level, data: bytes, position: int) -> int:
        """The header of an item or fragment, or the end of a sequence."""
        group, element, length = _IMPLICIT[level.big_endian](data, position)
        tag = group << 16 | element
        position += 8
        if tag == SEQUENCE_END and level.end < 0:
            self._stack.pop()
        elif tag != ITEM:
            self._fail("a sequence holds something else than items")
        elif level.kind == _FRAGMENTS:
            if length == UNDEFINED:
                self._fail("a fragment of undefined length")
            if length & 1:
                self.seen |= Seen.ODD_LENGTH
            position += length
        else:
            end = -1 if length == UNDEFINED else self._offset + position + length
            self.seen |= Seen.ITEMS
            self.seen |= Seen.UNDEFINED_LENGTH if end < 0 else Seen.EXPLICIT_LENGTH
            if 0 <= level.end < end:
                self._overrun = True
                if not self._lenient:
                    self._fail("an item runs past the end of its sequence")
            self._push(_Level(_CONTENT, end, level.explicit, level.big_endian))
        return position

    def _fail(self, text: str) -> None:
        self.fault = self.fault or text
        self.done = True
