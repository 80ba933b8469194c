"""File names and subfolders: from validated values only.

What dcmrecv does was measured on DCMTK 3.6.7. Names that are made up (``unique`` and its kin)
must never replace a file: ``generated`` says so. Values go in and names come out; the clock and
the randomness are handed in.
"""

import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol

from dicomd.settings.storage import StoreSettings
from dicomd.storage.modality import NEWER_PREFIXES, PREFIXES
from dicomd.storage.part10 import Implementation
from dicomd.storage.sink import Instance
from dicomd.storage.templates import Template, parse_template

SERIES_DATE = 0x00080021
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_UNSAFE = re.compile(r"[^0-9A-Za-z ._:@-]")  # measured on DCMTK 3.6.7, Debian's build
_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})|(\d{4})\.(\d{2})\.(\d{2})")
_UNIQUE_UID_ROOT = "1.2.276.0.7230010.3.1.4"

Values = Mapping[int, bytes]
"""Tag -> value of the data set's head, as it was sent."""


def is_safe_uid(uid: str) -> bool:
    """Whether a UID is one, and so may stand in a name (PS3.5 9.1; leading zeros pass)."""
    return len(uid) <= 64 and _UID.fullmatch(uid) is not None


def sanitised(text: str) -> str:
    """A name with every character that is unsafe in one as an underscore."""
    return _UNSAFE.sub("_", text)


def prefix_of(sop_class_uid: str, implementation: Implementation) -> str | None:
    """The modality prefix of a SOP class; dicomd knows the newer classes as well."""
    prefix = PREFIXES.get(sop_class_uid)
    if prefix is None and implementation == "dicomd":
        prefix = NEWER_PREFIXES.get(sop_class_uid)
    return prefix


def series_date_folder(value: bytes | None, today: date) -> tuple[str, ...]:
    """``data/2024/03/15`` of the Series Date; ``undef/<today>`` of anything that is no date.

    As dcmrecv: the first of several values, the old form with dots too, any day up to 31.
    """
    text = (value or b"").partition(b"\\")[0].rstrip(b" \0").decode("ascii", "replace")
    match = _DATE.fullmatch(text)
    if match is not None:
        year, month, day = (part for part in match.groups() if part is not None)
        if 1 <= int(month) <= 12 and 1 <= int(day) <= 31:
            return "data", year, month, day
    return "undef", today.strftime("%Y%m%d")


class Naming(Protocol):
    """How one kind of file name is made."""

    generated: bool
    """The name says nothing about the instance: it must not replace a file."""
    tags: frozenset[int]
    """Elements of the data set that it needs."""

    def name(self, instance: Instance, values: Values) -> str:
        """The file name, without the extension."""


class DefaultNaming:
    """``PREFIX.UID`` of the command's SOP class and instance."""

    generated = False
    tags: frozenset[int] = frozenset()

    def __init__(self, implementation: Implementation) -> None:
        self._implementation = implementation
        self._unknown = "_null_" if implementation == "movescu" else "UNKNOWN"

    def name(self, instance: Instance, values: Values) -> str:
        """As dcmrecv's +fd and movescu; Debian's build makes unsafe characters ``_``."""
        prefix = prefix_of(instance.sop_class_uid, self._implementation) or self._unknown
        uid = instance.sop_instance_uid.rstrip(" \0")
        if _UID.fullmatch(uid) is None:
            uid = sanitised(uid)
        return f"{prefix}.{uid}"


@dataclass(slots=True)
class GeneratedNaming:
    """dcmrecv's +fu, +fsu and +fst. Mutable: a counter."""

    kind: Literal["unique", "short-unique", "system-time"]
    implementation: Implementation
    now: Callable[[], datetime]
    token: Callable[[int], str]
    started: int
    """Unix time of the process's start."""
    counter: int = 0
    generated: bool = True
    tags: frozenset[int] = frozenset()

    def name(self, instance: Instance, values: Values) -> str:
        """Another name with each call."""
        prefix = prefix_of(instance.sop_class_uid, self.implementation)
        if self.kind == "short-unique":
            return f"{prefix or 'XX'}_{self.started & 0xFFFFFFFF:08x}{self.token(4)}"
        if self.kind == "system-time":
            return f"{self.now():%Y%m%d%H%M%S.%f}.{prefix or 'UNKNOWN'}"
        self.counter += 1
        return f"{prefix or 'UNKNOWN'}.X.{unique_uid(self.counter)}"


class TemplateNaming:
    """A file name by template. Without ``{SOPInstanceUID}`` it counts as generated."""

    def __init__(self, template: Template, implementation: Implementation) -> None:
        self._template = template
        self._implementation = implementation
        self.generated = "SOPInstanceUID" not in template.keywords
        self.tags = template.tags

    def name(self, instance: Instance, values: Values) -> str:
        """The expanded template; a file template has one part."""
        return self._template.expand(facts_of(instance, self._implementation), values)[0]


def facts_of(instance: Instance, implementation: Implementation) -> dict[str, str]:
    """What a template can name that does not come from the data set."""
    return {
        "SOPInstanceUID": sanitised(instance.sop_instance_uid.rstrip(" \0")),
        "SOPClassUID": sanitised(instance.sop_class_uid),
        "ModalityPrefix": prefix_of(instance.sop_class_uid, implementation) or "UNKNOWN",
        "CallingAETitle": sanitised(instance.calling_ae_title),
        "CalledAETitle": sanitised(instance.called_ae_title),
    }


@dataclass(frozen=True, slots=True)
class Subfolders:
    """Where below the store's folder an object goes."""

    kind: Literal["none", "series-date", "template"]
    template: Template | None
    implementation: Implementation
    tags: frozenset[int]

    def parts(self, instance: Instance, values: Values, today: date) -> tuple[str, ...]:
        """Folder names from the top; none = the store's folder itself."""
        if self.kind == "none":
            return ()
        if self.template is None:
            return series_date_folder(values.get(SERIES_DATE), today)
        return self.template.expand(facts_of(instance, self.implementation), values)


def naming_of(settings: StoreSettings, implementation: Implementation) -> Naming:
    """The naming that ``filenames`` asks for. ValueError when a template is wrong."""
    match settings.filenames:
        case "default":
            return DefaultNaming(implementation)
        case "unique" | "short-unique" | "system-time" as kind:
            return GeneratedNaming(
                kind=kind,
                implementation=implementation,
                now=_local_now,
                token=secrets.token_hex,
                started=int(time.time()),
            )
        case text:
            return TemplateNaming(parse_template(text, folders=False), implementation)


def subfolders_of(settings: StoreSettings, implementation: Implementation) -> Subfolders:
    """The subfolders that ``subdirectories`` asks for. ValueError when a template is wrong."""
    match settings.subdirectories:
        case "none":
            return Subfolders("none", None, implementation, frozenset())
        case "series-date":
            return Subfolders("series-date", None, implementation, frozenset({SERIES_DATE}))
        case text:
            template = parse_template(text, folders=True)
            return Subfolders("template", template, implementation, template.tags)


def unique_uid(counter: int) -> str:
    """A new UID of the form that DCMTK makes: host, process, time, counter."""
    host = int.from_bytes(os.uname().nodename.encode()[-4:].rjust(4, b"\0"), "big")
    return f"{_UNIQUE_UID_ROOT}.{host}.{os.getpid()}.{int(time.time())}.{counter}"


def _local_now() -> datetime:
    return datetime.now().astimezone()
