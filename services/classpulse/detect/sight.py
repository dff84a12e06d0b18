"""The eyes of a worker: its line's champion's, the canary's for that one's cameras; replaced while it looks, between two steps.

A worker whose line nobody has changed looks with the release of its settings. What a line says from then on counts; a release that
cannot be had, breaks off, disagrees or is too slow is refused and said, and the worker goes on with what it has.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from classpulse.bus.base import Bus
from classpulse.clock import Clock
from classpulse.detect.pictures import Picture
from classpulse.detect.swap import Eyes, Sample, Swap
from classpulse.errors import ClassPulseError, Recoverable
from classpulse.lines import Lines
from classpulse.records import Detection, ModelLine, ModelRelease
from classpulse.telemetry import Metrics

LOOK_EVERY_MS = 1_000
TRY_AGAIN_MS = 10_000
WATCHED_MS = 60_000
"""So long after a flip the former eyes are kept: where the new ones break off, they look again."""

BUSY_OVER_MS = 5_000
SHADOW_SHARE = 0.05
"""A shadow run looks for this part of its time at most: live pictures wait for it."""

_log = logging.getLogger("classpulse.detect")

Opener = Callable[[ModelRelease], Eyes]
"""Fetches a registered release and opens it on this worker's runtime. May take minutes; raises ClassPulseError."""


@dataclass
class _Role:
    """What a champion or a canary looks with, what it is to look with, and what stood in the way."""

    eyes: Eyes | None = None
    former: Eyes | None = None
    flipped_ms: int = 0
    swap: Swap | None = None
    due_ms: int = 0
    refused: dict[str, str] = field(default_factory=dict)


