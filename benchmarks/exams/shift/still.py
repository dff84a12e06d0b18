"""The noun between drawing and disk."""

from dataclasses import dataclass

from benchmarks.exams.shift.labels import Box, Label
from benchmarks.exams.shift.lens import U8


@dataclass(frozen=True)
class Still:
    """One finished picture: pixels (H, W, 3), its labels, boxes of adults (unlabelled), JPEG quality."""

    rgb: U8
    labels: tuple[Label, ...]
    adults: tuple[Box, ...]
    quality: int
