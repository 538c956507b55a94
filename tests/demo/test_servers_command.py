"""What `mailtap servers` prints lets a mail program in, and its tap tells what was overheard."""

from __future__ import annotations

import imaplib
import json
import poplib
import re
import signal
import smtplib
import ssl
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, HTTPSHandler, OpenerDirector, ProxyHandler, build_opener

import lessons
import pytest
from commands import read_until
from wcwidth import wcswidth

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from mailtap.demo.command import main
sys.exit(main(["servers", *sys.argv[1:]]))
"""
COUNT = {"all": 8, "plain": 4, "apop": 3, "starttls": 3, "tls": 4}
SECURITY = {
    "all": {"plain", "starttls", "tls"},
    "plain": {"plain"},
    "apop": {"plain"},
    "starttls": {"starttls"},
    "tls": {"tls"},
}


DROPS = """
from dataclasses import replace
from mailtap.demo.network.tap import Tap
end = Tap.end
Tap.end = lambda self: replace(end(self), dropped=3)
"""


# The reader of the settings is quicker than who printed them.
SLOW = """
import time
from mailtap.demo.settings import Settings
tell = Settings.tell
def slowly(*told, **more):
    tell(*told, **more)
    time.sleep(1)
Settings.tell = slowly
"""


@contextmanager
def servers(*arguments: str, before: str = "", **changes: str) -> Iterator[subprocess.Popen[str]]:
    """Run the servers, and end them."""
    with subprocess.Popen(
        [sys.executable, "-c", before + START, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=lessons.environment(**changes),
    ) as program:
        try:
            yield program
        finally:
            program.send_signal(signal.SIGINT)
            program.wait(20)


def read_objects(program: subprocess.Popen[str], count: int) -> list[dict[str, Any]]:
    assert program.stdout is not None
    return [json.loads(program.stdout.readline()) for _ in range(count)]


def log_in(setting: dict[str, Any]) -> None:
    """Log in with what was printed, as its security column says."""
    trust = ssl.create_default_context(cafile=setting["ca"]) if setting["ca"] else None
    LOG_IN[setting["protocol"]](setting, trust)


def submit(setting: dict[str, Any], trust: ssl.SSLContext | None) -> None:
    where = setting["host"], setting["port"]
    secure = setting["security"] == "tls"
    with smtplib.SMTP_SSL(*where, context=trust) if secure else smtplib.SMTP(*where) as smtp:
        if setting["security"] == "starttls":
            smtp.starttls(context=trust)
        assert smtp.login(setting["username"], setting["password"])[0] == 235


def fetch(setting: dict[str, Any], trust: ssl.SSLContext | None) -> None:
    where = setting["host"], setting["port"]
    pop3 = poplib.POP3_SSL(*where, context=trust) if setting["security"] == "tls" else poplib.POP3(*where)
    if setting["security"] == "starttls":
        pop3.stls(trust)
    if "USER/PASS" in setting["logins"]:
        pop3.user(setting["username"])
        pop3.pass_(setting["password"])
    else:
        pop3.apop(setting["username"], setting["password"])
    assert pop3.stat()[0] == 1
    pop3.quit()


def look(setting: dict[str, Any], trust: ssl.SSLContext | None) -> None:
    where = setting["host"], setting["port"]
    secure = setting["security"] == "tls"
    with imaplib.IMAP4_SSL(*where, ssl_context=trust) if secure else imaplib.IMAP4(*where) as imap:
        if setting["security"] == "starttls":
            imap.starttls(trust)
        if "LOGIN" in setting["logins"]:
            imap.login(setting["username"], setting["password"])
        else:
            imap.login_cram_md5(setting["username"], setting["password"])
        assert imap.select()[1] == [b"1"]


def browse(setting: dict[str, Any], trust: ssl.SSLContext | None) -> None:
    web = build_opener(HTTPCookieProcessor(), HTTPSHandler(context=trust), ProxyHandler({}))
    form = urlencode({"username": setting["username"], "password": setting["password"]})
    with web.open(setting["url"]) as page:
        assert b'name="password"' in page.read()
    with web.open(setting["url"] + "login", form.encode()) as page:
        assert b"/webmail/message?uid=" in page.read()


LOG_IN = {"smtp": submit, "pop3": fetch, "imap": look, "http": browse}


@pytest.mark.parametrize("offer", COUNT)
def test_each_printed_setting_lets_a_client_in(offer: str, tmp_path: Path) -> None:
    options = [] if offer == "all" else [f"--{offer}"]
    with servers("--json", "--ca", str(tmp_path / "ca.pem"), *options) as program:
        settings = read_objects(program, COUNT[offer])
        for setting in settings:
            log_in(setting)
    assert {setting["security"] for setting in settings} == SECURITY[offer]
    protocols = {"smtp", "pop3", "imap"} | (set() if offer in {"apop", "starttls"} else {"http"})
    assert {setting["protocol"] for setting in settings} == protocols
    assert 10080 not in {setting["port"] for setting in settings}  # browsers refuse it
    assert {setting["protocol"] for setting in settings if setting["url"]} == protocols & {"http"}
    assert (tmp_path / "ca.pem").exists() is (offer not in {"plain", "apop"})


def test_the_table_says_what_is_offered_and_how_to_be_overheard() -> None:
    with servers() as program:
        said = read_until(program, "Ctrl-C")
    assert said.count("none or STARTTLS") == 3
    assert said.count("SSL/TLS ") >= 2
    assert re.search(r"Webmail, to open in a browser: http://127\.0\.0\.1:\d+/webmail/\n", said)
    assert re.search(r"Webmail, to open in a browser: https://127\.0\.0\.1:\d+/webmail/\n", said)
    assert "start with --tap, and choose security" in said
    assert "the tap go quiet" not in said
    assert "--ca FILE keeps it" in said
    assert "sakura2024" in said
    with servers("--plain", "--mask") as program:
        said = read_until(program, "Ctrl-C")
    assert "Certificate" not in said
    assert "sakura2024" not in said
    assert "Without --mask" in said


def test_a_narrow_terminal_gets_the_settings_one_below_the_other() -> None:
    with servers("--lang", "ja", COLUMNS="40") as program:
        said = read_until(program, "Ctrl-C")
    lines = said.splitlines()
    assert [line for line in lines if wcswidth(line) > 40] == []
    assert said.count("ログイン: USER/PASS, APOP\n  PLAIN, LOGIN, CRAM-MD5\n\n") == 2
    assert re.search(r"^http://127\.0\.0\.1:\d+/webmail/$", said, re.MULTILINE)


def test_the_tap_tells_connections_apart_and_what_was_refused() -> None:
    with servers("--tap", "--plain") as program:
        said = read_until(program, "as it happens")
        port = int(next(line for line in said.splitlines() if "POP3" in line).split("│")[3])
        pop3 = poplib.POP3("127.0.0.1", port)
        pop3.user("taro")
        with pytest.raises(poplib.error_proto):
            pop3.pass_("wrong")
        pop3.close()
        read_until(program, "password: wrong (refused)")
        pop3 = poplib.POP3("127.0.0.1", port)
        pop3.user("taro")
        pop3.pass_("fujisan2023")
        pop3.quit()
        said = read_until(program, "password: fujisan2023\n")
    assert "POP3 B  password" in said


def test_json_is_utf_8_whatever_the_terminal_speaks() -> None:
    with servers("--tap", "--plain", "--json", PYTHONIOENCODING="ascii") as program:
        settings = {each["protocol"]: each for each in read_objects(program, COUNT["plain"])}
        pop3 = poplib.POP3("127.0.0.1", settings["pop3"]["port"])
        pop3.user("taro")
        pop3.pass_("fujisan2023")
        pop3.retr(1)
        pop3.quit()
        while (leak := read_objects(program, 1)[0])["field"] != "subject":
            pass
    assert "社外秘" in leak["value"]


def test_a_reader_who_has_had_enough_of_the_tap_is_no_error() -> None:
    with servers("--tap", "--plain", "--json") as program:
        assert program.stdout is not None
        assert program.stderr is not None
        settings = {each["protocol"]: each for each in read_objects(program, COUNT["plain"])}
        program.stdout.close()
        pop3 = poplib.POP3("127.0.0.1", settings["pop3"]["port"])
        pop3.user("taro")
        pop3.pass_("fujisan2023")
        pop3.close()
        assert program.wait(20) == 0
        said = program.stderr.read()  # other servers may have taken the usual ports, which it says
    assert not re.search("pipe|Traceback", said, re.IGNORECASE)


def ended(program: subprocess.Popen[str]) -> str:
    """Interrupt the servers, and return what they print after that."""
    program.send_signal(signal.SIGINT)
    return program.communicate(timeout=20)[0]


@pytest.mark.parametrize("option", ["--tap", "--json", "--plain"])
def test_servers_that_nobody_visited_end_without_a_word(option: str) -> None:
    with servers("--apop", option) if option != "--plain" else servers(option) as program:
        read_until(program, '"imap"' if option == "--json" else "happens:" if option == "--tap" else "Ctrl-C")
        assert ended(program) == ""


@pytest.mark.parametrize(
    ("before", "dropped"),
    [
        pytest.param("", False, id="all heard"),
        pytest.param(DROPS, True, id="some dropped"),
        pytest.param(SLOW, False, id="before it listened"),
    ],
)
def test_what_was_said_just_before_the_end_is_told_and_what_was_missed(before: str, dropped: bool) -> None:
    """It may still be on its way to the listener, in the kernel's buffer."""
    with servers("--tap", "--plain", "--json", before=before) as program:
        settings = {each["protocol"]: each for each in read_objects(program, COUNT["plain"])}
        pop3 = poplib.POP3("127.0.0.1", settings["pop3"]["port"])
        pop3.user("taro")
        pop3.pass_("fujisan2023")
        told = [json.loads(line) for line in ended(program).splitlines()]
        pop3.close()
    assert [each["value"] for each in told if each["field"] == "password"] == ["fujisan2023"]
    notes = [each["note"] for each in told if each["field"] is None]
    assert bool(notes) == dropped
    assert not dropped or "kernel dropped 3 packets" in notes[-1]


