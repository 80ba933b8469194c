"""dicomd profile: show what an association profile negotiates, convert it, compare two."""

import argparse
import json
import sys
from typing import Any

from dicomd.cli import exit_codes
from dicomd.cli.profile_text import change_lines, profile_lines
from dicomd.config.profiles.diff import (
    Comparison,
    ProfileChange,
    SopClassChange,
    compare_files,
    compare_profiles,
)
from dicomd.config.profiles.file import ProfileFile, acceptor_obstacle, requestor_obstacle
from dicomd.config.profiles.load import check_profile_file, read_profile_file
from dicomd.config.profiles.uid_names import keyword_of
from dicomd.config.profiles.writer import write_asconfig, write_yaml
from dicomd.errors import ConfigError, Fault, StartError
from dicomd.settings.profile import AssociationProfile, Role

_WRITERS = {"asconfig": write_asconfig, "yaml": write_yaml}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The three commands."""
    commands = parser.add_subparsers(dest="command", required=True, metavar="show | convert | diff")
    show = commands.add_parser("show", help="what a profile would negotiate", allow_abbrev=False)
    show.add_argument("file", metavar="FILE", help="asconfig or YAML, told apart by content")
    show.add_argument("name", metavar="NAME", nargs="?", help="one profile; all without it")
    show.add_argument("--uids", action="store_true", help="print UIDs beside the names")
    show.add_argument("--json", action="store_true", help="print JSON")
    convert = commands.add_parser(
        "convert", help="asconfig to YAML, or YAML to asconfig", allow_abbrev=False
    )
    convert.add_argument("file", metavar="FILE")
    convert.add_argument("-o", "--output", metavar="OUT", help="write to OUT, not standard output")
    convert.add_argument("--to", choices=sorted(_WRITERS), help="default: the other form")
    diff = commands.add_parser(
        "diff",
        help="what a change would accept or refuse that was not so before",
        description="Exit code 0: the same is negotiated; 1: something is not.",
        allow_abbrev=False,
    )
    diff.add_argument("old", metavar="OLD")
    diff.add_argument("new", metavar="NEW")
    diff.add_argument("name", metavar="NAME", nargs="?", help="one profile; all without it")
    diff.add_argument("new_name", metavar="NEW_NAME", nargs="?", help="its name in NEW")
    diff.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run one of the three. Raises ConfigError with every fault of a file."""
    if arguments.command == "show":
        return _show(arguments)
    if arguments.command == "convert":
        return _convert(arguments)
    return _diff(arguments)


def _show(arguments: argparse.Namespace) -> int:
    found = read_profile_file(arguments.file)
    names = list(found.profiles)
    if arguments.name is not None:
        names = [_profile_name(found, arguments.name)]
    warnings = check_profile_file(arguments.file)
    if arguments.json:
        shown = {
            "file": found.file,
            "form": found.form,
            "profiles": {name: _as_json(found.resolved(name)) for name in names},
            "warnings": [str(warning) for warning in warnings],
        }
        print(json.dumps(shown, indent=2))
        return exit_codes.OK
    for warning in warnings:
        print(warning, file=sys.stderr)
    if not names:
        print(f"{found.file} has lists for others to include, and no profile", file=sys.stderr)
    for position, name in enumerate(names):
        if position:
            print()
        for line in profile_lines(name, found.resolved(name), with_uids=arguments.uids):
            print(line)
    return exit_codes.OK


