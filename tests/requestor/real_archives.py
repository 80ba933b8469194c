"""Archives of others, as processes: DCMTK's dcmqrscp and Orthanc, filled by storescu."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.requestor.archive import EXPLICIT, Instance
from tests.requestor.daemon import free_port, wait_until

ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def write_files(folder: Path, instances: list[Instance]) -> list[str]:
    """Instances as DICOM files."""
    folder.mkdir(parents=True, exist_ok=True)
    uid = EXPLICIT.encode() + b"\0" * (len(EXPLICIT) % 2)
    syntax = b"\x02\x00\x10\x00UI" + len(uid).to_bytes(2, "little") + uid
    head = b"\x02\x00\x00\x00UL\x04\x00" + len(syntax).to_bytes(4, "little")
    names = []
    for instance in instances:
        path = folder / f"{instance.uid}.dcm"
        path.write_bytes(bytes(128) + b"DICM" + head + syntax + instance.data)
        names.append(str(path))
    return names


def send(port: int, ae_title: str, files: list[str]) -> None:
    """storescu them."""
    subprocess.run(
        ["/usr/bin/storescu", "-aec", ae_title, "127.0.0.1", str(port), *files],
        check=True,
        capture_output=True,
        env=ENVIRONMENT,
        timeout=60,
    )


class Dcmqrscp:
    """DCMTK's archive, which may be killed and started again."""

    def __init__(self, config: Path, port: int) -> None:
        self.config = config
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self.process = subprocess.Popen(
            ["/usr/bin/dcmqrscp", "-c", str(self.config)],
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(lambda: answers(self.port), "dcmqrscp answers")

    def kill(self) -> None:
        """kill -9 of it and of its children, one an association."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


@contextlib.contextmanager
def dcmqrscp(
    folder: Path, instances: list[Instance], destinations: dict[str, int]
) -> Iterator[int]:
    """DCMTK's archive, filled; yields its port."""
    with mortal_dcmqrscp(folder, instances, destinations) as archive:
        yield archive.port


@contextlib.contextmanager
def mortal_dcmqrscp(
    folder: Path, instances: list[Instance], destinations: dict[str, int]
) -> Iterator[Dcmqrscp]:
    """The same, to be killed."""
    port = free_port()
    (folder / "db").mkdir(parents=True)
    hosts = "\n".join(
        f"{name.lower()} = ({name}, 127.0.0.1, {at})" for name, at in destinations.items()
    )
    config = folder / "dcmqrscp.cfg"
    config.write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        f"HostTable BEGIN\n{hosts}\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nARCHIVE {folder / 'db'} RW (500, 4096mb) ANY\nAETable END\n"
    )
    archive = Dcmqrscp(config, port)
    archive.start()
    try:
        send(port, "ARCHIVE", write_files(folder / "files", instances))
        yield archive
    finally:
        archive.kill()


@contextlib.contextmanager
def orthanc(folder: Path, instances: list[Instance], destinations: dict[str, int]) -> Iterator[int]:
    """Orthanc, filled; yields its DICOM port."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "orthanc.json"
    config.write_text(
        json.dumps(
            {
                "Name": "ARCHIVE",
                "StorageDirectory": str(folder / "db"),
                "IndexDirectory": str(folder / "db"),
                "HttpServerEnabled": False,
                "DicomAet": "ARCHIVE",
                "DicomPort": port,
                "DicomCheckCalledAet": False,
                "DicomAlwaysAllowFind": True,
                "DicomAlwaysAllowMove": True,
                "DicomAlwaysAllowStore": True,
                "Plugins": [],
                "DicomModalities": {
                    name: [name, "127.0.0.1", at] for name, at in destinations.items()
                },
            }
        )
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["/usr/sbin/Orthanc", str(config)], stdout=log, stderr=log, env=ENVIRONMENT
        )
    try:
        wait_until(lambda: answers(port), "Orthanc answers")
        time.sleep(0)
        send(port, "ARCHIVE", write_files(folder / "files", instances))
        yield port
    finally:
        process.terminate()
        process.wait(20)
