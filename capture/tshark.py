"""Let tshark dissect a capture file, through pyshark: the only file that knows either.

What pyshark leaves open is closed here: it has no way to tell a finished tshark from a crashed one (it
kills it at the end of its output and overlooks signals), so the exit status is awaited and checked. Nor can
it give tshark an environment: the event loop does, which starts it.
"""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import suppress
from functools import partial
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING, Any

from mailtap.capture.hearsay import Layer
from mailtap.capture.language import N_, Explained, system_reason
from mailtap.capture.model import Protocol
from mailtap.capture.scratch import scratch_folder

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Iterator, Mapping


_DISSECTORS = {Protocol.POP3: "pop", Protocol.SMTP: "smtp", Protocol.IMAP: "imap"}
_VERSION = re.compile(rb"[^\n]*[ \t](\d+\.\d+\.\d+)")
# The first frame is asked for too: where not even that comes back, tshark fell silent.
_FILTER = (
    "frame.number == 1 || pop.request || pop.response.indicator"
    " || smtp.req || smtp.rsp || (smtp && tcp.len < 1000)"  # an answer may be taken for message data
    " || imap.request || imap.response_tag"
)


class TsharkAbsentError(Exception):
    """There is no tshark on this machine."""


class TsharkFailedError(Explained):
    """tshark crashed, fell silent or could not be asked; the message says which."""


def dissect(
    path: Path, *, ports: Mapping[int, Protocol], patience: float
) -> tuple[list[tuple[int, Protocol, Layer]], str]:
    """Return each mail packet's TCP stream number, protocol and fields, and tshark's version.

    Args:
        path: the capture file.
        ports: what is spoken on which server port.
        patience: after how many seconds to give up.

    Raises:
        TsharkAbsentError: it is not installed.
        TsharkFailedError: it did not do its work.
        FileNotFoundError: there is no such capture file.
    """
    with scratch_folder() as home, asyncio.Runner(loop_factory=partial(_loop, home)) as runner:
        capture = _pyshark(home).FileCapture(
            path,
            eventloop=runner.get_loop(),
            keep_packets=False,
            use_json=True,
            include_raw=True,  # the bytes of the wire: its text has a question mark for all that is not ASCII
            display_filter=_FILTER,
            decode_as={
                f"tcp.port=={port}": _DISSECTORS[spoken]
                for port, spoken in ports.items()
                if spoken in _DISSECTORS
            },
            override_prefs={"smtp.decryption": "FALSE"},  # base64 as sent
            custom_parameters=["-J", "frame tcp pop smtp imap"],
        )
        return runner.run(_ask(capture, patience))


def _pyshark(home: Path) -> Any:  # noqa: ANN401  # pyshark has no types
    """Return pyshark, which would read a `config.ini` of the working directory, whoever put it there."""
    try:
        Path.cwd()
    except FileNotFoundError:  # it has been removed, and pyshark asks for it when imported
        os.chdir(home)
    try:
        import pyshark  # noqa: PLC0415  # slow to import, only when used
        from pyshark import config  # noqa: PLC0415
    except ImportError as error:
        raise TsharkFailedError(N_("The second witness failed: pyshark cannot be imported.")) from error
    config.fp_config_path = home / "config.ini"
    return pyshark


def _loop(home: Path) -> asyncio.AbstractEventLoop:
    """Return an event loop whose programs find an empty home: a user's profile changes what tshark prints."""
    loop = asyncio.new_event_loop()
    environment = {**os.environ, "HOME": str(home), "WIRESHARK_CONFIG_DIR": str(home)}
    loop.subprocess_exec = partial(loop.subprocess_exec, env=environment)  # type: ignore[method-assign]
    return loop


async def _ask(capture: Any, patience: float) -> tuple[list[tuple[int, Protocol, Layer]], str]:  # noqa: ANN401
    """Return what tshark reports, and its name and version."""
    from packaging import version  # noqa: PLC0415  # only where pyshark is, which needs it

    number = await _version(capture, patience)
    # Else pyshark asks once more, and waits for ever where tshark hangs.
    capture._Capture__tshark_version = version.parse(number)  # noqa: SLF001  # its own memory of it
    return await _collect(capture, patience), f"tshark {number}"


async def _version(capture: Any, patience: float) -> str:  # noqa: ANN401  # pyshark has no types
    """Return tshark's version: whether there is one, and whether it starts and ends at all."""
    from pyshark.tshark.tshark import TSharkNotFoundException  # noqa: PLC0415

    try:
        path = capture._get_tshark_path()  # noqa: SLF001  # pyshark's own search
        asked = await asyncio.create_subprocess_exec(path, "-v", stdout=PIPE, stderr=DEVNULL)
    except TSharkNotFoundException as error:
        raise TsharkAbsentError from error
    except OSError as error:
        raise _not_started(error) from error
    try:
        async with asyncio.timeout(patience):
            said, _ = await asked.communicate()
    except TimeoutError as error:
        raise _too_slow(patience) from error
    finally:
        await _kill(asked)
    found = _VERSION.match(said)
    if asked.returncode or found is None:
        raise TsharkFailedError(N_("The second witness failed: tshark does not start."))
    return found[1].decode()


