"""dicomd verify: the disk against what the index says was received."""

import argparse
import json
import os
import sys

from dicomd.cli import exit_codes
from dicomd.cli.config_file import add_config_argument, find_config
from dicomd.config.load import load
from dicomd.storage.index import INDEX_NAME, Index
from dicomd.storage.verification import verify


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--study``, ``--config``, ``--json``."""
    parser.add_argument("--study", metavar="UID", help="only the objects of this study")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    add_config_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """List every object that is gone or changed; exit 1 when there is one, or when the study is
    not in the index."""
    settings = load(find_config(arguments))
    examined = bad = 0
    with Index(os.path.join(settings.state_directory, INDEX_NAME), read_only=True) as index:
        entries = list(index.entries(study=arguments.study))
    for found in verify(entries):
        bad += 1
        entry = found.entry
        if arguments.json:
            facts = {
                "kind": found.kind,
                "why": found.why,
                "path": entry.path,
                "sop_instance": entry.sop_instance_uid,
                "study": entry.study_instance_uid,
            }
            print(json.dumps(facts))
        else:
            print(f"{found.kind}: {entry.path}: {found.why}")
    examined = len(entries)
    if arguments.study and not entries:
        print(f"no object of study {arguments.study} is in the index", file=sys.stderr)
        return exit_codes.USAGE
    unsummed = sum(1 for entry in entries if not entry.sha256)
    note = f", {unsummed} by size only (no checksum yet)" if unsummed else ""
    print(f"{examined} objects examined{note}, {bad} gone or changed", file=sys.stderr)
    return exit_codes.USAGE if bad else exit_codes.OK
