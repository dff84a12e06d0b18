"""The demo, what is played: the bundled lessons, each in a classroom of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from classpulse.demo.truth import TRUTH_SUFFIX, LessonTruth, load_truth
from classpulse.errors import BadInput

LESSONS = Path(__file__).parent / "lessons"
SCHOOL = "demo/school"
MOST_FPS = 6.0
"""Pictures a second that are looked at: two cores look at three rooms as fast as they happen, and gestures last longer."""
DETECT_WORKERS = 2
"""One alone does not keep up with three lessons where a picture takes it longer than 50 ms."""
ZONES = "/zoneinfo/"
LOCAL_TIME = Path("/etc/localtime")


@dataclass(frozen=True)
class Lesson:
    """One clip with its truth, the room and camera that play it, and how many of a second's pictures are looked at."""

    clip: Path
    truth: LessonTruth
    room: str
    camera: str
    fps: float


def bundled_lessons(folder: Path = LESSONS) -> list[Lesson]:
    """Every clip of a folder, by name. Raises BadInput naming the folder, or the clip whose truth is absent or wrong."""
    clips = sorted(folder.glob("*.mp4"))
    if not clips:
        raise BadInput([f"lessons = {str(folder)!r}: holds no clip; expected lesson-1.mp4 and so on (make lessons)"])
    rooms = [f"{SCHOOL}/room-{number}" for number in range(1, len(clips) + 1)]
    truths = [load_truth(clip.with_name(clip.stem + TRUTH_SUFFIX)) for clip in clips]
    return [
        Lesson(clip, truth, room, f"{room}/front", min(truth.fps, MOST_FPS))
        for clip, truth, room in zip(clips, truths, rooms, strict=True)
    ]


def site_text(lessons: Sequence[Lesson], data: Path, time_zone: str, bus: str = "", model: str = "") -> str:
    """A site file that plays each lesson once, at the pace at which it happened, and gives up none of the frames it samples."""
    lines = ["# Written by `classpulse demo`.", "[settings]", f"data = {_quoted(str(data))}"]
    lines += [f"detect_workers = {DETECT_WORKERS}"]
    lines += [f"{key} = {_quoted(value)}" for key, value in (("bus", bus), ("model", model)) if value]
    for lesson in lessons:
        lines += ["", "[[rooms]]", f"room = {_quoted(lesson.room)}", f"time_zone = {_quoted(time_zone)}"]
    for lesson in lessons:
        lines += [
            "",
            "[[cameras]]",
            f"camera = {_quoted(lesson.camera)}",
            f"source = {_quoted(f'file://{lesson.clip}?pace=realtime')}",
            f"fps = {lesson.fps}",
            'delivery = "complete"',
        ]
    return "\n".join(lines) + "\n"


def local_zone(link: Path = LOCAL_TIME) -> str:
    """The machine's own time zone by name; UTC where it has none."""
    _, found, name = str(link.resolve()).partition(ZONES)
    name = name.removeprefix("posix/").removeprefix("Etc/")
    return name if found and name else "UTC"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
