"""Lesson: a seed becomes an animated classroom, filmed by one camera, with its true timeline beside the clip.

The truth of a gesture is its span (see `script.true_span`); `visible` says that in at least 70 % of the moments looked
at (twice a second) the labels' rules of `labels` give it a box. `box_xyxy` is the box at mid-span, or at the moment
nearest to it that has one, in fractions of the picture; absent for a gesture that was never seen.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from synthroom.acting import Walk, pupil_track, teacher_walk
from synthroom.backdrop import Backdrop, Rectangle
from synthroom.bodies import F32
from synthroom.casting import Cast, cast_pupils, choose_camera
from synthroom.clip import open_clip
from synthroom.labels import label
from synthroom.people import Person, Spot, furniture_circles
from synthroom.pictures import write_atomically
from synthroom.renderer import Crowd, Drawable, Picture, Renderer
from synthroom.rotations import Array
from synthroom.scene import Scene, build_scene
from synthroom.script import Gesture, Track, plan_gestures, true_span
from synthroom.seeds import rng_of
from synthroom.sensor import Sensor, draw_sensor, expose
from synthroom.sitting import HAND_RAISING, SLEEPING, STAND_UP, Draw, Pose
from synthroom.views import draw_light

LESSON_RECIPE = 2
LOOK_EVERY_MS = 500
LEAST_SEEN = 0.7


@dataclass(frozen=True)
class LessonPlan:
    """How a lesson is filmed: pupils' bounds, gestures wanted (none: nobody does anything), length, pace and size."""

    pupils: tuple[int, int] = (14, 20)
    hands: int = 18
    stands: int = 7
    sleeps: int = 6
    duration_ms: int = 100_000
    fps: int = 12
    width: int = 960
    height: int = 540

    @property
    def frames(self) -> int:
        """Frames of the clip."""
        return self.duration_ms * self.fps // 1000


@dataclass(frozen=True)
class Span:
    """One gesture as it truly was; the fields of the truth file."""

    pupil: int
    behaviour: str
    started_ms: int
    ended_ms: int
    pose: Pose


@dataclass
class Seen:
    """What the camera saw of one span: moments looked at, and the boxes it gave (ms, fractions)."""

    looked: int = 0
    boxes: list[tuple[int, tuple[float, float, float, float]]] = field(default_factory=list)


@dataclass(frozen=True)
class Play:
    """A lesson ready to be filmed."""

    scene: Scene
    tracks: dict[int, Track]
    walks: dict[int, Walk]
    spans: list[Span]


def write_play(scene: Scene, plan: LessonPlan, cast: Cast, camera_xy: tuple[float, float]) -> Play:
    """Script a lesson for a cast; teachers keep away from the camera."""
    rng = rng_of(scene.seed, 60)
    wanted = {HAND_RAISING: plan.hands, STAND_UP: plan.stands, SLEEPING: plan.sleeps}
    gestures = plan_gestures(rng, cast.pupils(), wanted, plan.duration_ms, cast.rivals())
    d, tracks, spans = Draw(rng), dict[int, Track](), list[Span]()
    for pupil in scene.pupils:
        own = [g for g in gestures if g.pupil == pupil.number]
        track, firsts = pupil_track(pupil, own, plan.duration_ms, d)
        tracks[pupil.number] = track
        spans += [_span(pupil, track, first, g) for first, g in zip(firsts, own, strict=True)]
    taken = [*furniture_circles(scene.plan.desks, scene.plan.near), *((p.spot.x, p.spot.y, 0.5) for p in scene.pupils)]
    taken += [*scene.obstacles, (*camera_xy, 2.4)]
    walks = {
        t.number: w for t in scene.teachers if (w := teacher_walk(scene, t, taken, plan.duration_ms, d)) is not None
    }
    return Play(scene, tracks, walks, sorted(spans, key=lambda s: (s.started_ms, s.pupil)))


