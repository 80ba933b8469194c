"""What ``recv`` and ``move`` share with every tool of DCMTK: usage, version, errors, logging.

Measured on DCMTK 3.6.7: errors of a command line go to standard error behind an identification
line, with exit code 1; those found after the logger options were evaluated are silent when errors
are switched off.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import dicomd
from dicomd.cli.options import CommandLine, CommandLineError, Grammar, Option, Section
from dicomd.config.oflog import read_oflog
from dicomd.config.profiles.uid_names import dcmtk_names
from dicomd.errors import ConfigError, Fault
from dicomd.settings.log import DcmtkLogSettings, Level, LogSettings

USAGE_ERROR = 1
ERROR_LEVEL = 40
INFO_LEVEL = 20

LEVELS = {
    "off": 60, "fatal": 50, "error": 40, "warn": 30, "info": 20, "debug": 10, "trace": 5, "all": 1,
}  # fmt: skip
"""DCMTK's level names as Python's numbers."""

_OUR_LEVELS: tuple[tuple[int, Level], ...] = (
    (50, "critical"),
    (40, "error"),
    (30, "warning"),
    (20, "info"),
    (10, "debug"),
    (0, "trace"),
)

GENERAL_OPTIONS = (
    Option("--help", "-h", "show this text and end", ends=True),
    Option("--version", "", "show the version and end", ends=True),
    Option("--arguments", "", "log the command line as it was understood"),
    Option("--quiet", "-q", "log fatal errors only"),
    Option("--verbose", "-v", "log what is being done"),
    Option("--debug", "-d", "log details for finding faults"),
    Option(
        "--log-level", "-ll", "log from level L up", ("L: fatal, error, warn, info, debug, trace",)
    ),
    Option("--log-config", "-lc", "log as configuration file F says", ("F: a file",)),
)
"""The options that every tool has."""

OUR_OPTIONS = (
    Option("--strict", "", "refuse what the replaced tool lets pass: mismatched or bad UIDs"),
    Option(
        "--durability",
        "",
        "when Success is answered: once the object is safe on disk (default), or at once",
        ("D: object, none",),
    ),
    Option("--json-log", "", "log one JSON object a line"),
)
"""Options of ours that both tools have."""


@dataclass(frozen=True, slots=True)
class ToolLog:
    """How a tool logs, as its command line says."""

    dcmtk: DcmtkLogSettings
    warnings: tuple[Fault, ...] = ()

    def enabled(self, level: int, logger: str) -> bool:
        """Whether a logger (``dcmtk.apps.dcmrecv``) passes lines of a level."""
        levels = {one.name: one.level for one in self.dcmtk.loggers}
        name = logger
        while True:
            found = levels.get(name)
            if found is not None:
                return level >= found
            if not name:
                return level >= self.dcmtk.level
            name = name.rpartition(".")[0]

    @property
    def quiet(self) -> bool:
        """Whether the texts of errors are suppressed, as ``-q`` does."""
        return not self.enabled(ERROR_LEVEL, "")


def run_tool(
    grammar: Grammar,
    argv: list[str],
    body: Callable[[CommandLine, ToolLog], int],
    *,
    ending: dict[str, Callable[[], str]] | None = None,
) -> int:
    """Parse, answer ``--help`` and its like, set logging up, and run the tool's body.

    ``ending`` holds the texts of further options that print something and end.
    """
    try:
        line = grammar.parse(argv)
    except CommandLineError as error:
        return fail(grammar, str(error))
    if not line.expanded or line.given("--help"):
        print(f"{banner(grammar)}\n{grammar.usage()}")
        return 0
    texts = {"--version": _version, **(ending or {})}
    for long, text in texts.items():
        if line.given(long):
            print(f"{banner(grammar)}\n{text()}")
            return 0
    try:
        log = logging_of(line, grammar.tool)
    except CommandLineError as error:
        return fail(grammar, str(error))
    if line.given("--arguments"):
        words = "".join(f"'{word}' " for word in line.expanded)
        print(
            f"I: calling '{grammar.tool}' with {len(line.expanded)} arguments: {words}\nI: ",
            file=sys.stderr,
        )
    try:
        return body(line, log)
    except CommandLineError as error:
        return USAGE_ERROR if log.quiet else fail(grammar, str(error))
    except ConfigError as error:  # outputs of the log that cannot be opened
        return fail(grammar, error.faults[0].text)


def logging_of(line: CommandLine, tool: str) -> ToolLog:
    """The logger options. Raises CommandLineError."""
    level = 30
    chosen = ""
    names = {"--quiet": 50, "--verbose": INFO_LEVEL, "--debug": 10}
    for chosen in line.counting(*names):
        level = names[chosen]
    others = "--verbose, --debug or --quiet"
    if line.given("--log-level"):
        line.forbid("--log-level", others, when=bool(chosen))
        name = line.value("--log-level").lower()
        if name not in LEVELS:
            raise CommandLineError("Invalid log level for --log-level option")
        level = LEVELS[name]
    settings = DcmtkLogSettings(application=tool, level=level)
    if not line.given("--log-config"):
        return ToolLog(settings)
    line.forbid("--log-config", others, when=bool(chosen))
    line.forbid("--log-config", "--log-level", when=line.given("--log-level"))
    line.forbid("--log-config", "--json-log", when=line.given("--json-log"))
    try:
        settings, warnings = read_oflog(line.value("--log-config"), application=tool)
    except ConfigError as error:
        # DCMTK's texts name the option instead of the file.
        raise CommandLineError(error.faults[0].text) from error
    return ToolLog(settings, tuple(warnings))


def log_settings(line: CommandLine, log: ToolLog, *, verbose_contexts: bool) -> LogSettings:
    """What the supervisor logs by: DCMTK's lines, or with ``--json-log`` our events."""
    if not line.given("--json-log"):
        return LogSettings(
            dcmtk=replace(
                log.dcmtk,
                verbose_contexts=verbose_contexts,
                uid_names=dcmtk_names(),
                host_names=not line.given("--disable-host-lookup"),
            )
        )
    level = next(name for least, name in _OUR_LEVELS if log.dcmtk.level >= least)
    return LogSettings(level=level, format="json")


def durability_of(line: CommandLine) -> Literal["object", "none"]:
    """What ``--durability`` asks for. Raises CommandLineError."""
    text = line.value("--durability", "object")
    if text == "object":
        return "object"
    if text == "none":
        return "none"
    raise CommandLineError(f"Invalid value for option --durability ({text})")


def banner(grammar: Grammar) -> str:
    """The identification line and what the tool is."""
    return f"$dicomd: {grammar.tool} v{dicomd.__version__} $\n\n{grammar.tool}: {grammar.summary}"


def fail(grammar: Grammar, text: str) -> int:
    """Print an error of the command line; returns exit code 1."""
    print(f"{banner(grammar)}\nerror: {text}", file=sys.stderr)
    return USAGE_ERROR


def _version() -> str:
    import platform
    import ssl

    return (
        f"\ndicomd {dicomd.__version__}, Python {platform.python_version()}, "
        f"{ssl.OPENSSL_VERSION}\n"
        "Stands in for the tool of this name of DCMTK 3.6.7."
    )


def general_section() -> Section:
    """The heading under which every tool lists the general options."""
    return Section("general options", GENERAL_OPTIONS)
