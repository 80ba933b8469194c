"""dicomd run: the daemon, in the foreground, from dicomd.yaml."""

import argparse
from functools import partial

from dicomd.cli.config_file import add_config_argument, find_config
from dicomd.config.load import load
from dicomd.storage.templates import parse_template
from dicomd.supervisor.supervisor import Supervisor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``dicomd run``."""
    add_config_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run until told to stop. ConfigError and StartError of a first start go to ``main``."""
    file = find_config(arguments)
    return Supervisor(partial(load, file, check_template=check_template)).run()


def check_template(text: str, folders: bool) -> None:
    """Check a naming template by the rules of the store. Raises ValueError."""
    parse_template(text, folders=folders)
