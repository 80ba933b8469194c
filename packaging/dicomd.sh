#!/bin/sh
# dicomd, under the newest Python that the package carries libraries for.
for version in 3.14 3.13 3.12 3.11; do
    if [ -x "/usr/bin/python$version" ]; then
        exec "/usr/bin/python$version" -I /usr/lib/dicomd/launch.py "$0" "$@"
    fi
done
echo "dicomd: needs Python 3.11, 3.12, 3.13 or 3.14 in /usr/bin; install one of them" >&2
exit 69
