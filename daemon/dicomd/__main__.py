"""python -m dicomd is the command dicomd."""

import sys

from dicomd.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
