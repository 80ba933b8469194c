"""Every event that dicomd logs and every key that stands in a line, in one table each.

The README's log chapter is rendered from here, and a test holds both against the code: whoever
logs a new event adds its row. Names are dotted, past tense and stable.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["own", "peer", "class", "uid", "path", "patient", "text"]


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its usual level, its room, what it means."""

    name: str
    level: Literal["trace", "debug", "info", "warning", "error", "critical"]
    meaning: str


@dataclass(frozen=True, slots=True)
class Key:
    """One key. ``kind`` says who wrote the value and what it may give away.

    own: written by dicomd. peer: sent by a peer, cut at 64 characters. class: a UID of the standard
    or of a maker. uid: a UID of an object, hashed or left out as ``identifiers`` says; what should
    be a UID and is none is always hashed, since it may be anything. path: a path; UIDs in it are
    treated as such. patient: identifies a patient; hashed unless ``identifiers: show``. text: own
    words, may be long.
    """

    name: str
    kind: Kind
    meaning: str


EVENTS: tuple[Event, ...] = (
    # the daemon
    Event("daemon.starting", "info", "the log is open; sockets and processes come next"),
    Event("daemon.started", "info", "the service is ready: every listener is open"),
    Event("daemon.stopping", "info", "an order to stop has come; running associations may end"),
    Event("daemon.stopped", "info", "the last process is gone"),
    Event("daemon.privileged", "warning", "runs as root and `user:` is not set"),
    Event("config.reloaded", "info", "new settings are in force; `changes` says which"),
    Event("config.rejected", "error", "a fault in the files; the old settings stay in force"),
    Event("reload.failed", "error", "a fault of ours at a reload; the old settings stay in force"),
    Event("supervisor.failed", "error", "a fault of ours in the supervisor, which goes on"),
    Event("config.warned", "warning", "a doubtful place in a file that is used nevertheless"),
    Event("listener.opened", "info", "a listener takes calls"),
    Event("listener.closed", "info", "a listener takes no more calls"),
    Event("worker.started", "debug", "a process is ready"),
    Event("worker.exited", "info", "a process has ended; warning when nobody asked it to"),
    Event("store.swept", "warning", "unfinished files of a crash were removed from a store"),
    Event("snapshot.taken", "info", "the live state, asked for with SIGUSR2"),
    # associations that peers request
    Event("association.requested", "debug", "an A-ASSOCIATE-RQ has come"),
    Event("association.accepted", "info", "it was accepted"),
    Event("association.rejected", "warning", "it was rejected; `reason` says why"),
    Event("association.released", "info", "the peer released it; the closing line"),
    Event("association.aborted", "warning", "it ended otherwise; the closing line"),
    Event("negotiation.role_mismatched", "warning", "a proposed role does not fit the profile"),
    Event("connection.failed", "warning", "a connection ended before it was an association"),
    Event("connection.broken", "error", "an error of ours ended a connection"),
    Event("listener.exhausted", "error", "no descriptor is left to take calls with"),
    Event("worker.failed", "error", "a process cannot begin its work"),
    Event("worker.stumbled", "error", "an error of ours in a helper thread"),
    Event("order.unknown", "warning", "a process was told what it does not know"),
    Event("message.received", "debug", "a command set has come"),
    Event("message.ignored", "info", "a C-CANCEL or a response that nobody awaits"),
    Event("message.refused", "warning", "a command that is not served; error when it aborts"),
    Event("response.sent", "debug", "a response has been sent"),
    Event("echo.answered", "debug", "a C-ECHO was answered"),
    Event("object.stored", "info", "an object was kept and answered with Success"),
    Event("object.duplicated", "info", "an object of that name was there already"),
    Event("object.doubtful", "warning", "an object was kept, but something about it is odd"),
    Event("object.refused", "warning", "a C-STORE was answered with a failure"),
    Event("receipt.lost", "error", "an object is kept, but its receipt could not be written"),
    Event("storage.broken", "error", "an error of ours while an object was kept"),
    Event("storage.failing", "error", "objects cannot be kept: the start of a condition"),
    Event("storage.recovered", "info", "objects can be kept again; `objects` were refused"),
    Event("receipt.broken", "warning", "lines of a spool are no receipts: cut off by a crash"),
    Event("index.failing", "error", "the index cannot be written; receipts wait in the spools"),
    Event("index.recovered", "info", "the index can be written again"),
    # retrievals
    Event("call.requested", "debug", "we ask a peer for an association"),
    Event("call.accepted", "debug", "the peer accepted it"),
    Event("call.failed", "error", "it could not be had or released; `reason` says why"),
    Event("call.released", "debug", "we release it"),
    Event("call.aborted", "debug", "we abort it"),
    Event("move.requested", "debug", "a C-MOVE was sent"),
    Event("move.answered", "debug", "a pending response to it"),
    Event("move.doubted", "warning", "a response that the standard does not allow"),
    Event("move.cancelled", "debug", "a C-CANCEL was sent"),
    Event("move.ended", "debug", "its final response; warning when the status is no Success"),
    Event("move.failed", "error", "it broke before its final response; `reason` says why"),
    Event("query.doubted", "warning", "a key or dictionary that may not mean what was meant"),
    Event("job.started", "info", "a run of a retrieval has begun"),
    Event("job.progressed", "info", "how far a run is"),
    Event("job.verified", "info", "a study is complete on our disk"),
    Event("job.reported", "info", "a study was retrieved, but it is not ours to verify"),
    Event("job.retried", "warning", "a study is not complete: what is missing is asked for again"),
    Event("job.failed", "error", "a study or run could not be completed; `reason` says why"),
    Event("job.ended", "info", "a run has ended; warning when studies are incomplete"),
    Event("job.skipped", "warning", "a scheduled time passed without a run; `reason` says why"),
    Event("job.ordered", "info", "someone paused, resumed, cancelled or retried a job"),
    Event("node.joined", "info", "this daemon takes part in the jobs of its database"),
    Event("node.lost", "warning", "another daemon is gone: its work was taken over"),
    Event("engine.failing", "error", "the job engine met a fault; it tries again"),
    # the log itself
    Event("log.opened", "debug", "the log writer has its outputs open"),
    Event("log.reopened", "info", "log files were opened anew"),
    Event("log.dropped", "warning", "lines were lost: an output, or the writer, was too slow"),
    Event("log.failing", "error", "an output cannot be written"),
    Event("log.recovered", "info", "an output can be written again"),
    Event("log.unguarded", "warning", "debug lines are on: they may hold patient data"),
    Event("library.logged", "info", "a library's own line, at the library's level"),
)

