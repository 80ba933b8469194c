"""Builds the .deb and .rpm: `make packages`.

The packages are self-contained but for the interpreter: every distribution of requirements.lock is
in them, the compiled ones once for each Python in PYTHONS, so that one package serves Debian 12 and
13, Ubuntu 24.04, Fedora and RHEL 10 alike. Pure ones stand once, in `site`.
"""

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
TREE = DIST / "tree"
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
    shutil.copytree(
        ROOT / "daemon/dicomd",
        LIBRARY / "site/dicomd",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    shutil.copy(ROOT / "packaging/launch.py", LIBRARY / "launch.py")


def fill_pages() -> None:
    """Manual pages, compressed as Debian wants them."""
    for page in sorted((ROOT / "packaging/man").glob("*.[1-9]")):
        folder = TREE / f"usr/share/man/man{page.suffix[1:]}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{page.name}.gz").write_bytes(gzip.compress(page.read_bytes(), 9, mtime=0))


def main() -> None:
    """Fill the tree, then let nfpm make both packages of it."""
    shutil.rmtree(TREE, ignore_errors=True)
    TREE.mkdir(parents=True)
    fill_library()
    fill_pages()
    nfpm = Path(sys.executable).parent / "nfpm"
    for packager in ("deb", "rpm"):
        options = ["--config", "packaging/nfpm.yaml", "--packager", packager, "--target", str(DIST)]
        subprocess.run(
            [nfpm, "package", *options],
            check=True,
            cwd=ROOT,
            env=os.environ | {"VERSION": version()},
        )


if __name__ == "__main__":
    main()
