"""The lab that tests of the toy servers share: two users, every kind of port, and a letter."""

from __future__ import annotations

from mailtap.servers import Account, Security, ServerProtocol, Service

HANAKO = Account(username="hanako", password="ume-no-hana", addresses=("hanako@lab.example",))
TARO = Account(username="taro", password="tanstaaf", addresses=("taro@lab.example", "info@lab.example"))

MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5")
SERVICES = {
    (str(protocol), str(security)): Service(
        protocol=protocol,
        security=security,
        mechanisms=MECHANISMS,
        apop=True,
        clear_login=False,  # so that a login that works on a STARTTLS port proves that TLS was on
        login_required=True,
    )
    for protocol in (ServerProtocol.SMTP, ServerProtocol.POP3, ServerProtocol.IMAP)
    for security in Security
}
PASSWORD_ONLY = {  # some clients use USER and PASS only where nothing better is offered
    str(security): Service(protocol=ServerProtocol.POP3, security=security, clear_login=False)
    for security in Security
}
WEBMAIL = {
    str(security): Service(protocol=ServerProtocol.HTTP, security=security)
    for security in (Security.PLAIN, Security.TLS)
}
ALL_SERVICES = (*SERVICES.values(), *PASSWORD_ONLY.values(), *WEBMAIL.values())

# 8-bit bytes, lines that begin with dots, an empty line in the middle.
LETTER = (
    "From: Hanako <hanako@lab.example>\r\n"
    "To: Taro <taro@lab.example>\r\n"
    "Subject: =?ISO-2022-JP?B?GyRCR18kTjJWGyhC?=\r\n"
    "Date: Wed, 25 Nov 2026 12:00:00 +0900\r\n"
    "Message-ID: <1@lab.example>\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-Type: text/plain; charset=utf-8\r\n"
    "Content-Transfer-Encoding: 8bit\r\n"
    "\r\n"
    "梅の花が咲きました。\r\n"
    ".a line with a dot\r\n"
    "..two dots\r\n"
    "\r\n"
    "From here on, nothing: \u00e9\u00ff\r\n"
).encode()
