"""One release on its way into a worker that looks on meanwhile: opened, tried on some live pictures, then ready or refused.

All of it happens in a thread of its own; the worker gives it pictures that were looked at anyway, and asks between two steps
whether it is ready. Design 6, "model refresh without a gap".
"""

import logging
import queue
import statistics
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from classpulse.clock import Clock
from classpulse.detect.pictures import Picture
from classpulse.errors import ClassPulseError, Recoverable
from classpulse.records import Detection

SHADOW_LOOKS = 20
SHADOW_MS = 20_000
"""So many live pictures are compared, as far as they come in this time: in an empty night none do, and nothing speaks against it."""

LEAST_MATCHED = 0.3
"""Of the boxes of both, this part has a partner with the same behaviour that covers it: less is another thing, not a better one."""

JUDGED_BOXES = 10
SAME_IOU = 0.5
MOST_BUSY = 0.9
"""A worker that would look for more than this part of its time could not keep up."""

PATIENCE_S = 0.1

_log = logging.getLogger("classpulse.detect")


class Eyes(Protocol):
    """One release that looks. `labels`: the behaviours it knows; `runtime`, `refused`, `at_once`: as GestureEyes has them."""

    digest: str
    labels: tuple[str, ...]
    runtime: str
    refused: tuple[str, ...]

    @property
    def at_once(self) -> int:
        """So many pictures are best looked at together."""
        ...

    def see(self, pictures: Sequence[Picture]) -> list[list[Detection]]:
        """What behaviours are in each picture (BGR, height × width × 3). Raises Recoverable when it may see later."""
        ...


@dataclass(frozen=True, slots=True)
class Sample:
    """Live pictures of one look, what the present eyes saw in each, how long they took, and which part of their time they look."""

    pictures: Sequence[Picture]
    seen: Sequence[Sequence[Detection]]
    took_ms: int
    busy: float


