"""The packages in real Debian systems, booted under systemd-nspawn: `make test-systemd`."""
