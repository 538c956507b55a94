"""Reads several capture files at once, each in a process of its own, and tells of them in their order.

One file is one process: flows, packets and messages count from 1 in each file, so nothing has to be shared,
and what is told is byte for byte what one process would tell.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator


class Told(NamedTuple):
    """What a process said of its file, to be read from the start, and its exit code."""

    output: IO[bytes]
    errors: IO[bytes]
    code: int


def tell(options: Namespace) -> Iterator[int]:
    """Tell what leaks in the files of a command line with `--json`; yield the exit code of each.

    Args:
        options: the command line, read.
    """
    command = [sys.executable, "-P", "-m", "mailtap.capture", *_passed_on(options), "--"]
    with ThreadPoolExecutor(options.jobs) as workers:
        for told in workers.map(lambda file: _run([*command, file]), options.files):
            with told.output, told.errors:
                shutil.copyfileobj(told.output, sys.stdout.buffer)
                sys.stdout.buffer.flush()
                shutil.copyfileobj(told.errors, sys.stderr.buffer)
                sys.stderr.buffer.flush()
            yield told.code


def _passed_on(options: Namespace) -> list[str]:
    """Return the options that a process for one file needs, too."""
    flags = {
        "--json": True,
        "--logins": options.logins,
        "--mask": options.mask,
        "--no-guess": not options.guess,
    }
    files = min(options.jobs, len(options.files))
    values = {
        "--lang": options.lang,
        "--wordlist": options.wordlist,
        "--jobs": options.jobs // files,
        "--beside": files,
    }
    given = [flag for flag, wanted in flags.items() if wanted]
    return given + [f"{name}={value}" for name, value in values.items() if value is not None]


def _run(command: list[str]) -> Told:
    """Run a process to its end; what it says waits in files that have no name."""
    output, errors = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115  # closed by the reader
    # Standard input stays: `-` may be one of the files.
    code = subprocess.run(command, stdout=output, stderr=errors, check=False).returncode  # noqa: S603
    output.seek(0)
    errors.seek(0)
    return Told(output, errors, code)