@dataclass
class Comparison:
    """What a shadow run found out so far."""

    boxes: int = 0
    matched: int = 0
    sizes: list[int] = field(default_factory=list)
    old_ms: list[int] = field(default_factory=list)
    new_ms: list[int] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)

    def add(self, sample: Sample, found: Sequence[Sequence[Detection]], took_ms: int, common: frozenset[str]) -> None:
        """One look; behaviours that only one of both knows say nothing."""
        for seen, also_seen in zip(sample.seen, found, strict=True):
            old = [one for one in seen if one.behaviour in common]
            new = [one for one in also_seen if one.behaviour in common]
            self.boxes += len(old) + len(new)
            self.matched += 2 * pairs(old, new)
        self.sizes.append(len(sample.pictures))
        self.old_ms.append(sample.took_ms)
        self.new_ms.append(took_ms)
        self.busy.append(sample.busy)

    @property
    def pace_ms(self) -> tuple[int, int]:
        """What a look takes the present eyes and the new ones, of the looks at most pictures; 0 before the first.

        Those of the pair that lies a quarter up from where the new ones do best, never the best of several. Both of a pair saw the
        machine in one state, but the new ones look while the present ones do, and so share what those have alone: a median says that
        of the load, not of the net.
        """
        most = max(self.sizes, default=0)
        timed = zip(self.old_ms, self.new_ms, self.sizes, strict=True)
        looks = sorted(
            ((old, new) for old, new, size in timed if size == most), key=lambda look: look[1] / max(1, look[0])
        )
        return looks[min(len(looks) - 1, max(1, len(looks) // 4))] if looks else (0, 0)

    @property
    def load(self) -> float:
        """Which part of its time the worker would look with the new eyes."""
        old, new = self.pace_ms
        return statistics.median(self.busy) * new / max(1, old) if self.busy else 0.0

    def fault(self) -> str | None:
        """What speaks against the release; None where nothing does."""
        if self.boxes >= JUDGED_BOXES and self.matched < LEAST_MATCHED * self.boxes:
            share = self.matched / self.boxes
            return f"agrees with {share:.0%} of {self.boxes} boxes in {len(self.new_ms)} looks; expected {LEAST_MATCHED:.0%}"
        if self.load > MOST_BUSY:
            old, new = self.pace_ms
            return (
                f"takes {new} ms a look instead of {old}, {self.load:.0%} of the time; expected {MOST_BUSY:.0%} at most"
            )
        return None


def pairs(old: Sequence[Detection], new: Sequence[Detection]) -> int:
    """How many boxes of both show the same: one partner each, the surest first."""
    left = list(new)
    found = 0
    for one in sorted(old, key=lambda box: -box.score):
        fitting = [
            other
            for other in left
            if other.behaviour == one.behaviour and iou(one.box_xyxy, other.box_xyxy) >= SAME_IOU
        ]
        if fitting:
            left.remove(max(fitting, key=lambda other: iou(one.box_xyxy, other.box_xyxy)))
            found += 1
    return found


def iou(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> float:
    """Area of both over area of either."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(0.0, width) * max(0.0, height)
    either = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - both
    return both / either if either > 0 else 0.0


class Swap:
    """A release on its way. `ready`: its eyes, when nothing speaks against them; else `refused` says why never, `later` why not now."""

    def __init__(
        self, digest: str, open_: Callable[[], Eyes], common: frozenset[str], clock: Clock, *, compare: bool = True
    ) -> None:
        """`open_` gives warm eyes, may take minutes and raise ClassPulseError; `common`: the behaviours that both releases know."""
        self.digest = digest
        self.refused: str | None = None
        self.later: str | None = None
        self._open, self._common, self._clock, self._compare = open_, common, clock, compare
        self.ready: Eyes | None = None
        self._shadow_ms: int | None = None
        self._spent_ms = 0
        self._wants = threading.Event()
        self._samples: queue.Queue[Sample] = queue.Queue(1)
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"swap-{digest[:8]}", daemon=True)
        self._thread.start()

    @property
    def wants(self) -> bool:
        """Whether it would look at something now: one at a time, never two waiting."""
        return self._wants.is_set()

    @property
    def share(self) -> float:
        """Which part of its time the shadow run has spent looking so far."""
        if self._shadow_ms is None:
            return 0.0
        return self._spent_ms / max(1, self._clock.monotonic_ms() - self._shadow_ms)

    def offer(self, sample: Sample) -> None:
        """Pictures for the shadow run; the caller does not touch them any more."""
        if self._wants.is_set():
            self._wants.clear()
            self._samples.put(sample)

    def give_up(self) -> None:
        """It is not wanted any more."""
        self._given_up.set()

    def _run(self) -> None:
        try:
            eyes = self._open()
            fault = self._shadow(eyes) if self._compare else None
        except Recoverable as error:
            self.later = str(error)
            return
        except ClassPulseError as error:
            fault = str(error)
        except Exception as error:  # noqa: BLE001 - a net that breaks off is refused, however it does
            fault = f"{type(error).__name__}: {error}"
        if fault is None:
            self.ready = eyes
        else:
            self.refused = fault

    def _shadow(self, eyes: Eyes) -> str | None:
        """Look at live pictures beside the present eyes; gives what speaks against the release."""
        found = Comparison()
        self._shadow_ms = self._clock.monotonic_ms()
        until_ms = self._shadow_ms + SHADOW_MS
        while (
            len(found.new_ms) < SHADOW_LOOKS and self._clock.monotonic_ms() < until_ms and not self._given_up.is_set()
        ):
            self._wants.set()
            try:
                sample = self._samples.get(timeout=PATIENCE_S)
            except queue.Empty:
                continue
            began_ms = self._clock.monotonic_ms()
            seen = eyes.see(sample.pictures)
            took_ms = self._clock.monotonic_ms() - began_ms
            self._spent_ms += took_ms
            found.add(sample, seen, took_ms, self._common)
        self._wants.clear()
        _log.info(
            "release %s: %d of %d boxes matched in %d looks; %d ms a look before, %d with it, %.0f %% of the time",
            self.digest[:12],
            found.matched,
            found.boxes,
            len(found.new_ms),
            *found.pace_ms,
            100 * found.load,
        )
        return "not wanted any more" if self._given_up.is_set() else found.fault()