def test_a_visit_to_the_webmail_is_no_news_at_the_end() -> None:
    with servers("--tap", "--plain") as program:
        said = read_until(program, "as it happens")
        (page,) = re.findall(r"http://\S+", said)
        with build_opener(ProxyHandler({})).open(page) as form:
            assert b'name="password"' in form.read()
        assert "no mail protocol" not in ended(program)


def words(page: bytes) -> str:
    """Return the words of a page that a person reads, but for the mail's own subject."""
    text = re.sub(r"<style>.*?</style>|<[^>]+>|【社外秘】[^<]*", " ", page.decode(), flags=re.DOTALL)
    return " ".join(text.split())


def shown(web: OpenerDirector, url: str, form: bytes | None = None) -> bytes:
    """Return a page, of an error, too."""
    try:
        with web.open(url, form) as page:
            return page.read()
    except HTTPError as error:
        with error:
            return error.read()


@pytest.mark.parametrize(
    ("language", "told"),
    [
        pytest.param(
            "en",
            [
                "Log in - webmail Log in User name Password Log in",
                "Log in - webmail Log in Wrong user name or password. User name Password Log in",
                "Inbox - webmail Inbox Log out",
                "There is no such page - webmail There is no such page Inbox Log out",
            ],
            id="en",
        ),
        pytest.param(
            "ja",
            [
                "ログイン - webmail ログイン ユーザー名 パスワード ログイン",
                "ログイン - webmail ログイン ユーザー名かパスワードが違います。 ユーザー名 パスワード ログイン",
                "受信トレイ - webmail 受信トレイ ログアウト",
                "そのページはありません - webmail そのページはありません 受信トレイ ログアウト",
            ],
            id="ja",
        ),
    ],
)
def test_the_webmail_speaks_the_readers_language(language: str, told: list[str]) -> None:
    with servers("--plain", "--json", "--lang", language) as program:
        (setting,) = (each for each in read_objects(program, COUNT["plain"]) if each["protocol"] == "http")
        url = setting["url"]
        web = build_opener(HTTPCookieProcessor(), ProxyHandler({}))
        right = urlencode({"username": setting["username"], "password": setting["password"]}).encode()
        pages = [
            shown(web, url),
            shown(web, url + "login", b"username=taro&password=wrong"),
            shown(web, url + "login", right),
            shown(web, url + "nowhere"),
        ]
    assert [words(page) for page in pages] == told
    assert all(f'<html lang="{language}">'.encode() in page for page in pages)


def test_the_tap_says_how_it_goes_quiet_and_no_way_to_log_in_twice() -> None:
    with servers("--tap") as program:
        assert "watch the tap go quiet" in read_until(program, "as it happens")
    with servers("--plain", "--json") as program:
        ways = {each["protocol"]: each["logins"] for each in read_objects(program, COUNT["plain"])}
    assert ways["imap"] == ["LOGIN", "PLAIN"]


def test_a_certificate_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    with servers("--ca", str(tmp_path / "none" / "ca.pem")) as program:
        assert program.stderr is not None
        assert "(No such file or directory): choose another file with --ca" in " ".join(
            program.stderr.read().split()
        )
        assert program.wait(20) == 1
