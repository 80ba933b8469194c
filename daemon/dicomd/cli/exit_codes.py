"""The exit codes of dicomd's verbs, as sysexits.h has them; recv and move keep DCMTK's instead."""

OK = 0
USAGE = 1
"""A command line that is wrong, or a check that found something."""
START_FAILED = 71
"""EX_OSERR: could not bind or start."""
CONFIG_REFUSED = 78
"""EX_CONFIG: the configuration was refused."""
INTERRUPTED = 130
"""Ended by ^C, as shells count it."""
