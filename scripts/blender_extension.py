"""Build Blender's extension: the add-on, the client's wheel and the wheels that the client needs.

`make blender-extension` writes `tooncrafter-VERSION.zip`, one file for all
platforms, into `out/`. The wheels are those of `locks/desk.txt`, checked by hash.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ADDON = ROOT / "clients" / "blender"
CLIENT = ROOT / "clients" / "python"
MANIFEST = "blender_manifest.toml"
PYTHON = "3.11"  # of the Blenders that the manifest names
# Blender's name of a platform: the tag of the wheels that run there
PLATFORMS = {
    "linux-x64": "manylinux_2_17_x86_64",
    "macos-arm64": "macosx_11_0_arm64",
    "macos-x64": "macosx_10_12_x86_64",
    "windows-x64": "win_amd64",
}
# what the client imports to make its calls; typer, rich and standardwebhooks, which it needs for
# its command line and webhooks, are left out
PURE = (
    "annotated-types",
    "anyio",
    "certifi",
    "h11",
    "httpcore",
    "httpx",
    "idna",
    "pydantic",
    "typing-extensions",
    "typing-inspection",
)
COMPILED = ("pydantic-core",)


def build_extension(folder: Path, platforms: Sequence[str] = tuple(PLATFORMS)) -> Path:
    """Write the extension into a folder and return its path.

    Args:
        folder: is made if it is not there.
        platforms: of `PLATFORMS`.

    Raises:
        CalledProcessError: pip did not get a wheel.
    """
    manifest = (ADDON / MANIFEST).read_text()
    target = folder / f"tooncrafter-{tomllib.loads(manifest)['version']}.zip"
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as wheels,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as extension,
    ):
        _collect_wheels(Path(wheels), platforms)
        names = sorted(wheel.name for wheel in Path(wheels).glob("*.whl"))
        extension.writestr(MANIFEST, _with_wheels(manifest, platforms, names))
        for name in names:
            extension.write(Path(wheels) / name, f"wheels/{name}")
        for module in sorted(ADDON.glob("*.py")):
            extension.write(module, module.name)
        extension.write(ROOT / "LICENSE", "LICENSE")
    return target


def _with_wheels(manifest: str, platforms: Sequence[str], names: list[str]) -> str:
    """Return a manifest that names platforms and wheels, before its tables."""
    quoted = ", ".join(f'"{name}"' for name in platforms)
    wheels = "".join(f'  "./wheels/{name}",\n' for name in names)
    head, table, rest = manifest.partition("[permissions]")
    return f"{head}platforms = [{quoted}]\nwheels = [\n{wheels}]\n\n{table}{rest}"


def _collect_wheels(folder: Path, platforms: Sequence[str]) -> None:
    """Build the client's wheel and fetch what it needs, for each platform."""
    _pip("wheel", "--no-deps", "--no-build-isolation", f"--wheel-dir={folder}", str(CLIENT))
    lock = (ROOT / "locks" / "desk.txt").read_text()
    _download(folder, _locked(lock, PURE))
    for platform in platforms:
        tag = f"--platform={PLATFORMS[platform]}"
        _download(folder, _locked(lock, COMPILED), tag, f"--python-version={PYTHON}")


def _download(folder: Path, requirements: str, *target: str) -> None:
    file = folder / "requirements.txt"
    file.write_text(requirements)
    exact = ("--only-binary=:all:", "--no-deps", "--require-hashes")
    _pip("download", *target, *exact, f"--dest={folder}", f"--requirement={file}")


def _locked(lock: str, names: Sequence[str]) -> str:
    """Return the entries of a lock with these names, hashes included.

    Raises:
        ValueError: the lock lacks one.
    """
    entries = {
        found[1]: found[0]
        for found in re.finditer(r"^([a-z0-9-]+)(?:\[.*?\])?==(?:.*\\\n)*.*\n", lock, re.MULTILINE)
    }
    if missing := set(names) - entries.keys():
        raise ValueError(f"the lock has no {', '.join(sorted(missing))}")
    return "".join(entries[name] for name in names)


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    print(build_extension(Path(sys.argv[1]) if sys.argv[1:] else ROOT / "out"))
