#!/bin/sh
# deb: $1 is "remove" or "upgrade"; rpm: $1 is 0 (removal) or 1 (upgrade).
set -e
case "$1" in
    remove | 0)
        if [ -d /run/systemd/system ]; then
            systemctl disable --now dicomd.service dicomd.socket >/dev/null 2>&1 || true
        fi
        ;;
esac
find /usr/lib/dicomd -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