class LineSight:
    """Follows one line of models.v1. Used from the worker's thread; releases come in from threads of their own."""

    def __init__(self, bus: Bus, clock: Clock, line: str, open_: Opener, eyes: Eyes, *, metrics: Metrics) -> None:
        self._lines, self._clock, self._name, self._open = Lines(bus, clock), clock, line, open_
        self._metrics = metrics
        metrics.model_info.labels(eyes.digest).set(1)
        for result in ("done", "refused", "rolled_back"):
            metrics.model_swap.labels(result)  # at 0: what is first shown at 1 has not risen
        self._champion, self._canary = _Role(eyes), _Role()
        self._line: ModelLine | None = None
        self._due_ms = 0
        self._looks: deque[tuple[int, int]] = deque()

    @property
    def refused(self) -> str:
        """Why a release that the line names is not looked with; empty where all is as it says."""
        said = {**self._champion.refused, **self._canary.refused}
        return "; ".join(f"{digest[:12]}: {why}" for digest, why in said.items())

    @property
    def champion(self) -> Eyes:
        """What looks at all cameras but the canary's."""
        return self._eyes(self._champion)

    def digest(self, camera: str) -> str:
        """What looks at a camera now."""
        return self._eyes(self._role_of(camera)).digest

    @property
    def at_once(self) -> int:
        """So many pictures are best looked at together."""
        return self.champion.at_once

    def see(self, pictures: Sequence[tuple[str, Picture]]) -> list[tuple[str, list[Detection]]]:
        """Of each camera's picture the digest of what looked, and what it saw; those of one role are looked at together.

        Raises what the net raises where no former one can stand in.
        """
        found: dict[int, tuple[str, list[Detection]]] = {}
        for role in (self._champion, self._canary):
            places = [place for place, (camera, _) in enumerate(pictures) if self._role_of(camera) is role]
            if places:
                digest, seen = self._look(role, [pictures[place][1] for place in places])
                found |= {place: (digest, one) for place, one in zip(places, seen, strict=True)}
        return [found[place] for place in range(len(pictures))]

    def _look(self, role: _Role, pictures: Sequence[Picture]) -> tuple[str, list[list[Detection]]]:
        looking = role if role.eyes is not None else self._champion
        eyes = self._eyes(looking)
        began_ms = self._clock.monotonic_ms()
        try:
            seen = eyes.see(pictures)
        except Recoverable:
            raise
        except Exception as error:
            if not self._go_back(looking, f"{type(error).__name__}: {error}"):
                raise
            return self._look(role, pictures)
        took_ms = self._clock.monotonic_ms() - began_ms
        self._metrics.stage_duration_seconds.labels("detect", "look").observe(took_ms / 1000)
        self._note(began_ms, took_ms)
        for swap in {role.swap, looking.swap}:
            if swap is not None and swap.wants and swap.share < SHADOW_SHARE:
                swap.offer(Sample(pictures, seen, took_ms, self._busy()))
        return eyes.digest, seen

    def follow(self) -> None:
        """Between two steps: see what the line says, begin what it wants, and flip to what is ready."""
        now_ms = self._clock.monotonic_ms()
        if now_ms >= self._due_ms:
            self._due_ms = now_ms + LOOK_EVERY_MS
            line = self._lines.lines().get(self._name)
            if line is not None and line != self._line:
                self._line = line
                self._champion.refused, self._canary.refused = {}, {}
            if line is not None:
                self._aim(self._champion, line.champion)
                self._aim(self._canary, line.canary or "")
        for role in (self._champion, self._canary):
            self._flip(role, now_ms)

    def _role_of(self, camera: str) -> _Role:
        """The canary for its cameras, also while it comes in: what they show is what it is tried on. Else the champion."""
        comes = self._canary.eyes is not None or self._canary.swap is not None
        chosen = comes and self._line is not None and camera in self._line.canary_cameras
        return self._canary if chosen else self._champion

    def _eyes(self, role: _Role) -> Eyes:
        """What looks in a role: the champion where there is no canary; a champion there always is."""
        return role.eyes or cast("Eyes", self._champion.eyes)

    def _aim(self, role: _Role, digest: str) -> None:
        """Begin to bring a release in, unless it is there, on its way, or was refused."""
        if not digest:
            role.eyes = None if role is self._canary else role.eyes
        if role.swap is not None and role.swap.digest != digest:
            role.swap.give_up()
            role.swap = None
        there = role.eyes is not None and role.eyes.digest == digest
        second = role is self._canary and self._champion.swap is not None  # what it is compared with comes in first
        waits = second or self._clock.monotonic_ms() < role.due_ms
        if not digest or there or role.swap is not None or digest in role.refused or waits:
            return
        release = self._lines.releases().get(digest)
        if release is None:
            self._refuse(role, digest, "not registered")
            return
        _log.info("release %s: loading", digest[:12])
        common = frozenset(release.labels) & frozenset(self._eyes(role).labels)
        compare = not (role is self._champion and self._line is not None and self._line.taken_back)
        role.swap = Swap(digest, lambda: self._open(release), common, self._clock, compare=compare)

    def _flip(self, role: _Role, now_ms: int) -> None:
        swap = role.swap
        if role.former is not None and now_ms - role.flipped_ms >= WATCHED_MS:
            role.former = None
        if swap is None:
            return
        if (eyes := swap.ready) is not None:
            before = self._eyes(role).digest
            role.former, role.eyes, role.flipped_ms, role.swap = role.eyes, eyes, now_ms, None
            self._metrics.model_swap.labels("done").inc()
            self._tell(before, eyes.digest)
        elif swap.refused is not None:
            role.swap = None
            self._refuse(role, swap.digest, swap.refused)
        elif swap.later is not None:
            role.swap, role.due_ms = None, now_ms + TRY_AGAIN_MS
            _log.warning("release %s: %s; trying again", swap.digest[:12], swap.later)

    def _go_back(self, role: _Role, why: str) -> bool:
        """The eyes broke off: those before them look again, the champion for a canary, and the release is refused.

        False where nobody can stand in.
        """
        stand_in = role.former or (None if role is self._canary else self._previous())
        if stand_in is None and role is not self._canary:
            return False
        broken, role.eyes, role.former = self._eyes(role).digest, stand_in, None
        self._metrics.model_swap.labels("rolled_back").inc()
        self._tell(broken, self._eyes(role).digest)
        role.refused[broken] = f"broke off ({why})"
        _log.error("release %s: %s; looking with what was there before", broken[:12], role.refused[broken])
        return True

    def _previous(self) -> Eyes | None:
        """The line's former champion, opened now; None where there is none that opens."""
        digest = None if self._line is None else self._line.previous
        release = None if digest is None else self._lines.releases().get(digest)
        if release is None or digest == self.champion.digest:
            return None
        try:
            return self._open(release)
        except ClassPulseError as error:
            _log.error("release %s: %s; it cannot stand in", release.digest[:12], error)
            return None

    def _refuse(self, role: _Role, digest: str, why: str) -> None:
        role.refused[digest] = why
        self._metrics.model_swap.labels("refused").inc()
        _log.error("release %s: refused: %s; going on without it", digest[:12], why)

    def _tell(self, before: str, after: str) -> None:
        self._metrics.model_info.labels(before).set(0)
        self._metrics.model_info.labels(after).set(1)
        _log.info("release %s looks now, in the place of %s", after[:12], before[:12])

    def _note(self, began_ms: int, took_ms: int) -> None:
        """Remember a look, and forget those of more than a few seconds ago."""
        self._looks.append((began_ms, took_ms))
        while self._looks[0][0] < began_ms - BUSY_OVER_MS:
            self._looks.popleft()

    def _busy(self) -> float:
        """Which part of the last seconds was spent looking."""
        return sum(took for _, took in self._looks) / BUSY_OVER_MS
