"""The verbs of dicomd: a table, and the way into each.

A verb's module is imported only when the verb is called, so that `dicomd status` does not pay for
the daemon. Each module has ``add_arguments(parser)`` and ``run(arguments) -> int``; where several
verbs share a module, ``parser.get_default("verb")`` and ``arguments.verb`` tell them apart.
``recv`` and ``move`` have DCMTK's grammar instead of argparse's: their modules have
``main(argv) -> int``.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import NoReturn

import dicomd
from dicomd.cli import exit_codes
from dicomd.errors import ConfigError, DicomdError, StartError


@dataclass(frozen=True, slots=True)
class Verb:
    """Where a verb lives, and the line that the help text has for it."""

    module: str
    summary: str
    grammar: str = "argparse"
    """``argparse``, or ``dcmtk``: the module gets the raw arguments."""


VERBS = {
    "run": Verb("dicomd.cli.run", "run the daemon in the foreground"),
    "check": Verb("dicomd.cli.check", "validate everything that the daemon would load"),
    "recv": Verb("dicomd.cli.recv", "receive objects, with dcmrecv's command line", "dcmtk"),
    "move": Verb("dicomd.cli.move", "retrieve objects, with movescu's command line", "dcmtk"),
    "profile": Verb("dicomd.cli.profile", "show, convert and compare association profiles"),
    "status": Verb("dicomd.cli.client", "show what the running daemon does"),
    "reload": Verb("dicomd.cli.client", "make the running daemon read its configuration again"),
    "stop": Verb("dicomd.cli.client", "stop the running daemon when its associations have ended"),
    "jobs": Verb("dicomd.cli.jobs", "list, run, pause and inspect scheduled retrievals"),
    "verify": Verb("dicomd.cli.verify", "compare the objects on disk with the index"),
    "index": Verb("dicomd.cli.index", "maintain the index of what was received"),
    "schema": Verb("dicomd.cli.check", "print the JSON Schema of the configuration"),
}

TOOLS = {"dcmrecv": "recv", "movescu": "move"}
"""Program names under which dicomd acts as the tool that it replaces."""


class Parser(argparse.ArgumentParser):
    """argparse, with our exit code for a wrong command line and no abbreviated options."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and the message; exit 1."""
        self.print_usage(sys.stderr)
        self.exit(exit_codes.USAGE, f"{self.prog}: error: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns its exit code."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    tool = TOOLS.get(PurePath(sys.argv[0]).name) if arguments is None else None
    try:
        if tool is not None:
            return _run_tool(VERBS[tool], argv)
        return _run_verb(argv)
    except ConfigError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        return exit_codes.CONFIG_REFUSED
    except StartError as error:
        print(f"dicomd: {error}", file=sys.stderr)
        return exit_codes.START_FAILED
    except DicomdError as error:
        print(f"dicomd: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except BrokenPipeError:
        # Whoever read our output has gone. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exit_codes.USAGE
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED


def _run_verb(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(_help())
        return exit_codes.OK if argv else exit_codes.USAGE
    if argv[0] in ("-V", "--version"):
        print(f"dicomd {dicomd.__version__}")
        return exit_codes.OK
    name, *rest = argv
    verb = VERBS.get(name)
    if verb is None:
        print(f"dicomd: no command {name!r}{_suggestion(name)}", file=sys.stderr)
        return exit_codes.USAGE
    if verb.grammar == "dcmtk":
        return _run_tool(verb, rest)
    module = importlib.import_module(verb.module)
    parser = Parser(prog=f"dicomd {name}", description=verb.summary.capitalize() + ".")
    parser.allow_abbrev = False
    parser.set_defaults(verb=name)
    module.add_arguments(parser)
    code: int = module.run(parser.parse_args(rest))
    return code


def _run_tool(verb: Verb, argv: list[str]) -> int:
    code: int = importlib.import_module(verb.module).main(argv)
    return code


def _suggestion(name: str) -> str:
    import difflib

    close = difflib.get_close_matches(name, VERBS, n=1)
    return f"; did you mean {close[0]!r}?" if close else "; `dicomd --help` lists them"


def _help() -> str:
    lines = ["usage: dicomd COMMAND [...]", "", "Receives and retrieves DICOM, unattended.", ""]
    lines += [f"  {name:<9}{verb.summary}" for name, verb in VERBS.items()]
    lines += ["", "`dicomd COMMAND --help` describes one of them."]
    return "\n".join(lines)
