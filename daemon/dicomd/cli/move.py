"""``dicomd move``: movescu's command line, and the service that it asks for.

Builds the same settings that the daemon runs on: one retrieval to be run once, and with ``+P`` one
listener and one store. Exit codes are movescu's.
"""

import os
import re
import sys
from dataclasses import dataclass, replace
from typing import Literal

from dicomd.cli.move_options import (
    ENCAPSULATED,
    GRAMMAR,
    INCOMING,
    MODELS,
    OUTGOING,
    WRITTEN,
)
from dicomd.cli.options import CommandLine, CommandLineError
from dicomd.cli.tool import INFO_LEVEL, ToolLog, fail, run_tool
from dicomd.config.profiles.uid_names import dcmtk_names
from dicomd.errors import StartError
from dicomd.query.dictionary import QueryError, read_dictionaries
from dicomd.query.keys import parse_key
from dicomd.settings.daemon import DaemonSettings, IndexSettings
from dicomd.settings.listener import (
    AccessSettings,
    LimitSettings,
    ListenerSettings,
    TimeoutSettings,
)
from dicomd.settings.log import LogSettings
from dicomd.settings.move import MoveSettings
from dicomd.settings.profile import VERIFICATION, AssociationProfile, PresentationContext
from dicomd.settings.storage import RewriteSettings, StoreSettings
from dicomd.storage.modality import PREFIXES
from dicomd.supervisor.supervisor import Supervisor

EXIT_PRIVILEGE = 2
EXIT_NOT_WRITABLE = 40
EXIT_NO_DIRECTORY = 45
EXIT_NETWORK = 60

_NOT_ACCEPTED = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.200.1",
        "1.2.840.10008.5.1.4.1.1.200.3",
        "1.2.840.10008.5.1.4.1.1.200.7",
        "1.2.840.10008.5.1.4.38.1",
        "1.2.840.10008.5.1.4.39.1",
        "1.2.840.10008.5.1.4.43.1",
        "1.2.840.10008.5.1.4.44.1",
        "1.2.840.10008.5.1.4.45.1",
    }
)
"""Classes without a patient, which movescu knows the prefix of but refuses (DCMTK 3.6.7)."""

_NEGATIVE = re.compile(r"\s*-[0-9]+")


class _Ending(Exception):  # noqa: N818 - an exit code on its way out
    def __init__(self, code: int, text: str) -> None:
        self.code = code
        super().__init__(text)


def main(argv: list[str]) -> int:
    """Run one retrieval; returns movescu's exit code."""
    return run_tool(GRAMMAR, argv, _run)


def _run(line: CommandLine, log: ToolLog) -> int:
    try:
        port = line.parameter_number(1, 1, 65535)
    except CommandLineError as error:
        return fail(GRAMMAR, str(error))  # movescu looks at it before its logger options
    settings = settings_of(line, log, port)
    try:
        if settings.listeners:
            _check_receiving(settings)
        return Supervisor(lambda: settings).run()
    except _Ending as ending:
        print(f"F: {ending}", file=sys.stderr)
        return ending.code
    except StartError as error:
        print(f"F: cannot create network: TCP Initialization Error: {error}", file=sys.stderr)
        return EXIT_NETWORK


