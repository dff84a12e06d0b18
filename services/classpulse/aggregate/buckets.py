"""aggregate, third leg: what each camera saw in one bucket → the room's TimelineBucket. Exact in integer milliseconds.

A camera's part of a bucket is a handful of step functions. Cameras of a room that see the same people (`overlapping`)
take the maximum at every millisecond; cameras that see different people (`disjoint`) add up.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from classpulse.aggregate.intervals import Level, Run, extend, extend_level, measure, overlay, union, without
from classpulse.records import BehaviourTotals, TimelineBucket, Views


class Grid(msgspec.Struct):
    """Where buckets begin and end: `(from_ms, bucket_ms)` in time order; each length applies until the next begins.

    Buckets are aligned to the epoch; only the last before a change of length may be short.
    """

    steps: list[tuple[int, int]]

    def around(self, at_ms: int) -> Run:
        """The bucket `[start_ms, end_ms)` that holds a moment."""
        place = len(self.steps) - 1
        while place and at_ms < self.steps[place][0]:
            place -= 1
        from_ms, bucket_ms = self.steps[place]
        start_ms = at_ms - at_ms % bucket_ms
        until_ms = self.steps[place + 1][0] if place + 1 < len(self.steps) else start_ms + bucket_ms
        if at_ms < from_ms:
            return start_ms, min(start_ms + bucket_ms, from_ms)  # before all that is left of the grid: all final
        return max(start_ms, from_ms), min(start_ms + bucket_ms, until_ms)

    def change(self, from_ms: int, bucket_ms: int) -> None:
        """Another length from `from_ms` on (the end of a bucket); forgets nothing before it."""
        self.steps = [step for step in self.steps if step[0] < from_ms] or self.steps[:1]
        if self.steps[-1][1] != bucket_ms:
            self.steps.append((from_ms, bucket_ms))

    def forget(self, before_ms: int) -> bool:
        """Drop lengths that ended before `before_ms`; True when there were any."""
        live = [place for place, step in enumerate(self.steps) if step[0] <= before_ms]
        if not live or live[-1] == 0:
            return False
        del self.steps[: live[-1]]
        return True


class Part(msgspec.Struct, array_like=True):
    """What one camera saw, and missed, in one bucket.

    `people`: per behaviour how many were seen when. `missing`: captured frames that never became detections, by reason.
    `revision`: the room's bucket that was published last because of this camera, in second `revised_s` of event time; -1: none.
    """

    start_ms: int
    end_ms: int
    due: list[Run] = []
    observed: list[Run] = []
    people: dict[str, list[Level]] = {}
    frames: int = 0
    missing: dict[str, int] = {}
    models: list[str] = []
    events: dict[str, int] = {}
    revision: int = -1
    revised_s: int = -1

    def lay_due(self, start_ms: int, end_ms: int) -> None:
        """Somebody was to be observed."""
        extend(self.due, start_ms, end_ms)

    def lay_seen(self, start_ms: int, end_ms: int, people: Mapping[str, int]) -> None:
        """A frame spoke for this time and showed so many people in each behaviour."""
        extend(self.observed, start_ms, end_ms)
        for behaviour, count in people.items():
            extend_level(self.people.setdefault(behaviour, []), start_ms, end_ms, count)

    def count_frame(self, model: str) -> None:
        """One frame is in the timeline."""
        self.frames += 1
        if model not in self.models:
            self.models.append(model)

    def count_missing(self, reason: str, frames: int) -> None:
        """Captured frames are not in the timeline."""
        self.missing[reason] = self.missing.get(reason, 0) + frames

    def count_event(self, behaviour: str) -> None:
        """An event was confirmed."""
        self.events[behaviour] = self.events.get(behaviour, 0) + 1


def joined(
    room: str,
    span: Run,
    parts: Mapping[str, Part],
    *,
    unseen: Mapping[str, Sequence[Run]],
    views: Views,
    revision: int,
    final: bool,
) -> TimelineBucket:
    """The room's bucket from its cameras' parts, and from time in which a camera was due though nothing was heard of it."""
    due, observed = _times(parts, unseen)
    names = sorted({name for part in parts.values() for name in (*part.people, *part.events)})
    every_due = union(run for runs in due.values() for run in runs)
    return TimelineBucket(
        room=room,
        start_ms=span[0],
        end_ms=span[1],
        behaviours={name: _totals(name, parts, views) for name in names},
        due_ms=measure(every_due),
        observed_ms=_observed_ms(due, observed, every_due, views),
        frames=sum(part.frames for part in parts.values()),
        missing=_added(part.missing for part in parts.values()),
        models=tuple(sorted({model for part in parts.values() for model in part.models})),
        revision=revision,
        final=final,
    )


def _times(
    parts: Mapping[str, Part], unseen: Mapping[str, Sequence[Run]]
) -> tuple[dict[str, list[Run]], dict[str, list[Run]]]:
    """Per camera (due, observed); what was observed was due."""
    observed = {camera: part.observed for camera, part in parts.items()}
    due = {
        camera: union(
            [*(parts[camera].due if camera in parts else ()), *observed.get(camera, ()), *unseen.get(camera, ())]
        )
        for camera in {**parts, **unseen}
    }
    return due, observed


def _observed_ms(
    due: Mapping[str, Sequence[Run]], observed: Mapping[str, Sequence[Run]], every_due: Sequence[Run], views: Views
) -> int:
    """Overlapping: one camera that sees is enough. Disjoint: every camera that is due must see."""
    if views == "overlapping":
        return measure(union(run for runs in observed.values() for run in runs))
    blind = union(run for camera, runs in due.items() for run in without(runs, observed.get(camera, ())))
    return measure(every_due) - measure(blind)


def _totals(behaviour: str, parts: Mapping[str, Part], views: Views) -> BehaviourTotals:
    levels = [part.people.get(behaviour, []) for part in parts.values()]
    person_ms, peak = overlay(levels, max if views == "overlapping" else sum)
    return BehaviourTotals(events=_events(behaviour, parts, views), person_ms=person_ms, peak=peak)


def _events(behaviour: str, parts: Mapping[str, Part], views: Views) -> int:
    """Disjoint: all. Overlapping: those of the camera that saw most of it; of equals the one with more events."""
    if views == "disjoint":
        return sum(part.events.get(behaviour, 0) for part in parts.values())
    ranked = [
        (sum((end - start) * n for start, end, n in part.people.get(behaviour, ())), part.events.get(behaviour, 0))
        for part in parts.values()
    ]
    return max(ranked)[1]


def _added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for one in counts:
        for reason, frames in one.items():
            total[reason] = total.get(reason, 0) + frames
    return total
