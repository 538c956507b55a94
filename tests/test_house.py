"""What the house itself promises: the wheel, the README, the locks, the catalogues."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from typing import TYPE_CHECKING

import catalogues
import commands
import lessons
import pytest
import wheels
from wcwidth import wcswidth
from wheels import PACKAGES, ROOT

if TYPE_CHECKING:
    from pathlib import Path

# These run the tests themselves, or something as long.
NOT_IN_A_TEST = {"make test", "make check"}


def tree() -> set[str]:
    """Return what a wheel must hold: every module, and the data beside them."""
    kept = {".py", ".typed", ".txt", ".html", ".mo"}
    return {
        f"mailtap/{path.relative_to(ROOT).as_posix()}"
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix in kept and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_every_module(tmp_path: Path) -> None:
    wheel = wheels.build(tmp_path)
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == tree()


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        pytest.param(
            "sys.modules['ensurepip'] = None", ("sudo apt install python3", "仮想環境"), id="no venv"
        ),
        pytest.param(
            "sys.version_info = (3, 8); os.environ['PATH'] = ''", ("make demo-plain", "以降"), id="too old"
        ),
    ],
)
@pytest.mark.parametrize("language", ["en", "ja"])
def test_what_the_set_up_lacks_is_said_in_the_readers_language(
    trouble: str, said: tuple[str, str], language: str, tmp_path: Path
) -> None:
    script = tmp_path / "requirements" / "install.py"
    script.parent.mkdir()
    shutil.copy(ROOT / "requirements" / "install.py", script)
    code = f"import os, sys, runpy; {trouble}; sys.argv[1:] = ['run']; runpy.run_path(sys.argv[0], run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv[0] = {str(script)!r}; {code}"],
        capture_output=True,
        env=lessons.environment(LANG=f"{language}.UTF-8", PYTHONUTF8="1"),
        check=False,
        timeout=lessons.TIMEOUT,
    )
    told = done.stderr.decode()
    assert done.returncode == 1
    assert said[0] in told
    assert (said[1] in told) == (language == "ja")
    assert ("needs" in told or "cannot" in told) == (language == "en")
    assert not (tmp_path / ".venv").exists()


def readme_commands(name: str) -> list[str]:
    """Return the commands that a README shows."""
    shown = commands.shown_in((ROOT / name).read_text(encoding="utf-8"))
    return [command for command in shown if command and command not in NOT_IN_A_TEST]


@pytest.mark.parametrize("readme", ["README.md", "README.ja.md"])
def test_the_commands_of_the_readme_work(readme: str, tmp_path: Path) -> None:
    shown = readme_commands(readme)
    assert [command for command in shown if command.startswith("make demo-plain")]
    assert [command for command in shown if command.startswith("make demo-tls")]
    tried = readme_commands("README.md") if readme != "README.md" else []
    for command in shown:
        if command in tried:
            continue
        if " servers " in command:
            assert commands.served(command, tmp_path)[0] == 130, command
        else:
            commands.told_by(command, tmp_path)


@pytest.mark.parametrize("name", ["run", "dev"])
def test_the_locks_name_no_host_and_pin_everything(name: str) -> None:
    lock = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert "://" not in lock
    assert "--index-url" not in lock
    packages = re.findall(r"^[a-z0-9].*$", lock, re.MULTILINE)
    assert packages
    assert all("==" in package for package in packages)
    assert lock.count("--hash=sha256:") >= len(packages)


def test_the_run_lock_holds_what_the_package_depends_on() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lock = (ROOT / "requirements" / "run.txt").read_text()
    for requirement in project["project"]["dependencies"]:
        name = re.split(r"[<>=]", requirement)[0]
        assert re.search(rf"^{name}==", lock, re.MULTILINE), name
    assert "pytest" not in lock
    assert "ruff" not in lock


@pytest.mark.parametrize("package", catalogues.PACKAGES)
@pytest.mark.parametrize("language", catalogues.LANGUAGES)
def test_everything_people_read_is_translated(package: str, language: str) -> None:
    assert catalogues.problems(package, language) == []


def test_decisions_are_numbered_in_order() -> None:
    names = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))


@pytest.mark.parametrize("target", ["demo-plain", "test"])
def test_a_moved_checkout_sets_itself_up_again(target: str, tmp_path: Path) -> None:
    """Its .venv is newer than everything it is made from, and yet leads to where it was made."""
    for name in ("Makefile", "pyproject.toml", "requirements"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    scripts = tmp_path / ".venv" / "bin"
    scripts.mkdir(parents=True)
    (scripts / "python").symlink_to(sys.executable)
    (scripts / "activate").write_text("VIRTUAL_ENV=/where/it/was/made/.venv\n")
    for stamp in ("run", "dev"):
        (tmp_path / ".venv" / stamp).touch()
    dry = ["make", "--dry-run", "--directory", str(tmp_path), target]
    planned = subprocess.run(dry, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "requirements/install.py" in planned
    (scripts / "activate").write_text(f"VIRTUAL_ENV={tmp_path}/.venv\n")
    planned = subprocess.run(dry, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "requirements/install.py" not in planned


@pytest.mark.parametrize(
    ("environment", "japanese"),
    [
        pytest.param({"LANG": "C.UTF-8"}, False, id="en"),
        pytest.param({"LANG": "ja_JP.UTF-8"}, True, id="ja"),
        pytest.param({"LANG": "ja_JP.UTF-8", "LC_ALL": "en_US.UTF-8"}, False, id="LC_ALL outdoes LANG"),
    ],
)
def test_make_help_names_every_target_and_fits_80_columns(
    environment: dict[str, str], japanese: bool
) -> None:
    foreign = dict.fromkeys(("LC_ALL", "LC_MESSAGES", "LANG"), "")
    told = subprocess.run(
        ["make", "--silent", "--directory", str(ROOT), "help"],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, **foreign, **environment},
        check=True,
    ).stdout
    targets = re.findall(r"^([\w-]+):.* ## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert [name for name in targets if not re.search(rf"^  make {name} +\S", told, re.MULTILINE)] == []
    assert [line for line in told.splitlines() if wcswidth(line) > 80 or "|" in line] == []
    described = re.findall(r"^  make [\w-]+ +(.*)$", told, re.MULTILINE)
    assert [line for line in described if bool(re.search("[ぁ-んァ-ヶ一-龠]", line)) != japanese] == []
