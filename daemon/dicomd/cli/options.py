"""DCMTK's command line grammar: ``-x``, ``+x``, ``--long``, rightmost wins, ``@FILE``.

A tool writes its options down as a table (``Grammar``), parses, and asks the ``CommandLine`` in the
order of its help text. argparse does not bend to these rules, which scripts rely on: options match
exactly and only exactly, a value may look like an option, the loser of an exclusive group is still
checked when the help text has it before the winner, and ``-5`` is a parameter. The rules were
measured on DCMTK 3.6.7; one is stricter on purpose: a number is a number to its last character.

Nothing here reads or writes but ``expand``, which reads command files.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dicomd.errors import DicomdError

_NUMBER = re.compile(r"\s*([+-]?)([0-9]+)")


class CommandLineError(DicomdError):
    """A command line that is wrong. The text is what stands behind ``error: ``; exit code 1."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option. ``values`` holds a description of each value that follows it, for the help."""

    long: str
    short: str = ""
    help: str = ""
    values: tuple[str, ...] = ()
    ends: bool = False
    """Print something and end: missing parameters are no error beside it (``--version``)."""


@dataclass(frozen=True, slots=True)
class Section:
    """Options under a heading of the help text. Headings of depth 1 stand under one of depth 0."""

    title: str
    options: tuple[Option, ...] = ()
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Parameter:
    """A word that is no option."""

    name: str
    help: str
    optional: bool = False
    many: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    option: Option
    values: tuple[str, ...]
    position: int


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What was given. Options are named by their long form."""

    found: tuple[_Found, ...] = ()
    parameters: tuple[str, ...] = ()
    expanded: tuple[str, ...] = ()
    """Every argument, options by their long names."""

    def given(self, long: str) -> bool:
        """Whether an option was given at all."""
        return any(one.option.long == long for one in self.found)

    def values(self, long: str, default: str = "") -> tuple[str, ...]:
        """The values of the rightmost; ``(default,)`` when the option was not given."""
        every = self.every(long)
        return every[-1] if every else (default,)

    def value(self, long: str, default: str = "") -> str:
        """The first value of the rightmost."""
        return self.values(long, default)[0]

    def every(self, long: str) -> tuple[tuple[str, ...], ...]:
        """The values of each time that the option was given, from left to right."""
        return tuple(one.values for one in self.found if one.option.long == long)

    def counting(self, *longs: str) -> Iterator[str]:
        """The members of an exclusive group that count, in the order given (the help text's).

        Each counts only if it stands to the right of the one accepted before, so the last one
        wins; those before it are losers that are evaluated all the same, conflict checks included.
        """
        reached = -1
        for long in longs:
            positions = [one.position for one in self.found if one.option.long == long]
            if positions and positions[-1] > reached:
                reached = positions[-1]
                yield long

    def last_of(self, *longs: str) -> str:
        """The member of an exclusive group that wins; "" when none was given."""
        winner = ""
        for winner in self.counting(*longs):  # noqa: B007 - the last one is what is wanted
            pass
        return winner

    def number(
        self, long: str, least: int, most: int = 0xFFFFFFFF, *, index: int = 0
    ) -> int | None:
        """A whole number given to an option; None when it was not given.

        Raises CommandLineError when it is no number or out of range.
        """
        every = self.every(long)
        if not every:
            return None
        text = every[-1][index]
        shown = f" ({text})" if text else ""
        match = _NUMBER.fullmatch(text)
        if match is None or match[1] == "-":
            raise CommandLineError(f"Invalid value for option {long}{shown}")
        number = int(match[2])
        if number < least:
            raise CommandLineError(f"Invalid value for option {long} (underflow: {text.strip()})")
        if number > most:
            raise CommandLineError(f"Invalid value for option {long} (overflow: {text.strip()})")
        return number

    def parameter_number(self, index: int, least: int, most: int) -> int:
        """A parameter that is a whole number. Raises CommandLineError as ``number`` does."""
        text = self.parameters[index]
        match = _NUMBER.fullmatch(text)
        if match is None:
            raise CommandLineError(f"Invalid parameter value {text}")
        number = int(match[2])
        if match[1] == "-" or number > most:
            # A negative number is an overflow to DCMTK, which takes it for an unsigned one.
            raise CommandLineError(f"Invalid parameter value {text} (overflow)")
        if number < least:
            raise CommandLineError(f"Invalid parameter value {text} (underflow)")
        return number

    def forbid(self, long: str, other: str, *, when: bool = True) -> None:
        """Raise ``long not allowed with other``."""
        if when:
            raise CommandLineError(f"{long} not allowed with {other}")

    def require(self, long: str, other: str, *, when: bool) -> None:
        """Raise ``long only allowed with other`` unless the condition holds."""
        if not when:
            raise CommandLineError(f"{long} only allowed with {other}")


@dataclass(frozen=True, slots=True)
class Grammar:
    """A tool's options and parameters."""

    tool: str
    summary: str
    parameters: tuple[Parameter, ...]
    sections: tuple[Section, ...]
    names: dict[str, Option] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for section in self.sections:
            for option in section.options:
                for name in filter(None, (option.long, option.short)):
                    assert name not in self.names, name
                    self.names[name] = option

    def parse(self, arguments: Sequence[str]) -> CommandLine:
        """Find options and parameters. Raises CommandLineError."""
        words = expand(arguments)
        found: list[_Found] = []
        parameters: list[str] = []
        expanded: list[str] = []
        position = 0
        while position < len(words):
            word = words[position]
            position += 1
            if not is_option(word):
                parameters.append(word)
                expanded.append(word)
                continue
            option = self.names.get(word)
            if option is None:
                raise CommandLineError(f"Unknown option {word}")
            values = tuple(words[position : position + len(option.values)])
            if len(values) < len(option.values):
                raise CommandLineError(f"Missing value for option {option.long}")
            found.append(_Found(option, values, position))
            expanded += [option.long, *values]
            position += len(values)
        line = CommandLine(tuple(found), tuple(parameters), tuple(expanded))
        if not any(one.option.ends for one in found) and words:
            self._check_parameters(parameters)
        return line

    def _check_parameters(self, given: Sequence[str]) -> None:
        needed = [one for one in self.parameters if not one.optional]
        if len(given) < len(needed):
            raise CommandLineError(f"Missing parameter {needed[len(given)].name}")
        if len(given) > len(self.parameters) and not any(one.many for one in self.parameters):
            raise CommandLineError("Too many parameters")

    def usage(self) -> str:
        """The help text."""
        words = [
            f"[{one.name}{'...' if one.many else ''}]" if one.optional else one.name
            for one in self.parameters
        ]
        lines = [f"usage: {self.tool} [options] {' '.join(words)}", "", "parameters:"]
        lines += [_entry(2, one.name, one.help) for one in self.parameters]
        for section in self.sections:
            lines += [] if section.depth else [""]
            lines.append(f"{'  ' * section.depth}{section.title}:")
            for option in section.options:
                indent = 2 + 2 * section.depth
                name = f"{option.short:<5} {option.long}"
                lines.append(_entry(indent, name, "; ".join([*option.values, option.help])))
        return "\n".join(lines)


def is_option(word: str) -> bool:
    """Two characters or more, a sign first, and no digit second: ``-5`` is a parameter."""
    return len(word) >= 2 and word[0] in "-+" and not "0" <= word[1] <= "9"


def expand(arguments: Sequence[str]) -> list[str]:
    """Replace each ``@FILE`` by the file's words. Raises CommandLineError when it cannot be read.

    Within a command file ``@`` means nothing.
    """
    words: list[str] = []
    for argument in arguments:
        if len(argument) < 2 or argument[0] != "@":
            words.append(argument)
            continue
        try:
            with open(argument[1:], encoding="utf-8", errors="surrogateescape", newline="") as file:
                words += split(file.read())
        except OSError as error:
            raise CommandLineError(f"Cannot open command file '{argument[1:]}'") from error
    return words


def split(text: str) -> list[str]:
    """The words of a command file, split at blanks and line ends.

    Both kinds of quotes hold a word together, one may stand inside the other; a closing quote ends
    the word, what stands before an opening one is glued to it. There are no escapes.
    """
    words: list[str] = []
    word, quote = "", ""
    for character in text:
        if quote:
            if character == quote:
                words.append(word)
                word, quote = "", ""
            else:
                word += character
        elif character in "\"'":
            quote = character
        elif character in " \t\r\n":
            if word:
                words.append(word)
            word = ""
        else:
            word += character
    if word or quote:
        words.append(word)
    return words


def _entry(indent: int, name: str, text: str) -> str:
    """A name and its explanation, folded into two columns."""
    import textwrap

    margin = 36
    head = f"{' ' * indent}{name}"
    lines = textwrap.wrap(text, 96 - margin) or [""]
    first = (
        f"{head:<{margin}}{lines[0]}" if len(head) < margin else f"{head}\n{' ' * margin}{lines[0]}"
    )
    return "\n".join([first.rstrip(), *(f"{' ' * margin}{line}" for line in lines[1:])])
