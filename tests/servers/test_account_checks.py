"""Logins are checked rightly: the RFCs' own examples, and everything that must not pass."""

from __future__ import annotations

import pytest

from mailtap.servers.accounts import Account, Accounts
from mailtap.servers.sasl import Broken, Challenge, Dialogue, Verdict

MROSE = Account(username="mrose", password="tanstaaf", addresses=("MRose@lab.example",))
TIM = Account(username="tim", password="tanstaaftanstaaf")
UME = Account(username="梅", password="うめのはな")
ACCOUNTS = Accounts([MROSE, TIM, UME])

APOP = (b"<1896.697170952@dbc.mtview.ca.us>", b"c4c9334bac560ecc979e58001b3e22fb")  # RFC 1939, section 7
CRAM = (b"<1896.697170952@postoffice.reston.mci.net>", b"b913a602c7eda7a495b4e6e7334d3890")  # RFC 2195


def test_examples_of_the_rfcs_pass():
    assert ACCOUNTS.check_apop(b"mrose", *APOP) is MROSE
    assert ACCOUNTS.check_cram_md5(b"tim", *CRAM) is TIM
    assert ACCOUNTS.check_password(b"mrose", b"tanstaaf") is MROSE
    assert ACCOUNTS.check_password("梅".encode(), "うめのはな".encode()) is UME


@pytest.mark.parametrize(
    ("username", "password"),
    [
        pytest.param(b"mrose", b"", id="no password"),
        pytest.param(b"mrose", b"tanstaaf\0", id="a byte more"),
        pytest.param(b"mrose", b"Tanstaaf", id="letter case"),
        pytest.param(b"nobody", b"tanstaaf", id="unknown name"),
        pytest.param(b"nobody", b"", id="unknown name, no password"),
        pytest.param(b"\xff\xfe", b"\xff", id="not UTF-8"),
    ],
)
def test_wrong_passwords_do_not_pass(username, password):
    assert ACCOUNTS.check_password(username, password) is None


@pytest.mark.parametrize(
    ("check", "username", "challenge", "digest"),
    [
        pytest.param(ACCOUNTS.check_apop, b"mrose", b"<other@x>", APOP[1], id="APOP, other timestamp"),
        pytest.param(ACCOUNTS.check_apop, b"tim", *APOP, id="APOP, other user"),
        pytest.param(ACCOUNTS.check_apop, b"mrose", APOP[0], b"\xff" * 32, id="APOP, junk"),
        pytest.param(ACCOUNTS.check_cram_md5, b"tim", b"<other@x>", CRAM[1], id="CRAM-MD5, other challenge"),
        pytest.param(ACCOUNTS.check_cram_md5, b"mrose", *CRAM, id="CRAM-MD5, other user"),
        pytest.param(ACCOUNTS.check_cram_md5, b"nobody", *CRAM, id="CRAM-MD5, unknown user"),
    ],
)
def test_wrong_digests_do_not_pass(check, username, challenge, digest):
    assert check(username, challenge, digest) is None


def test_addresses_are_found_in_any_letter_case():
    assert ACCOUNTS.at_address("mrose@LAB.example") is MROSE
    assert ACCOUNTS.at_address("tim@lab.example") is None


@pytest.mark.parametrize(
    "accounts",
    [
        pytest.param([MROSE, Account(username="mrose", password="x")], id="name"),
        pytest.param([MROSE, Account(username="x", password="x", addresses=MROSE.addresses)], id="address"),
    ],
)
def test_two_accounts_cannot_share(accounts):
    with pytest.raises(ValueError, match="Two accounts"):
        Accounts(accounts)


def test_password_stays_out_of_what_is_printed():
    assert "tanstaaf" not in repr(MROSE)


@pytest.mark.parametrize(
    ("mechanism", "initial", "responses", "end"),
    [
        pytest.param("PLAIN", b"AG1yb3NlAHRhbnN0YWFm", [], Verdict(MROSE), id="PLAIN at once"),
        pytest.param("PLAIN", b"", [b"AG1yb3NlAHRhbnN0YWFm"], Verdict(MROSE), id="PLAIN asked for"),
        pytest.param("PLAIN", b"=", [], Verdict(None), id="PLAIN, empty initial response"),
        pytest.param("PLAIN", b"AG1yb3Nl", [], Verdict(None), id="PLAIN, a part missing"),
        pytest.param("LOGIN", b"bXJvc2U=", [b"dGFuc3RhYWY="], Verdict(MROSE), id="LOGIN, name at once"),
        pytest.param("LOGIN", b"", [b"bXJvc2U=", b"*"], Broken("Cancelled"), id="LOGIN cancelled"),
        pytest.param("LOGIN", b"", [b"bXJvc2U"], Broken("That is not base64"), id="LOGIN, padding missing"),
        pytest.param(
            "CRAM-MD5",
            b"",
            [b"dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw"],
            Verdict(TIM),
            id="CRAM-MD5, RFC 2195's example",
        ),
    ],
)
def test_sasl_dialogue_ends(mechanism, initial, responses, end):
    dialogue = Dialogue(mechanism, ACCOUNTS, CRAM[0])
    step = dialogue.begin(initial)
    for response in responses:
        assert isinstance(step, Challenge)
        step = dialogue.respond(response)
    assert step == end
