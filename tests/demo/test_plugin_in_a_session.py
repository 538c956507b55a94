"""The plugin in whole pytest sessions: what it finds, what it refuses, what it says, what it leaves behind."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import trustme

from mailtap.capture import Leak, listen, read
from mailtap.demo.network import rungs
from mailtap.demo.network.namespace import NamespaceError, Step
from mailtap.demo.network.rungs import Rung, probe
from mailtap.demo.telling import dialogue
from mailtap.demo.testing import factory
from mailtap.servers import runner

# A session inside a session forgets the modules that it was the first to import, and some of these cannot be
# imported twice; so they are here before it.
IMPORTED_BEFORE = (trustme, dialogue, factory, runner)

pytest_plugins = ["pytester"]

# Without the plugins that these sessions do not need and that take half their time.
QUICK = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:xdist", "-p", "no:timeout")

CLIENT = """
import poplib
from contextlib import closing

def leaky(tap, account, *, retr=False):
    with closing(poplib.POP3(tap.pop3.host, tap.pop3.port, 10)) as pop3:
        pop3.user(account.username)
        pop3.pass_(account.password)
        if retr:
            pop3.retr(1)
        pop3.quit()

def sound(tap, account, trust):
    with closing(poplib.POP3(tap.pop3.host, tap.pop3.port, 10)) as pop3:
        pop3.stls(trust)
        pop3.user(account.username)
        pop3.pass_(account.password)
        pop3.quit()
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(client=CLIENT)
    return pytester


def run(project: pytest.Pytester, test: str, *options: str) -> pytest.RunResult:
    project.makepyfile("import pytest\nfrom client import leaky, sound\n" + test)
    if not any(option.startswith("--mail-tap=") for option in options):
        options = ("--mail-tap=relay", *options)
    return project.runpytest_inprocess(*QUICK, *options)


LEAKY = """
from pathlib import Path
def test_leak(mail_tap, mail_account):
    Path("password.txt").write_text(mail_account.password)
    leaky(mail_tap, mail_account, retr=True)
    assert mail_account.password not in mail_tap
"""


def test_a_failure_teaches_and_keeps_the_capture(project):
    result = run(project, LEAKY, "--mail-tap-dir=kept", "--showlocals")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "mail tap: relay (*no privileges)",
            "E*the secret not in mail_tap",
            "E*POP3, packet *, client to server, in clear, as it is",
            "E*C: PASS ****",
            "E*offered STARTTLS, and the client did not use it*",
            "*- mail tap -*",
            "heard by: relay;*",
            "*password: ****",
            "*S: +OK mail.lab.example POP3*",
            "*C: PASS **** password",
            "the capture, for Wireshark: *.pcapng",
        ]
    )
    password = (project.path / "password.txt").read_text()
    assert password not in result.stdout.str()
    (kept,) = (project.path / "kept").iterdir()
    assert password in {item.value.reveal() for item in listen(read(kept)) if isinstance(item, Leak)}


MANY = """
def test_leak(mail_tap, mail_account, mail_tls_context):
    sound(mail_tap, mail_account, mail_tls_context)
    for _ in range(30):
        leaky(mail_tap, mail_account)
    assert mail_account.password not in mail_tap
"""


def test_a_failure_of_many_sessions_is_told_in_few_lines(project):
    result = run(project, MANY)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E*and 29 more times",
            "E*offered STARTTLS, and the client did not use it*",
            "  … and 40 more",
            "*offered STARTTLS, and the client did not use it*",
            "… and 21 more conversations",
        ]
    )
    assert result.stdout.str().count("S: +OK mail.lab.example POP3") == 10
    assert "C: STLS" not in result.stdout.str()  # of so many, those that leaked nothing are left out


def test_fields_are_asked_for_by_name(project):
    result = run(
        project,
        """
def test_fields(mail_tap, mail_account):
    leaky(mail_tap, mail_account, retr=True)
    assert not mail_tap.leaks("digest", "token")
    assert not mail_tap.leaks("subject", "body")
def test_no_such_field(mail_tap, mail_account):
    leaky(mail_tap, mail_account)
    mail_tap.leaks("subjekt")
""",
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["E*assert not <2 leaks: subject (pop3, packet *), body (pop3, packet *", "E*no field 'subjekt'*"]
    )


