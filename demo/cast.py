"""The people of the lesson, the mail they exchange, and the names of their machines.

All names are reserved for examples (RFC 2606): none of them exists outside the lab.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.encoders import encode_base64
from email.header import Header
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from email.utils import format_datetime
from typing import TYPE_CHECKING

from mailtap.capture.language import N_

if TYPE_CHECKING:
    from datetime import datetime

LAB = "lab.example"
EXCHANGER = f"mx.{LAB}"  # the recipient's server, where the sender has another

FORGER = "Nobody you know"  # who issues the attackers' certificates

SUBJECT = "【社外秘】来期の給与について (salaries, confidential)"
BODY = """太郎さん

花子です。来期の給与案をお送りします。
まだ社外秘ですので、ほかの人には見せないでください。

Dear Taro,

here is the draft of next term's salaries. It is confidential:
please show it to nobody.

花子 / Hanako
"""
ATTACHMENT_NAME = "給与案.csv"
ATTACHMENT = "氏名,現在,来期\r\n山田花子,320000,335000\r\n鈴木太郎,310000,325000\r\n"
BOUNDARY = "part-of-this-mail"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a mail account in the lab; the name is a message for `say`."""

    name: str
    username: str
    password: str

    @property
    def address(self) -> str:
        """The mail address (RFC 5322, addr-spec)."""
        return f"{self.username}@{LAB}"

    @property
    def machine(self) -> str:
        """The name by which this person's mail program greets a server, in place of the real one."""
        return f"pc-{self.username}.{LAB}"


# Passwords of the kind that people choose: a word and a year. The apop scenario guesses them.
HANAKO = Person(N_("Hanako"), "hanako", "sakura2024")
TARO = Person(N_("Taro"), "taro", "fujisan2023")
JIRO = Person(N_("Jiro"), "jiro", "momiji2022")  # who gets blind copies
EVERYBODY = (HANAKO, TARO, JIRO)


def compose(now: datetime) -> bytes:
    """Return the mail from Hanako to Taro as it is submitted, lines ended by CRLF (RFC 5322, RFC 2045).

    Subject and body are ISO-2022-JP (RFC 1468), as Japanese mail programs have sent them for decades;
    the attachment is a Shift_JIS table in base64 with a Japanese file name (RFC 2231).
    """
    mail = MIMEMultipart(boundary=BOUNDARY, policy=compat32.clone(linesep="\r\n"))
    mail["From"] = HANAKO.address
    mail["To"] = TARO.address
    mail["Subject"] = Header(SUBJECT, "iso-2022-jp")  # type: ignore[assignment]  # typeshed knows only str
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{now:%Y%m%d.%H%M%S}@{HANAKO.machine}>"
    mail.attach(MIMEText(BODY, "plain", "iso-2022-jp"))
    table = MIMENonMultipart("text", "csv", charset="shift_jis")
    table.add_header("Content-Disposition", "attachment", filename=("utf-8", "", ATTACHMENT_NAME))
    table.set_payload(ATTACHMENT.encode("shift_jis"))
    encode_base64(table)
    mail.attach(table)
    return mail.as_bytes()
