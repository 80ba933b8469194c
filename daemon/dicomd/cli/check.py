"""dicomd check: every fault of the configuration, with nothing started. dicomd schema beside it."""

import argparse
import json
import sys

from dicomd.cli.config_file import add_config_argument, find_config
from dicomd.cli.run import check_template
from dicomd.config.load import load_with_warnings
from dicomd.config.schema import effective_yaml, json_schema
from dicomd.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``dicomd check``; ``dicomd schema`` has none."""
    if parser.get_default("verb") == "schema":
        return
    add_config_argument(parser)
    parser.add_argument(
        "--print",
        action="store_true",
        dest="show",
        help="print the settings in force as YAML, defaults included and secrets masked",
    )


def run(arguments: argparse.Namespace) -> int:
    """Check, or print the schema; exit code 1 when there is a fault."""
    if arguments.verb == "schema":
        print(json.dumps(json_schema(), indent=2))
        return 0
    file = find_config(arguments)
    try:
        loaded = load_with_warnings(file, check_template=check_template)
    except ConfigError as error:
        for fault in error.faults:
            print(fault)
        print(f"{file}: {_count(len(error.faults), 'fault')}", file=sys.stderr)
        return 1
    for warning in loaded.warnings:
        print(f"{warning} (warning)", file=sys.stderr if arguments.show else sys.stdout)
    if arguments.show:
        print(effective_yaml(loaded.settings), end="")
        return 0
    settings = loaded.settings
    counts = (
        _count(len(settings.listeners), "listener"),
        _count(len(settings.stores), "store"),
        _count(len(settings.retrievals), "retrieval"),
    )
    print(f"{file}: sound: {', '.join(counts)}")
    return 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
