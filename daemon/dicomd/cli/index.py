"""dicomd index rebuild: the index made anew from the files of the stores."""

import argparse
import os
import sys

from dicomd.cli import exit_codes
from dicomd.cli.config_file import add_config_argument, find_config
from dicomd.config.load import load
from dicomd.storage.index import INDEX_NAME, Index
from dicomd.storage.rebuilding import rebuild


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``rebuild``, ``--config``."""
    parser.add_argument("action", choices=["rebuild"], help="make the index match the files")
    add_config_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Rebuild, also while the daemon runs; says what was found."""
    settings = load(find_config(arguments))
    stores = {
        name: store.directory
        for name, store in settings.stores.items()
        if store.mode != "ignore" and store.directory
    }
    os.makedirs(settings.state_directory, mode=0o750, exist_ok=True)
    with Index(os.path.join(settings.state_directory, INDEX_NAME)) as index:
        try:
            found = rebuild(index, stores)
        except OSError as exc:
            print(f"dicomd index: {exc.filename}: {exc.strerror}", file=sys.stderr)
            return exit_codes.USAGE
    print(
        f"{found.objects} objects indexed, {found.forgotten} forgotten,"
        f" {found.skipped} files that are no DICOM objects"
    )
    return exit_codes.OK
