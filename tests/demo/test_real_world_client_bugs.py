"""Bugs of real mail clients, each as a small client that has it, and its corrected twin.

The client with the bug makes `assert secret not in mail_tap` fail; its twin makes it pass.
"""

from __future__ import annotations

import contextlib
import imaplib
import poplib
import smtplib
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from bothwires import mail_tap_factory  # noqa: F401  # each test runs with both ways to hear

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailtap.demo.testing.tap import MailTap

TIMEOUT = 10.0
GIVES_UP = (
    OSError,
    EOFError,
    imaplib.IMAP4.error,
    poplib.error_proto,
    smtplib.SMTPException,
    ConnectionError,
)


@dataclass(frozen=True)
class Job:
    """What a client is told to do."""

    tap: MailTap
    username: str
    password: str
    trust: ssl.SSLContext

    def pop3(self) -> poplib.POP3:
        return poplib.POP3(self.tap.pop3.host, self.tap.pop3.port, TIMEOUT)

    def smtp(self) -> smtplib.SMTP:
        return smtplib.SMTP(self.tap.smtp.host, self.tap.smtp.port, "pc.lab.example", TIMEOUT)

    def imap(self) -> imaplib.IMAP4:
        return imaplib.IMAP4(self.tap.imap.host, self.tap.imap.port, TIMEOUT)


def read_mail(pop3: poplib.POP3, job: Job) -> None:
    with contextlib.closing(pop3):
        pop3.user(job.username)
        pop3.pass_(job.password)
        pop3.stat()
        pop3.quit()


# --- the clients ----------------------------------------------------------------------------------------


def pop3_tls_if_offered(job: Job) -> None:
    with contextlib.closing(job.pop3()) as pop3:
        if "STLS" in pop3.capa():
            pop3.stls(job.trust)
        read_mail(pop3, job)


def pop3_tls_required(job: Job) -> None:
    with contextlib.closing(job.pop3()) as pop3:
        pop3.stls(job.trust)
        read_mail(pop3, job)


def smtp_tls_if_offered(job: Job) -> None:
    with job.smtp() as smtp:
        smtp.ehlo()
        if smtp.has_extn("starttls"):
            smtp.starttls(context=job.trust)
        smtp.login(job.username, job.password)


def smtp_tls_required(job: Job) -> None:
    with job.smtp() as smtp:
        smtp.starttls(context=job.trust)
        smtp.login(job.username, job.password)


def pop3_refusal_ignored(job: Job) -> None:
    with contextlib.closing(job.pop3()) as pop3:
        with contextlib.suppress(poplib.error_proto):
            pop3.stls(job.trust)
        read_mail(pop3, job)


def smtp_status_not_looked_at(job: Job) -> None:
    with job.smtp() as smtp:
        smtp.ehlo()
        smtp.docmd("STARTTLS")  # and whatever the answer was, go on
        smtp.login(job.username, job.password)


def pop3_ssl_without_context(job: Job) -> None:
    read_mail(poplib.POP3_SSL(job.tap.pop3.host, job.tap.pop3.port, timeout=TIMEOUT), job)


def pop3_ssl_with_context(job: Job) -> None:
    pop3 = poplib.POP3_SSL(job.tap.pop3.host, job.tap.pop3.port, timeout=TIMEOUT, context=job.trust)
    read_mail(pop3, job)


def smtp_ssl_without_context(job: Job) -> None:
    with smtplib.SMTP_SSL(job.tap.smtp.host, job.tap.smtp.port, "pc.lab.example", timeout=TIMEOUT) as smtp:
        smtp.login(job.username, job.password)


def smtp_ssl_with_context(job: Job) -> None:
    with smtplib.SMTP_SSL(
        job.tap.smtp.host, job.tap.smtp.port, "pc.lab.example", timeout=TIMEOUT, context=job.trust
    ) as smtp:
        smtp.login(job.username, job.password)


def smtp_starttls_without_context(job: Job) -> None:
    with job.smtp() as smtp:
        smtp.starttls()
        smtp.login(job.username, job.password)


def pop3_any_certificate(job: Job) -> None:
    anybody = ssl.create_default_context()
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE
    with contextlib.closing(job.pop3()) as pop3:
        pop3.stls(anybody)
        read_mail(pop3, job)


def smtp_next_mechanism_after_refusal(job: Job) -> None:
    with job.smtp() as smtp:
        smtp.login(job.username, job.password)


def smtp_digest_or_nothing(job: Job) -> None:
    with job.smtp() as smtp:
        smtp.ehlo()
        smtp.user, smtp.password = job.username, job.password
        smtp.auth("CRAM-MD5", smtp.auth_cram_md5)


def pop3_no_tls_setting(job: Job) -> None:
    read_mail(job.pop3(), job)


def smtp_login_then_tls(job: Job) -> None:
    with job.smtp() as smtp:
        smtp.login(job.username, job.password)
        smtp.starttls(context=job.trust)


def pop3_clear_after_failed_handshake(job: Job) -> None:
    try:
        pop3_tls_required(job)
    except OSError:  # ssl.SSLError, or what poplib makes of it when it closes
        read_mail(job.pop3(), job)


def imap_tls_if_offered(job: Job) -> None:
    with job.imap() as imap:
        if "STARTTLS" in imap.capabilities:
            imap.starttls(job.trust)
        imap.login(job.username, job.password)


def imap_tls_required(job: Job) -> None:
    with job.imap() as imap:
        imap.starttls(job.trust)
        imap.login(job.username, job.password)


def imap_refusal_ignored(job: Job) -> None:
    with job.imap() as imap:
        with contextlib.suppress(imaplib.IMAP4.error):
            imap.starttls(job.trust)
        imap.login(job.username, job.password)