def _span(pupil: Person, track: Track, first: int, gesture: Gesture) -> Span:
    pose = track.holds[first].pose
    started, ended = true_span(track, first, _height(pupil, pose), last=_last_hold(track, first, gesture))
    return Span(pupil.number, gesture.behaviour, started, ended, pose)


def _last_hold(track: Track, first: int, gesture: Gesture) -> int:
    last = first
    while track.holds[last].ended_ms < gesture.ended_ms:
        last += 1
    return last


def _height(pupil: Person, pose: Pose) -> Callable[[Array, Array], float]:
    """Height of what the gesture moves: the raised wrist, else the head."""
    bone = "head" if pose.raised is None else f"wrist.{pose.raised}"
    row = pupil.sitter.model.skeleton.index[bone]
    return lambda turns, shift: float(pupil.joints(turns, shift)[row, 2])


# ------------------------------------------------------------------ filming


class Film:
    """Draws a play's frames in order; only bodies that moved are posed again."""

    def __init__(self, play: Play, crowd: Crowd, backdrop: Backdrop) -> None:
        self._play, self._crowd, self._backdrop = play, crowd, backdrop
        self._drawn: dict[int, tuple[Array, Array, Spot]] = {}
        self.bodies: dict[int, F32] = {}

    def frame(self, time_ms: float) -> Picture:
        """Draw one moment."""
        changed = list[Rectangle]()
        first = not self.bodies
        for person in self._play.scene.people:
            state = self._state(person, time_ms)
            if state is not None and not self._same(person.number, state):
                changed += self._move(person, state)
        return self._backdrop.draw(self._crowd, None if first else changed)

    def _state(self, person: Person, time_ms: float) -> tuple[Array, Array, Spot] | None:
        if person.number in self._play.walks:
            return self._play.walks[person.number].at(time_ms)
        if person.number in self._play.tracks:
            return *self._play.tracks[person.number].at(time_ms), person.spot
        return None

    def _same(self, number: int, state: tuple[Array, Array, Spot]) -> bool:
        before = self._drawn.get(number)
        if before is None or before[2] != state[2]:
            return False
        return bool(np.array_equal(before[0], state[0]) and np.array_equal(before[1], state[1]))

    def _move(self, person: Person, state: tuple[Array, Array, Spot]) -> list[Rectangle]:
        body = person.at(*state)
        before = self.bodies.get(person.number, body)
        self._drawn[person.number], self.bodies[person.number] = state, body
        self._crowd.place(person.number, body)
        touched = self._backdrop.touched(before, body)
        return [] if touched is None else [touched]


def look(play: Play, film: Film, picture: Picture, backdrop: Backdrop, time_ms: int, seen: dict[int, Seen]) -> None:
    """Note for every span that holds now whether, and where, the camera sees it; `seen` goes by the span's index."""
    height, width = picture.persons.shape
    pupils = {p.number: p for p in play.scene.pupils}
    for i, span in enumerate(play.spans):
        if not span.started_ms <= time_ms < span.ended_ms:
            continue
        seen[i].looked += 1
        body = film.bodies[span.pupil][:, :3]
        found = label(picture, pupils[span.pupil], span.pose, body, backdrop.view_projection)
        if found is not None:
            x0, y0, x1, y1 = found.box_xyxy
            seen[i].boxes.append((time_ms, (x0 / width, y0 / height, x1 / width, y1 / height)))


def truth(play: Play, plan: LessonPlan, seen: dict[int, Seen]) -> dict[str, object]:
    """The true timeline, as written beside the clip."""
    spans = []
    for i, span in enumerate(play.spans):
        middle = (span.started_ms + span.ended_ms) / 2
        boxes = sorted(seen[i].boxes, key=lambda box: abs(box[0] - middle))
        visible = seen[i].looked > 0 and len(boxes) >= LEAST_SEEN * seen[i].looked
        row: dict[str, object] = {
            "pupil": span.pupil,
            "behaviour": span.behaviour,
            "started_ms": span.started_ms,
            "ended_ms": span.ended_ms,
            "visible": visible,
        }
        if boxes:
            row["box_xyxy"] = [round(v, 4) for v in boxes[0][1]]
        spans.append(row)
    return {
        "fps": plan.fps,
        "frames": plan.frames,
        "width": plan.width,
        "height": plan.height,
        "duration_ms": plan.duration_ms,
        "seed": play.scene.seed,
        "recipe": LESSON_RECIPE,
        "pupils": len(play.scene.pupils),
        "plan": _told(plan),
        "spans": spans,
    }


