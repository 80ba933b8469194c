"""The roof: processes, reload, status, systemd, control socket, metrics."""