def test_an_empty_wire_fails(project):
    result = run(
        project,
        """
def test_nobody(mail_tap, mail_account):
    assert mail_account.password not in mail_tap
def test_no_leaks(mail_tap):
    assert not mail_tap.leaks()
def test_meant(mail_tap):
    assert mail_tap.sessions == 0
def test_nothing_asked(mail_tap):
    pass
def test_nothing_asked_and_skipped(mail_tap):
    pytest.skip("not now")
""",
    )
    result.assert_outcomes(failed=2, passed=2, skipped=1, errors=1)
    result.stdout.fnmatch_lines(["E*NothingHeard: The client never connected*"])


def test_no_test_sees_anothers_leaks(project):
    """Not what an earlier test leaked, and not what an earlier test's client still says while it runs."""
    result = run(
        project,
        """
import socket
kept = {}
def test_first(mail_tap, mail_account):
    leaky(mail_tap, mail_account)
    assert mail_account.password in mail_tap
    kept["password"] = mail_account.password
    kept["open"] = socket.create_connection((mail_tap.pop3.host, mail_tap.pop3.port), 10)
    kept["address"] = kept["open"].getpeername()
def test_second(mail_tap, mail_account, mail_tls_context):
    assert (mail_tap.pop3.host, mail_tap.pop3.port) != kept["address"]
    with kept["open"] as late:
        try:
            late.sendall(f"PASS {kept['password']}\\r\\n".encode())
        except OSError:
            pass
    with pytest.raises(OSError):
        socket.create_connection(kept["address"], 10).close()
    assert mail_tap.sessions == 0
    sound(mail_tap, mail_account, mail_tls_context)
    assert mail_tap.sessions == 1
    assert mail_account.password != kept["password"]
    assert kept["password"] not in mail_tap
    assert not mail_tap.leaks("password")
""",
    )
    result.assert_outcomes(passed=2)


def test_a_question_in_the_middle_of_a_session(project):
    result = run(
        project,
        """
import poplib
def test_middle(mail_tap, mail_account):
    pop3 = poplib.POP3(mail_tap.pop3.host, mail_tap.pop3.port, 10)
    assert mail_account.username not in mail_tap
    pop3.user(mail_account.username)
    assert mail_account.username in mail_tap
    pop3._putcmd("PASS " + mail_account.password)  # and no answer waited for
    assert mail_account.password in mail_tap
    pop3.close()
""",
    )
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("mark", "says"),
    [
        pytest.param("mail_server(secure='tls')", "knows no secure", id="unknown word"),
        pytest.param("mail_server('imap5')", "knows no protocol 'imap5'", id="unknown protocol"),
        pytest.param("mail_server(security='ssl')", "security is one of plain, starttls, tls", id="security"),
        pytest.param("mail_server(auth=['MD5'])", "auth is a list out of", id="login"),
        pytest.param("mail_server(auth='PLAIN')", "auth is a list out of", id="login as text"),
        pytest.param("mail_attack('nuke')", "there are strip-starttls, refuse-starttls", id="attack"),
        pytest.param("mail_attack()", "takes the name of one attack", id="no attack"),
    ],
)
def test_a_bad_mark_says_so(project, mark, says):
    result = run(project, f"@pytest.mark.{mark}\ndef test_it(mail_tap): pass\n", "--strict-markers")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"E*BadMark: *{says}*"])


