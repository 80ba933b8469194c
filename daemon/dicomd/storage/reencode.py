"""Normal mode: a data set rewritten as asked, from one file to another, element by element.

The rules of this file:

- The data set was walked before and is sound: lengths are trusted here.
- Two passes over the same code. The first writes nothing and notes the lengths that come before
  what they measure (groups, sequences and items of explicit length) in the order in which they will
  be needed; the second writes. So no part of a data set is ever held, but for values of a MiB.
- No recursion: open levels lie on a stack, whose depth the walk has bounded.
- Only a level whose elements are out of order is indexed, and its elements are sorted; of
  duplicates the first is kept (as DCMTK does).

Values are never changed, but for byte order and a byte of padding behind an odd one.
"""

import struct
from array import array
from dataclasses import dataclass, field

from dicomd.settings.storage import RewriteSettings
from dicomd.storage.dataset_file import DatasetReader, DatasetWriter
from dicomd.storage.elements import (
    ITEM,
    ITEM_END,
    LONG_VRS,
    NEW_VRS,
    PIXEL_DATA,
    SEQUENCE_END,
    SHORT_VRS,
    TRAILING_PADDING,
    UNDEFINED,
)
from dicomd.storage.transfer_syntaxes import Encoding
from dicomd.storage.value_representations import (
    dictionary_vr,
    padding_of,
    signed_vr,
    swapped,
    width_of,
)

PIXEL_REPRESENTATION = 0x00280103
MOST_UNSORTED = 65536
"""Elements of one level that is out of order; a level with more is refused."""
MOST_LENGTHS = 8 << 20
"""Lengths that are noted at once, four bytes each; a data set that needs more is refused."""
_SHORT_MOST = 0xFFFE
_FRAGMENTED = frozenset({b"OB", b"OW"})


class CannotRewriteError(Exception):
    """The data set cannot be written as asked. The text holds no value."""


@dataclass(slots=True)
class _Element:
    tag: int
    vr: bytes
    length: int
    value_at: int


@dataclass(slots=True)
class _Level:
    """An open data set or item, or a sequence."""

    items: bool
    """True for a sequence, whose content is items."""
    position: int
    end: int
    """-1: undefined length."""
    encoding: Encoding
    begun_at: int = 0
    """Size of the output where its content begins."""
    slot: int = -1
    group: int = -1
    group_slot: int = -1
    group_begun_at: int = 0
    order: list[int] = field(default_factory=list)
    """Where its elements lie, last first, when it had to be sorted."""
    is_sorted: bool = False
    signed: bool = False
    """Pixel Representation as the level or one above says, for VRs that depend on it."""
    is_top: bool = False


