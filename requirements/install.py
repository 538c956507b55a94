"""Sets up .venv with what Mailtap runs on (`run`) or is developed with (`dev`), and says what is missing.

    python3 requirements/install.py run

Kept to what Python 3.6 can read, so that a Python that is too old can say so itself.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)
NEWEST = (3, 30)  # that is looked for; none is too new
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
VENV = ROOT / ".venv"
SCRIPTS = VENV / ("Scripts" if sys.platform == "win32" else "bin")
PYTHON = SCRIPTS / ("python.exe" if sys.platform == "win32" else "python")
WHEELS = ROOT / "wheels"

TOO_OLD = """Mailtap needs Python 3.11 or later; this is Python {version} ({executable}).
Install a newer one:
  Debian, Ubuntu: sudo apt install python3.11 python3.11-venv
  macOS:          brew install python
  Windows:        winget install Python.Python.3.14
or name the one you have: make demo-plain PYTHON=/path/to/python3"""

NO_VENV = """This Python ({executable}) cannot make a virtual environment: its venv package is missing.
  Debian, Ubuntu: sudo apt install python{version}-venv"""

NO_PACKAGES = """The packages that Mailtap runs on could not be installed (above: what pip said).
They come from the Python package index, so the first run needs a network. Check it, or your proxy
(HTTPS_PROXY), and run the same command again.
For a machine without a network: run `make wheels` on one that has it, with the same system and Python,
and copy the folder wheels/ into this one."""

NO_WHEELS = """The folder wheels/ lacks something that this Python and system need (above: what pip said).
Fill it with `make wheels` on a machine with a network and the same system and Python, or remove it."""

NO_VENV_MADE = "The virtual environment could not be made in {folder}."
SETTING_UP = "Setting up .venv, once: this takes some seconds …"

# Before it is installed, Mailtap's own catalogues cannot be read.
JAPANESE = {
    TOO_OLD: """Mailtap には Python 3.11 以降が必要です。これは Python {version} です({executable})。
新しいものを入れてください。
  Debian、Ubuntu: sudo apt install python3.11 python3.11-venv
  macOS:          brew install python
  Windows:        winget install Python.Python.3.14
すでにある場合は、その場所を指定します: make demo-plain PYTHON=/path/to/python3""",
    NO_VENV: """この Python({executable})では仮想環境を作れません。venv パッケージがありません。
  Debian、Ubuntu: sudo apt install python{version}-venv""",
    NO_PACKAGES: """Mailtap が使うパッケージをインストールできませんでした(上は pip の出力です)。
パッケージは Python のパッケージ索引から取るので、最初の一回はネットワークが要ります。
接続やプロキシー(HTTPS_PROXY)を確かめて、同じコマンドをもう一度実行してください。
ネットワークのないパソコンで使うには、システムと Python が同じで、ネットワークのあるパソコンで
`make wheels` を実行し、できたフォルダー wheels/ をこのフォルダーへコピーしてください。""",
    NO_WHEELS: """フォルダー wheels/ に、この Python とシステムに必要なものが足りません(上は pip の出力です)。
システムと Python が同じで、ネットワークのあるパソコンで `make wheels` を実行して入れ直すか、
フォルダーを消してください。""",
    NO_VENV_MADE: "仮想環境を {folder} に作れませんでした。",
    SETTING_UP: ".venv を用意しています。最初の一回だけ、少し時間がかかります …",
}


def say(text: str, **values: str) -> str:
    """Return a text in the language of the environment, as Mailtap itself finds it, with values filled in."""
    wanted = [os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)]
    japanese = bool(wanted) and wanted[0].lower().startswith("ja")
    return (JAPANESE[text] if japanese else text).format(**values)


def main() -> None:
    """Install the set named on the command line; the exit code says whether all is there."""
    wanted = sys.argv[-1]
    if wanted not in ("run", "dev"):
        sys.exit("Usage: python3 requirements/install.py run|dev")
    if sys.version_info < OLDEST:
        use_a_newer_python(wanted)
    need_venv()
    if not usable_venv():
        print(say(SETTING_UP), file=sys.stderr)  # noqa: T201
        make = [sys.executable, "-m", "venv", "--clear", str(VENV)]
        run(make, say(NO_VENV_MADE, folder=str(VENV)))
    install(wanted)


def use_a_newer_python(wanted: str) -> None:
    """Go on with a newer Python of this machine, or say that there is none."""
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        newer = shutil.which("python3.{}".format(minor))
        if newer:
            sys.exit(subprocess.call([newer, str(HERE / "install.py"), wanted]))  # noqa: S603
    sys.exit(say(TOO_OLD, version=sys.version.split()[0], executable=sys.executable))


def need_venv() -> None:
    """Say how to get `venv`, which Debian and Ubuntu keep in a package of its own."""
    try:
        import ensurepip  # noqa: F401, PLC0415
        import venv  # noqa: F401, PLC0415
    except ImportError:
        version = "{}.{}".format(*sys.version_info)
        sys.exit(say(NO_VENV, executable=sys.executable, version=version))


def usable_venv() -> bool:
    """Return whether .venv was made in this very folder (not copied with it) and its Python runs."""
    try:
        if str(VENV) not in (SCRIPTS / "activate").read_text(encoding="utf-8"):
            return False
        check = f"import sys, pip; sys.exit(sys.version_info < {OLDEST})"
        return subprocess.call([str(PYTHON), "-c", check], stderr=subprocess.DEVNULL) == 0  # noqa: S603
    except OSError:
        return False


def install(wanted: str) -> None:
    """Install the locked packages, then Mailtap itself from this folder."""
    offline = WHEELS.is_dir()
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    pip += ["--no-index", "--find-links", str(WHEELS)] if offline else ["--retries", "2"]
    advice = say(NO_WHEELS if offline else NO_PACKAGES)
    run([*pip, "--require-hashes", "--requirement", str(HERE / (wanted + ".txt"))], advice)
    run([*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)], advice)


def run(command: list, advice: str) -> None:
    """Run a command; where it fails, show the end of what it said and then the advice, and exit 1."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)  # noqa: S603
    if done.returncode != 0:
        said = done.stdout.decode("utf-8", "replace").strip().splitlines()
        sys.exit("\n".join([*said[-8:], "", advice]))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
