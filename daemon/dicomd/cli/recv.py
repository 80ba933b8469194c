"""dicomd recv: dcmrecv's command line, in front of the daemon's own machinery.

Options, conflicts, texts and exit codes are those measured on DCMTK 3.6.7. The options make a
``load`` for the supervisor, which reads the profile, the log configuration and the TLS files anew
with every SIGHUP. Different by design: many associations at once, no partial files, Success only
for what is on disk, and SIGTERM lets associations end and exits 0.
"""

import errno
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dicomd.cli import tls_options
from dicomd.cli.options import (
    CommandLine,
    Grammar,
    Option,
    Parameter,
    Section,
)
from dicomd.cli.tool import (
    ERROR_LEVEL,
    INFO_LEVEL,
    OUR_OPTIONS,
    ToolLog,
    durability_of,
    general_section,
    log_settings,
    logging_of,
    run_tool,
)
from dicomd.config.profiles.load import load_profile
from dicomd.errors import BindError, ConfigError, Fault, StartError
from dicomd.settings.daemon import DaemonSettings
from dicomd.settings.listener import (
    AccessSettings,
    LimitSettings,
    ListenerSettings,
    TimeoutSettings,
    TlsSettings,
)
from dicomd.settings.profile import VERIFICATION_ONLY, AssociationProfile
from dicomd.settings.storage import DCMRECV_REWRITE, StoreSettings
from dicomd.supervisor.last_words import say
from dicomd.supervisor.supervisor import Supervisor

EXIT_DIRECTORY = 45
EXIT_LISTEN = 64
EXIT_PROFILE = 66
EXIT_TLS = 71

LOGGER = "dcmtk.apps.dcmrecv"
ASSOCIATIONS = 1000
"""Associations at once, unless --max-associations says otherwise. dcmrecv takes one."""
NO_PROFILE = "no configuration file specified, SCP will only support the Verification SOP Class"

GRAMMAR = Grammar(
    tool="dcmrecv",
    summary="receive and store DICOM objects (dicomd recv)",
    parameters=(Parameter("port", "TCP port to listen on, 1 to 65535"),),
    sections=(
        general_section(),
        Section(
            "network options",
            (
                Option("--verbose-pc", "+v", "with -v: show what each association negotiates"),
                Option(
                    "--config-file",
                    "-xf",
                    "accept what profile P of file F says (default: Verification only)",
                    ("F: a file", "P: a name"),
                ),
                Option("--aetitle", "-aet", "our AE title (default: DCMRECV)", ("T: a title",)),
                Option("--use-called-aetitle", "-uca", "answer with the AE title that was called"),
                Option(
                    "--acse-timeout",
                    "-ta",
                    "wait so long for an association request (default: 30)",
                    ("S: seconds",),
                ),
                Option(
                    "--dimse-timeout",
                    "-td",
                    "wait so long for a message (default: without limit)",
                    ("S: seconds",),
                ),
                Option(
                    "--max-pdu",
                    "-pdu",
                    "largest PDU that peers may send (default: 16384)",
                    ("N: bytes, 4096 to 131072",),
                ),
                Option("--disable-host-lookup", "-dhl", "log addresses, look up no names"),
                Option("--ipv4", "-i4", "listen on IPv4 addresses (default)"),
                Option("--ipv6", "-i6", "listen on IPv6 addresses"),
                Option("--ip-auto", "-i0", "listen on addresses of both kinds"),
            ),
        ),
        *tls_options.SECTIONS,
        Section(
            "output options",
            (
                Option(
                    "--output-directory",
                    "-od",
                    "store in folder D, which exists (default: the current one)",
                    ("D: a folder",),
                ),
                Option("--no-subdir", "-s", "all files in one folder (default)"),
                Option("--series-date-subdir", "+ssd", "folders by series date"),
                Option("--default-filenames", "+fd", "name files by instance UID (default)"),
                Option("--unique-filenames", "+fu", "name files by a new UID"),
                Option("--short-unique-names", "+fsu", "short random names"),
                Option("--system-time-names", "+fst", "name files by the time of day"),
                Option(
                    "--filename-extension",
                    "-fe",
                    "append E to each name; no dot is added",
                    ("E: text",),
                ),
                Option("--normal", "-B", "write data sets again in clean form (default)"),
                Option("--bit-preserving", "+B", "write the very bytes received"),
                Option("--ignore", "", "receive and discard"),
            ),
        ),
        Section(
            "options that dcmrecv does not have",
            (
                *OUR_OPTIONS,
                Option("--workers", "", "processes (default: one a processor)", ("N: 1 to 256",)),
                Option(
                    "--max-associations",
                    "",
                    f"associations at once (default: {ASSOCIATIONS})",
                    ("N: a number from 1",),
                ),
            ),
        ),
    ),
)