def imap_starttls_without_context(job: Job) -> None:
    with job.imap() as imap:
        imap.starttls()
        imap.login(job.username, job.password)


# --- the table ------------------------------------------------------------------------------------------


def row(  # pytest's own, private, type
    name: str,
    bug: Callable[[Job], None],
    mended: Callable[[Job], None],
    *,
    attack: str | None = None,
    **server: object,
):
    """One bug: its name, the client that has it, its twin, and the server that brings it out."""
    marks = [pytest.mark.mail_server(**server)] if server else []
    marks += [pytest.mark.mail_attack(attack)] if attack else []
    return pytest.param(bug, mended, id=name, marks=marks)


BUGS = [
    # offlineimap3 issue 222
    row(
        "pop3-clear-where-stls-is-not-offered",
        pop3_tls_if_offered,
        pop3_tls_required,
        attack="strip-starttls",
    ),
    # imapflow issue 242
    row(
        "imap-clear-where-starttls-is-not-offered",
        imap_tls_if_offered,
        imap_tls_required,
        attack="strip-starttls",
    ),
    row("imap-refused-starttls-ignored", imap_refusal_ignored, imap_tls_required, attack="refuse-starttls"),
    row(
        "imap-starttls-without-context",
        imap_starttls_without_context,
        imap_tls_required,
        attack="bad-certificate",
    ),
    row(
        "smtp-clear-where-starttls-is-not-offered",
        smtp_tls_if_offered,
        smtp_tls_required,
        attack="strip-starttls",
    ),
    row("pop3-refused-stls-ignored", pop3_refusal_ignored, pop3_tls_required, attack="refuse-starttls"),
    row(
        "smtp-refused-starttls-ignored",
        smtp_status_not_looked_at,
        smtp_tls_required,
        attack="refuse-starttls",
    ),
    # cpython issue 91826
    row(
        "pop3-ssl-without-context",
        pop3_ssl_without_context,
        pop3_ssl_with_context,
        attack="bad-certificate",
        security="tls",
    ),
    row(
        "smtp-ssl-without-context",
        smtp_ssl_without_context,
        smtp_ssl_with_context,
        attack="bad-certificate",
        security="tls",
    ),
    row(
        "smtp-starttls-without-context",
        smtp_starttls_without_context,
        smtp_tls_required,
        attack="bad-certificate",
    ),
    row("pop3-any-certificate-will-do", pop3_any_certificate, pop3_tls_required, attack="bad-certificate"),
    # cpython issue 100331
    row(
        "smtp-plain-after-a-refused-cram-md5",
        smtp_next_mechanism_after_refusal,
        smtp_digest_or_nothing,
        security="plain",
        auth=["CRAM-MD5", "PLAIN"],
    ),
    row("pop3-tls-cannot-be-made-mandatory", pop3_no_tls_setting, pop3_tls_required),
    row("smtp-login-before-starttls", smtp_login_then_tls, smtp_tls_required),
    row(
        "pop3-clear-after-a-failed-handshake",
        pop3_clear_after_failed_handshake,
        pop3_tls_required,
        attack="bad-certificate",
    ),
]


@pytest.fixture
def job(mail_tap, mail_account, mail_tls_context, request) -> Job:
    # What the server refuses is seen only where it refuses: there the user has an old password.
    old = "-old" if "refused-cram" in request.node.callspec.id else ""
    return Job(mail_tap, mail_account.username, mail_account.password + old, mail_tls_context)


@pytest.mark.parametrize(("bug", "mended"), BUGS)
def test_the_bug_fails_the_assertion(mail_tap, job, bug, mended):
    with contextlib.suppress(*GIVES_UP):
        bug(job)
    assert mail_tap.sessions >= 1
    with pytest.raises(AssertionError) as failed:
        assert job.password not in mail_tap
    message = str(failed.value)
    assert "packet " in message
    assert "client to server" in message
    assert "should" in message
    assert job.password not in message


@pytest.mark.parametrize(("bug", "mended"), BUGS)
def test_its_corrected_twin_passes_it(mail_tap, job, bug, mended):
    with contextlib.suppress(*GIVES_UP):
        mended(job)
    assert mail_tap.sessions >= 1
    assert job.password not in mail_tap
    assert not mail_tap.leaks("password", "token")


@pytest.mark.mail_server(security="plain", auth=["APOP"])
def test_apop_hides_the_password_and_gives_it_away(mail_tap, mail_account):
    pop3 = poplib.POP3(mail_tap.pop3.host, mail_tap.pop3.port, TIMEOUT)
    pop3.apop(mail_account.username, mail_account.password)
    pop3.quit()
    assert mail_account.password not in mail_tap
    assert [leak.value.reveal() for leak in mail_tap.guessable] == [mail_account.password]


@pytest.mark.mail_server(security="plain", auth=["CRAM-MD5", "PLAIN"])
def test_a_fallback_is_named_as_what_it_is(mail_tap, mail_account, mail_tls_context):
    job = Job(mail_tap, mail_account.username, mail_account.password + "-old", mail_tls_context)
    with contextlib.suppress(*GIVES_UP):
        smtp_next_mechanism_after_refusal(job)
    with pytest.raises(AssertionError, match="refused a login by digest"):
        assert job.password not in mail_tap
    assert mail_account.password not in mail_tap.report()


@pytest.mark.mail_attack("refuse-starttls")
def test_smtp_refuses_starttls_that_it_offers(mail_tap):
    with smtplib.SMTP(mail_tap.smtp.host, mail_tap.smtp.port, "pc.lab.example", TIMEOUT) as smtp:
        smtp.ehlo()
        assert smtp.has_extn("starttls")
        assert smtp.docmd("STARTTLS")[0] == 454
    assert mail_tap.smtp.sessions == 1