def settings_of(line: CommandLine, log: ToolLog, port: int) -> DaemonSettings:
    """The settings that a command line asks for. Raises CommandLineError in movescu's order."""
    keys = _keys(line)
    model = MODELS[line.last_of(*MODELS) or "--patient"]
    calling = line.value("--aetitle", "MOVESCU")
    incoming = line.last_of(*INCOMING) or "--prefer-uncompr"
    outgoing = line.last_of(*OUTGOING) or "--propose-uncompr"
    listening_port = 0
    for choice in line.counting("--no-port", "--port"):
        listening_port = line.number("--port", 1, 65535) or 0 if choice == "--port" else 0
    pending = line.last_of("--pending-ignore", "--pending-read")
    clocks = _Clocks(
        connect=_signed(line, "--timeout", 1) or 0,
        acse=_signed(line, "--acse-timeout", 1) or 30,
        dimse=_signed(line, "--dimse-timeout", 1) or 0,
    )
    max_pdu = line.number("--max-pdu", 4096, 131072) or 16384
    repeat = _signed(line, "--repeat", 1) or 1
    cancel_after = _signed(line, "--cancel", 0) or 0
    store = _store(line, listening_port, incoming, outgoing)
    workers = line.number("--workers", 1, 256)
    query_files = _query_files(line, keys)
    move = MoveSettings(
        host=line.parameters[0],
        port=port,
        calling_ae_title=calling,
        called_ae_title=line.value("--call", "ANY-SCP"),
        destination_ae_title=line.value("--move", calling),
        model=model,  # type: ignore[arg-type]  # the table holds the literal's values
        keys=keys,
        query_files=query_files,
        dictionaries=_dictionaries(),
        transfer_syntaxes=OUTGOING[outgoing],
        max_pdu=max_pdu,
        connect_timeout=clocks.connect,
        acse_timeout=clocks.acse,
        dimse_timeout=clocks.dimse,
        repeat=repeat,
        cancel_after=cancel_after,
        abort=line.given("--abort"),
        pending_dataset="read" if pending == "--pending-read" else "ignore",
        progress=_progress(log, json_log=line.given("--json-log")),
    )
    listener = ListenerSettings(
        address="0.0.0.0",
        port=listening_port,
        ae_title=calling,
        negotiation=acceptable(INCOMING[incoming]),
        accept_empty=True,
        store="move",
        workers=workers or "auto",
        checks="strict" if line.given("--strict") else "tolerant",
        max_pdu=max_pdu,
        host_names=not line.given("--disable-host-lookup"),
        timeouts=TimeoutSettings(
            acse=clocks.acse, dimse=clocks.dimse, idle=clocks.dimse, pdu=clocks.dimse
        ),
        limits=LimitSettings(associations=256, associations_per_host=256),
        access=AccessSettings(
            hosts_access=line.last_of("--access-full", "--access-control") == "--access-control",
            hosts_access_name="movescu",
        ),
        implementation="movescu",
    )
    return DaemonSettings(
        listeners={"move": listener} if listening_port else {},
        stores={"move": store} if listening_port else {},
        index=IndexSettings(enabled=False),
        logging=_logging(line, log),
        once=move,
    )


def acceptable(transfer_syntaxes: tuple[str, ...]) -> AssociationProfile:
    """What movescu accepts: Verification and the storage classes of patients' objects."""
    classes = [VERIFICATION, *(uid for uid in PREFIXES if uid not in _NOT_ACCEPTED)]
    return AssociationProfile(
        contexts=tuple(
            PresentationContext(abstract_syntax=uid, transfer_syntaxes=transfer_syntaxes)
            for uid in classes
        )
    )


@dataclass(frozen=True, slots=True)
class _Clocks:
    connect: int
    acse: int
    dimse: int


def _signed(line: CommandLine, long: str, least: int) -> int | None:
    """A number that DCMTK takes for a signed one: below zero is below the least, too."""
    every = line.every(long)
    if every and _NEGATIVE.fullmatch(every[-1][0]):
        raise CommandLineError(
            f"Invalid value for option {long} (underflow: {every[-1][0].strip()})"
        )
    return line.number(long, least, 0x7FFFFFFF)


def _dictionaries() -> tuple[str, ...]:
    return tuple(filter(None, os.environ.get("DCMDICTPATH", "").split(os.pathsep)))


def _keys(line: CommandLine) -> tuple[str, ...]:
    """The keys as written. The rightmost bad one is reported: they are worked from the right."""
    dictionary, _ = read_dictionaries(_dictionaries())
    keys = tuple(values[0] for values in line.every("--key"))
    for text in reversed(keys):
        try:
            parse_key(text, dictionary)
        except QueryError as error:
            raise CommandLineError(str(error)) from error
    return keys


def _query_files(line: CommandLine, keys: tuple[str, ...]) -> tuple[str, ...]:
    files = line.parameters[2:]
    for path in files:
        if not os.access(path, os.R_OK):
            raise CommandLineError(f"cannot access file: {path}")
    if not files and not keys:
        raise CommandLineError("either query file or override keys (or both) must be specified")
    return files