_FILENAMES = {
    "--default-filenames": "default",
    "--unique-filenames": "unique",
    "--short-unique-names": "short-unique",
    "--system-time-names": "system-time",
}
Mode = Literal["normal", "bit-preserving", "ignore"]
_MODES: dict[str, Mode] = {
    "--normal": "normal",
    "--bit-preserving": "bit-preserving",
    "--ignore": "ignore",
}
_ADDRESSES = {"--ipv4": "0.0.0.0", "--ipv6": "::", "--ip-auto": ""}


class RecvError(ConfigError):
    """The service cannot start, for a reason that dcmrecv has an exit code for.

    ``lines`` are dcmrecv's, each a level's letter and a text.
    """

    def __init__(self, code: int, lines: Sequence[tuple[str, str]]) -> None:
        self.code = code
        self.lines = tuple(lines)
        super().__init__([Fault("", 0, 0, lines[-1][1])])


@dataclass(frozen=True, slots=True, kw_only=True)
class RecvOptions:
    """A command line, checked. What it names has not been read yet."""

    listener: ListenerSettings
    store: StoreSettings
    profile_file: str | None
    profile_name: str
    tls: TlsSettings | None


def main(argv: Sequence[str]) -> int:
    """Run ``dicomd recv`` (or ``dcmrecv``); returns the exit code."""
    return run_tool(GRAMMAR, list(argv), _serve, ending={"--list-ciphers": tls_options.ciphers})


def _serve(line: CommandLine, log: ToolLog) -> int:
    options = options_of(line, log)
    asked: list[str] = []

    def load() -> DaemonSettings:
        return settings_of(options, line, logging_of(line, GRAMMAR.tool), asked)

    try:
        return Supervisor(load).run()
    except RecvError as error:
        # dcmrecv looks at keys and certificates last, when it has said that it listens.
        said = _opening(options) if error.code == EXIT_TLS else _opening(options)[:-1]
        report(log, [*said, *error.lines])
        return error.code
    except BindError as error:
        report(log, [*_opening(options), *_cannot_listen(options.listener.port, error)])
        return EXIT_LISTEN
    except StartError as error:
        report(log, [*_opening(options), ("F", f"cannot start SCP: {error}")])
        return EXIT_LISTEN


def options_of(line: CommandLine, log: ToolLog) -> RecvOptions:
    """Evaluate a command line in dcmrecv's order. Raises CommandLineError."""
    if line.given("--verbose-pc"):
        verbose = log.enabled(INFO_LEVEL, LOGGER)
        line.require("--verbose-pc", "verbose mode", when=verbose)
    profile = line.values("--config-file") if line.given("--config-file") else None
    called = line.last_of("--aetitle", "--use-called-aetitle") == "--aetitle"
    title = line.value("--aetitle", "DCMRECV") if called else "DCMRECV"
    acse = line.number("--acse-timeout", 1)
    dimse = line.number("--dimse-timeout", 1) or 0
    max_pdu = line.number("--max-pdu", 4096, 131072)
    directory = line.value("--output-directory", ".").rstrip("/") or (
        "/" if line.value("--output-directory").startswith("/") else "."
    )
    subdirectories = line.last_of("--no-subdir", "--series-date-subdir")
    by_date = subdirectories == "--series-date-subdir"
    filenames = line.last_of(*_FILENAMES) or "--default-filenames"
    extension = line.value("--filename-extension")
    mode: Mode = "normal"
    for choice in line.counting(*_MODES):
        mode = _MODES[choice]
        if choice == "--bit-preserving":
            line.forbid("--bit-preserving", "--series-date-subdir", when=by_date)
    port = line.parameter_number(0, 1, 65535)
    tls = tls_options.tls_of(line)
    strict = line.given("--strict")
    workers = line.number("--workers", 1, 256)
    associations = line.number("--max-associations", 1) or ASSOCIATIONS
    access = AccessSettings(called_ae_titles=(title,) if strict and called else ())
    timeouts = TimeoutSettings(
        acse=float(acse or 30), dimse=float(dimse), idle=float(dimse), association=0.0
    )
    listener = ListenerSettings(
        address=_ADDRESSES[line.last_of(*_ADDRESSES) or "--ipv4"],
        port=port,
        ae_title=title,
        respond_with_called_ae_title=True,
        store="received",
        workers=workers or "auto",
        checks="strict" if strict else "tolerant",
        max_pdu=max_pdu or 16384,
        host_names=not line.given("--disable-host-lookup"),
        timeouts=timeouts,
        limits=LimitSettings(
            associations=associations,
            associations_per_host=associations,
            connections=max(associations, 1024),
        ),
        access=access,
        implementation="dcmrecv",
    )
    store = StoreSettings(
        directory=directory,
        mode=mode,
        rewrite=DCMRECV_REWRITE if mode == "normal" else None,
        subdirectories="series-date" if by_date else "none",
        filenames=_FILENAMES[filenames],
        extension=extension,
        durability=durability_of(line),
        file_mode=None,
        min_free_space=0,
        create_directory=True,
        abort_unparsable=True,
    )
    return RecvOptions(
        listener=listener,
        store=store,
        profile_file=profile[0] if profile else None,
        profile_name=profile[1] if profile else "",
        tls=tls,
    )


