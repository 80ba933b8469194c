"""dicomd run: the daemon, in the foreground, from dicomd.yaml."""

import argparse
from functools import partial

from dicomd.cli.config_file import add_config_argument, find_config
from dicomd.config.load import load
from dicomd.supervisor.supervisor import Supervisor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``dicomd run``."""
    add_config_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run until told to stop. ConfigError and StartError of a first start go to ``main``."""
    return Supervisor(partial(load, find_config(arguments))).run()
