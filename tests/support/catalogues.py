"""Keeps the translations' catalogues in step with the code (GNU gettext's PO and MO files, through Babel).

python tests/support/catalogues.py renew    # after a message changed: then fill in what is new
python tests/support/catalogues.py check    # says what is missing, and exits 1
"""

from __future__ import annotations

import io
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("capture", "servers", "demo")
LANGUAGES = ("ja",)
KEYWORDS = {"say": None, "N_": None}
# The header's dates would change at every renewal, and say nothing that the commits do not.
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)

HEADER = """\
# Mailtap's messages. Fill in msgstr; the keys come from the code (make catalogues).
#"""


def catalogue_path(package: str, language: str) -> Path:
    """Return the PO file of a package; its MO file stands beside it."""
    return ROOT / package / "locale" / language / "LC_MESSAGES" / "mailtap.po"


def extracted(package: str) -> list[str]:
    """Return the messages that a package's code says, in the order of their first use."""
    found = extract_from_dir(
        str(ROOT / package), keywords=KEYWORDS, options_map={"**.py": {"encoding": "utf-8"}}
    )
    return list(dict.fromkeys(message for _, _, message, _, _ in sorted(found, key=lambda each: each[:2])))


def renewed(package: str, language: str) -> Catalog:
    """Return the catalogue as the code needs it, with the translations that there are."""
    path = catalogue_path(package, language)
    old = read_po(io.BytesIO(path.read_bytes())) if path.exists() else Catalog()
    new = Catalog(locale=language, project="mailtap", version="", header_comment=HEADER, fuzzy=False)
    new.creation_date = new.revision_date = LONG_AGO
    new.last_translator = new.language_team = new.msgid_bugs_address = ""
    for message in extracted(package):
        known = old.get(message)
        new.add(message, known.string if known else "")
    return new


def po_bytes(catalogue: Catalog) -> bytes:
    """Return the catalogue as a PO file."""
    file = io.BytesIO()
    write_po(file, catalogue, width=0)
    return file.getvalue()


def mo_bytes(catalogue: Catalog) -> bytes:
    """Return the catalogue as an MO file."""
    file = io.BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def problems(package: str, language: str) -> list[str]:
    """Return what is wrong with a catalogue, in plain English."""
    path = catalogue_path(package, language)
    catalogue = renewed(package, language)
    wrong = []
    if not path.exists() or path.read_bytes() != po_bytes(catalogue):
        wrong.append(f"{path} is not what the code says: run make catalogues")
    elif path.with_suffix(".mo").read_bytes() != mo_bytes(catalogue):
        wrong.append(f"{path.with_suffix('.mo')} is not made from its PO file: run make catalogues")
    for message in catalogue:
        if not message.id:
            continue
        if not message.string:
            wrong.append(f"{path}: not translated: {message.id!r}")
        elif placeholders(message.id) != placeholders(message.string):
            wrong.append(f"{path}: other placeholders than its key: {message.string!r}")
    return wrong


def placeholders(text: str) -> set[str]:
    """Return the names in braces that a message is filled in at."""
    return set(re.findall(r"\{(\w+)[^}]*\}", text))


def main() -> int:
    """Renew or check every catalogue, as the command line says."""
    if sys.argv[1:] == ["renew"]:
        for package in PACKAGES:
            for language in LANGUAGES:
                path = catalogue_path(package, language)
                path.parent.mkdir(parents=True, exist_ok=True)
                catalogue = renewed(package, language)
                path.write_bytes(po_bytes(catalogue))
                path.with_suffix(".mo").write_bytes(mo_bytes(catalogue))
    wrong = [line for package in PACKAGES for language in LANGUAGES for line in problems(package, language)]
    print("\n".join(wrong) or "The catalogues are complete.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
