#!/bin/sh
# Installs the real peers that the tests need, where they are missing (Debian packages).
set -eu
missing=''
command -v /usr/bin/dcmrecv >/dev/null 2>&1 || missing="$missing dcmtk"
command -v Orthanc >/dev/null 2>&1 || [ -x /usr/sbin/Orthanc ] || missing="$missing orthanc"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
[ -e /lib/x86_64-linux-gnu/libwrap.so.0 ] || [ -e "/lib/$(uname -m)-linux-gnu/libwrap.so.0" ] || missing="$missing libwrap0"
command -v groff >/dev/null 2>&1 || missing="$missing groff-base"
command -v logrotate >/dev/null 2>&1 || [ -x /usr/sbin/logrotate ] || missing="$missing logrotate"
command -v mkfs.ext4 >/dev/null 2>&1 || [ -x /usr/sbin/mkfs.ext4 ] || missing="$missing e2fsprogs"
[ -z "$missing" ] && exit 0
sudo=''
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update -q
# The packages' own services are not wanted: the tests start what they need.
printf '#!/bin/sh\nexit 101\n' | $sudo tee /usr/sbin/policy-rc.d >/dev/null
$sudo chmod +x /usr/sbin/policy-rc.d
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends $missing
$sudo rm -f /usr/sbin/policy-rc.d
