"""Keep messages and attachments as files of a folder: names off the wire never choose where.

Nothing that is there is overwritten, no link is followed, and only the owner may read what is written.
"""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from mailtap.capture.language import N_
from mailtap.capture.report import printable
from mailtap.capture.sinks import SinkError, unwritable

if TYPE_CHECKING:
    from mailtap.capture.model import Leak, Mail

_LONGEST = 120  # bytes of a name from the wire; file systems take 255 with all that is put around it
_LONGEST_ENDING = 16
_MOST_NAMESAKES = 10_000
_RESERVED = frozenset('<>:"/\\|?*')  # what Windows, macOS and Linux do not allow, taken together
_OPEN = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class Keeper:
    """Writes what was heard into one folder.

    Attributes:
        messages: number of messages written.
        attachments: number of attachments written.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Make the folder where it is not there.

        Raises:
            SinkError: it cannot be made.
        """
        self._folder = Path(folder)
        self.messages = 0
        self.attachments = 0
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self._folder, error) from error

    def keep_mail(self, mail: Mail, capture: str) -> None:
        """Write a message, `CAPTURE-0001.eml`; one of which something is missing says so in its name.

        Args:
            mail: the message.
            capture: name of the capture that it was heard in.

        Raises:
            SinkError: it cannot be written.
        """
        missing = "" if mail.whole else "-incomplete"
        self._write(f"{safe_name(capture)}-{mail.number:04}{missing}.eml", mail.content)
        self.messages += 1

    def keep_attachment(self, leak: Leak, capture: str) -> None:
        """Write a leaked attachment, `CAPTURE-0001-FILENAME`; a leak without one is passed over.

        Raises:
            SinkError: it cannot be written.
        """
        if leak.attachment is not None:
            name = safe_name(leak.attachment.filename) or "attachment"
            self._write(f"{safe_name(capture)}-{leak.message or 0:04}-{name}", leak.attachment.content)
            self.attachments += 1

    def _write(self, name: str, content: bytes) -> None:
        """Write a file under that name, or where it is taken under the name with a number."""
        stem, ending = Path(name).stem, Path(name).suffix
        for number in range(1, _MOST_NAMESAKES):
            path = self._folder / (name if number == 1 else f"{stem}-{number}{ending}")
            try:
                handle = os.open(path, _OPEN, 0o600)
            except FileExistsError:
                continue
            except OSError as error:
                raise unwritable(path, error) from error
            _fill(handle, path, content)
            return
        text = N_("Cannot write {path}: too many files have that name. Give another folder.")
        raise SinkError(text, path=str(self._folder / name))


def _fill(handle: int, path: Path, content: bytes) -> None:
    """Write a new file's content; where that fails, no half of it is left."""
    try:
        with open(handle, "wb") as file:
            file.write(content)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise unwritable(path, error) from error


def safe_name(name: str) -> str:
    """Return a name off the wire as the name of a file in any folder; empty where nothing is left of it.

    Folders, dots at the start and whatever deceives a reader or a file system go.
    """
    name = unicodedata.normalize("NFC", name.replace("\\", "/")).rpartition("/")[2]
    clean = "".join("_" if each in _RESERVED or printable(each) != each else each for each in name)
    bare = Path(clean.strip(" ."))
    ending = _shortened(bare.suffix, _LONGEST_ENDING)
    return (_shortened(bare.stem, _LONGEST - len(ending.encode())) + ending).strip(" .")


def _shortened(text: str, size: int) -> str:
    """Return the text's first characters that fit into so many bytes of UTF-8."""
    return text.encode()[:size].decode(errors="ignore")
