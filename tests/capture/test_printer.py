"""What a table holds until it is printed, and what becomes of a very long one."""

from __future__ import annotations

import io
import re
import tracemalloc

from mailtap.capture.language import load
from mailtap.capture.model import Attachment, Endpoint, Evidence, Field, Flow, Leak, Protocol, Secret
from mailtap.capture.printer import TablePrinter

MEGABYTE = 1 << 20
FLOW = Flow(3, Endpoint("127.0.0.1", 47206), Endpoint("127.0.0.1", 110))


def printer(out: io.StringIO) -> TablePrinter:
    return TablePrinter(out, io.StringIO(), load("en"), "", mask=False, width=80)


def leak(number: int, field: Field, value: str, attachment: Attachment | None = None) -> Leak:
    evidence = Evidence(flow=FLOW, spans=(), packets=tuple(range(number, number + 1000)), time_ns=number)
    return Leak(
        field=field, value=Secret(value), protocol=Protocol.POP3, evidence=evidence, attachment=attachment
    )


def file(content: bytes) -> Attachment:
    return Attachment(
        filename="plan.pdf", content_type="application/pdf", content=content, sha256="00" * 32, text=None
    )


def test_a_table_holds_no_attachments_and_no_texts_until_it_is_printed() -> None:
    out = io.StringIO()
    table = printer(out)
    tracemalloc.start()
    try:
        for number in range(20):
            table.show(leak(number, Field.ATTACHMENT, "plan.pdf", file(bytes(MEGABYTE))))
            table.show(leak(number, Field.BODY, "x" * MEGABYTE))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < MEGABYTE / 4
    table.end()
    assert out.getvalue().count("plan.pdf") == 20


def test_a_very_long_table_is_printed_in_parts_and_nothing_is_lost() -> None:
    out = io.StringIO()
    table = printer(out)
    for number in range(9_000):
        table.show(leak(number, Field.USERNAME, f"user{number}"))
    early = out.getvalue()
    table.end()
    assert "user3999" in early
    assert "user8999" not in early
    assert re.findall(r"user(\d+)", out.getvalue()) == [str(number) for number in range(9_000)]
    assert out.getvalue().count("flow") == out.getvalue().count("╭") == 3
