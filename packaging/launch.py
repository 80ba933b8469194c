"""Starts dicomd from the package's own library: `launch.py NAME [ARGUMENT ...]`.

NAME is what the program was called as: `dcmrecv` and `movescu` act as those tools.
"""

import sys
from pathlib import Path

LIBRARY = Path(__file__).parent
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
sys.path[:0] = [str(LIBRARY / "site"), str(LIBRARY / VERSION)]
sys.argv = sys.argv[1:]

from dicomd.cli.main import main  # noqa: E402 - only now can it be found

sys.exit(main())
