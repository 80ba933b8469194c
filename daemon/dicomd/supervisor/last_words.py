"""What there is to say when no service starts: into the log that was asked for, if it can be.

A failed start has no log writer. ``recv`` with a log configuration file says its reasons where
that file sends them, as DCMTK's tools do.
"""

import os
import time
from collections.abc import Sequence

from dicomd.logs.oflog.layouts import LogEvent
from dicomd.logs.oflog.tree import LoggerTree
from dicomd.settings.log import DcmtkLogSettings

_LEVELS = {"F": 50, "E": 40, "W": 30, "I": 20}


def say(settings: DcmtkLogSettings, application: str, lines: Sequence[tuple[str, str]]) -> None:
    """Send lines, each the letter of a level and a text, through the appenders of ``settings``.

    Errors are dcmnet's, all else is the application's, as in dcmrecv.
    """
    tree = LoggerTree(settings)
    try:
        for appender in tree.appenders:
            appender.target.begin()
        for letter, text in lines:
            logger = "dcmtk.dcmnet" if letter == "E" else application
            tree.log(LogEvent(time.time_ns(), _LEVELS[letter], logger, text, os.getpid(), logger))
        tree.flush()
    finally:
        for appender in tree.appenders:
            appender.target.release()
