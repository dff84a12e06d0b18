"""The frozen exams: what each is drawn from and how much of it there is. Nobody trains on them or chooses by them.

Counts of pictures are those of whole rooms, three views each. `shift` is drawn by another renderer, see `shift/README.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from synthroom.cli import lesson_plan
from synthroom.lesson import LessonPlan
from synthroom.seeds import lesson_seed


@dataclass(frozen=True)
class PictureExam:
    """Pictures in VOC layout; the split of their list, and of their seeds, has the exam's name."""

    name: str
    count: int
    drawn_by: str = "synthroom"


@dataclass(frozen=True)
class LessonExam:
    """Lessons of a split, from number `first` on, one for each of `lengths_s` and filmed at `fps`.

    `pupils`: bounds of their number, taken in turn by one lesson after another. Without `gestures` nobody shows a behaviour.
    """

    name: str
    first: int
    lengths_s: tuple[int, ...]
    gestures: bool
    pupils: tuple[tuple[int, int], ...] = ((14, 20), (30, 36), (8, 14), (21, 29))
    fps: int = 5
    split: str = "test"

    @property
    def clips(self) -> tuple[str, ...]:
        """Names of the clips, in the order in which they sort."""
        return tuple(f"lesson-{number:02d}" for number in range(1, len(self.lengths_s) + 1))

    def seed(self, place: int) -> int:
        """Seed of the lesson at a place, from 0."""
        return lesson_seed(self.split, self.first + place)

    def plan(self, place: int) -> LessonPlan:
        """How the lesson at a place is filmed."""
        usual = lesson_plan(self.lengths_s[place], fps=self.fps, gestures=self.gestures)
        return replace(usual, pupils=self.pupils[place % len(self.pupils)])


Exam = PictureExam | LessonExam

EXAMS: Mapping[str, Exam] = MappingProxyType(
    {
        exam.name: exam
        for exam in (
            PictureExam("rooms", 1002),
            PictureExam("hard", 501),
            PictureExam("tiny", 300),
            PictureExam("dark", 300),
            PictureExam("shift", 300, drawn_by="shift"),
            LessonExam("lessons", first=0, lengths_s=tuple(range(120, 300, 9)), gestures=True),
            LessonExam("quiet", first=100, lengths_s=tuple(range(180, 301, 8)), gestures=False),
        )
    }
)
