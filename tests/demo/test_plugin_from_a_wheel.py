"""The plugin works as a user gets it: from a wheel, in a virtual environment and a project of the user's own."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
import wheels

# A project that has folders of the same names as Mailtap's own.
PROJECT = {
    "tests/test_client.py": """
        import poplib
        import servers.mine
        import mailtap.demo

        def test_where_mailtap_is(request):
            assert "site-packages" in mailtap.demo.__file__
            assert servers.mine.PORT == 110

        def test_a_sound_client(mail_tap, mail_account, mail_tls_context):
            pop3 = poplib.POP3(mail_tap.pop3.host, mail_tap.pop3.port)
            pop3.stls(mail_tls_context)
            pop3.user(mail_account.username)
            pop3.pass_(mail_account.password)
            pop3.quit()
            assert mail_account.password not in mail_tap
            assert mail_tap.pop3.sessions == 1

        def test_a_leaky_client(mail_tap, mail_account):
            pop3 = poplib.POP3(mail_tap.pop3.host, mail_tap.pop3.port)
            pop3.user(mail_account.username)
            pop3.pass_(mail_account.password)
            pop3.quit()
            assert mail_account.password not in mail_tap
    """,
    "servers/__init__.py": "",
    "servers/mine.py": "PORT = 110\n",
    "capture/__init__.py": "raise ImportError('the user\\'s own folder was taken for Mailtap\\'s')\n",
    "demo/__init__.py": "raise ImportError('the user\\'s own folder was taken for Mailtap\\'s')\n",
}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment, in which Mailtap was installed from its wheel."""
    folder = tmp_path_factory.mktemp("fresh")
    wheel = wheels.build(folder)
    venv.create(folder / "venv", with_pip=True, symlinks=sys.platform != "win32")
    scripts = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    python = scripts / "python"
    # What Mailtap needs is lent from the environment of these tests, so that no network is needed: a path
    # in a .pth file comes last, and .pth files of its own (our editable install) are not read.
    probe = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    purelib = Path(subprocess.run(probe, check=True, capture_output=True, text=True).stdout.strip())
    (purelib / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([*install, "--force-reinstall"], check=True, capture_output=True, timeout=100)
    return python


def test_the_plugin_in_a_project_of_the_users_own(python: Path, tmp_path: Path) -> None:
    for name, text in PROJECT.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = text.removeprefix("\n").splitlines()
        margin = len(lines[0]) - len(lines[0].lstrip()) if lines else 0
        file.write_text("".join(f"{line[margin:]}\n" for line in lines), encoding="utf-8")
    command = [str(python), "-m", "pytest", "-p", "no:cacheprovider", "--mail-tap=relay"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert "mail tap: relay" in done.stdout
    assert "2 passed" in done.stdout
    assert "1 failed" in done.stdout, done.stdout + done.stderr
    assert "The secret crossed the wire" in done.stdout
