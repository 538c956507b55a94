"""Renews the locked requirements from pyproject.toml, for every system and Python it allows.

Hashes are kept and index addresses are not: a lock says what to install, never where from.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
UV = Path(sys.executable).with_name("uv")
SETS = {
    "run": ["pyproject.toml", "--group", "build"],
    "dev": ["pyproject.toml", "--group", "build", "--group", "dev", "--constraint", "requirements/run.txt"],
    "fuzz": ["--group", "fuzz"],
    "bench": ["--group", "bench"],
}
HOW = ["--upgrade", "--universal", "--python-version", "3.11", "--generate-hashes"]
QUIET = ["--quiet", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]

for name, options in SETS.items():
    output = ["--output-file", f"requirements/{name}.txt"]
    command = [str(UV), "pip", "compile", *HOW, *QUIET, *options, *output]
    subprocess.run(command, check=True, cwd=HERE.parent)  # noqa: S603  # our own words
