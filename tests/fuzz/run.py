"""Fuzzes by coverage (atheris, libFuzzer): `run.py SECONDS [TARGET…]`, by default every target in turn.

An input that fails is written to finds/TARGET/; keep it there as a test case once the fault is mended.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FINDS = HERE / "finds"
CORPUS = HERE.parents[1] / "build" / "fuzz"
SUPPORT = HERE.parent / "support"


def main(seconds: str, *names: str) -> int:
    """Fuzz each target for so many seconds in a process of its own; return 1 where one failed."""
    sys.path.insert(0, str(SUPPORT))
    from targets import TARGETS  # noqa: PLC0415  # importable once the path is set

    failed = [
        name for name in names or TARGETS if subprocess.call([sys.executable, __file__, "one", name, seconds])
    ]
    print(f"failed: {', '.join(failed)}" if failed else "nothing was found")
    return bool(failed)


def fuzz(name: str, seconds: str) -> None:
    """Fuzz one target; this never returns."""
    import atheris  # noqa: PLC0415  # the tests use this module without it

    sys.path.insert(0, str(SUPPORT))
    with atheris.instrument_imports(include=["mailtap.capture"]):
        from targets import TARGETS  # noqa: PLC0415  # instrumented as it is imported
    corpus, finds = CORPUS / name, FINDS / name
    corpus.mkdir(parents=True, exist_ok=True)
    finds.mkdir(parents=True, exist_ok=True)
    for place, seed in enumerate(seeds(name)):
        (corpus / f"seed-{place}").write_bytes(seed)
    flags = [
        f"-max_total_time={seconds}",
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-max_len=8192",
        "-print_final_stats=1",
    ]
    atheris.Setup([name, *flags, f"-artifact_prefix={finds}/", str(corpus), str(finds)], TARGETS[name])
    atheris.Fuzz()


def seeds(name: str) -> list[bytes]:
    """Return what a target begins with: the golden dialogues, and what is built for the tests."""
    import dialogue  # noqa: PLC0415  # importable once main or pytest has set the path
    import wire  # noqa: PLC0415

    scripts = [dialogue.load(path) for path in sorted((HERE.parent / "capture" / "dialogues").glob("*.txt"))]
    talk = [[("CS"[who == "server"], text) for who, text in script.turns] for script in scripts]
    captures = [wire.pcap(wire.conversation(turns)) for turns in talk]
    if name in ("pop3", "smtp", "imap", "tls"):
        return [b"\n".join(who.encode() + text.removesuffix(b"\n") for who, text in turns) for turns in talk]
    if name == "file":
        mixed = wire.conversation(talk[0], link_type=wire.COOKED)
        return [
            *captures,
            *(wire.pcapng(wire.conversation(turns)) for turns in talk),
            wire.pcapng(mixed, order=">"),
        ]
    if name == "packets":
        return [each[24:] for each in captures]
    if name == "frame":
        return [
            bytes([kind]) + wire.conversation(talk[0], link_type=kind)[3].data
            for kind in (0, 1, 101, 108, 113)
        ]
    if name == "gzip":
        return [gzip.compress(captures[0])]
    bodies = [text for turns in talk for _, text in turns if b":" in text]
    return bodies if name == "message" else [b"iso-2022-jp\n" + text for text in bodies]


if __name__ == "__main__":
    if sys.argv[1] == "one":
        fuzz(*sys.argv[2:])
    sys.exit(main(*sys.argv[1:]))