def _told(plan: LessonPlan) -> dict[str, object]:
    return {**asdict(plan), "pupils": list(plan.pupils)}


def is_done(clip: Path, seed: int, plan: LessonPlan) -> bool:
    """Whether this lesson lies there already, whole, of this recipe and plan."""
    beside = truth_path(clip)
    if not (clip.exists() and beside.exists()):
        return False
    found = json.loads(beside.read_text())
    return (found.get("seed"), found.get("recipe"), found.get("plan")) == (seed, LESSON_RECIPE, _told(plan))


def truth_path(clip: Path) -> Path:
    """Where a clip's truth lies."""
    return clip.with_suffix(".truth.json")


@dataclass(frozen=True)
class Staged:
    """A lesson about to be played: what is to be seen, and the camera's own sensor, light and random numbers."""

    play: Play
    film: Film
    backdrop: Backdrop
    sensor: Sensor
    rng: np.random.Generator


@contextmanager
def staged(renderer: Renderer, seed: int, plan: LessonPlan) -> Iterator[Staged]:
    """Set a lesson up: room, pupils, teacher, camera and script, all from its seed."""
    scene = build_scene(seed, pupils=plan.pupils, teachers=1, desks=("single", "double"))
    rng = rng_of(seed, 40)
    d = Draw(rng)
    lit = d.pick({"day": 0.65, "lamps": 0.25, "window": 0.1})
    camera, light = choose_camera(rng, scene, width=plan.width, height=plan.height), draw_light(d, lit)
    sensor = _calm(draw_sensor(d, lit))
    room, crowd = Drawable(renderer, scene.room), Crowd(renderer, scene.people)
    try:
        backdrop = Backdrop(renderer, room, camera, light)
        cast = cast_pupils(scene, crowd, backdrop, (plan.width, plan.height))
        play = write_play(scene, plan, cast, (camera.eye[0], camera.eye[1]))
        yield Staged(play, Film(play, crowd, backdrop), backdrop, sensor, rng)
    finally:
        for drawable in (room, crowd):
            drawable.release()


def make_lesson(renderer: Renderer, clip: Path, seed: int, plan: LessonPlan, tick: Callable[[], None]) -> None:
    """Film one lesson; `tick` is called after every frame. The truth is written last, when the clip is whole."""
    look_every, mean = max(plan.fps * LOOK_EVERY_MS // 1000, 1), None
    with staged(renderer, seed, plan) as lesson:
        seen = {i: Seen() for i in range(len(lesson.play.spans))}
        with open_clip(clip, width=plan.width, height=plan.height, fps=plan.fps) as writer:
            for number in range(plan.frames):
                picture = lesson.film.frame(number * 1000 / plan.fps)
                mean = float(picture.rgb.mean()) if mean is None else mean
                if number % look_every == 0:
                    look(lesson.play, lesson.film, picture, lesson.backdrop, number * 1000 // plan.fps, seen)
                writer.add(expose(picture.rgb, lesson.sensor, lesson.rng, mean=mean))
                tick()
        told = truth(lesson.play, plan, seen)
    write_atomically(truth_path(clip), (json.dumps(told, indent=1) + "\n").encode())


def _calm(drawn: Sensor) -> Sensor:
    """A sensor with little noise, which is what fills a clip's bytes; the clip's own codec does the rest."""
    bright = min(max(drawn.brightness, 75), 160)
    return replace(drawn, brightness=bright, contrast=min(drawn.contrast, 1.2), noise=0.6, motion_px=0.0, quantiser=0)
