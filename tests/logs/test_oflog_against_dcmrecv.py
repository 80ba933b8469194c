"""The same log configuration, the same messages: what dcmrecv writes and what we write.

dcmrecv is started with an output folder that does not exist, so it says what it says at a start and
ends. The messages themselves are taken from one run at level ALL and sent through our logger tree.
"""

import os
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.logs.speaking import in_child

from dicomd.config.oflog import LEVELS, read_oflog
from dicomd.logs.oflog.layouts import LogEvent
from dicomd.logs.oflog.tree import LoggerTree

DCMRECV = "/usr/bin/dcmrecv"
END = "<<END>>"
CAPTURE = f"""
log4cplus.rootLogger = ALL, all
log4cplus.appender.all = log4cplus::FileAppender
log4cplus.appender.all.File = all.log
log4cplus.appender.all.layout = log4cplus::PatternLayout
log4cplus.appender.all.layout.FormatEachLine = false
log4cplus.appender.all.layout.ConversionPattern = %p|%c|%m{END}
"""
CONSOLE = "log4cplus.appender.a = log4cplus::ConsoleAppender\n"
PATTERN = CONSOLE + "log4cplus.appender.a.layout = log4cplus::PatternLayout\n"
CONFIGURATIONS = {
    "simple": "log4cplus.rootLogger = INFO, a\n" + CONSOLE,
    "debug to stderr": "log4cplus.rootLogger = DEBUG, a\n"
    + CONSOLE
    + "log4cplus.appender.a.logToStdErr = TRUE\n",
    "booleans are numbers, too": "log4cplus.rootLogger = DEBUG, a\n"
    + CONSOLE
    + "log4cplus.appender.a.logToStdErr = 1\n",
    "misspelt option": "log4cplus.rootLogger = warn, a\n"
    + CONSOLE
    + "log4cplus.appender.a.logToStderr = true\n",
    "off": "log4cplus.rootLogger = OFF, a\n" + CONSOLE,
    "fatal": "log4cplus.rootLogger = Fatal , a\n" + CONSOLE,
    "widths": "log4cplus.rootLogger = ALL, a\n"
    + PATTERN
    + "log4cplus.appender.a.layout.ConversionPattern = [%-6p|%6p|%.2p|%3.3c|%20c{2}|%P] %m%n\n",
    "every line by itself": "log4cplus.rootLogger = ALL, a\n"
    + PATTERN
    + "log4cplus.appender.a.layout.ConversionPattern = <%m>%n\n",
    "not every line by itself": "log4cplus.rootLogger = ALL, a\n"
    + PATTERN
    + "log4cplus.appender.a.layout.ConversionPattern = <%m>%n\n"
    + "log4cplus.appender.a.layout.FormatEachLine = false\n",
    "literals and mistakes": "log4cplus.rootLogger = WARN, a\n"
    + PATTERN
    + "log4cplus.appender.a.layout.ConversionPattern = %% %z %5% %-| %.x %x|%X{k}| %m%n%\n",
    "times": "log4cplus.rootLogger = WARN, a\n"
    + PATTERN
    + "log4cplus.appender.a.layout.ConversionPattern = %D{%Y-%m-%d} %d{%Y %%q} %h %m%n\n",
    "old name of the pattern": "log4cplus.rootLogger = WARN, a\n"
    + PATTERN
    + "log4cplus.appender.a.layout.Pattern = %p %m%n\n",
    "no pattern": "log4cplus.rootLogger = INFO, a\n"
    + PATTERN
    + "log4cplus.appender.a.Threshold = OFF\n",
    "unknown layout": "log4cplus.rootLogger = INFO, a\n"
    + CONSOLE
    + "log4cplus.appender.a.layout = Foo\nlog4cplus.appender.a.Threshold = OFF\n",
    "threshold": "log4cplus.rootLogger = ALL, a\n"
    + CONSOLE
    + "log4cplus.appender.a.Threshold = warn\n",
    "unknown threshold": "log4cplus.rootLogger = INFO, a\n"
    + CONSOLE
    + "log4cplus.appender.a.Threshold = loud\n",
    "range filter": "log4cplus.rootLogger = ALL, a\n"
    + CONSOLE
    + "log4cplus.appender.a.filters.1 = log4cplus::spi::LogLevelRangeFilter\n"
    + "log4cplus.appender.a.filters.1.LogLevelMin = info\n"
    + "log4cplus.appender.a.filters.1.LogLevelMax = WARN\n"
    + "log4cplus.appender.a.filters.1.AcceptOnMatch = true\n"
    + "log4cplus.appender.a.filters.2 = log4cplus::spi::DenyAllFilter\n",
    "range filter, misspelt as in the sample": "log4cplus.rootLogger = ALL, a\n"
    + CONSOLE
    + "log4cplus.appender.a.filters.1 = log4cplus::spi::LogLevelRangeFilter\n"
    + "log4cplus.appender.a.filters.1.logLevelMin = info\n"
    + "log4cplus.appender.a.filters.1.acceptOnMatch = true\n"
    + "log4cplus.appender.a.filters.2 = log4cplus::spi::DenyAllFilter\n",
    "match and string filters": "log4cplus.rootLogger = ALL, a\n"
    + CONSOLE
    + "log4cplus.appender.a.filters.1 = log4cplus::spi::LogLevelMatchFilter\n"
    + "log4cplus.appender.a.filters.1.LogLevelToMatch = warn\n"
    + "log4cplus.appender.a.filters.2 = log4cplus::spi::StringMatchFilter\n"
    + "log4cplus.appender.a.filters.2.StringToMatch = Direct\n"
    + "log4cplus.appender.a.filters.2.AcceptOnMatch = 1\n"
    + "log4cplus.appender.a.filters.3 = log4cplus::spi::LogLevelMatchFilter\n"
    + "log4cplus.appender.a.filters.3.LogLevelToMatch = debug\n",
    "unknown filter": "log4cplus.rootLogger = ALL, a\n"
    + CONSOLE
    + "log4cplus.appender.a.filters.1 = Foo\n"
    + "log4cplus.appender.a.filters.2 = log4cplus::spi::DenyAllFilter\n",
    "filters with a gap": "log4cplus.rootLogger = WARN, a\n"
    + CONSOLE
    + "log4cplus.appender.a.filters.2 = log4cplus::spi::DenyAllFilter\n",
    "hierarchy": "log4cplus.rootLogger = ERROR, a\n"
    "log4cplus.logger.dcmtk.dcmdata = DEBUG\n"
    "log4cplus.logger.dcmtk.apps = INHERIT, b\n"
    + CONSOLE
    + "log4cplus.appender.b = log4cplus::FileAppender\nlog4cplus.appender.b.File = b.log\n",
    "additivity": "log4cplus.rootLogger = DEBUG, a\n"
    "log4cplus.logger.dcmtk.dcmdata = INHERITED, b\n"
    "log4cplus.additivity.dcmtk.dcmdata = False\n"
    + CONSOLE
    + "log4cplus.appender.b = log4cplus::FileAppender\nlog4cplus.appender.b.File = b.log\n",
    "doubled by child and root": "log4cplus.rootLogger = INFO, a\n"
    "log4cplus.logger.dcmtk.apps.dcmrecv = INFO, a\n" + CONSOLE,
    "no appender for a logger": "log4cplus.rootLogger = INFO\n",
    "additivity leaves no appender": "log4cplus.rootLogger = WARN, a\n"
    "log4cplus.additivity.dcmtk = 0\n" + CONSOLE,
    "unknown appender beside a good one": "log4cplus.rootLogger = INFO, a, b, zz\n"
    "log4cplus.appender.b = log4cplus::Bogus\n" + CONSOLE,
    "quiet mode": "log4cplus.rootLogger = INFO, a, b\nlog4cplus.quietMode = true\n"
    "log4cplus.appender.b = log4cplus::Bogus\n" + CONSOLE,
    "files that cannot be": "log4cplus.rootLogger = INFO, a, b, c\n"
    "log4cplus.appender.b = log4cplus::FileAppender\n"
    "log4cplus.appender.c = log4cplus::RollingFileAppender\n"
    "log4cplus.appender.c.File = no/c.log\n" + CONSOLE,
    "files": "log4cplus.rootLogger = INFO, a, b, c\n"
    "log4cplus.appender.a = log4cplus::FileAppender\nlog4cplus.appender.a.File = old.log\n"
    "log4cplus.appender.b = log4cplus::FileAppender\nlog4cplus.appender.b.File = older.log\n"
    "log4cplus.appender.b.Append = true\n"
    "log4cplus.appender.c = log4cplus::RollingFileAppender\n"
    "log4cplus.appender.c.File = oldest.log\n",
    "daily file rolls at the end": "log4cplus.rootLogger = INFO, a, b\n"
    "log4cplus.appender.a = log4cplus::DailyRollingFileAppender\n"
    "log4cplus.appender.a.File = old.log\nlog4cplus.appender.a.Schedule = monthly\n"
    "log4cplus.appender.b = log4cplus::DailyRollingFileAppender\n"
    "log4cplus.appender.b.File = b.log\nlog4cplus.appender.b.Schedule = fortnightly\n",
    "rolling": "log4cplus.rootLogger = ALL, a\n"
    "log4cplus.appender.a = log4cplus::RollingFileAppender\n"
    "log4cplus.appender.a.File = big.log\nlog4cplus.appender.a.MaxFileSize = 1KB\n"
    "log4cplus.appender.a.MaxBackupIndex = 2\n",
    "variables": "name = b\nlevel = IN${rest}\nrest = FO\n"
    "log4cplus.rootLogger = ${level}, ${name}\n"
    "log4cplus.appender.${name} = log4cplus::FileAppender\n"
    "log4cplus.appender.b.File = ${appname}-${hostname}-${date}.log\n"
    "log4cplus.appender.b.layout = log4cplus::PatternLayout\n"
    "log4cplus.appender.b.layout.ConversionPattern = ${log4cplus.rootLogger} ${nobody} %m%n\n",
    "a brace that is not closed": "log4cplus.rootLogger = WARN, a\n"
    + PATTERN
    + "log4cplus.appender.a.layout.ConversionPattern = ${HOME} ${foo %m%n\n",
    "the same key twice, comments, CRLF": "# comment\r\nlog4cplus.rootLogger = OFF, a\r\n"
    "  log4cplus.rootLogger=WARN,   a  \r\nnonsense\r\n" + CONSOLE,
    "empty root": "log4cplus.rootLogger =\n",
    "empty logger": "log4cplus.rootLogger = INFO, a\nlog4cplus.logger.dcmtk = \n" + CONSOLE,
    "a comment behind a value": "log4cplus.rootLogger = WARN, a, b # both\n"
    "log4cplus.appender.b = log4cplus::FileAppender\nlog4cplus.appender.b.File = b.log\n" + CONSOLE,
    "no colons, no continued lines, no escapes": "log4cplus.rootLogger = WARN, a\n"
    "log4cplus.rootLogger : OFF\n"
    + PATTERN
    + "log4cplus.appender.a.layout.ConversionPattern = a\\tb \\\n= c %m%n\n",
    "only the first = separates": "log4cplus.rootLogger = WARN, a\n"
    + PATTERN
    + "log4cplus.appender.a.layout.ConversionPattern = a=b = %m%n\n",
    "keys in the wrong case": "log4cplus.rootLogger = WARN, a\nlog4cplus.rootlogger = ALL, a\n"
    "LOG4CPLUS.rootLogger = OFF\n"
    + PATTERN
    + "log4cplus.appender.a.layout.conversionpattern = x\n"
    + "log4cplus.appender.a.threshold = OFF\n",
    "what is no boolean leaves the default": "log4cplus.rootLogger = ALL, a\n"
    + PATTERN
    + "log4cplus.appender.a.layout.ConversionPattern = <%m>%n\n"
    + "log4cplus.appender.a.layout.FormatEachLine = no\n"
    + "log4cplus.appender.a.logToStdErr = yes\n",
    "TTCC": "log4cplus.rootLogger = ALL, a\n"
    + CONSOLE
    + "log4cplus.appender.a.layout = log4cplus::TTCCLayout\n"
    + "log4cplus.appender.a.layout.DateFormat = %Y-%m\n",
    "a range that does not accept": "log4cplus.rootLogger = ALL, a\n"
    + CONSOLE
    + "log4cplus.appender.a.filters.1 = log4cplus::spi::LogLevelRangeFilter\n"
    + "log4cplus.appender.a.filters.1.LogLevelMin = DEBUG\n"
    + "log4cplus.appender.a.filters.2 = log4cplus::spi::StringMatchFilter\n"
    + "log4cplus.appender.a.filters.2.StringToMatch = dcmrecv\n",
    "a string is matched with its case": "log4cplus.rootLogger = ALL, a\n"
    + CONSOLE
    + "log4cplus.appender.a.filters.1 = log4cplus::spi::StringMatchFilter\n"
    + "log4cplus.appender.a.filters.1.StringToMatch = DIRECTORY\n",
    "the threshold comes before the filters": "log4cplus.rootLogger = ALL, a\n"
    + CONSOLE
    + "log4cplus.appender.a.Threshold = ERROR\n"
    + "log4cplus.appender.a.filters.1 = log4cplus::spi::LogLevelMatchFilter\n"
    + "log4cplus.appender.a.filters.1.LogLevelToMatch = INFO\n"
    + "log4cplus.appender.a.filters.1.AcceptOnMatch = true\n",
    "a level of a child lets its events pass a higher root": "log4cplus.rootLogger = OFF, a\n"
    "log4cplus.logger.dcmtk = TRACE\nlog4cplus.logger.dcmtk.dcmdata = OFF\n" + CONSOLE,
    "no copies are no choice": "log4cplus.rootLogger = ALL, a\n"
    "log4cplus.appender.a = log4cplus::RollingFileAppender\n"
    "log4cplus.appender.a.File = big.log\nlog4cplus.appender.a.MaxBackupIndex = 0\n"
    "log4cplus.appender.a.MaxFileSize = 0\n",
    "twice a day, each file but the last copied": "log4cplus.rootLogger = INFO, a\n"
    "log4cplus.appender.a = log4cplus::DailyRollingFileAppender\n"
    "log4cplus.appender.a.File = old.log\nlog4cplus.appender.a.Schedule = Twice_Daily\n"
    "log4cplus.appender.a.MaxBackupIndex = 2\n",
    "the environment, behind what the file says": "log4cplus.rootLogger = WARN, a\n"
    "USER_OF_THIS = file\n"
    + PATTERN
    + "log4cplus.appender.a.layout.ConversionPattern = ${PATH} ${USER_OF_THIS} ${} %m%n\n",
    "blanks and widths": "log4cplus.rootLogger = WARN, a\n"
    + PATTERN
    + "log4cplus.appender.a.layout.ConversionPattern = [%.5m|%-30.10c|%c{0}|%c{9}|%.0p]%n\n",
    "null and async": "log4cplus.rootLogger = INFO, a, b\n"
    "log4cplus.appender.a = log4cplus::NullAppender\n"
    "log4cplus.appender.b = log4cplus::AsyncAppender\n"
    "log4cplus.appender.b.Appender = log4cplus::ConsoleAppender\n",
    "wrong facility": "log4cplus.rootLogger = INFO, a, b\n"
    "log4cplus.appender.b = log4cplus::SysLogAppender\n"
    "log4cplus.appender.b.facility = nonsense\n" + CONSOLE,
    "the usual file": "log4cplus.rootLogger = DEBUG, console, logfile\n"
    "log4cplus.appender.console = log4cplus::ConsoleAppender\n"
    "log4cplus.appender.console.Threshold = ERROR\n"
    "log4cplus.appender.logfile = log4cplus::RollingFileAppender\n"
    "log4cplus.appender.logfile.File = ${appname}.log\n"
    "log4cplus.appender.logfile.MaxFileSize = 5MB\n"
    "log4cplus.appender.logfile.layout = log4cplus::PatternLayout\n"
    "log4cplus.appender.logfile.layout.ConversionPattern = %5p - %-8c{1} - %m%n\n",
}


