"""Association profiles on disk -> AssociationProfile; the door to both file forms.

The two are told apart by content, never by the file's name. Only this module reads files.
"""

import re
from typing import Literal

from dicomd.config.profiles.asconfig import DcmtkProfileError, parse_asconfig
from dicomd.config.profiles.file import (
    YAML_KEYS,
    ProfileFile,
    acceptor_obstacle,
    repeated_abstract_syntax,
    requestor_obstacle,
)
from dicomd.config.profiles.storage_classes import STORAGE_CLASSES
from dicomd.config.profiles.transfer_syntax_order import (
    PREFERRED_TRANSFER_SYNTAXES,
    UNCOMPRESSED_TRANSFER_SYNTAXES,
)
from dicomd.errors import ConfigError, Fault
from dicomd.settings.profile import VERIFICATION, AssociationProfile, PresentationContext

_YAML_KEY = re.compile(rf"^[\"']?(?:{'|'.join(YAML_KEYS)})[\"']?[ \t]*:", re.MULTILINE)
_YAML_START = re.compile(r"\A(?:\ufeff|[ \t]*(?:#.*)?\r?\n)*(?:%YAML|---|\{)")
_INVALID_PROFILE = (
    "cannot load association configuration: Invalid or non-existing SCP Association Profile"
)


def load_profile(
    path: str, name: str, *, role: Literal["acceptor", "requestor"] = "acceptor"
) -> AssociationProfile:
    """Read one profile of a file and check that it can serve in that role.

    Case and white space in ``name`` do not count. Raises DcmtkProfileError (a ConfigError) with
    every fault of the file, or the one of the profile.
    """
    if path and not name:
        return _without_name(path)
    found = read_profile_file(path)
    spelling = found.profile_name(name)
    if spelling is None:
        names = ", ".join(found.profiles) or "none"
        raise DcmtkProfileError(
            [Fault(path, 0, 0, f"no profile named {name!r}; this file has: {names}")],
            dcmtk_error=f'No association profile named "{name}" in association configuration, '
            "did you forget to add presentation contexts?",
            dcmtk_fatal=_INVALID_PROFILE,
        )
    profile = found.resolved(spelling)
    check = acceptor_obstacle if role == "acceptor" else requestor_obstacle
    obstacle = check(profile)
    if obstacle is not None:
        raise DcmtkProfileError(
            [Fault(path, _obstacle_line(found, spelling, profile), 0, f"{spelling}: {obstacle}")],
            dcmtk_error=f'The association profile named "{name}" is not a valid SCP association '
            "profile",
            dcmtk_fatal=_INVALID_PROFILE,
        )
    return profile


def read_profile_file(path: str) -> ProfileFile:
    """Read a whole file, either form. Raises DcmtkProfileError with every fault in it."""
    if not path:
        raise DcmtkProfileError(
            [Fault("", 0, 0, "the name of the profile file is empty")],
            dcmtk_error=None,
            dcmtk_fatal="cannot load association configuration: Invalid filename",
        )
    text = read_profile_text(path)
    if not is_yaml(text):
        return parse_asconfig(text, path)
    # Imported here, so that `dicomd recv` with an asconfig file does not pay for YAML.
    from dicomd.config.profiles.yaml_form import parse_profile_yaml

    try:
        return parse_profile_yaml(text, path, read_profile_text, is_yaml)
    except DcmtkProfileError:
        raise
    except ConfigError as error:
        raise DcmtkProfileError.of_file(path, error.faults[0].text, error.faults) from error


def check_profile_file(path: str) -> list[Fault]:
    """What the format silently swallows, each with its place; nothing that makes a file unusable.

    Raises DcmtkProfileError when the file cannot be opened. The YAML form swallows nothing.
    """
    from dicomd.config.profiles.check import check_asconfig

    text = read_profile_text(path)
    return [] if is_yaml(text) else check_asconfig(text, path)


def read_profile_text(path: str) -> str:
    """The file's text with its line ends as they are; what is not UTF-8 stands as surrogates.

    Raises DcmtkProfileError when the file cannot be opened. A directory has no text, as for DCMTK.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except IsADirectoryError:
        return ""
    except (OSError, ValueError) as error:
        reason = f"unable to open configuration file: {path}"
        text = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        raise DcmtkProfileError.of_file(path, reason, [Fault(path, 0, 0, text)]) from error


def is_yaml(text: str) -> bool:
    """Whether a profile file is of the YAML form: it has one of its top keys in column 1, or
    starts as YAML documents do. Everything else is read as asconfig."""
    return _YAML_KEY.search(text) is not None or _YAML_START.match(text) is not None


def default_profile() -> AssociationProfile:
    """What a listener without a profile accepts: Verification and every storage class, in every
    transfer syntax that an object can come in, preferred as ``PREFERRED_TRANSFER_SYNTAXES``."""
    return AssociationProfile(
        contexts=(
            PresentationContext(
                abstract_syntax=VERIFICATION, transfer_syntaxes=UNCOMPRESSED_TRANSFER_SYNTAXES
            ),
            *(
                PresentationContext(
                    abstract_syntax=uid, transfer_syntaxes=PREFERRED_TRANSFER_SYNTAXES
                )
                for uid in dict.fromkeys(row.uid for row in STORAGE_CLASSES)
            ),
        )
    )


def _without_name(path: str) -> AssociationProfile:
    # DCMTK reads the file first: its faults are reported rather than the missing name.
    read_profile_file(path)
    raise DcmtkProfileError(
        [Fault(path, 0, 0, "the name of the profile is empty")],
        dcmtk_error=None,
        dcmtk_fatal="cannot load association configuration: Illegal parameter",
    )


def _obstacle_line(found: ProfileFile, name: str, profile: AssociationProfile) -> int:
    repeated = repeated_abstract_syntax(profile)
    lines = [
        context.line
        for context in found.contexts[found.profiles[name].contexts]
        if context.abstract_syntax == repeated
    ]
    return lines[1] if len(lines) > 1 else found.profiles[name].line