def _store(line: CommandLine, port: int, incoming: str, outgoing: str) -> StoreSettings:
    """The output options, with their conflicts in the order of movescu's help text."""
    if line.given("--output-directory"):
        line.require("--output-directory", "--port", when=port > 0)
    bit_preserving = line.last_of("--normal", "--bit-preserving") == "--bit-preserving"
    without_header = line.last_of("--write-file", "--write-dataset") == "--write-dataset"
    written = "--write-xfer-same"
    for written in line.counting(*WRITTEN):
        _check_written(line, written, incoming, bit_preserving=bit_preserving)
    for group in (
        ("--enable-new-vr", "--disable-new-vr"),
        ("--group-length-recalc", "--group-length-create", "--group-length-remove"),
        ("--length-explicit", "--length-undefined"),
    ):
        for choice in line.counting(*group):
            line.forbid(choice, "--bit-preserving", when=bit_preserving)
    pad_file = pad_items = 0
    padding = line.last_of("--padding-off", "--padding-create") == "--padding-create"
    for choice in line.counting("--padding-off", "--padding-create"):
        if choice == "--padding-create":
            line.forbid(choice, "--write-dataset", when=without_header)
            line.forbid(choice, "--bit-preserving", when=bit_preserving)
            pad_file = line.number(choice, 0) or 0
            pad_items = line.number(choice, 0, index=1) or 0
    level = 6
    if line.given("--compression-level"):
        line.require(
            "--compression-level",
            "--propose-deflated, --write-xfer-deflated or --write-xfer-same",
            when=outgoing == "--propose-deflated"
            or written in ("--write-xfer-deflated", "--write-xfer-same"),
        )
        level = line.number("--compression-level", 0, 9) or 0
    groups = line.last_of("--group-length-recalc", "--group-length-create", "--group-length-remove")
    rewrite = RewriteSettings(
        transfer_syntax=WRITTEN[written],
        group_lengths={"--group-length-create": "add", "--group-length-remove": "remove"}.get(
            groups, "recalculate"
        ),  # type: ignore[arg-type]  # the table holds the literal's values
        sequence_lengths="undefined"
        if line.last_of("--length-explicit", "--length-undefined") == "--length-undefined"
        else "explicit",
        padding="pad" if padding else "remove",
        pad_file=pad_file if padding else 0,
        pad_items=pad_items if padding else 0,
        new_vrs=line.last_of("--enable-new-vr", "--disable-new-vr") != "--disable-new-vr",
        compression_level=level,
    )
    durability = line.value("--durability", "object")
    if durability not in ("object", "none"):
        raise CommandLineError(f"Invalid value for option --durability ({durability})")
    mode = "bit-preserving" if bit_preserving else "normal"
    return StoreSettings(
        directory=line.value("--output-directory", ".") or ".",
        mode="ignore" if line.given("--ignore") else mode,  # type: ignore[arg-type]  # literals
        rewrite=None if bit_preserving else rewrite,
        meta_header=not without_header,
        durability="none" if durability == "none" else "object",
        file_mode=None,
        min_free_space=0,
        create_directory=False,
        abort_unparsable=True,
    )


def _check_written(line: CommandLine, written: str, incoming: str, *, bit_preserving: bool) -> None:
    if written == "--write-xfer-same":
        return
    line.forbid(written, "--accept-all", when=incoming == "--accept-all")
    line.forbid(written, "--bit-preserving", when=bit_preserving)
    for preference in ENCAPSULATED:
        line.forbid(written, preference.long, when=incoming == preference.long)


def _progress(log: ToolLog, *, json_log: bool) -> Literal["none", "dots", "bar"]:
    """movescu's dots at INFO exactly; on a terminal a bar where nothing else is shown."""
    if json_log:
        return "none"
    progress = "dcmtk.apps.movescu.progress"
    if log.enabled(INFO_LEVEL, progress):
        return "none" if log.enabled(10, progress) else "dots"
    return "bar" if sys.stderr.isatty() and not log.quiet else "none"


def _logging(line: CommandLine, log: ToolLog) -> LogSettings:
    if line.given("--json-log"):
        return LogSettings(level="info", format="json")
    return LogSettings(
        dcmtk=replace(
            log.dcmtk,
            uid_names=dcmtk_names(),
            host_names=not line.given("--disable-host-lookup"),
        )
    )


def _check_receiving(settings: DaemonSettings) -> None:
    """The folder and the port, before anything is opened."""
    store, listener = settings.stores["move"], settings.listeners["move"]
    if store.mode != "ignore" or store.directory != ".":
        if not os.path.isdir(store.directory):
            raise _Ending(EXIT_NO_DIRECTORY, "specified output directory does not exist")
        if not os.access(store.directory, os.W_OK):
            raise _Ending(EXIT_NOT_WRITABLE, "specified output directory is not writeable")
    if listener.port < 1024 and os.geteuid() != 0:
        raise _Ending(
            EXIT_PRIVILEGE, f"cannot listen on port {listener.port}, insufficient privileges"
        )
