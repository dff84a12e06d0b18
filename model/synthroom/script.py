"""Script: who does what when in a lesson; gestures are planned, tracks of poses play them, truth is read off them.

A gesture truly holds from the moment its motion has done 70 % of its way until it has undone 30 % of it on the way
back: for hand-raising the way of the wrist's height from waiting to raised, for stand-up the way of the head's height
from sitting to standing, for sleeping the way of the head's height from sitting down to the desk.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from synthroom.rotations import Array, blend
from synthroom.sitting import HAND_RAISING, SLEEPING, STAND_UP, Pose

SHARE_OF_WAY = 0.7
GRID_MS = 20
LEAST_GAP_MS = {HAND_RAISING: 3000, STAND_UP: 5000, SLEEPING: 15000}
LASTS_MS = {HAND_RAISING: (2200, 7200), STAND_UP: (4300, 13000), SLEEPING: (26000, 42000)}
MOVES_MS = {HAND_RAISING: (400, 800), STAND_UP: (700, 1200), SLEEPING: (1100, 2000), None: (500, 1300)}
_MARGIN_MS = 1500  # beyond the least gap, for the motions themselves


@dataclass(frozen=True)
class Gesture:
    """One planned behaviour of one pupil: the pose is fully held during [started_ms, ended_ms)."""

    pupil: int
    behaviour: str
    started_ms: int
    ended_ms: int


@dataclass(frozen=True)
class Hold:
    """A pose that is kept during [started_ms, ended_ms]; between two holds the body moves from one to the other."""

    pose: Pose
    started_ms: int
    ended_ms: int


@dataclass(frozen=True)
class Track:
    """All holds of one body, in order of time."""

    holds: tuple[Hold, ...]

    def at(self, time_ms: float) -> tuple[Array, Array]:
        """Turns of the bones (bones, 4) and shift (3,) at a moment; before the first hold and after the last they rest."""
        before, after, share = self._place(time_ms)
        if after is None:
            return before.pose.quaternions, before.pose.shift
        ease = share * share * (3 - 2 * share)
        turns = blend(before.pose.quaternions, after.pose.quaternions, ease)
        return turns, before.pose.shift * (1 - ease) + after.pose.shift * ease

    def moves(self, time_ms: float) -> bool:
        """Whether the body is between two holds at a moment."""
        return self._place(time_ms)[1] is not None

    def hold_at(self, time_ms: float) -> int:
        """Index of the hold that a moment belongs to, or of the last one before it."""
        starts = [hold.started_ms for hold in self.holds]
        return max(int(np.searchsorted(starts, time_ms, side="right")) - 1, 0)

    def _place(self, time_ms: float) -> tuple[Hold, Hold | None, float]:
        i = self.hold_at(time_ms)
        hold = self.holds[i]
        if time_ms <= hold.ended_ms or i + 1 == len(self.holds):
            return hold, None, 0.0
        after = self.holds[i + 1]
        return hold, after, (time_ms - hold.ended_ms) / (after.started_ms - hold.ended_ms)


def plan_gestures(
    rng: np.random.Generator,
    cast: dict[str, list[int]],
    wanted: dict[str, int],
    duration_ms: int,
    rivals: dict[str, set[frozenset[int]]] | None = None,
) -> list[Gesture]:
    """Place gestures of the cast so that none of one pupil overlap and the same ones stay apart.

    Sleeping is placed first (it is long), then standing, then hands, in bursts that answer a teacher's questions. What
    finds no place is left out. `rivals` are pairs of pupils who do not do one thing at the same time.
    """
    out = list[Gesture]()
    for behaviour in (SLEEPING, STAND_UP, HAND_RAISING):
        pupils = cast.get(behaviour, [])
        questions = sorted(rng.uniform(2500, duration_ms - 9000, max(wanted.get(behaviour, 0) // 3, 1)))
        placed, tries = 0, 0
        while pupils and placed < wanted.get(behaviour, 0) and tries < 600:
            tries += 1
            gesture = _try_gesture(rng, behaviour, pupils, questions, duration_ms)
            against = (rivals or {}).get(behaviour, set())
            if gesture is not None and all(_apart(gesture, other, against) for other in out):
                out.append(gesture)
                placed += 1
    return sorted(out, key=lambda g: (g.started_ms, g.pupil))


def _try_gesture(
    rng: np.random.Generator, behaviour: str, pupils: list[int], questions: list[float], duration_ms: int
) -> Gesture | None:
    lasts = int(rng.uniform(*LASTS_MS[behaviour]))
    if behaviour == HAND_RAISING:
        start = float(rng.choice(questions)) + float(rng.gamma(2.0, 600))
    else:
        latest = duration_ms - lasts - 2500
        if latest < 2500:  # it does not fit into so short a lesson
            return None
        start = float(rng.uniform(2500, latest))
    if start + lasts > duration_ms - 2000:
        return None
    return Gesture(int(rng.choice(pupils)), behaviour, int(start), int(start) + lasts)


def _apart(one: Gesture, other: Gesture, rivals: set[frozenset[int]]) -> bool:
    gap = max(one.started_ms - other.ended_ms, other.started_ms - one.ended_ms)
    if one.pupil != other.pupil:
        same = one.behaviour == other.behaviour and frozenset((one.pupil, other.pupil)) in rivals
        return not same or gap >= LEAST_GAP_MS[one.behaviour] + _MARGIN_MS
    least = LEAST_GAP_MS[one.behaviour] + _MARGIN_MS if one.behaviour == other.behaviour else 1000
    motions = max(MOVES_MS[one.behaviour][1], MOVES_MS[other.behaviour][1])
    return gap >= least + motions


def true_span(
    track: Track, first: int, height: Callable[[Array, Array], float], *, last: int | None = None
) -> tuple[int, int]:
    """When the gesture of holds `first` to `last` (one, if absent) truly holds: [started_ms, ended_ms), to 20 ms.

    `height` measures the body: it must be least while waiting and greatest while the gesture is held, or the other way
    round; crossing 70 % of that way is what counts. Raises ValueError for the first and the last hold, which have no
    motion on both sides.
    """
    end = first if last is None else last
    if not 0 < first <= end < len(track.holds) - 1:
        raise ValueError(f"holds {first} to {end} of {len(track.holds)}: expected holds before and after them")
    before, after = track.holds[first - 1], track.holds[end + 1]
    started = _crossing(track, before.ended_ms, track.holds[first].started_ms, height, GRID_MS)
    ended = _crossing(track, after.started_ms, track.holds[end].ended_ms, height, -GRID_MS)
    return started, ended


def _crossing(
    track: Track, waiting_ms: int, held_ms: int, height: Callable[[Array, Array], float], step_ms: int
) -> int:
    """The moment nearest to the waiting side at which 70 % of the way is done."""
    waiting, held = height(*track.at(waiting_ms)), height(*track.at(held_ms))
    for moment in range(waiting_ms, held_ms, step_ms):
        done = (height(*track.at(moment)) - waiting) / (held - waiting)
        if done >= SHARE_OF_WAY:
            return moment
    return held_ms