async def _collect(capture: Any, patience: float) -> list[tuple[int, Protocol, Layer]]:  # noqa: ANN401
    """Return what tshark reports, once it has ended well; leave no process behind."""
    from pyshark.capture.capture import TSharkCrashException  # noqa: PLC0415

    reported: list[tuple[tuple[int, Protocol, Layer], ...]] = []
    crashed = False
    try:
        async with asyncio.timeout(patience):
            await capture.packets_from_tshark(
                lambda packet: reported.append(tuple(_layers(packet))), close_tshark=False
            )
            for process in capture._running_processes:  # noqa: SLF001  # pyshark has no other way
                await process.wait()
    except TSharkCrashException:  # it ended before pyshark had begun to read: the status is lost
        crashed = True
    except TimeoutError as error:
        raise _too_slow(patience) from error
    except OSError as error:
        raise _not_started(error) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        text = N_("The second witness failed: what tshark printed cannot be read.")
        raise TsharkFailedError(text) from error
    finally:
        statuses = await _end(capture)
        task = asyncio.current_task()
        if task and task.cancelling():  # Ctrl-C ended tshark, too: that is no failure of its own
            raise asyncio.CancelledError
    if crashed or any(statuses):
        raise _ended(statuses, capture._last_error_line or "")  # noqa: SLF001
    if not reported:
        text = N_("The second witness failed: tshark ended without an error, but reported no packet at all.")
        raise TsharkFailedError(text)
    return [layer for layers in reported for layer in layers]


def _too_slow(patience: float) -> TsharkFailedError:
    text = N_("The second witness failed: tshark did not end within {seconds} seconds.")
    return TsharkFailedError(text, seconds=f"{patience:g}")


def _not_started(error: OSError) -> TsharkFailedError:
    text = N_("The second witness failed: tshark does not start ({reason}).")
    return TsharkFailedError(text, reason=system_reason(error))


def _ended(statuses: list[int], words: str) -> TsharkFailedError:
    """Return that tshark ended with an error, and its last words, in its own language."""
    status = str(statuses[0]) if statuses else N_("unknown")
    if not words:
        text = N_("The second witness failed: tshark ended with an error (status {status}).")
        return TsharkFailedError(text, status=status)
    text = N_("The second witness failed: tshark ended with an error (status {status}). It said: {words}")
    return TsharkFailedError(text, status=status, words=words)


async def _end(capture: Any) -> list[int]:  # noqa: ANN401
    """End what still runs, and return the exit statuses."""
    processes = list(capture._running_processes)  # noqa: SLF001
    for process in processes:
        await _kill(process)
    await asyncio.gather(*capture._stderr_handling_tasks, return_exceptions=True)  # noqa: SLF001
    capture._running_processes.clear()  # noqa: SLF001  # else pyshark ends them once more, and raises
    return [process.returncode for process in processes]


async def _kill(process: Process) -> None:
    """End a process that still runs, and take its status."""
    with suppress(ProcessLookupError):
        if process.returncode is None:
            process.kill()
    await process.wait()


def _layers(packet: Any) -> Iterator[tuple[int, Protocol, Layer]]:  # noqa: ANN401
    """Yield what each mail layer of a packet says: whole and field by field."""
    for protocol, name in _DISSECTORS.items():
        layers = [
            each for layer in packet.get_multiple_layers(name) for each in (layer, *layer.duplicate_layers)
        ]
        octets = [each for layer in packet.get_multiple_layers(f"{name}_raw") for each in _octets(layer)]
        for layer, whole in zip(layers, octets, strict=True):
            # pyshark's own look-up is slow, and loses repetitions
            fields = tuple(_fields(layer._all_fields))  # noqa: SLF001
            yield int(packet.tcp.stream), protocol, Layer(whole, fields)


def _octets(layer: Any) -> list[bytes]:  # noqa: ANN401
    """Return a layer's bytes; where a packet has the layer repeatedly, pyshark nests their lists."""
    if isinstance(layer.value, str):
        return [bytes.fromhex(layer.value)]
    return [
        bytes.fromhex(text) for text in (layer.value[0], *(each.value for each in layer.duplicate_layers))
    ]


def _fields(tree: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield the bytes of each field of tshark's `-x` JSON, in order.

    A `name_raw` is [hex, position, length, …], or a list of these where the field occurs repeatedly; a
    `name_tree` holds the parts of a field. The parts of an SMTP command are left out: the command
    itself has them, and its credentials would look like an answer of their own.
    """
    for name, value in tree.items():
        if name.endswith("_raw"):
            for raw in value if isinstance(value[0], list) else [value]:
                yield name.removesuffix("_raw"), bytes.fromhex(raw[0])
        elif name.endswith("_tree") and name != "smtp.command_line_tree":
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, dict):  # a field without parts has an empty text in their place
                    yield from _fields(part)
