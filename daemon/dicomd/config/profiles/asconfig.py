"""Association profiles in DCMTK's asconfig format -> ProfileFile.

The checks and their order are those of DCMTK 3.6.7, so that the first fault is the one that it
would have stopped at; we go on and report the others too. Two limits are gone, as in later
versions of DCMTK: names it did not know yet are accepted, and lists longer than 128 contexts, which
only a requestor cannot use.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dicomd.config.profiles.asconfig_lexer import (
    Key,
    Section,
    Supersection,
    Tree,
    read_tree,
    reference_name,
    upper,
)
from dicomd.config.profiles.file import ListedContext, ProfileEntry, ProfileFile
from dicomd.config.profiles.uid_names import described, resolve_uid, suggestion
from dicomd.errors import ConfigError, Fault
from dicomd.settings.profile import Role

TRANSFER_SYNTAXES = "TRANSFERSYNTAXES"
PRESENTATION_CONTEXTS = "PRESENTATIONCONTEXTS"
ROLE_SELECTION = "SCPSCUROLESELECTION"
EXTENDED_NEGOTIATION = "EXTENDEDNEGOTIATION"
PROFILES = "PROFILES"

ENTRY_NAMES = {
    TRANSFER_SYNTAXES: "TRANSFERSYNTAX",
    PRESENTATION_CONTEXTS: "PRESENTATIONCONTEXT",
    ROLE_SELECTION: "ROLE",
    EXTENDED_NEGOTIATION: "EXTENDEDNEGOTIATION",
}
"""Supersection -> the name of its entries, which a number from 1 on follows."""

ENTRY_SPELLINGS = {
    "TRANSFERSYNTAX": "TransferSyntax",
    "PRESENTATIONCONTEXT": "PresentationContext",
    "ROLE": "Role",
    "EXTENDEDNEGOTIATION": "ExtendedNegotiation",
}

_SPELLINGS = {
    TRANSFER_SYNTAXES: "TransferSyntaxes",
    PRESENTATION_CONTEXTS: "PresentationContexts",
    PROFILES: "Profiles",
}
_ILLEGAL_CALL = "Illegal call, perhaps wrong parameters"
_LONGEST_EXTENDED_NEGOTIATION = 2048
_HEX = frozenset("0123456789abcdefABCDEF")


class DcmtkProfileError(ConfigError):
    """A profile cannot be used. Knows what dcmrecv 3.6.7 would print; its exit code is 66.

    ``dcmtk_error`` is the text of the line after ``E: ``, or None where it prints none;
    ``dcmtk_fatal`` the text after ``F: ``. Where the fault is one that only we find (a YAML file's)
    both are built the same way from our own text.
    """

    def __init__(
        self, faults: Sequence[Fault], *, dcmtk_error: str | None, dcmtk_fatal: str
    ) -> None:
        self.dcmtk_error = dcmtk_error
        self.dcmtk_fatal = dcmtk_fatal
        super().__init__(faults)

    @classmethod
    def of_file(cls, file: str, reason: str, faults: Sequence[Fault]) -> "DcmtkProfileError":
        """The file itself cannot be loaded, for the reason that DCMTK gives."""
        return cls(
            faults,
            dcmtk_error=f"Unable to parse association configuration file: {file}: {reason}",
            dcmtk_fatal=f"cannot load association configuration: {reason}",
        )


def parse_asconfig(text: str, file: str) -> ProfileFile:
    """Read a file's text, decoded but with its line ends as they are.

    Raises DcmtkProfileError with every fault; the texts for dcmrecv are those of the first.
    """
    loading = _Loading(file, read_tree(text))
    loading.load()
    if loading.problems:
        faults = [problem.fault for problem in loading.problems]
        raise DcmtkProfileError.of_file(file, loading.problems[0].reason, faults)
    return loading.found


@dataclass(frozen=True, slots=True)
class _Problem:
    """A fault, and DCMTK's words for it."""

    fault: Fault
    reason: str


@dataclass(slots=True)
class _Loading:
    """Fills ``found`` and ``problems``, supersection by supersection in DCMTK's order."""

    file: str
    tree: Tree
    problems: list[_Problem] = field(default_factory=list)
    found: ProfileFile = field(init=False)
    _spellings: dict[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.found = ProfileFile(self.file, "asconfig")

    def load(self) -> None:
        for name, load_section in (
            (TRANSFER_SYNTAXES, self._load_transfer_syntaxes),
            (PRESENTATION_CONTEXTS, self._load_contexts),
            (ROLE_SELECTION, self._load_roles),
            (EXTENDED_NEGOTIATION, self._load_extended_negotiation),
            (PROFILES, self._load_profile),
        ):
            supersection = self.tree.get(name)
            if supersection is not None:
                for section in supersection.sections:
                    load_section(section)
            elif name in _SPELLINGS:
                self._report_missing(name)

    def _load_transfer_syntaxes(self, section: Section) -> None:
        for key in numbered_entries(section, ENTRY_NAMES[TRANSFER_SYNTAXES]):
            spelling = self._spell(TRANSFER_SYNTAXES, section)
            uid = resolve_uid(key.value)
            if uid is None:
                self._report_name(key, key.value, "transfer syntax")
            self.found.transfer_syntaxes[spelling] = (
                *self.found.transfer_syntaxes.get(spelling, ()),
                uid or "",
            )

    def _load_contexts(self, section: Section) -> None:
        for key in numbered_entries(section, ENTRY_NAMES[PRESENTATION_CONTEXTS]):
            spelling = self._spell(PRESENTATION_CONTEXTS, section)
            listed = self.found.contexts.setdefault(spelling, ())
            parts = self._split(key)
            if parts is None:
                continue
            abstract_syntax, reference = parts[0], reference_name(parts[1])
            syntaxes = self._spellings.get((TRANSFER_SYNTAXES, reference))
            if syntaxes is None:
                self._report_reference(
                    key, TRANSFER_SYNTAXES, reference, f"transfer syntax key undefined: {reference}"
                )
            if not abstract_syntax or not section.name or (syntaxes is not None and not reference):
                empty = "SOP class" if not abstract_syntax else "name of a section"
                self._report(key, f"{key.written.strip()} has an empty {empty}", _ILLEGAL_CALL)
                continue
            uid = resolve_uid(abstract_syntax)
            if uid is None:
                self._report_name(key, abstract_syntax, "abstract syntax")
            self.found.contexts[spelling] = (
                *listed,
                ListedContext(uid or "", syntaxes or "", key.line),
            )

    def _load_roles(self, section: Section) -> None:
        for key in numbered_entries(section, ENTRY_NAMES[ROLE_SELECTION]):
            spelling = self._spell(ROLE_SELECTION, section)
            roles = self.found.roles.setdefault(spelling, {})
            parts = self._split(key)
            if parts is None:
                continue
            abstract_syntax, word = parts[0], upper(parts[1])
            if word not in Role.__members__:
                self._report(
                    key,
                    f"role {parts[1]!r} must be SCU, SCP or BOTH, with no blank after the '\\'",
                    f"syntax error: unknown role key in entry {key.name} in config file",
                )
                continue
            uid = resolve_uid(abstract_syntax)
            if uid is None:
                self._report_name(key, abstract_syntax, "abstract syntax")
            elif uid in roles:
                self._report(
                    key,
                    f"[{section.spelling}] has two roles for {described(uid)}; keep one",
                    f"role selection defined twice for abstract syntax UID: {abstract_syntax}",
                )
            else:
                roles[uid] = Role[word]

    def _load_extended_negotiation(self, section: Section) -> None:
        for key in numbered_entries(section, ENTRY_NAMES[EXTENDED_NEGOTIATION]):
            spelling = self._spell(EXTENDED_NEGOTIATION, section)
            items = self.found.extended_negotiation.setdefault(spelling, {})
            parts = self._split(key)
            if parts is None:
                continue
            abstract_syntax, digits = parts
            data = self._extended_negotiation_data(key, digits)
            if data is None:
                continue
            uid = resolve_uid(abstract_syntax)
            if uid is None:
                self._report_name(key, abstract_syntax, "abstract syntax")
            elif uid in items:
                self._report(
                    key,
                    f"[{section.spelling}] has two entries for {described(uid)}; keep one",
                    "extended negotiation defined twice for abstract syntax UID: "
                    f"{abstract_syntax}",
                )
            else:
                items[uid] = data

    def _extended_negotiation_data(self, key: Key, digits: str) -> bytes | None:
        if len(digits) + 1 > _LONGEST_EXTENDED_NEGOTIATION:
            self._report(
                key,
                f"{len(digits) // 2} bytes of extended negotiation data; 1023 is the most",
                "extended negotiation data too long, cannot handle > 1024 bytes "
                f"in entry {key.name} in config file",
            )
            return None
        if len(digits) % 2 or not _HEX.issuperset(digits):
            self._report(
                key,
                "extended negotiation data must be pairs of hexadecimal digits, nothing between",
                f"parse error in extended negotiation data in entry {key.name} in config file",
            )
            return None
        if not digits:
            self._report(
                key, "extended negotiation data is empty; give at least one byte", _ILLEGAL_CALL
            )
            return None
        return bytes.fromhex(digits)

    def _load_profile(self, section: Section) -> None:
        key = section.get(PRESENTATION_CONTEXTS)
        if key is None:
            fault = Fault(
                self.file,
                section.line,
                section.column,
                f"profile [{section.spelling}] has no 'PresentationContexts = SECTION'",
            )
            reason = f"no {PRESENTATION_CONTEXTS}  entry in section {section.name} in config file"
            self.problems.append(_Problem(fault, reason))
            return
        contexts = self._referred(key, PRESENTATION_CONTEXTS, "presentation context")
        roles = self._optional_list(section, ROLE_SELECTION, "role selection")
        self._check_strangers(section, ROLE_SELECTION, self.found.roles.get(roles, {}), contexts)
        items = self._optional_list(section, EXTENDED_NEGOTIATION, "extended negotiation")
        mentioned = self.found.extended_negotiation.get(items, {})
        self._check_strangers(section, EXTENDED_NEGOTIATION, mentioned, contexts)
        if any(upper(name) == section.name for name in self.found.profiles):
            self._report(
                section,
                f"profile [{section.spelling}] is defined twice; a profile cannot be continued",
                f"two profiles defined for key: {reference_name(key.value)}",
            )
            return
        self.found.profiles[section.spelling] = ProfileEntry(
            contexts or "", roles, items, section.line
        )

    def _optional_list(self, section: Section, supersection: str, what: str) -> str:
        key = section.get(supersection)
        if key is None:
            return ""
        return self._referred(key, supersection, what) or ""

    def _check_strangers(
        self, section: Section, supersection: str, mentioned: Iterable[str], contexts: str | None
    ) -> None:
        """A profile's roles and extended negotiation are about SOP classes that it has."""
        key = section.get(supersection)
        if key is None or contexts is None:
            return
        known = {context.abstract_syntax for context in self.found.contexts[contexts]}
        for uid in mentioned:
            if uid in known or "" in known:
                continue
            # DCMTK says "role selection" for both kinds of list.
            self._report(
                key,
                f"[{key.value}] mentions {described(uid)}, which presentation context list "
                f"[{contexts}] does not have",
                f"abstract syntax defined in role selection list '{reference_name(key.value)}' "
                f"but not in presentation context list '{upper(contexts)}': {uid}",
            )

    def _referred(self, key: Key, supersection: str, what: str) -> str | None:
        reference = reference_name(key.value)
        spelling = self._spellings.get((supersection, reference))
        if spelling is None:
            self._report_reference(
                key, supersection, reference, f"{what} key undefined: {reference}"
            )
        return spelling

    def _spell(self, supersection: str, section: Section) -> str:
        """The list's name as it was first spelt. Called with the first entry: a section without
        entries does not exist."""
        return self._spellings.setdefault((supersection, section.name), section.spelling)

    def _split(self, key: Key) -> tuple[str, str] | None:
        before, separator, after = key.value.partition("\\")
        if separator:
            return before, after
        self._report(
            key,
            f"{key.written.strip()} = {key.value}: no '\\' between the SOP class and what follows",
            f"syntax error: missing '\\' in entry {key.name} in config file",
        )
        return None

    def _report(self, place: Key | Section, text: str, reason: str) -> None:
        if isinstance(place, Key):
            fault = Fault(self.file, place.value_line, place.value_column, text)
        else:
            fault = Fault(self.file, place.line, place.column, text)
        self.problems.append(_Problem(fault, reason))

    def _report_name(self, key: Key, name: str, what: str) -> None:
        said = "SOP class" if what == "abstract syntax" else what
        if not name:
            text = f"{key.written.strip()} has no {said}"
        elif name != name.strip() and resolve_uid(name.strip()):
            text = f"{name!r}: take the blank away; blanks belong to the value here"
        else:
            text = f"{name!r} is neither a UID nor the name of a {said}{suggestion(name)}"
        self._report(key, text, f"not a valid {what} UID: {name}")

    def _report_reference(self, key: Key, supersection: str, reference: str, reason: str) -> None:
        names = [
            spelling for (kind, _), spelling in self._spellings.items() if kind == supersection
        ]
        self._report(key, _undefined(self.tree.get(supersection), reference, names), reason)

    def _report_missing(self, name: str) -> None:
        spelling = _SPELLINGS[name]
        text = f"no [[{spelling}]] in this file"
        line = 0
        close = next((one for one in self.tree.supersections if name in one.name), None)
        for lost_line, _, written in self.tree.lost:
            if spelling.lower() in written.lower():
                line = lost_line
                text += "; its header is swallowed by a key that has no '='"
                if "\ufeff" in written:
                    line, text = 1, f"{text[: text.index(';')]}; take the byte order mark away"
                break
        if close is not None:
            line = close.line
            text += f"; [[{close.written.strip()}]] is not the same name"
        fault = Fault(self.file, line, 0, text)
        self.problems.append(_Problem(fault, f"cannot find section [[{name}]] in config file"))


def numbered_entries(section: Section, entry_name: str) -> list[Key]:
    """The entries that are read: NAME1, NAME2, … up to the first number that is missing."""
    first: dict[str, Key] = {}
    for key in section.keys:
        first.setdefault(key.name, key)
    entries: list[Key] = []
    while (entry := first.get(f"{entry_name}{len(entries) + 1}")) is not None:
        entries.append(entry)
    return entries


def _undefined(supersection: Supersection | None, reference: str, names: list[str]) -> str:
    import difflib

    if not reference:
        return "the name of the section is missing"
    sections = supersection.sections if supersection else []
    if any(section.name == reference for section in sections):
        return f"[{reference}] has no entry: numbers start at 1, without leading zeros"
    for section in sections:
        if reference_name(section.written) == reference:
            return f"[{section.written}] is read as [{section.spelling}]; refer to it by that name"
    spelt = {upper(name): name for name in names}
    close = difflib.get_close_matches(reference, spelt, n=1)
    hint = f"; did you mean [{spelt[close[0]]}]?" if close else ""
    if not close and 1 <= len(names) <= 8:
        hint = f"; there is {', '.join(f'[{name}]' for name in names)}"
    if "#" in reference:
        hint = "; a comment is one only when its # stands in column 1"
    return f"no section [{reference}]{hint}"
