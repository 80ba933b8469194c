"""Builds the .deb and .rpm: `make packages`.

The packages are self-contained but for the interpreter: every distribution of requirements.lock is
in them, the compiled ones once for each Python in PYTHONS, so that one package serves Debian 12 and
13, Ubuntu 24.04, Fedora and RHEL 10 alike. Pure ones stand once, in `site`.

What is packed is a copy of the files that git tracks, all with one time and with plain modes:
neither stray files nor a checkout's umask get into a package, and two builds are the same.
"""

import argparse
import gzip
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
DIST = ROOT / "dist"
SOURCE = DIST / "source"
SOURCES = ("daemon/dicomd", "packaging", "profiles", "systemd", "README.md", "LICENSE")
TREE = SOURCE / "tree"
LIBRARY = TREE / "usr/lib/dicomd"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


def version() -> str:
    """The version of the package, read from its source."""
    text = (ROOT / "daemon/dicomd/__init__.py").read_text()
    return text.split('__version__ = "', 1)[1].split('"', 1)[0]


def run(*command: str | Path) -> None:
    """One build step; its failure is the build's."""
    subprocess.run([str(part) for part in command], check=True, cwd=ROOT)


def fetch_wheels() -> tuple[list[Path], list[Path]]:
    """The locked distributions as wheels, hashes checked: the pure ones, and the compiled ones for
    every Python in PYTHONS."""
    wheels = DIST / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    lock = ROOT / "requirements.lock"
    pip: list[str | Path] = [sys.executable, "-m", "pip"]
    run(*pip, "wheel", "-q", "--no-deps", "--require-hashes", "-w", wheels / "here", "-r", lock)
    pure = sorted((wheels / "here").glob("*-none-any.whl"))
    names = {wheel.name.split("-")[0].lower().replace("_", "-") for wheel in pure}
    entries = re.findall(r"^\S+==.*\n(?:    --hash.*\n)+", lock.read_text(), re.MULTILINE)
    compiled_lock = wheels / "compiled.lock"
    compiled_lock.write_text("".join(e for e in entries if e.split("==")[0].lower() not in names))
    for python in PYTHONS:
        options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--implementation", "cp"]
        for platform in PLATFORMS:
            options += ["--platform", platform]
        target = wheels / f"python{python}"
        options += ["--python-version", python, "-r", str(compiled_lock)]
        run(*pip, "download", "-q", "-d", target, *options)
    return pure, sorted(wheels.glob("python*/*.whl"))


def source_time() -> int:
    """Seconds since the epoch that all packed files carry: SOURCE_DATE_EPOCH, or the last commit's
    time; without git, the time of the lock file."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if given:
        return int(given)
    if (ROOT / ".git").exists():
        command = ["git", "log", "-1", "--format=%ct"]
        told = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True)
        return int(told.stdout)
    return int((ROOT / "requirements.lock").stat().st_mtime)


def sources() -> list[str]:
    """Relative paths of the files to pack: those that git tracks, or all of a source archive."""
    if (ROOT / ".git").exists():
        command = ["git", "ls-files", "-z", "--", *SOURCES]
        told = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True)
        return [name for name in told.stdout.split("\0") if name and (ROOT / name).exists()]
    files = [path for top in SOURCES for path in ((ROOT / top), *(ROOT / top).rglob("*"))]
    return [
        str(path.relative_to(ROOT))
        for path in files
        if path.is_file() and "__pycache__" not in path.parts
    ]


def copy_sources() -> None:
    """SOURCE holds what is packed from here on."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    for name in sources():
        (SOURCE / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, SOURCE / name)


def settle(seconds: int) -> None:
    """One time and plain modes for everything below SOURCE."""
    for path in [*SOURCE.rglob("*"), SOURCE]:
        is_program = path.suffix == ".sh" or path.is_dir()
        path.chmod(0o755 if is_program else 0o644)
        os.utime(path, (seconds, seconds))


def unpack(wheel: Path, target: Path) -> None:
    """What a wheel puts on the import path; its scripts and data files are not wanted."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if ".data/" not in name:
                archive.extract(name, target)


def fill_library() -> None:
    """usr/lib/dicomd: `site` for pure distributions and our own, `pythonX.Y` for the others."""
    pure, compiled = fetch_wheels()
    for wheel in pure:
        unpack(wheel, LIBRARY / "site")
    for wheel in compiled:
        unpack(wheel, LIBRARY / wheel.parent.name)
    shutil.copytree(SOURCE / "daemon/dicomd", LIBRARY / "site/dicomd")
    shutil.copy(SOURCE / "packaging/launch.py", LIBRARY / "launch.py")


def fill_pages() -> None:
    """Manual pages, compressed as Debian wants them."""
    for page in sorted((SOURCE / "packaging/man").glob("*.[1-9]")):
        folder = TREE / f"usr/share/man/man{page.suffix[1:]}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{page.name}.gz").write_bytes(gzip.compress(page.read_bytes(), 9, mtime=0))


def pack(version: str, target: Path, seconds: int) -> None:
    """Let nfpm make both packages of SOURCE."""
    target.mkdir(parents=True, exist_ok=True)
    nfpm = Path(sys.executable).parent / "nfpm"
    for packager in ("deb", "rpm"):
        options = ["--config", "packaging/nfpm.yaml", "--packager", packager]
        subprocess.run(
            [nfpm, "package", *options, "--target", str(target.resolve())],
            check=True,
            cwd=SOURCE,
            env=os.environ | {"VERSION": version, "SOURCE_DATE_EPOCH": str(seconds)},
        )


def main() -> None:
    """Gather what is packed, then pack it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", default=version(), help="of the packages; for tests")
    parser.add_argument("--target", type=Path, default=DIST, help="folder of the packages")
    parser.add_argument("--gathered", action="store_true", help="pack what the last build gathered")
    options = parser.parse_args()
    seconds = source_time()
    if not options.gathered:
        copy_sources()
        TREE.mkdir()
        fill_library()
        fill_pages()
        settle(seconds)
    pack(options.version, options.target, seconds)


if __name__ == "__main__":
    main()
