"""Where the configuration file is looked for, the same for every verb that needs it."""

import argparse
import os

DEFAULT_CONFIG = "/etc/dicomd/dicomd.yaml"


def add_config_argument(parser: argparse.ArgumentParser) -> None:
    """``--config FILE``."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        help=f"configuration file (default: $DICOMD_CONFIG, then {DEFAULT_CONFIG})",
    )


def find_config(arguments: argparse.Namespace) -> str:
    """The configuration file that ``--config``, the environment or the default names."""
    return str(arguments.config or os.environ.get("DICOMD_CONFIG") or DEFAULT_CONFIG)
