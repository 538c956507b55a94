"""Draws time and memory against the size of the capture, as an SVG file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl

if TYPE_CHECKING:
    from pathlib import Path

_MEGABYTE = 1_000_000


def draw(path: Path, points: list[tuple[str, int, float, int]]) -> None:
    """Draw one line for each tool.

    Args:
        path: the file.
        points: tool, megabytes, seconds, bytes of memory.
    """
    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "mailtap", "svg.fonttype": "none", "font.family": "sans-serif"})
    from matplotlib import pyplot as plt  # noqa: PLC0415  # after the choice of what draws

    figure, panels = plt.subplots(1, 2, figsize=(11, 4.5))
    for name in dict.fromkeys(point[0] for point in points):
        own = [point for point in points if point[0] == name]
        sizes = [size for _, size, _, _ in own]
        width = 2.5 if name.startswith("mailtap") else 1.2
        panels[0].plot(sizes, [seconds for _, _, seconds, _ in own], "o-", label=name, linewidth=width)
        panels[1].plot(sizes, [memory / _MEGABYTE for *_, memory in own], "o-", linewidth=width)
    for panel, title in zip(panels, ("seconds", "peak memory, MB"), strict=True):
        panel.set(xscale="log", yscale="log", xlabel="capture, MB", title=title)
        ticks = sorted({point[1] for point in points})
        panel.set_xticks(ticks, [str(tick) for tick in ticks])
        panel.minorticks_off()
        panel.grid(visible=True, alpha=0.3)
    figure.legend(loc="lower center", ncols=4, frameon=False)
    figure.tight_layout(rect=(0, 0.12, 1, 1))
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
