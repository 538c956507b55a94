"""Runs the tests under the other Pythons that this machine has, each in a .venv of its own.

python tests/support/pythons.py 3.12 3.13 -- [what pytest is to be told]
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def find(version: str) -> str | None:
    """Return a Python of this version that really starts: on the path, or of pyenv's."""
    for name in (
        shutil.which(f"python{version}"),
        *Path.home().glob(f".pyenv/versions/{version}.*/bin/python"),
    ):
        if name is None:
            continue
        asked = [str(name), "-c", "import sys, ensurepip; print('%d.%d' % sys.version_info[:2])"]
        said = subprocess.run(asked, capture_output=True, text=True, check=False)
        if said.stdout.strip() == version:
            return str(name)
    return None


def prepare(python: str, version: str) -> str:
    """Make the .venv with the locked packages, and return its Python."""
    venv = ROOT / "build" / f"python{version}"
    inside = str(venv / "bin" / "python")
    if not (venv.exists() and subprocess.run([inside, "-c", ""], check=False).returncode == 0):
        subprocess.run([python, "-m", "venv", "--clear", str(venv)], check=True)
    pip = [inside, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    locked = ["--require-hashes", "--requirement", str(ROOT / "requirements" / "dev.txt")]
    subprocess.run([*pip, *locked], check=True)
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)], check=True)
    return inside


def main() -> int:
    """Run the tests under each; return 1 where some failed."""
    failed = []
    end = sys.argv.index("--")
    versions, options = sys.argv[1:end], sys.argv[end + 1 :]
    for version in versions:
        python = find(version)
        if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
            continue
        if python is None:
            print(f"== Python {version}: not on this machine", flush=True)
            continue
        print(f"== Python {version}: {python}", flush=True)
        command = [prepare(python, version), "-m", "pytest", "-q", *options]
        if subprocess.run(command, check=False, cwd=ROOT).returncode:
            failed.append(version)
    if failed:
        print(f"The tests failed under Python {', '.join(failed)}.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
