"""`dicomd recv -v` tells the same story as `dcmrecv -v`: text, level and order of every line."""

import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.journeys.peers import (
    COMMAND,
    LAST,
    Receiver,
    Sender,
    asconfig,
    data_pdus,
    small_data_set,
    store_rq,
)
from tests.journeys.running import command, environment, free_port, refuses, wait_until
from tests.upper_layer.wire import CT, EXPLICIT, IMPLICIT, VERIFICATION, p_data, pdv

pytestmark = pytest.mark.journey
INSTANCE = "1.2.3.4.5"
A_ABORT = b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00"


def store_twice(port: int) -> None:
    """The same object twice, an echo, a release."""
    with Sender(port) as sender:
        sender.associate()
        for _ in range(2):
            sender.store(store_rq(INSTANCE), small_data_set(INSTANCE))
        sender.echo()
        sender.release()


def refused(port: int) -> None:
    """An association without an acceptable context."""
    with Sender(port) as sender:
        sender.associate([(1, "1.2.3.4", ("1.2.840.10008.1.2",))])


def aborting(port: int) -> None:
    """An association that the sender aborts, and one that it just drops."""
    with Sender(port) as sender:
        sender.associate()
        sender.send(A_ABORT)
        sender.answer()
    with Sender(port) as sender:
        sender.associate()


def foreign_command(port: int) -> None:
    """A C-FIND-RQ, which no storage receiver serves."""
    with Sender(port) as sender:
        sender.associate()
        find = store_rq(INSTANCE).replace(b"\x00\x01\x02\x00\x00\x00\x01\x00", FIND, 1)
        sender.send(p_data(pdv(1, COMMAND | LAST, find)))
        sender.send(data_pdus(small_data_set(INSTANCE)))
        sender.answer()


FIND = b"\x00\x01\x02\x00\x00\x00\x20\x00"


def tell(tool: str, folder: Path, talk: Callable[[int], None], options: Sequence[str]) -> list[str]:
    """What a receiver logs of a talk, without the folder's name."""
    with Receiver(tool, folder, *options) as receiver:
        talk(receiver.port)
        with Sender(receiver.port) as last:  # dcmrecv serves one after the other
            last.associate()
            last.release()
    text = receiver.text().replace(str(folder), "")
    # The test's own look whether the port is open shows in dcmrecv's log as an association.
    return without(re.sub(r"[0-9]+(\.[0-9]+){5,}", "UID", text).splitlines(), PROBE)


PROBE = (
    "I: Association Received 127.0.0.1:  -> ",
    "I: Refusing Association (bad application context)",
)


def without(lines: list[str], probe: tuple[str, str]) -> list[str]:
    """The lines without those of an association that said nothing, its dump included."""
    if probe[0] not in lines:
        return lines
    begin, end = lines.index(probe[0]), lines.index(probe[1])
    return without(lines[:begin] + lines[end + 1 :], probe)


@pytest.mark.parametrize("talk", [store_twice, refused, aborting, foreign_command])
@pytest.mark.parametrize("options", [(), ("+v",), ("+B",), ("--ignore",)], ids=" ".join)
def test_info_lines_are_dcmrecvs(
    tmp_path: Path, talk: Callable[[int], None], options: Sequence[str]
) -> None:
    if options and talk is not store_twice:
        options = (*options, "+v")
    file = asconfig(tmp_path / "profile.cfg", [(CT, (EXPLICIT,)), (VERIFICATION, (IMPLICIT,))])
    profile = ("-xf", str(file), "Test")
    theirs = tell("dcmrecv", tmp_path / "theirs", talk, (*profile, *options))
    ours = tell("recv", tmp_path / "ours", talk, (*profile, *options))
    # dcmrecv looks for the file before it has the object, and serves one after the other.
    if "+B" in options or talk is aborting:
        theirs, ours = sorted(theirs), sorted(ours)
    assert ours == theirs


def test_without_a_profile_the_warning_is_dcmrecvs(tmp_path: Path) -> None:
    assert tell("recv", tmp_path / "ours", refused, ()) == tell(
        "dcmrecv", tmp_path / "theirs", refused, ()
    )


def test_a_log_that_cannot_be_written_at_all_is_refused(tmp_path: Path) -> None:
    """dcmrecv would run on without any log."""
    config = tmp_path / "log.cfg"
    config.write_text(
        "log4cplus.rootLogger = INFO, a\n"
        "log4cplus.appender.a = log4cplus::FileAppender\n"
        f"log4cplus.appender.a.File = {tmp_path}/no/x.log\n"
    )
    done = subprocess.run(
        command("recv", "-lc", str(config), "-od", str(tmp_path), str(free_port())),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"Unable to open file: {tmp_path}/no/x.log" in done.stderr


def test_a_configuration_writes_files_and_rolls_the_daily_one_at_the_end(tmp_path: Path) -> None:
    config = tmp_path / "log.cfg"
    config.write_text(
        "log4cplus.rootLogger = INFO, a, b\n"
        "log4cplus.appender.a = log4cplus::FileAppender\n"
        "log4cplus.appender.a.File = ${appname}.log\n"
        "log4cplus.appender.b = log4cplus::DailyRollingFileAppender\n"
        "log4cplus.appender.b.File = daily.log\n"
        "log4cplus.appender.b.Schedule = MONTHLY\n"
        "log4cplus.appender.b.logToStderr = true\n"
    )
    port = free_port()
    process = subprocess.Popen(
        command("recv", "-lc", str(config), "-dhl", str(port)),
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: not refuses(port), "the port")
        refused(port)
    finally:
        process.terminate()
        assert process.wait(20) == 0
    text = (tmp_path / "dcmrecv.log").read_text()
    assert "INFO - Association Received 127.0.0.1: SENDER -> ARCHIVE\n" in text
    assert f"WARN - {config}:7: unknown log4cplus::DailyRollingFileAppender option" in text
    (rolled,) = tmp_path.glob("daily.log.*")
    assert rolled.read_text() == text
    assert (tmp_path / "daily.log").read_text() == ""