def test_an_attack_that_cannot_work_says_so(project):
    marks = "@pytest.mark.mail_server(security='plain')\n@pytest.mark.mail_attack('strip-starttls')\n"
    result = run(project, f"{marks}def test_it(mail_tap): pass\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["E*BadMark: *needs*mail_server(security=*starttls*"])


def test_markers_of_class_and_test_add_up(project):
    result = run(
        project,
        """
@pytest.mark.mail_server("smtp", security="tls")
@pytest.mark.mail_server(auth=["PLAIN"])
class TestBoth:
    def test_both(self, mail_tap):
        assert (mail_tap.smtp.security, mail_tap.pop3.security) == ("tls", "starttls")
        assert mail_tap.sessions == 0
    @pytest.mark.mail_server("pop3", security="plain")
    def test_closer(self, mail_tap):
        assert (mail_tap.smtp.security, mail_tap.pop3.security) == ("tls", "plain")
        assert mail_tap.sessions == 0
""",
    )
    result.assert_outcomes(passed=2)


def test_a_baseline_holds_fields_and_not_values(project):
    one = """
def test_it(mail_tap, mail_account):
    leaky(mail_tap, mail_account, retr={retr})
    mail_tap.snapshot("login")
"""
    run(project, one.format(retr=False)).assert_outcomes(failed=1)
    run(project, one.format(retr=False), "--mail-tap-update").assert_outcomes(passed=1)
    kept = (project.path / "mail_tap_baselines" / "login.txt").read_text()
    assert [line for line in kept.splitlines() if not line.startswith("#")] == [
        "pop3 password",
        "pop3 username",
    ]
    run(project, one.format(retr=False)).assert_outcomes(passed=1)
    result = run(project, one.format(retr=True))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*NewFieldVisible: Newly visible on the wire: pop3 body, pop3 recipient*"])


def test_fixtures_can_be_overridden(project):
    project.makeconftest(
        """
import pytest
from dataclasses import replace
from mailtap.servers import LabCertificates
@pytest.fixture(scope="session")
def mail_address():
    return "localhost"
@pytest.fixture(scope="session")
def mail_certificates():
    return LabCertificates(("localhost", "my.example"))
@pytest.fixture
def mail_account(mail_account):
    return replace(mail_account, username="jiro", password="open sesame", address="jiro@my.example")
@pytest.fixture
def mail_letters():
    return [b"Subject: one\\r\\n\\r\\nfirst\\r\\n", b"Subject: two\\r\\n\\r\\nsecond\\r\\n"]
"""
    )
    result = run(
        project,
        """
def test_it(mail_tap, mail_account, mail_tls_context):
    assert mail_tap.pop3.host == "localhost"
    assert [message.content[:12] for message in mail_tap.messages] == [b"Subject: one", b"Subject: two"]
    sound(mail_tap, mail_account, mail_tls_context)
    assert "open sesame" not in mail_tap
    leaky(mail_tap, mail_account, retr=True)
    assert "open sesame" in mail_tap
    assert [leak.value.reveal() for leak in mail_tap.leaks("username", "subject")] == ["jiro", "one"]
""",
    )
    result.assert_outcomes(passed=1)


def test_an_address_that_is_not_loopback_is_refused(project):
    project.makeconftest(
        "import pytest\n@pytest.fixture(scope='session')\ndef mail_address(): return '192.0.2.1'\n"
    )
    result = run(project, "def test_it(mail_tap): pass\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["E*BadMark: *loopback*192.0.2.1*"])


def test_a_client_in_a_process_of_its_own(project):
    result = run(
        project,
        """
import subprocess, sys
PROGRAM = "import poplib, sys; p = poplib.POP3(sys.argv[1], int(sys.argv[2]), 10); p.user('taro'); " \\
          "p.pass_(sys.argv[3]); p.quit()"
def test_it(mail_tap, mail_account):
    place = [mail_tap.pop3.host, str(mail_tap.pop3.port), mail_account.password]
    subprocess.run([sys.executable, "-c", PROGRAM, *place], check=True, timeout=30)
    assert mail_account.password in mail_tap
    assert mail_tap.pop3.client_bytes > 0
""",
    )
    result.assert_outcomes(passed=1)


def test_clients_in_many_threads(project):
    result = run(
        project,
        """
from concurrent.futures import ThreadPoolExecutor
@pytest.mark.mail_server(security="tls")
def test_it(mail_tap, mail_account, mail_tls_context):
    import smtplib
    def send(_):
        with smtplib.SMTP_SSL(mail_tap.smtp.host, mail_tap.smtp.port, timeout=10, context=mail_tls_context) as s:
            s.login(mail_account.username, mail_account.password)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(24)))
    assert mail_tap.smtp.sessions == 24
    assert mail_account.password not in mail_tap
""",
    )
    result.assert_outcomes(passed=1)


def test_a_client_that_is_given_a_port_of_the_taps_own_check(project):
    result = run(
        project,
        """
import socket
from mailtap.demo.testing import canary
from mailtap.demo.testing.follower import Follower

def connect(address, port=0):
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.settimeout(10)
    client.bind(("127.0.0.1", port))
    client.connect(address)
    return client

@pytest.fixture
def reusable(monkeypatch):
    monkeypatch.setattr(canary.socket, "create_connection", lambda address, _: connect(address))

def test_it(reusable, mail_tap, mail_account):
    flows = Follower().look(mail_tap.packets).flows
    [port] = {flow.client.port for flow in flows if flow.server.port == mail_tap.smtp.port}
    assert mail_tap.sessions == 0
    with connect((mail_tap.pop3.host, mail_tap.pop3.port), port) as client, client.makefile("rb") as replies:
        replies.readline()
        client.sendall(f"USER {mail_account.password}\\r\\n".encode())
        replies.readline()
    assert mail_tap.sessions == mail_tap.pop3.sessions == 1
    assert mail_account.password in mail_tap
""",
    )
    result.assert_outcomes(passed=1)


def test_parallel_runs(project):
    project.makepyfile(
        """
import pytest
from client import leaky, sound
@pytest.mark.parametrize("number", range(12))
def test_it(mail_tap, mail_account, mail_tls_context, number):
    (leaky(mail_tap, mail_account) if number % 2 else sound(mail_tap, mail_account, mail_tls_context))
    assert (mail_account.password in mail_tap) == bool(number % 2)
    assert mail_tap.sessions == 1
"""
    )
    result = project.runpytest_subprocess("-n", "2", "--mail-tap=relay", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=12)


def test_a_deaf_tap_fails(project):
    result = run(
        project,
        """
from mailtap.demo.network import relay
@pytest.fixture
def deaf(monkeypatch):
    monkeypatch.setattr(relay._Notebook, "write", lambda self, frames: None)
def test_it(deaf, mail_tap): pass
""",
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["E*TapDeaf: *did not hear a login in clear that was planted*"])


@pytest.mark.parametrize(
    ("change", "error"),
    [
        pytest.param("dropped=3", "PacketsDropped: The system dropped 3 packets", id="drops"),
        pytest.param("complete=False, problem='It fell over.'", "TapDeaf: It fell over.", id="incomplete"),
        pytest.param(
            "packets=heard.packets[:-8] + heard.packets[-6:]", "PacketsDropped: Bytes are", id="hole"
        ),
    ],
)
def test_what_was_not_heard_whole_fails(project, change, error):
    result = run(
        project,
        f"""
from dataclasses import replace
from mailtap.demo.network.tap import Tap
def test_it(mail_tap, mail_account, monkeypatch):
    leaky(mail_tap, mail_account)
    whole = Tap.so_far
    def so_far(self):
        heard = whole(self)
        return replace(heard, {change})
    monkeypatch.setattr(Tap, "so_far", so_far)
    assert "nothing of the kind" not in mail_tap
""",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"E*{error}*"])


def test_nothing_is_left_behind(project):
    def state() -> tuple[object, ...]:
        kept = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        return kept, {thread.name for thread in threading.enumerate()}, Path.cwd(), logging.root.handlers[:]

    before = state()
    run(project, LEAKY).assert_outcomes(failed=1)
    assert state() == before


def test_packets_where_they_may_be_captured(project):
    if not probe(Rung.HOST_LOOPBACK).works:
        pytest.skip("only where this user may capture on the loopback")
    for option in ("--mail-tap=packets", "--mail-tap=auto"):
        result = run(project, LEAKY, option)
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["mail tap: packets (*", "heard by: packets;*"])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the ring")
def test_packets_come_from_the_ring(project):
    if not probe(Rung.HOST_LOOPBACK).works:
        pytest.skip("only where this user may capture on the loopback")
    project.makepyfile(
        """
import poplib, sys
def test_it(mail_tap, mail_account):
    pop3 = poplib.POP3(mail_tap.pop3.host, mail_tap.pop3.port, timeout=10)
    pop3.user(mail_account.username)
    pop3.quit()
    assert mail_account.username in mail_tap
    assert "scapy" not in sys.modules
"""
    )
    project.runpytest_subprocess(*QUICK, "--mail-tap=packets").assert_outcomes(passed=1)


def test_packets_where_they_may_not_be_captured(project, monkeypatch):
    def refuse() -> None:
        raise NamespaceError(Step.CAPTURE, "not for you")

    monkeypatch.setitem(rungs._ATTEMPTS, Rung.HOST_LOOPBACK, refuse)
    result = run(project, LEAKY, "--mail-tap=packets")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["E*TapUnavailable: *--mail-tap=relay*"])
    result = run(project, LEAKY, "--mail-tap=auto")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["heard by: relay;*"])