def settings_of(
    options: RecvOptions, line: CommandLine, log: ToolLog, asked: list[str]
) -> DaemonSettings:
    """Read what the command line names. Raises RecvError; in dcmrecv's order, the first fault."""
    warnings = [] if options.profile_file is not None else [NO_PROFILE]
    listener = replace(options.listener, negotiation=_negotiation(options))
    if options.store.mode != "ignore" or line.given("--output-directory"):
        _check_directory(options.store.directory)
    if options.tls is not None:
        tls, lines = tls_options.checked(options.tls, asked)
        if tls is None:
            raise RecvError(EXIT_TLS, lines)
        listener = replace(listener, tls=tls)
        warnings += [text for _, text in lines]
    return DaemonSettings(
        listeners={"recv": listener},
        stores={"received": options.store},
        logging=log_settings(line, log, verbose_contexts=line.given("--verbose-pc")),
        warnings=tuple(warnings),
    )


def report(log: ToolLog, lines: Sequence[tuple[str, str]]) -> None:
    """Log lines as dcmrecv does, as far as its levels let them through.

    For what happens before there is a log, and for a start that fails.
    """
    if log.dcmtk.file:
        say(log.dcmtk, LOGGER, lines)
        return
    levels = {"F": 50, "E": ERROR_LEVEL, "W": 30, "I": INFO_LEVEL}
    for letter, text in lines:
        if log.enabled(levels[letter], LOGGER):
            print(f"{letter}: {text}", file=sys.stderr)


def _opening(options: RecvOptions) -> list[tuple[str, str]]:
    """What dcmrecv has said before it listens."""
    lines = [("I", "configuring service class provider ...")]
    if options.profile_file is None:
        lines.append(("W", NO_PROFILE))
    lines.append(("I", "starting service class provider and listening ..."))
    return lines


def _cannot_listen(port: int, error: BindError) -> list[tuple[str, str]]:
    start = f"cannot start SCP and listen on port {port}:"
    if error.errno == errno.EACCES:
        return [
            ("E", f"No privileges to open this network port ({port})"),
            ("F", f"{start} Insufficient port privileges"),
        ]
    return [("F", f"{start} TCP Initialization Error: {error.reason}")]


def _negotiation(options: RecvOptions) -> AssociationProfile:
    if options.profile_file is None:
        return VERIFICATION_ONLY
    # dcmrecv's texts for a profile that cannot be used are known where it is read.
    from dicomd.config.profiles.asconfig import DcmtkProfileError

    try:
        return load_profile(options.profile_file, options.profile_name)
    except DcmtkProfileError as error:
        # A value can go on in a second line; DCMTK marks each line of a message.
        lines = [("E", line) for line in error.dcmtk_error.split("\n")] if error.dcmtk_error else []
        lines += [("F", line) for line in error.dcmtk_fatal.split("\n")]
        raise RecvError(EXIT_PROFILE, lines) from error


def _check_directory(directory: str) -> None:
    reason = ""
    if not os.path.isdir(directory):
        reason = "Directory does not exist"
    elif not os.access(directory, os.W_OK):
        reason = "Directory is not writable"
    if reason:
        text = f"cannot specify output directory: {reason}"
        raise RecvError(EXIT_DIRECTORY, [("F", text)])