def _convert(arguments: argparse.Namespace) -> int:
    found = read_profile_file(arguments.file)
    for warning in check_profile_file(arguments.file):
        print(warning, file=sys.stderr)
    form = arguments.to or ("yaml" if found.form == "asconfig" else "asconfig")
    text = _WRITERS[form](found)
    if arguments.output is None:
        sys.stdout.write(text)
        return exit_codes.OK
    try:
        with open(arguments.output, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise StartError(f"{arguments.output} cannot be written: {error.strerror}") from error
    return exit_codes.OK


def _diff(arguments: argparse.Namespace) -> int:
    old, new = read_profile_file(arguments.old), read_profile_file(arguments.new)
    if arguments.name is None:
        comparison = compare_files(old.resolved_all(), new.resolved_all())
    else:
        old_name = _profile_name(old, arguments.name)
        new_name = _profile_name(new, arguments.new_name or arguments.name)
        change = compare_profiles(new_name, old.resolved(old_name), new.resolved(new_name))
        comparison = Comparison(changed=(change,) if change is not None else ())
    if arguments.json:
        print(json.dumps(_comparison_as_json(comparison), indent=2))
    else:
        for line in change_lines(comparison):
            print(line)
    return exit_codes.OK if comparison.is_same else exit_codes.USAGE


def _profile_name(found: ProfileFile, name: str) -> str:
    spelling = found.profile_name(name)
    if spelling is None:
        known = ", ".join(found.profiles) or "none"
        text = f"no profile named {name!r}; this file has: {known}"
        raise ConfigError([Fault(found.file, 0, 0, text)])
    return spelling


def _as_json(profile: AssociationProfile) -> dict[str, Any]:
    contexts = []
    for context in profile.contexts:
        uid = context.abstract_syntax
        data = profile.extended_negotiation.get(uid)
        role = profile.roles.get(uid)
        contexts.append(
            {
                "sop_class": _named(uid),
                "transfer_syntaxes": [_named(syntax) for syntax in context.transfer_syntaxes],
                "role": role.value if role is not None else None,
                "extended_negotiation": data.hex() if data is not None else None,
            }
        )
    obstacles = {"acceptor": acceptor_obstacle(profile), "requestor": requestor_obstacle(profile)}
    return {
        **{role: {"valid": reason is None, "reason": reason} for role, reason in obstacles.items()},
        "contexts": contexts,
    }


def _comparison_as_json(comparison: Comparison) -> dict[str, Any]:
    return {
        "same": comparison.is_same,
        "added": list(comparison.added),
        "removed": list(comparison.removed),
        "changed": [_change_as_json(change) for change in comparison.changed],
    }


def _change_as_json(change: ProfileChange) -> dict[str, Any]:
    return {
        "profile": change.name,
        "accepted": [_named(uid) for uid in change.accepted],
        "refused": [_named(uid) for uid in change.refused],
        "changed": [_class_as_json(one) for one in change.changed],
        "order_of_contexts": change.order_of_contexts,
        "acceptor": _before_and_now(change.acceptor),
        "requestor": _before_and_now(change.requestor),
    }


def _class_as_json(change: SopClassChange) -> dict[str, Any]:
    order = None
    if change.order is not None:
        order = _before_and_now(
            tuple([_named(uid) for uid in syntaxes] for syntaxes in change.order)
        )
    roles = change.role and tuple(_role_text(role) for role in change.role)
    data = change.extended_negotiation and tuple(
        value.hex() if value is not None else None for value in change.extended_negotiation
    )
    return {
        "sop_class": _named(change.sop_class),
        "accepted": [_named(uid) for uid in change.accepted],
        "refused": [_named(uid) for uid in change.refused],
        "order": order,
        "preferred": [
            {"transfer_syntax": _named(uid), "to": [_named(other) for other in others]}
            for uid, others in change.preferred.items()
        ],
        "contexts": _before_and_now(change.contexts),
        "role": _before_and_now(roles),
        "extended_negotiation": _before_and_now(data),
    }


def _before_and_now(pair: tuple[Any, ...] | None) -> dict[str, Any] | None:
    return None if pair is None else {"before": pair[0], "now": pair[1]}


def _role_text(role: Role | None) -> str | None:
    return role.value if role is not None else None


def _named(uid: str) -> dict[str, str]:
    return {"uid": uid, "name": keyword_of(uid)}