class Rewriting:
    """One data set, one set of choices. Mutable: the noted lengths, the pass under way."""

    def __init__(
        self,
        reader: DatasetReader,
        source: Encoding,
        target: Encoding,
        settings: RewriteSettings,
        *,
        sort: bool,
        header_bytes: int,
    ) -> None:
        self._reader = reader
        self._source = source
        self._target = target
        self._settings = settings
        self._sort = sort
        self._header_bytes = header_bytes
        self._explicit_lengths = settings.sequence_lengths == "explicit"
        self._lengths = array("I")
        self._next_slot = 0
        self._measuring = True
        self._size = 0
        self._writer: DatasetWriter | None = None
        order = ">" if target.big_endian else "<"
        self._pack_tag = struct.Struct(order + "HH").pack
        self._pack_short = struct.Struct(order + "HH2sH").pack
        self._pack_long = struct.Struct(order + "HH2sHI").pack
        self._pack_implicit = struct.Struct(order + "HHI").pack

    def write(self, writer: DatasetWriter) -> None:
        """Both passes. OSError, CannotRewriteError."""
        self._pass()
        self._measuring = False
        self._writer = writer
        self._pass()

    # The walk

    def _pass(self) -> None:
        self._size = 0
        self._next_slot = 0
        top = _Level(False, 0, self._reader.size, self._source, is_top=True)
        stack = [top]
        while stack:
            level = stack[-1]
            if level.items:
                self._next_item(level, stack)
            else:
                self._next_element(level, stack)

    def _next_item(self, level: _Level, stack: list[_Level]) -> None:
        if 0 <= level.end <= level.position:  # behind it: an item that the walk let overrun
            self._end_sequence(level, stack)
            return
        tag, length = self._item_header(level.position, level.encoding)
        level.position += 8
        if tag == SEQUENCE_END:
            self._end_sequence(level, stack)
            return
        end = -1 if length == UNDEFINED else min(level.position + length, self._reader.size)
        slot = self._begin(ITEM)
        item = _Level(False, level.position, end, level.encoding, self._size, slot)
        item.signed = level.signed
        stack.append(item)

    def _end_sequence(self, level: _Level, stack: list[_Level]) -> None:
        self._finish(level, SEQUENCE_END)
        stack.pop()
        self._resume(stack[-1], level.position)

    def _next_element(self, level: _Level, stack: list[_Level]) -> None:
        if self._sort and not level.is_sorted:
            self._sort_level(level)
        while True:
            if level.is_sorted:
                if not level.order:
                    break
                level.position = level.order.pop()
            elif level.position == level.end:
                break
            element = self._element(level.position, level.encoding)
            if element.tag == ITEM_END:
                level.position += 8
                break
            if element.tag == PIXEL_REPRESENTATION and element.length == 2:
                level.signed = b"\1" in self._reader.at(element.value_at, 2)
            elif level.signed and not level.encoding.explicit and element.vr == b"US":
                element.vr = signed_vr(element.tag)
            if self._open_or_copy(level, element, stack):
                return
        self._end_content(level, stack)

    def _end_content(self, level: _Level, stack: list[_Level]) -> None:
        if level.is_sorted:
            level.position = level.end
        self._end_group(level)
        self._pad(level)
        self._end_group(level)
        stack.pop()
        if level.is_top:
            return
        self._finish(level, ITEM_END)
        stack[-1].position = level.position

    @staticmethod
    def _resume(level: _Level, position: int) -> None:
        if not level.is_sorted:
            level.position = position

    def _open_or_copy(self, level: _Level, element: _Element, stack: list[_Level]) -> bool:
        """Write one element of a level; True when it opened a sequence."""
        tag, length = element.tag, element.length
        fragments = length == UNDEFINED and (element.vr in _FRAGMENTED or tag == PIXEL_DATA)
        is_sequence = element.vr == b"SQ" or (length == UNDEFINED and not fragments)
        if not is_sequence and not fragments:
            level.position = element.value_at + length
        if tag == TRAILING_PADDING and self._settings.padding != "keep":
            return False
        if not tag & 0xFFFF and self._settings.group_lengths != "recalculate":
            return False
        if tag >> 16 != level.group:
            self._end_group(level)
            level.group = tag >> 16
            if self._settings.group_lengths == "add":
                self._begin_group(level)
        if not tag & 0xFFFF:
            self._begin_group(level)
        elif fragments:
            self._resume(level, self._copy_fragments(element, level.encoding))
        elif is_sequence:
            encoding = level.encoding
            if element.vr == b"UN":
                encoding = Encoding(explicit=False)  # PS3.5 6.2.2 note 2
            end = -1 if length == UNDEFINED else element.value_at + length
            slot = self._begin(tag)
            sequence = _Level(True, element.value_at, end, encoding, self._size, slot)
            sequence.signed = level.signed
            stack.append(sequence)
            return True
        else:
            self._copy_value(element, level.encoding)
        return False

    # Reading

    def _item_header(self, position: int, encoding: Encoding) -> tuple[int, int]:
        order = ">HHI" if encoding.big_endian else "<HHI"
        group, element, length = struct.unpack(order, self._reader.at(position, 8))
        return group << 16 | element, length

    def _element(self, position: int, encoding: Encoding) -> _Element:
        data = self._reader.at(position, 12)
        order = ">" if encoding.big_endian else "<"
        group, number = struct.unpack_from(order + "HH", data)
        tag = group << 16 | number
        if not encoding.explicit or group == 0xFFFE:
            (length,) = struct.unpack_from(order + "I", data, 4)
            vr = b"" if group == 0xFFFE else dictionary_vr(tag)
            if vr == b"SQ" or length != UNDEFINED or tag == PIXEL_DATA:
                return _Element(tag, vr, length, position + 8)
            return _Element(tag, b"SQ", length, position + 8)
        vr = data[4:6]
        if vr in SHORT_VRS or not (vr in LONG_VRS or (vr.isalpha() and vr.isupper())):
            (length,) = struct.unpack_from(order + "H", data, 6)
            return _Element(tag, vr, length, position + 8)
        (length,) = struct.unpack_from(order + "I", data, 8)
        return _Element(tag, vr, length, position + 12)

    def _sort_level(self, level: _Level) -> None:
        """Find the elements of a level and where it ends; keep the first of each tag, in order."""
        found: dict[int, int] = {}
        position = level.position
        while position != level.end:
            element = self._element(position, level.encoding)
            if element.tag == ITEM_END:
                position += 8
                break
            found.setdefault(element.tag, position)
            if len(found) > MOST_UNSORTED:
                raise CannotRewriteError("too many elements out of order")
            position = self._behind(element, level.encoding)
        level.is_sorted = True
        level.order = [found[tag] for tag in sorted(found, reverse=True)]
        level.end = position

    def _behind(self, element: _Element, encoding: Encoding) -> int:
        """Where the next element of the same level begins."""
        if element.length != UNDEFINED:
            return element.value_at + element.length
        if element.vr == b"UN":
            encoding = Encoding(explicit=False)
        fragments = element.vr in _FRAGMENTED or element.tag == PIXEL_DATA
        position = element.value_at
        open_levels = [(True, encoding)]
        while open_levels:
            in_sequence, encoding = open_levels[-1]
            if in_sequence:
                tag, length = self._item_header(position, encoding)
                position += 8
                if tag == SEQUENCE_END:
                    open_levels.pop()
                elif fragments or length != UNDEFINED:
                    position += length
                else:
                    open_levels.append((False, encoding))
                continue
            inner = self._element(position, encoding)
            position = inner.value_at
            if inner.tag == ITEM_END:
                open_levels.pop()
            elif inner.length != UNDEFINED:
                position += inner.length
            else:
                below = Encoding(explicit=False) if inner.vr == b"UN" else encoding
                open_levels.append((True, below))
        return position

    # Writing

    def _put(self, data: bytes) -> None:
        self._size += len(data)
        if self._writer is not None:
            self._writer.write(data)

    def _slot(self) -> int:
        """A place for a length that is known in the second pass."""
        slot = self._next_slot
        self._next_slot += 1
        if self._measuring:
            if slot >= MOST_LENGTHS:
                raise CannotRewriteError("too many sequences, items and groups")
            self._lengths.append(0)
        return slot

    def _note(self, slot: int, length: int) -> None:
        if self._measuring:
            if length >= UNDEFINED:
                raise CannotRewriteError("a sequence too long for an explicit length")
            self._lengths[slot] = length

    def _begin(self, tag: int) -> int:
        """The header of a sequence or item; returns its slot, or -1."""
        slot = self._slot() if self._explicit_lengths else -1
        length = self._lengths[slot] if slot >= 0 else UNDEFINED
        if tag == ITEM or not self._target.explicit:
            self._put(self._pack_implicit(tag >> 16, tag & 0xFFFF, length))
        else:
            self._put(self._pack_long(tag >> 16, tag & 0xFFFF, b"SQ", 0, length))
        return slot

    def _finish(self, level: _Level, delimiter: int) -> None:
        if level.slot >= 0:
            self._note(level.slot, self._size - level.begun_at)
        else:
            self._put(self._pack_implicit(delimiter >> 16, delimiter & 0xFFFF, 0))

    def _begin_group(self, level: _Level) -> None:
        level.group_slot = self._slot()
        length = self._lengths[level.group_slot]
        self._header(level.group << 16, b"UL", 4)
        self._put(length.to_bytes(4, "big" if self._target.big_endian else "little"))
        level.group_begun_at = self._size

    def _end_group(self, level: _Level) -> None:
        if level.group_slot >= 0:
            self._note(level.group_slot, self._size - level.group_begun_at)
            level.group_slot = -1

    def _header(self, tag: int, vr: bytes, length: int) -> None:
        group, number = tag >> 16, tag & 0xFFFF
        if not self._target.explicit:
            self._put(self._pack_implicit(group, number, length))
        elif vr in SHORT_VRS:
            self._put(self._pack_short(group, number, vr, length))
        else:
            self._put(self._pack_long(group, number, vr, 0, length))

    def _written_vr(self, vr: bytes, length: int) -> bytes:
        if vr not in SHORT_VRS and vr not in LONG_VRS:
            vr = b"UN"
        if not self._settings.new_vrs and vr in NEW_VRS:
            return b"OB"
        if length > _SHORT_MOST and length != UNDEFINED and vr in SHORT_VRS:
            return b"UN"
        return vr

    def _copy_value(self, element: _Element, encoding: Encoding) -> None:
        length = element.length
        padding = padding_of(element.vr) if length & 1 else b""
        self._header(
            element.tag,
            self._written_vr(element.vr, length + len(padding)),
            length + len(padding),
        )
        if self._measuring:
            self._size += length + len(padding)
            return
        width = width_of(element.vr) if encoding.big_endian != self._target.big_endian else 1
        for chunk in self._reader.chunks(element.value_at, length):
            self._put(chunk if width == 1 else swapped(chunk, width))
        if padding:
            self._put(padding)

    def _copy_fragments(self, element: _Element, encoding: Encoding) -> int:
        """Encapsulated pixel data, fragment by fragment; returns the position behind it."""
        self._header(element.tag, b"OB", UNDEFINED)  # PS3.5 A.4, also where it came as OW
        position = element.value_at
        while True:
            tag, length = self._item_header(position, encoding)
            position += 8
            if tag == SEQUENCE_END:
                self._put(self._pack_implicit(tag >> 16, tag & 0xFFFF, 0))
                return position
            self._put(self._pack_implicit(tag >> 16, tag & 0xFFFF, length + (length & 1)))
            if self._measuring:
                self._size += length + (length & 1)
            else:
                for chunk in self._reader.chunks(position, length):
                    self._put(chunk)
                if length & 1:
                    self._put(b"\0")
            position += length

    def _pad(self, level: _Level) -> None:
        """Data Set Trailing Padding at the end of the data set or of an item."""
        settings = self._settings
        if settings.padding != "pad":
            return
        multiple = settings.pad_file if level.is_top else settings.pad_items
        if not multiple:
            return
        header = 12 if self._target.explicit else 8
        size = self._size - level.begun_at + (self._header_bytes if level.is_top else 0)
        if size % multiple == 0:
            return
        length = -(size + header) % multiple
        if settings.group_lengths == "add":
            level.group = TRAILING_PADDING >> 16
        self._header(TRAILING_PADDING, b"OB", length)
        self._put(bytes(length))
