"""What a log call does, seen from a file that the writer wrote."""

import enum
import logging
import os
import re
import warnings
from pathlib import Path
from typing import Any

import structlog
from tests.logs.speaking import lines_of, speak, to_file

from dicomd.errors import StorageError
from dicomd.logs.configure import LogService


def test_a_line_has_the_keys_that_every_line_has(tmp_path: Path) -> None:
    path = tmp_path / "log"

    def body(service: LogService) -> None:
        structlog.get_logger("dicomd.acceptor").bind(listener="a").info("object.stored", bytes=7)

    speak(to_file(path), body)
    (line,) = lines_of(path)
    assert list(line) == ["timestamp", "level", "event", "logger", "pid", "listener", "bytes"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["timestamp"])
    assert (line["level"], line["event"], line["logger"]) == (
        "info",
        "object.stored",
        "dicomd.acceptor",
    )
    assert (line["listener"], line["bytes"]) == ("a", 7)


def test_levels_hold_for_a_room_and_what_is_below_it(tmp_path: Path) -> None:
    path = tmp_path / "log"

    def body(service: LogService) -> None:
        early = structlog.get_logger("dicomd.negotiation").bind(x=1)
        assert early.is_enabled_for(logging.DEBUG)
        early.debug("shown.here")
        structlog.get_logger("dicomd.negotiation.roles").debug("shown.below")
        structlog.get_logger("dicomd.acceptor").info("hidden.elsewhere")
        structlog.get_logger("dicomd.acceptor").error("shown.error")

    speak(to_file(path, level="warning", levels={"dicomd.negotiation": "debug"}), body)
    events = [line["event"] for line in lines_of(path)]
    assert events == ["log.unguarded", "shown.here", "shown.below", "shown.error"]


def raised(error: Exception) -> Exception:
    """The error with a traceback."""
    try:
        raise error
    except type(error) as caught:
        return caught


def test_an_exceptions_text_is_for_debug_only(tmp_path: Path) -> None:
    def body(service: LogService) -> None:
        log = structlog.get_logger("dicomd.x")
        try:
            int("ZZMARKER^NAME")
        except ValueError:
            log.exception("storage.broken")
        log.error("storage.broken", exc_info=raised(ValueError("ZZMARKER^NAME")))
        log.error("storage.broken", value=raised(ValueError("ZZMARKER^NAME")))
        log.error("storage.broken", exc_info=raised(StorageError("no room", status=0xA700)))
        full = OSError(28, "No space left on device", "/data/ZZMARKER")
        log.error("storage.broken", exc_info=raised(full))

    quiet, loud = tmp_path / "info", tmp_path / "debug"
    speak(to_file(quiet), body)
    assert "ZZMARKER" not in quiet.read_text()
    lines = lines_of(quiet)
    assert [line.get("error") for line in lines] == [
        "ValueError",
        "ValueError",
        None,
        "StorageError",
        "OSError",
    ]
    assert lines[3]["reason"] == "no room"
    assert lines[4]["reason"] == "No space left on device"
    speak(to_file(loud, level="debug"), body)
    assert "ZZMARKER" in loud.read_text()


def test_libraries_take_the_same_way_and_keep_their_words_to_debug(tmp_path: Path) -> None:
    def body(service: LogService) -> None:
        logging.getLogger("pydicom").warning("Invalid value for VR: %s", "ZZMARKER")
        logging.getLogger("pynetdicom.acse").error(f"value {'ZZMARKER'}")
        logging.getLogger("dbos").error("the database is gone")
        logging.getLogger("dbos").info("chatter")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("odd value ZZMARKER", stacklevel=1)

    quiet, loud = tmp_path / "info", tmp_path / "debug"
    speak(to_file(quiet), body)
    assert "ZZMARKER" not in quiet.read_text()
    assert [(line["logger"], line["level"]) for line in lines_of(quiet)] == [
        ("pydicom", "warning"),
        ("pynetdicom.acse", "error"),
        ("dbos", "error"),
        ("py.warnings", "warning"),
    ]
    assert lines_of(quiet)[2]["message"] == "the database is gone"
    speak(to_file(loud, level="debug"), body)
    assert loud.read_text().count("ZZMARKER") >= 3


class _Colour(enum.Enum):
    RED = 1


def test_any_value_can_be_logged(tmp_path: Path) -> None:
    path = tmp_path / "log"
    values: dict[str, Any] = {
        "path": Path("/a"),
        "reason": _Colour.RED,
        "bytes": b"\xff",
        "objects": {1: (2, {3})},
    }

    def body(service: LogService) -> None:
        structlog.get_logger("dicomd.x").info("odd.values", **values)
        structlog.get_logger("dicomd.x").info("next.line")

    speak(to_file(path), body)
    first, second = lines_of(path)
    assert first["path"] == "/a"
    assert first["reason"] == "_Colour.RED"
    assert first["objects"] == {"1": [2, [3]]}
    assert second["event"] == "next.line"


def test_no_byte_of_a_peer_can_break_or_fake_a_line(tmp_path: Path) -> None:
    for form in ("json", "console"):
        path = tmp_path / form

        def body(service: LogService) -> None:
            log = structlog.get_logger("dicomd.x")
            log.info("association.accepted", calling_ae='A"\r\n{"event": "daemon.stopped"}\x1b[2J')
            log.info("association.accepted", calling_ae="\u202egnp.exe\x9b\u2028")

        speak(to_file(path, format=form), body)
        text = path.read_text()
        assert len(text.splitlines()) == 2
        assert text.isascii()
        assert text.replace("\n", "").isprintable()


def test_what_the_writer_cannot_take_is_counted_and_told(tmp_path: Path) -> None:
    path = tmp_path / "log"

    def body(service: LogService) -> None:
        log = structlog.get_logger("dicomd.x")
        log.info("first.line")
        service.flush(5)
        os.kill(service._writer, 19)  # SIGSTOP: nobody reads the channel
        text = "x" * 400
        for _ in range(15_000):
            log.info("many.lines", reason=text)
        os.kill(service._writer, 18)
        service.flush(10)

    speak(to_file(path, queue=100_000), body)
    lines = lines_of(path)
    dropped = [line for line in lines if line["event"] == "log.dropped"]
    many = sum(1 for line in lines if line["event"] == "many.lines")
    assert many >= 10_000
    assert sum(line["lines"] for line in dropped) == 15_000 - many


def test_a_batching_process_sends_what_comes_fast_in_one_piece(tmp_path: Path) -> None:
    path = tmp_path / "log"

    def body(service: LogService) -> None:
        turn = service.batch()
        log = structlog.get_logger("dicomd.x")
        for number in range(1000):
            log.info("many.lines", objects=number)
        deadline = 10_000_000
        while service.channel._records and deadline:
            turn()
            deadline -= 1

    speak(to_file(path), body)
    assert [line["objects"] for line in lines_of(path)] == list(range(1000))


def test_children_speak_without_any_call(tmp_path: Path) -> None:
    path = tmp_path / "log"

    def body(service: LogService) -> None:
        log = structlog.get_logger("dicomd.x")
        log.info("from.parent")
        for _ in range(3):
            pid = os.fork()
            if not pid:
                log.info("from.child")
                os._exit(0)
            os.waitpid(pid, 0)

    speak(to_file(path), body)
    lines = lines_of(path)
    assert len({line["pid"] for line in lines}) == 4
    assert [line["event"] for line in lines].count("from.child") == 3
