"""Shows a page in a real browser (Chromium, without a window), and asks how it is laid out."""

from __future__ import annotations

import html
import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT = 60.0  # seconds; a bound for a stuck browser, not a wait
ASK = """<!doctype html><meta charset="utf-8"><title></title>
<iframe style="border:0; width:{width}px; height:768px" srcdoc="{page}"></iframe>
<script>onload = () => {{
  const view = frames[0], page = view.document;
  document.title = JSON.stringify({question});
}}</script>"""


def ask(page: str, question: str, *, width: int, folder: Path) -> Any:  # whatever was asked
    """Return the value of a JavaScript expression of `page` and `view`; skip the test without a browser.

    Args:
        page: the page, as HTML.
        question: the expression; its value as JSON is returned.
        width: pixels of the window.
        folder: where the browser may write.
    """
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here")
    frame = folder / "frame.html"
    frame.write_text(ASK.format(width=width, page=html.escape(page), question=question), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    done = subprocess.run(
        [browser, *options, "--dump-dom", frame.as_uri()],
        capture_output=True,
        check=True,
        timeout=TIMEOUT,
    )
    return json.loads(html.unescape(done.stdout.decode().partition("<title>")[2].partition("</title>")[0]))