def test_the_ini_file_speaks(project):
    project.makeini("[pytest]\nmail_tap = relay\nmail_tap_security = tls\nmail_tap_dir = kept\n")
    project.makepyfile("def test_it(mail_tap): assert mail_tap.pop3.security == 'plain'\n")
    result = project.runpytest_inprocess(*QUICK)
    result.stdout.fnmatch_lines(["mail tap: relay*", "heard by: relay; <imap at *, tls>, <pop3 at *, tls>*"])
    assert (project.path / "kept").is_dir()
    project.makeini("[pytest]\nmail_tap = ears\n")
    assert project.runpytest_inprocess(*QUICK).ret == pytest.ExitCode.USAGE_ERROR


def test_the_plugin_costs_nothing_until_it_is_used(project):
    project.makepyfile("def test_it(): pass\n")
    heavy = "scapy|aiosmtpd|rich|trustme|asyncio.*|mailtap\\.(capture|servers).*|mailtap\\.demo\\.testing.*"
    program = (
        "import re, sys, pytest\n"
        "code = pytest.main(['-q', '-p', 'no:cacheprovider', '-p', 'no:xdist'])\n"
        f"print('loaded:', [name for name in sys.modules if re.fullmatch(r'{heavy}', name)])\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=project.path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    loaded = re.search(r"loaded: (.*)", done.stdout)
    assert loaded is not None
    assert not re.search(r"scapy|aiosmtpd|rich|trustme|mailtap", loaded[1]), loaded[1]


def test_a_client_that_waits_for_a_greeting_where_the_server_waits_for_tls(project):
    result = run(
        project,
        """
import socket
@pytest.mark.mail_server(security="tls")
def test_it(mail_tap):
    socket.create_connection((mail_tap.pop3.host, mail_tap.pop3.port), 10).close()
    assert mail_tap.sessions == mail_tap.pop3.sessions == 1
    assert "secret" not in mail_tap
""",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*NothingHeard: The client connected, but neither side said a word*(tls)*"])


@pytest.mark.parametrize("mode", ["relay", "packets"])
def test_whatever_the_clock_says_the_taps_own_words_are_nobodys(project, mode):
    if mode == "packets" and not probe(Rung.HOST_LOOPBACK).works:
        pytest.skip("this user may not capture")
    result = run(
        project,
        """
import ssl, time
@pytest.mark.mail_attack("bad-certificate")
@pytest.mark.mail_server(security="tls")
def test_it(mail_tap, mail_account, monkeypatch):
    import poplib
    unchecked = ssl._create_unverified_context()
    with monkeypatch.context() as frozen:
        frozen.setattr(time, "time_ns", lambda: 1_340_000_000_000_000_000)
        pop3 = poplib.POP3_SSL(mail_tap.pop3.host, mail_tap.pop3.port, timeout=10, context=unchecked)
        pop3.user(mail_account.username)
        pop3.pass_(mail_account.password)
        pop3.quit()
    assert {leak.value.reveal() for leak in mail_tap.leaks("password")} == {mail_account.password}
""",
        f"--mail-tap={mode}",
    )
    result.assert_outcomes(passed=1)


def test_a_fixture_that_fails_is_one_error_and_what_leaked_in_it_is_told(project):
    result = run(
        project,
        """
@pytest.fixture
def synced(mail_tap, mail_account):
    leaky(mail_tap, mail_account)
    raise RuntimeError("no sync")

@pytest.fixture
def broken(mail_tap):
    raise RuntimeError("no client")

def test_leaked(synced): pass
def test_never_connected(broken): pass
""",
    )
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*- mail tap -*", "*password: ****"])


def test_what_a_test_asked_for_is_masked_wherever_it_leaked(project):
    result = run(
        project,
        """
@pytest.fixture
def mail_letters():
    return [b"Subject: my token-Secret-77\\r\\n\\r\\nhello\\r\\n"]

def test_it(mail_tap, mail_account):
    leaky(mail_tap, mail_account, retr=True)
    assert "".join(["token", "-Secret-77"]) not in mail_tap
""",
    )
    result.assert_outcomes(failed=1)
    told = result.stdout.str().partition("- mail tap -")[2]
    assert "subject" in told
    assert "Secret-77" not in told.partition("short test summary")[0]


def test_tests_that_share_a_baseline_keep_what_any_of_them_showed(project):
    test = """
@pytest.mark.parametrize("retr", [True, False])
def test_it(mail_tap, mail_account, retr):
    leaky(mail_tap, mail_account, retr=retr)
    mail_tap.snapshot("sync")
"""
    run(project, test, "--mail-tap-update").assert_outcomes(passed=2)
    run(project, test).assert_outcomes(passed=2)


def test_a_tap_of_another_scope(project):
    result = run(
        project,
        """
from mailtap.demo.testing.letters import new_account

@pytest.fixture(scope="module")
def account():
    return new_account()

@pytest.fixture(scope="module")
def tap(mail_tap_factory, account):
    with mail_tap_factory(account=account, attack="strip-starttls") as tap:
        yield tap

def test_one(tap, account):
    leaky(tap, account)
    assert account.password in tap

def test_two(tap, account):
    assert tap.sessions == 1

def test_anybody(mail_tap_factory):
    with mail_tap_factory() as tap:
        assert tap.sessions == 0

@pytest.mark.parametrize("wrong", [{"attack": "x"}, {"letters": ["text"]}])
def test_wrong(mail_tap_factory, wrong):
    from mailtap.demo.testing.errors import BadMark
    with pytest.raises(BadMark), mail_tap_factory(**wrong):
        pass
""",
    )
    result.assert_outcomes(passed=5)