def prepare(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "log.cfg").write_bytes(text.encode())
    for name in ("old.log", "older.log", "oldest.log"):
        (folder / name).write_text("old line\n")
    (folder / "big.log").write_text("x" * 204_700 + "\n")


def run_dcmrecv(folder: Path, text: str) -> None:
    prepare(folder, text)
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        subprocess.run(
            [DCMRECV, "-lc", "log.cfg", "-od", "/nonexistent", "11112"],
            cwd=folder,
            stdout=out,
            stderr=err,
            timeout=30,
            check=False,
        )


def run_ours(folder: Path, text: str, events: list[LogEvent]) -> None:
    prepare(folder, text)

    def body() -> None:
        os.chdir(folder)
        for name, fd in (("out", 1), ("err", 2)):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), fd)
        settings, _ = read_oflog("log.cfg", application="dcmrecv")
        tree = LoggerTree(settings)
        for complaint in tree.complaints:
            os.write(2, f"log4cplus:{complaint}\n".encode())
        for appender in tree.appenders:
            appender.target.begin()
        for event in events:
            tree.log(event)
        tree.flush()
        for appender in tree.appenders:
            appender.target.close()

    in_child(body)


def content(folder: Path) -> dict[str, str]:
    """Every file of a folder, without what may differ."""
    return {
        path.name: re.sub(r"\d{6,}|(?<=\[)\d+(?=\] )", "N", path.read_text())
        for path in sorted(folder.iterdir())
        if path.name != "log.cfg"
    }


def captured(folder: Path) -> list[LogEvent]:
    """The messages of a start, from dcmrecv itself."""
    run_dcmrecv(folder, CAPTURE)
    events = []
    for part in (folder / "all.log").read_text().split(END)[:-1]:
        level, logger, text = part.split("|", 2)
        events.append(LogEvent(time.time_ns(), LEVELS[level], logger, text, os.getpid()))
    return events


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Both programs on every configuration, theirs in parallel."""
    root = tmp_path_factory.mktemp("oflog")
    events = captured(root / "capture")
    assert len(events) >= 5
    folders = {
        name: (root / f"theirs-{number}", root / f"ours-{number}")
        for number, name in enumerate(CONFIGURATIONS)
    }
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda name: run_dcmrecv(folders[name][0], CONFIGURATIONS[name]), CONFIGURATIONS
            )
        )
    for name, text in CONFIGURATIONS.items():
        run_ours(folders[name][1], text, events)
    return folders


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_we_write_what_dcmrecv_writes(name: str, results: dict[str, tuple[Path, Path]]) -> None:
    theirs, ours = results[name]
    assert content(ours) == content(theirs)