KEYS: tuple[Key, ...] = (
    # in every line
    Key("timestamp", "own", "UTC, RFC 3339, microseconds"),
    Key("level", "own", "trace, debug, info, warning, error, critical"),
    Key("event", "own", "a name of the table above"),
    Key("logger", "own", "the room that speaks, as in `levels:`"),
    Key("pid", "own", "the process that speaks"),
    # associations and objects
    Key("association", "own", "an id that all lines of one association share"),
    Key("listener", "own", "name of the listener"),
    Key("peer", "peer", "address of the peer"),
    Key("calling_ae", "peer", "calling AE title"),
    Key("called_ae", "peer", "called AE title"),
    Key("context", "own", "presentation context id"),
    Key("contexts", "own", "presentation contexts, with what became of each"),
    Key("sop_class", "class", "SOP class UID"),
    Key("sop_instance", "uid", "SOP instance UID"),
    Key("study", "uid", "study instance UID"),
    Key("series", "uid", "series instance UID"),
    Key("transfer_syntax", "class", "transfer syntax UID"),
    Key("bytes", "own", "size in bytes"),
    Key("seconds", "own", "duration in seconds"),
    Key("status", "own", "DIMSE status, four hexadecimal digits"),
    Key("path", "path", "file or folder"),
    Key("objects", "own", "how many objects"),
    Key("reason", "text", "why, in words"),
    Key("peer_name", "peer", "host name of the peer, where it was looked up"),
    Key("certificate", "peer", "common name of the peer's TLS certificate"),
    Key("roles", "peer", "roles (SCU, SCP) by SOP class: proposed, or those of the profile"),
    Key("max_pdu", "peer", "the peer's maximum length; 0 is no limit"),
    Key("implementation_class", "class", "the peer's implementation class UID"),
    Key("implementation_version", "peer", "the peer's implementation version name"),
    Key("application_context", "class", "application context name of a request"),
    Key("protocol_version", "own", "protocol version of a request; its lowest bit must be set"),
    Key("results", "own", "what became of each presentation context: id, result, transfer syntax"),
    Key("result", "own", "result of an A-ASSOCIATE-RJ: 1 permanent, 2 transient"),
    Key("source", "own", "source of an A-ASSOCIATE-RJ"),
    Key("code", "own", "reason of an A-ASSOCIATE-RJ or A-ABORT, as its number"),
    Key("configured", "own", "the role that the profile has"),
    Key("proposed", "own", "the role that was proposed"),
    Key("command", "own", "which message: C-STORE, C-ECHO, C-CANCEL, or its number"),
    Key("message_id", "own", "message id of a request"),
    Key("outcome", "own", "what became of an object: overwritten, kept"),
    Key("warnings", "text", "what is odd about an object"),
    Key("cut_context", "own", "context of the object that an abort cut off"),
    Key("priority", "peer", "priority of a C-STORE: 0 medium, 1 high, 2 low"),
    Key("modality", "own", "short name of a SOP class, as file names have it"),
    Key("our_max_pdu", "own", "the maximum length that we announce"),
    Key("our_implementation_class", "own", "our implementation class UID"),
    Key("our_implementation_version", "own", "our implementation version name"),
    Key("by", "own", "who ended an association: us or peer"),
    # jobs
    Key("job", "own", "name of the retrieval"),
    Key("run", "own", "id of the run"),
    Key("remote", "own", "name of the remote"),
    Key("number", "own", "which response, from 1"),
    Key("max_send_pdv", "own", "longest fragment that the peer takes, bytes"),
    Key("trigger", "own", "why a run began: schedule, hand, retry"),
    Key("order", "own", "pause, resume, cancel or retry"),
    Key("studies", "own", "how many studies"),
    Key("verified", "own", "how many of them are complete on our disk"),
    Key("incomplete", "own", "how many of them are not, and are given up"),
    Key("missing", "own", "how many instances are missing"),
    Key("promised", "own", "how many instances the archive promised"),
    Key("attempt", "own", "which pass, from 1"),
    Key("node", "own", "name of a daemon that shares the jobs"),
    # files, processes, outputs
    Key("file", "text", "a configuration file"),
    Key("line", "own", "line in it, from 1"),
    Key("column", "own", "column in it, from 1"),
    Key("changes", "text", "keys that changed, old and new"),
    Key("replaced", "own", "listeners whose workers were replaced"),
    Key("opened", "own", "listeners that are new"),
    Key("closed", "own", "listeners that are no more"),
    Key("version", "own", "version of dicomd"),
    Key("listeners", "own", "listeners, by name"),
    Key("addresses", "own", "addresses that a listener takes calls on"),
    Key("ae_title", "own", "AE title of a listener"),
    Key("tls", "own", "whether a listener speaks TLS"),
    Key("workers", "own", "how many processes serve a listener"),
    Key("worker", "own", "name of a process's role"),
    Key("kind", "own", "acceptor, requestor, indexer, metrics"),
    Key("worker_pid", "own", "pid of that process"),
    Key("generation", "own", "which generation of settings it has, from 1"),
    Key("state", "own", "what the daemon is doing"),
    Key("processes", "own", "all processes"),
    Key("associations", "own", "running associations"),
    Key("throughput", "own", "objects and bytes a second"),
    Key("reload", "own", "how the last reload ended"),
    Key("files", "own", "how many files"),
    Key("outputs", "own", "outputs of the log, by name"),
    Key("output", "own", "which output of the log"),
    Key("lines", "own", "how many lines"),
    Key("where", "own", "where lines were lost"),
    Key("message", "text", "a library's words"),
    Key("error", "own", "type of an exception"),
    Key("error_text", "text", "its text, at debug level only"),
    Key("traceback", "text", "where it came from, at debug level only"),
)

PATIENT_KEYS = (
    "patient_id",
    "patient_name",
    "birth_date",
    "accession_number",
    "study_id",
    "study_description",
    "identifier",
    "keys",
)
"""No event has these. Should one ever slip in, its value is hashed as ``identifiers`` says."""

KIND_OF: dict[str, Kind] = {
    **dict.fromkeys(PATIENT_KEYS, "patient"),
    **{key.name: key.kind for key in KEYS},
}


def as_markdown() -> str:
    """Both tables, as they stand in the README."""
    rows = ["| event | level | meaning |", "|---|---|---|"]
    rows += [f"| `{event.name}` | {event.level} | {event.meaning} |" for event in EVENTS]
    rows += ["", "| key | meaning |", "|---|---|"]
    rows += [f"| `{key.name}` | {key.meaning} |" for key in KEYS]
    return "\n".join(rows) + "\n"
