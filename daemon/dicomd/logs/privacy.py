"""What a line may say of a patient: values hashed, left out, cut and escaped. Plain: no I/O.

Every record passes here once, in the log writer, before any output sees it.
"""

import hashlib
import re
from collections.abc import Callable
from typing import Any, Literal

from dicomd.logs.vocabulary import KIND_OF

Identifiers = Literal["uids", "show", "hash", "omit"]

PEER_CHARACTERS = 64
_TEXT_CHARACTERS = 8192
_UID = re.compile(r"[0-2](?:\.\d+){3,}")
_PATH_KEYS = tuple(key for key, kind in KIND_OF.items() if kind == "path")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def escape(text: str) -> str:
    """The text without control bytes or bidirectional overrides: they stand as ``\\xNN``.

    For outputs that are plain text; JSON escapes by itself.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub(
        lambda found: (
            f"\\x{ord(found[0]):02x}" if ord(found[0]) < 256 else f"\\u{ord(found[0]):04x}"
        ),
        text,
    )


class Guard:
    """Applies ``identifiers`` to the facts of a record.

    ``private`` are folders under which file names are made of more than UIDs (a template that
    names a patient's attributes): below them names are hashed whatever the setting, but ``show``.
    """

    def __init__(
        self, identifiers: Identifiers, *, salt: bytes, private: tuple[str, ...] = ()
    ) -> None:
        self._identifiers = identifiers
        self._salt = salt
        self._private = tuple(folder.rstrip("/") + "/" for folder in private)
        self._uids_shown = identifiers in ("uids", "show")
        kinds: dict[str, Callable[[Any], Any]] = {
            "class": self._class,
            "uid": self._uid,
            "path": self._path,
            "patient": self._patient,
            "text": self._text,
        }
        self._how = {key: kinds[kind] for key, kind in KIND_OF.items() if kind in kinds}
        if self._uids_shown and (identifiers == "show" or not private):
            # The system bounds paths, and there is nothing to hide in these.
            self._how.update(dict.fromkeys(_PATH_KEYS, str))

    def guard(self, facts: dict[str, Any]) -> dict[str, Any]:
        """The facts as they may be written. Left-out values are left out with their key."""
        rule_of = self._how.get
        guarded: dict[str, Any] = {}
        for key, value in facts.items():
            rule = rule_of(key)
            if rule is not None:
                value = rule(value)
                if value is None:
                    continue
            elif type(value) is str and len(value) > PEER_CHARACTERS:
                value = _cut(value)
            guarded[key] = value
        return guarded

    def hashed(self, value: str) -> str:
        """Sixteen hexadecimal digits that stand for the value under this salt."""
        digest = hashlib.blake2b(value.encode("utf-8", "surrogateescape"), key=self._salt)
        return "#" + digest.hexdigest()[:16]

    def _class(self, value: Any) -> Any:
        if type(value) is not str or not value or self._identifiers == "show":
            return value
        if len(value) <= PEER_CHARACTERS and value.replace(".", "").isdecimal():
            return value if value.isascii() else self.hashed(value)
        return self.hashed(value)

    def _uid(self, value: Any) -> Any:
        if self._uids_shown:
            return self._class(value)
        if self._identifiers == "omit":
            return None
        if isinstance(value, (list, tuple)):
            return [self.hashed(str(item)) for item in value]
        return self.hashed(str(value)) if value else value

    def _patient(self, value: Any) -> Any:
        if self._identifiers == "show":
            return value
        return None if self._identifiers == "omit" else self.hashed(str(value))

    def _path(self, value: Any) -> Any:
        path = str(value)
        if self._identifiers != "show":
            for folder in self._private:
                if path.startswith(folder):
                    names = path[len(folder) :].split("/")
                    path = folder + "/".join(
                        name if _UID.fullmatch(name) else self.hashed(name) for name in names
                    )
        return self._without_uids(path)[:_TEXT_CHARACTERS]

    def _text(self, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [self._text(item) for item in value]
        if not isinstance(value, str):
            return value
        return self._without_uids(value)[:_TEXT_CHARACTERS]

    def _without_uids(self, text: str) -> str:
        if self._uids_shown:
            return text
        if self._identifiers == "omit":
            return _UID.sub("#", text)
        return _UID.sub(lambda found: self.hashed(found[0]), text)


def _cut(value: str) -> str:
    return value[: PEER_CHARACTERS - 1] + "…"
