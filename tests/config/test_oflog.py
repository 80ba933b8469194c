"""DCMTK's log configuration text: what it means, what is refused, what is doubted."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomd.config.oflog import LEVELS, parse_oflog, read_oflog
from dicomd.errors import ConfigError, Fault
from dicomd.settings.log import DcmtkLogSettings

PREDEFINED = {
    "appname": "dcmrecv",
    "hostname": "node7",
    "pid": "42",
    "date": "20261121",
    "time": "235959",
}


def read(text: str) -> tuple[DcmtkLogSettings, list[Fault]]:
    return parse_oflog(
        text,
        file="log.cfg",
        application="dcmrecv",
        predefined=PREDEFINED,
        environment={"HOME": "/home/us"},
    )


def doubts(text: str) -> list[str]:
    return [str(fault) for fault in read(text)[1]]


ROOT = "log4cplus.rootLogger = INFO, a\n"
APPENDER = "log4cplus.appender.a = log4cplus::ConsoleAppender\n"
GOOD = ROOT + APPENDER
FILE = ROOT + "log4cplus.appender.a = log4cplus::RollingFileAppender\n"


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("", "log.cfg: Specified --log-config file does not contain any settings"),
        (
            "# only\nnonsense\n",
            "log.cfg: Specified --log-config file does not contain any settings",
        ),
        ("a = b", "log.cfg: Specified --log-config file does not contain any valid settings"),
        (
            "log4cplus.rootlogger = INFO, a",
            "log.cfg: Specified --log-config file does not set up log4cplus.rootLogger",
        ),
        (
            "\nlog4cplus.rootLogger = LOUD, a\n" + APPENDER,
            (
                "log.cfg:2: log4cplus.rootLogger has unknown log level 'LOUD'; "
                "there are OFF, FATAL, ERROR, WARN, INFO, DEBUG, TRACE, ALL"
            ),
        ),
        (
            ROOT + "log4cplus.appender.a = log4cplus::Bogus",
            "log.cfg:1: no appender that a logger names can be made, so nothing would be logged",
        ),
    ],
)
def test_what_is_refused(text: str, refusal: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert str(caught.value) == refusal


def test_a_missing_file_is_refused_in_dcmtks_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_oflog(str(tmp_path / "no.cfg"))
    assert caught.value.faults[0].text == "Specified --log-config file does not exist"


@pytest.mark.parametrize("name", LEVELS)
def test_levels_are_read_in_any_case(name: str) -> None:
    for spelt in (name, name.lower(), name.title()):
        settings, faults = read(f"log4cplus.rootLogger = {spelt}, a\n{APPENDER}")
        assert settings.level == LEVELS[name]
        assert not faults


def test_loggers_inherit_unless_they_have_a_level() -> None:
    settings, _ = read(
        GOOD
        + "log4cplus.logger.dcmtk.dcmnet = DEBUG\n"
        + "log4cplus.logger.dcmtk.apps = INHERITED, a\n"
        + "log4cplus.additivity.dcmtk.apps = FALSE\n"
        + "log4cplus.additivity.dcmtk.ofstd = 0\n"
    )
    found = {logger.name: logger for logger in settings.loggers}
    assert found["dcmtk.dcmnet"].level == 10
    assert found["dcmtk.apps"].level is None
    assert found["dcmtk.apps"].appenders == ("a",)
    assert not found["dcmtk.apps"].additive
    assert found["dcmtk.dcmnet"].additive
    assert not found["dcmtk.ofstd"].additive


def test_an_appender_keeps_its_options_layout_and_filters() -> None:
    settings, faults = read(
        FILE
        + "log4cplus.appender.a.File = x.log\n"
        + "log4cplus.appender.a.MaxFileSize = 2mb\n"
        + "log4cplus.appender.a.Threshold = warn\n"
        + "log4cplus.appender.a.layout = log4cplus::PatternLayout\n"
        + "log4cplus.appender.a.layout.ConversionPattern = %m # %n\n"
        + "log4cplus.appender.a.filters.1 = log4cplus::spi::StringMatchFilter\n"
        + "log4cplus.appender.a.filters.1.StringToMatch = a=b\n"
        + "log4cplus.appender.a.filters.2 = log4cplus::spi::DenyAllFilter\n"
    )
    (appender,) = settings.appenders
    assert appender.options == {"File": "x.log", "MaxFileSize": "2mb"}
    assert appender.threshold == 30
    assert appender.layout_options == {"ConversionPattern": "%m # %n"}
    assert appender.filters == (
        ("log4cplus::spi::StringMatchFilter", {"StringToMatch": "a=b"}),
        ("log4cplus::spi::DenyAllFilter", {}),
    )
    assert not faults


@pytest.mark.parametrize(
    ("value", "expanded"),
    [
        ("${appname}-${hostname}-${pid}", "dcmrecv-node7-42"),
        ("${date}T${time}", "20261121T235959"),
        ("${HOME}/x", "/home/us/x"),
        ("${here}", "there"),
        ("${${indirect}}", "${${indirect}}"),
        ("${log4cplus.rootLogger}", "INFO, a"),
        ("${nobody}${here}", "${nobody}there"),
    ],
)
def test_variables_come_from_the_file_then_from_the_environment(value: str, expanded: str) -> None:
    text = f"here = ${{hidden}}\nhidden = there\nindirect = here\n{FILE}"
    settings, _ = read(f"{text}log4cplus.appender.a.File = {value}\n")
    assert settings.appenders[0].options["File"] == expanded


def test_a_variable_that_refers_to_itself_ends() -> None:
    said = doubts(f"x = a${{x}}\n{FILE}log4cplus.appender.a.File = ${{x}}\n")
    assert "log.cfg:4: a variable refers to itself: the value is left as it is written" in said


def test_predefined_variables_override_the_file() -> None:
    settings, faults = read(f"pid = 7\n{FILE}log4cplus.appender.a.File = ${{pid}}\n")
    assert settings.appenders[0].options["File"] == "42"
    assert "log.cfg:1: 'pid' is set by the program itself: not read" in map(str, faults)


@pytest.mark.parametrize(
    ("line", "doubt"),
    [
        (
            "log4cplus.appender.a.logToStderr = true",
            (
                "unknown log4cplus::ConsoleAppender option 'logToStderr' is not read; "
                "did you mean 'logToStdErr'?"
            ),
        ),
        (
            "log4cplus.rootlogger = DEBUG",
            "unknown key 'log4cplus.rootlogger' is not read; did you mean 'log4cplus.rootLogger'?",
        ),
        (
            "log4cplus.logger.dcmtk = INHERIT",
            "unknown level 'INHERIT' counts as INHERITED",
        ),
        ("log4cplus.logger.dcmtk = INFO # loud", "a comment cannot follow a value"),
        ("just words", "not `key = value`: the line is not read"),
        ("rootLogger = INFO", "'rootLogger' does not begin with 'log4cplus.' and no variable"),
        ("log4cplus.appender.b.File = x", "there is no appender 'b': not read"),
        (
            "log4cplus.appender.b = log4cplus::FileAppender",
            "no logger names appender 'b'",
        ),
        (
            "log4cplus.appender.a.ImmediateFlush = yes",
            "ImmediateFlush: 'yes' is not true or false: not read",
        ),
        ("log4cplus.appender.a.Threshold = loud", "unknown level 'loud': there is no threshold"),
        ("log4cplus.appender.a.layout = Simple", "unknown layout 'Simple' is not read"),
        (
            "log4cplus.appender.a.filters.2 = log4cplus::spi::DenyAllFilter",
            "filter '2' is not read: filters count 1, 2, 3 without a gap",
        ),
        ("log4cplus.additivity.dcmtk = maybe", "'maybe' is not true or false: not read"),
    ],
)
def test_what_dcmtk_swallows_is_told_with_its_line(line: str, doubt: str) -> None:
    said = doubts(GOOD + line)
    assert any(text.startswith(f"log.cfg:3: {doubt}") for text in said), said


@pytest.mark.parametrize(
    ("size", "doubted"), [("100KB", True), ("1000", True), ("2 parsecs", True), ("200kb", False)]
)
def test_sizes_that_are_raised_are_told(size: str, doubted: bool) -> None:
    said = doubts(f"{FILE}log4cplus.appender.a.MaxFileSize = {size}\n")
    assert bool(said) is doubted


def test_misspelt_filter_options_of_the_sample_are_told() -> None:
    said = doubts(
        GOOD
        + "log4cplus.appender.a.filters.1 = log4cplus::spi::LogLevelRangeFilter\n"
        + "log4cplus.appender.a.filters.1.logLevelMin = warn\n"
        + "log4cplus.appender.a.filters.1.acceptOnMatch = true\n"
    )
    assert [text.rpartition("; ")[2] for text in said] == [
        "did you mean 'LogLevelMin'?",
        "did you mean 'AcceptOnMatch'?",
    ]


def test_a_key_that_is_set_twice_is_told_and_the_last_counts() -> None:
    settings, faults = read(GOOD + "log4cplus.rootLogger = DEBUG, a\n")
    assert settings.level == 10
    assert str(faults[0]).startswith("log.cfg:1: 'log4cplus.rootLogger' is set again in line 3")


@pytest.mark.parametrize("name", ["logger.cfg", "filelog.cfg"])
def test_the_files_we_ship_leave_no_doubt(name: str) -> None:
    path = Path(__file__).parents[2] / "profiles" / name
    assert read_oflog(str(path))[1] == []


@given(st.text(alphabet="log4cplus.rtL=INFO,a${}#%\n apender:Fi", max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    for candidate in (text, GOOD + text):
        with contextlib.suppress(ConfigError):
            read(candidate)
