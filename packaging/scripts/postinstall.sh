#!/bin/sh
# deb: $1 is "configure" and $2 the version that was there; rpm: $1 is 1 (first) or 2 (upgrade).
set -e
if command -v systemd-sysusers >/dev/null 2>&1; then
    systemd-sysusers dicomd.conf
elif ! getent passwd dicomd >/dev/null; then
    useradd --system --user-group --home-dir /var/lib/dicomd --shell /usr/sbin/nologin dicomd
fi
if [ -d /etc/dicomd ]; then
    # The daemon reads its configuration as its own user; others do not.
    chgrp dicomd /etc/dicomd /etc/dicomd/dicomd.yaml
    chmod 0750 /etc/dicomd
fi
if command -v systemd-tmpfiles >/dev/null 2>&1; then
    systemd-tmpfiles --create dicomd.conf
fi
for version in 3.14 3.13 3.12 3.11; do
    if [ -x "/usr/bin/python$version" ]; then
        "/usr/bin/python$version" -m compileall -q -j 0 \
            /usr/lib/dicomd/site "/usr/lib/dicomd/python$version" >/dev/null 2>&1 || true
        break
    fi
done
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
case "$1:$2" in
    configure: | 1:) systemctl enable dicomd.service >/dev/null 2>&1 || true ;;
    configure:* | 2:*) systemctl try-restart dicomd.service 'dicomd@*.service' || true ;;
esac
