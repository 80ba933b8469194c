"""The text of an asconfig file as a tree of three levels, read exactly as DCMTK 3.6.7 reads it.

``[[Supersection]]`` > ``[Section]`` > ``Key = Value``. The rules, all measured on DCMTK 3.6.7:

- A comment is a ``#`` in column 1, to the end of the line. LF, CRLF and a lone CR end a line; NUL
  counts as a blank.
- Names keep only ``A-Z a-z 0-9 - _`` and compare without case. Everything else is dropped, line
  ends too: a key that has no ``=`` swallows the lines that follow, up to the next ``=``.
- A line that begins with a blank or tab continues the value before it. Right after a header
  nothing is before it, so there it may hold a key.
- Blanks around ``=`` are ignored; trailing blanks of a value are kept.
- After a name as many ``]`` are consumed as ``[`` were opened, whatever stands between them.
- Sections before the first supersection and keys before the first section are lost.

Nothing here is ever a fault: what the tree means is for ``asconfig``, what looks wrong about it for
``check``.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

_NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_BLANK = frozenset(" \t")
_REFERENCE_BLANK = frozenset(" \t\n\v\f\r")
_UPPER = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DEEPEST = 2


@dataclass(frozen=True, slots=True)
class Key:
    """``Key = Value``. ``written`` is the name as it stands in the file, dropped characters and
    all; ``continued`` are the lines that were taken for a continuation of the value."""

    name: str
    written: str
    line: int
    column: int
    value: str
    value_line: int
    value_column: int
    continued: tuple[int, ...] = ()


@dataclass(slots=True)
class Section:
    """``[Section]``; ``spelling`` is the name with its own case, without what is dropped."""

    name: str
    spelling: str
    written: str
    line: int
    column: int
    keys: list[Key] = field(default_factory=list)

    def get(self, name: str) -> Key | None:
        """The first key of that name, in capitals: later ones are never read."""
        return next((key for key in self.keys if key.name == name), None)


@dataclass(slots=True)
class Supersection:
    """``[[Supersection]]``."""

    name: str
    written: str
    line: int
    column: int
    brackets: int
    sections: list[Section] = field(default_factory=list)


@dataclass(slots=True)
class Tree:
    """A whole file. ``lost`` are the places of sections and keys that stand where nobody reads
    them: (line, column, what was written)."""

    supersections: list[Supersection] = field(default_factory=list)
    lost: list[tuple[int, int, str]] = field(default_factory=list)

    def get(self, name: str) -> Supersection | None:
        """The first supersection of that name, in capitals: later ones are never read."""
        return next((one for one in self.supersections if one.name == name), None)


def upper(text: str) -> str:
    """Capitals for a-z alone, as C's toupper gives in the C locale."""
    return text.translate(_UPPER)


def reference_name(text: str) -> str:
    """A reference to a section, or a profile's name: capitals, white space removed."""
    return upper("".join(character for character in text if character not in _REFERENCE_BLANK))


def read_tree(text: str) -> Tree:
    """Read a file's text. Line ends must be as in the file (no universal newlines)."""
    return _Reader(text).read()


class _Character(NamedTuple):
    character: str
    line: int
    column: int


class _Reader:
    """The characters that count, and how many of them are taken."""

    def __init__(self, text: str) -> None:
        self._stream = _without_comments(text)
        self._taken = 0
        self._tree = Tree()

    def read(self) -> Tree:
        while (first := self._next_visible()) is not None:
            if first.character == "[":
                self._read_header(first)
            else:
                self._taken -= 1
                self._read_key(first)
        return self._tree

    def _next(self) -> _Character | None:
        if self._taken == len(self._stream):
            return None
        self._taken += 1
        return self._stream[self._taken - 1]

    def _next_visible(self) -> _Character | None:
        while (found := self._next()) is not None:
            if found.character not in " \t\n":
                return found
        return None

    def _read_header(self, first: _Character) -> None:
        brackets = 1
        while (found := self._next_visible()) is not None and found.character == "[":
            brackets += 1
        if found is not None:
            self._taken -= 1
        written = self._read_until("]")
        for _ in range(brackets - 1):
            while (found := self._next_visible()) is not None and found.character != "]":
                pass
        spelling = _kept(written)
        name = upper(spelling)
        if brackets >= _DEEPEST:
            self._tree.supersections.append(
                Supersection(name, written, first.line, first.column, brackets)
            )
        elif self._tree.supersections:
            self._tree.supersections[-1].sections.append(
                Section(name, spelling, written, first.line, first.column)
            )
        else:
            self._tree.lost.append((first.line, first.column, f"[{written}]"))

    def _read_key(self, first: _Character) -> None:
        written = self._read_until("=")
        value, start, continued = self._read_value()
        if not self._tree.supersections or not self._tree.supersections[-1].sections:
            self._tree.lost.append((first.line, first.column, written.strip()))
            return
        self._tree.supersections[-1].sections[-1].keys.append(
            Key(
                name=upper(_kept(written)),
                written=written,
                line=first.line,
                column=first.column,
                value=value,
                value_line=start.line if start else first.line,
                value_column=start.column if start else first.column,
                continued=continued,
            )
        )

    def _read_until(self, end: str) -> str:
        """The characters up to ``end``, which is consumed, or to the end of the file."""
        written: list[str] = []
        while (found := self._next()) is not None and found.character != end:
            written.append(found.character)
        return "".join(written)

    def _read_value(self) -> tuple[str, _Character | None, tuple[int, ...]]:
        """The value, where it begins, and the lines after the first that it goes on in."""
        value: list[str] = []
        continued: list[int] = []
        start: _Character | None = None
        skipping = True
        line_begins = False
        while (found := self._next()) is not None:
            if found.character == "\n":
                if not skipping:
                    value.append("\n")
                skipping = line_begins = True
            elif found.character in _BLANK:
                line_begins = False
                if not skipping:
                    value.append(found.character)
            elif line_begins:
                self._taken -= 1
                break
            else:
                if start is None:
                    start = found
                elif found.line != start.line and found.line not in continued:
                    continued.append(found.line)
                value.append(found.character)
                skipping = False
        return "".join(value).rstrip("\n"), start, tuple(continued)


def _kept(written: str) -> str:
    return "".join(character for character in written if character in _NAME_CHARACTERS)


def _without_comments(text: str) -> list[_Character]:
    """Every character outside comments with its place; each line end as one LF."""
    stream: list[_Character] = []
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for number, line in enumerate(lines, start=1):
        if line.startswith("#"):
            continue
        for column, character in enumerate(line, start=1):
            stream.append(_Character(" " if character == "\0" else character, number, column))
        if number < len(lines):
            stream.append(_Character("\n", number, len(line) + 1))
    return stream
