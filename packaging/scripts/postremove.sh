#!/bin/sh
# What was received, its index and the log stay: they are the user's. So does the account that owns them.
set -e
[ -d /run/systemd/system ] && systemctl daemon-reload || true
