"""What a run of the measurements is told on its command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("build") / "bench"
"""Where captures, answers and whatever else a run needs are kept; `make clean` removes it."""

SIZES = (50, 200, 800)
"""Sizes of the captures in megabytes."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What to measure.

    Attributes:
        sizes: sizes of the generated captures in megabytes, ascending.
        rounds: how often each measurement is repeated; tables show medians.
        seed: captures of one seed and size are the same bytes everywhere.
        folder: where a run keeps its files; it exists.
        plot: where the plot of time and memory is written.
    """

    sizes: tuple[int, ...] = SIZES
    rounds: int = 3
    seed: int = 1
    folder: Path = FOLDER
    plot: Path = FOLDER / "performance.svg"
