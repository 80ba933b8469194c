#!/bin/sh
# deb: $1 is "remove" or "upgrade"; rpm: $1 is 0 (removal) or 1 (upgrade).
set -e
case "$1" in
    remove | 0)
        if [ -d /run/systemd/system ]; then
            systemctl disable --now dicomd.service dicomd.socket >/dev/null 2>&1 || true
            for link in /etc/systemd/system/*.wants/dicomd@*.service; do
                [ -L "$link" ] || continue
                systemctl disable --now "$(basename "$link")" >/dev/null 2>&1 || true
            done
            systemctl stop 'dicomd@*.service' >/dev/null 2>&1 || true
        fi
        ;;
esac
# An rpm's new files are compiled already when the old package's script runs: they stay so.
[ "$1" = 1 ] ||
    find /usr/lib/dicomd -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
