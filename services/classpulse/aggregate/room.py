"""aggregate, the room: its cameras' stories meet here, and only here, as buckets with a watermark.

**Watermark.** A camera that holds the room (expected, and not `off` for all that is known) says how far its story has come; the
room has come as far as the slowest, less LAG_MS. Buckets before the watermark are final and leave this room for good. A camera that is
behind holds them for FINALITY_LIMIT_MS at most. When nobody holds the room any more (the last camera went `off`, or left
the plan), every bucket up to the last told time is final at once.

**Late.** What a record counts (frames, missing ones, confirmed events) is never lost: where its own bucket is final, or is
closed for its camera because that camera itself has told a time more than LAG_MS beyond it, the count goes to the oldest
bucket still open. Time (due, observed, people) is never moved: a final bucket stays as it is. Except for the limit above,
`Idle` and cameras that were `off`, "final" depends on a camera's own story only, so interleaving changes nothing.

**Provisional.** An open bucket that a record changed is published anew when the room's clock (the latest time any camera
told) has reached another second of event time since its last revision; and when nobody holds the room, so that nothing
counted waits for a time that may never come.
"""

import sys
from collections.abc import Iterator
from heapq import merge
from typing import Literal, NamedTuple

import msgspec

from classpulse.aggregate.buckets import Grid, Part, joined
from classpulse.aggregate.camera_story import Story
from classpulse.aggregate.facts import Counted, Fact, Happened, Missed, Passed, Watched
from classpulse.aggregate.intervals import Run, extend, within
from classpulse.aggregate.rules import rules_of
from classpulse.records import BehaviourEvent, Idle, Record, RoomConfig, RoomPlan, Rule, TimelineBucket, Told

LAG_MS = 2_000
FINALITY_LIMIT_MS = 24 * 60 * 60 * 1000
DEFAULT_BUCKET_MS = 10_000
LONGEST_LAID_MS = 10 * 60 * 1000
"""One record lays time and counts over no more than this, bucket by bucket: a bound on state and time.

Longer stretches in which nothing was heard are kept as one run.
"""
REVISED_PER_RECORD = 2
"""A record that changes more buckets than this (a long silence) revises the newest ones only."""


PieceName = tuple[Literal["frontier", "plan"]] | tuple[Literal["camera"], str] | tuple[Literal["part"], int, str]
"""Of state: how far the room has come, its plan, a camera's story and its part of the newest bucket it told of, a camera's part
of an older bucket."""


class Publication(NamedTuple):
    """An output on its way out: the noun, its event time, and the trace of the frame behind it."""

    noun: BehaviourEvent | TimelineBucket
    at_ms: int
    trace: str | None


class Frontier(msgspec.Struct, array_like=True):
    """How far a room has come.

    `final_until_ms`: buckets before it are final. `unseen`: per camera, long stretches in which it was due and nothing was heard
    of it.
    """

    final_until_ms: int = 0
    grid: Grid = msgspec.field(default_factory=lambda: Grid([(0, DEFAULT_BUCKET_MS)]))
    unseen: dict[str, list[Run]] = {}


class Room:
    """One room's aggregation. `changed` names the pieces of state that are no longer as they were written last.

    `plan` None: nobody planned this room, its cameras are those heard of. `owing`: there are final buckets to publish.
    `newest`: the start of the newest bucket that each camera has a part of. `clock_ms`: the latest time any camera told.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.frontier = Frontier()
        self.plan: RoomPlan | None = None
        self.stories: dict[str, Story] = {}
        self.parts: dict[int, dict[str, Part]] = {}
        self.newest: dict[str, int] = {}
        self.clock_ms = 0
        self.changed: set[PieceName] = set()
        self.config = RoomConfig(room=key)
        self.rules: dict[str, Rule] = rules_of(self.config)
        self.owing = False
        self._stale: set[int] = set()

    def resume(self) -> None:
        """Go on from pieces that were put back: derive what follows from them."""
        self._go_by(self.plan)
        self.clock_ms = max((story.high_ms or 0 for story in self.stories.values()), default=0)
        self.newest = {camera: start_ms for start_ms in sorted(self.parts) for camera in self.parts[start_ms]}
        self.owing = next(self._due_out(), None) is not None
        self._stale = {start_ms for start_ms in self.parts if start_ms >= self.frontier.final_until_ms}

    def take(self, noun: Record) -> list[Publication]:
        """One record of the room's input: what is to be published because of it, but for final buckets (see `finals`)."""
        held = bool(self._holders())
        match noun:
            case RoomPlan():
                published = self._planned(noun)
            case Idle():
                story = self.stories.get(noun.camera)
                published = [] if story is None else self._told(story, noun)
            case Told():
                published = self._told(self._story(noun.camera), noun)
            case _:
                raise TypeError(
                    f"{type(noun).__name__} is no part of a room's story; expected a Told, RoomPlan or Idle"
                )
        return published + self._settle(held)

    def explain(self, reason: str, camera: str | None = None) -> None:
        """The next hole of this camera (None: of any camera of the room) has this reason."""
        for story in list(self.stories.values()) if camera is None else [self._story(camera)]:
            story.hole_reason = reason
            self.changed.add(("camera", story.camera))

    def finals(self, most: int) -> list[Publication]:
        """The buckets that became final since they were asked for last, at most so many; `owing` says if more are due."""
        published: list[Publication] = []
        if self.owing:
            for start_ms, end_ms in self._due_out():
                if len(published) == most:
                    return published
                published.append(Publication(self._bucket(start_ms, end_ms, final=True), end_ms, None))
                self._forget(start_ms, end_ms)
            self.owing = False
            if self.frontier.grid.forget(self.frontier.final_until_ms):
                self.changed.add(("frontier",))
        return published

    def owed(self) -> tuple[str, int] | None:
        """(the camera that told most, start of the first final bucket still to be published); None where none is owed."""
        first = next(self._due_out(), None) if self.owing else None
        told = max(((story.high_ms or 0, camera) for camera, story in self.stories.items()), default=None)
        return None if first is None or told is None else (told[1], first[0])

    def _go_by(self, plan: RoomPlan | None) -> None:
        """Rules and lengths count from the next frame and span on; views for every bucket not yet final."""
        self.plan = plan
        self.config = plan.config if plan is not None else RoomConfig(room=self.key)
        self.rules = rules_of(self.config)

    def _holders(self) -> list[Story]:
        """The cameras a bucket waits for."""
        plan = self.plan
        if plan is not None and plan.cameras:
            return [story for camera in plan.cameras if (story := self.stories[camera]).holds]
        return [story for story in self.stories.values() if story.holds and story.high_ms is not None]

    def _story(self, camera: str) -> Story:
        if camera not in self.stories:
            self.stories[camera] = Story(camera)
        return self.stories[camera]

    def _told(self, story: Story, noun: Told | Idle) -> list[Publication]:
        """Read one record of a camera's story (or of its silence) and enter its facts."""
        closed_ms = 0 if story.high_ms is None else story.high_ms - LAG_MS
        facts = story.idle(noun.at_ms) if isinstance(noun, Idle) else story.read(noun, self.rules)
        self.changed.add(("camera", story.camera))
        return self._enter(story.camera, facts, closed_ms)

    def _enter(self, camera: str, facts: list[Fact], closed_ms: int) -> list[Publication]:
        """Write facts into the camera's parts of buckets; counts go no earlier than `closed_ms` and what is final."""
        self.clock_ms = max(self.clock_ms, self.stories[camera].high_ms or 0)
        published: list[Publication] = []
        touched: set[int] = set()
        open_ms = max(closed_ms, self.frontier.final_until_ms)
        for fact in facts:
            match fact:
                case Counted():
                    self._part(camera, max(fact.at_ms, open_ms), touched).count_frame(fact.model)
                case Missed():
                    for at_ms, frames in self._spread(fact):
                        self._part(camera, max(at_ms, open_ms), touched).count_missing(fact.reason, frames)
                case Passed():
                    self._lay_passed(camera, fact, touched)
                case Watched():
                    for start_ms, end_ms in self._laid(fact.start_ms, fact.end_ms):
                        self._part(camera, start_ms, touched).lay_seen(start_ms, end_ms, fact.people)
                case Happened():
                    if fact.event.phase == "started":
                        self._part(camera, max(fact.at_ms, open_ms), touched).count_event(fact.event.behaviour)
                    published.append(Publication(fact.event, fact.at_ms, fact.trace))
        return published + self._revised(camera, touched)

    def _lay_passed(self, camera: str, fact: Passed, touched: set[int]) -> None:
        """Due time goes into the parts; time that was `off` only makes sure that the bucket exists."""
        start_ms = max(fact.start_ms, self.frontier.final_until_ms)
        if fact.end_ms - start_ms > LONGEST_LAID_MS:
            if fact.due:
                extend(self.frontier.unseen.setdefault(camera, []), start_ms, fact.end_ms)
                self.changed.add(("frontier",))
            return
        for piece_start_ms, piece_end_ms in self._laid(start_ms, fact.end_ms):
            part = self._part(camera, piece_start_ms, touched)
            if fact.due:
                part.lay_due(piece_start_ms, piece_end_ms)

    def _laid(self, start_ms: int, end_ms: int) -> Iterator[Run]:
        """The open part of a stretch of time, bucket by bucket."""
        start_ms = max(start_ms, self.frontier.final_until_ms)
        while start_ms < end_ms:
            piece_end_ms = min(end_ms, self.frontier.grid.around(start_ms)[1])
            yield start_ms, piece_end_ms
            start_ms = piece_end_ms

    def _spread(self, fact: Missed) -> Iterator[tuple[int, int]]:
        """Missing frames by bucket: (a time in it, how many); frame i of n is at first + (last - first) * i // (n - 1).

        What was missed over more than LONGEST_LAID_MS is counted in the last of it.
        """
        first_ms = max(fact.first_ms, fact.last_ms - LONGEST_LAID_MS)
        length_ms, gaps = fact.last_ms - first_ms, max(1, fact.frames - 1)
        at_ms, before = first_ms, 0
        while before < fact.frames:
            end_ms = self.frontier.grid.around(at_ms)[1]
            inside = -(-(end_ms - first_ms) * gaps // length_ms) if end_ms <= fact.last_ms else fact.frames
            if inside > before:
                yield at_ms, inside - before
            at_ms, before = end_ms, max(inside, before)

    def _part(self, camera: str, at_ms: int, touched: set[int]) -> Part:
        start_ms, end_ms = self.frontier.grid.around(at_ms)
        bucket = self.parts.setdefault(start_ms, {})
        if camera not in bucket:
            bucket[camera] = Part(start_ms, end_ms)
        touched.add(start_ms)
        self._stale.add(start_ms)
        self._keep(start_ms, camera)
        return bucket[camera]

    def _keep(self, start_ms: int, camera: str) -> None:
        """A part changed. The newest, which nearly every record changes, is written with the camera's story."""
        newest_ms = self.newest.get(camera)
        if newest_ms is not None and start_ms != newest_ms:
            self.changed.add(("part", min(start_ms, newest_ms), camera))
        if newest_ms is None or start_ms >= newest_ms:
            self.newest[camera] = start_ms
            self.changed.add(("camera", camera))

    def _revised(self, camera: str, touched: set[int]) -> list[Publication]:
        """Provisional buckets, at most one a second of event time each."""
        second = self.clock_ms // 1000
        newest = sorted(touched)[-REVISED_PER_RECORD:]
        return [self._revision(start_ms, camera) for start_ms in newest if second > self._last_revision(start_ms)[1]]

    def _revision(self, start_ms: int, camera: str) -> Publication:
        """The bucket as it is now; a camera that has a part of it remembers which revision that was."""
        part = self.parts[start_ms][camera]
        bucket = self._bucket(start_ms, part.end_ms, final=False)
        part.revision, part.revised_s = bucket.revision, self.clock_ms // 1000
        self._keep(start_ms, camera)
        self._stale.discard(start_ms)
        return Publication(bucket, self.clock_ms, None)

    def _last_revision(self, start_ms: int) -> tuple[int, int]:
        """(the bucket's revision published last, the second of event time it was published in); -1 where none was."""
        parts = self.parts.get(start_ms, {}).values()
        return max(((part.revision, part.revised_s) for part in parts), default=(-1, -1))

    def _bucket(self, start_ms: int, end_ms: int, *, final: bool) -> TimelineBucket:
        unseen = {c: within(runs, start_ms, end_ms) for c, runs in self.frontier.unseen.items()}
        return joined(
            self.key,
            (start_ms, end_ms),
            self.parts.get(start_ms, {}),
            unseen={camera: runs for camera, runs in unseen.items() if runs},
            views=self.config.views,
            revision=self._last_revision(start_ms)[0] + 1,
            final=final,
        )

    def _planned(self, plan: RoomPlan) -> list[Publication]:
        """Another plan: cameras join and leave, another length of bucket begins behind everything told so far."""
        before = self.plan
        published = self.finals(sys.maxsize)  # what is final is joined by the plan it became final under
        self._go_by(plan)
        self.changed |= {("frontier",), ("plan",)}
        if self.frontier.grid.steps[-1][1] != plan.bucket_ms:
            self._regrid(plan.bucket_ms)
        for camera in sorted({**(before.cameras if before else self.stories), **plan.cameras}):
            earlier = None if before is None else before.cameras.get(camera)
            joins = earlier is None or (earlier == "complete" and plan.cameras.get(camera) == "live")
            if camera not in plan.cameras:
                facts = self._story(camera).leave()
            else:
                facts = self._expected(camera, plan, joins=joins, heard=before is None and camera in self.stories)
            self.changed.add(("camera", camera))
            published += self._enter(camera, facts, 0)
        return published

    def _expected(self, camera: str, plan: RoomPlan, *, joins: bool, heard: bool) -> list[Fact]:
        """A camera of the plan: it joins (`heard`: it was heard of before there was one), or its timetable has turned."""
        story, live = self._story(camera), plan.cameras[camera] == "live"
        if joins and not heard:
            return story.expect(
                plan.at_ms if live and plan.due else None, "off" if live and not plan.due else "connecting"
            )
        if not live:
            story.forget_turns()
            return []
        for at_ms, due in ((plan.at_ms, plan.due),) if heard else plan.turns:
            story.turn(at_ms, due)
        return []

    def _regrid(self, bucket_ms: int) -> None:
        """Another length of bucket, from behind everything that was told or counted so far."""
        frontier = self.frontier
        if self.clock_ms == 0 and not self.parts:
            frontier.grid = Grid([(0, bucket_ms)])
            return
        ends = [part.end_ms for bucket in self.parts.values() for part in bucket.values()]
        frontier.grid.change(max([frontier.final_until_ms, frontier.grid.around(self.clock_ms)[1], *ends]), bucket_ms)

    def _settle(self, held: bool) -> list[Publication]:
        """Move the line before which buckets are final; `held`: whether any camera held the room before this record.

        Gives revisions of the buckets that stay open though nobody holds the room.
        """
        frontier = self.frontier
        holders = self._holders()
        told_ms = [story.high_ms for story in holders]
        reached_ms = min((ms or 0 for ms in told_ms), default=self.clock_ms)
        until_ms = max(reached_ms - LAG_MS, self.clock_ms - FINALITY_LIMIT_MS, 0)
        final_until_ms = frontier.grid.around(until_ms)[0]
        if held and not holders:
            final_until_ms = max(final_until_ms, self._last_told())
        if final_until_ms > frontier.final_until_ms:
            frontier.final_until_ms = final_until_ms
            self.changed.add(("frontier",))
            self.owing = True
            self._stale = {start_ms for start_ms in self._stale if start_ms >= final_until_ms}
        if holders:
            return []
        return [self._revision(start_ms, min(self.parts[start_ms])) for start_ms in sorted(self._stale)]

    def _last_told(self) -> int:
        """The end of the bucket that holds the latest time told, or its start where nothing is known of it."""
        start_ms, end_ms = self.frontier.grid.around(self.clock_ms)
        silent = any(end > start_ms for runs in self.frontier.unseen.values() for _, end in runs)
        return end_ms if silent or start_ms in self.parts else start_ms

    def _due_out(self) -> Iterator[Run]:
        """The buckets that are final and still here, in time order."""
        until_ms = self.frontier.final_until_ms
        laid = sorted(
            (start, next(iter(parts.values())).end_ms) for start, parts in self.parts.items() if start < until_ms
        )
        unseen = [self._walk(run, until_ms) for runs in self.frontier.unseen.values() for run in runs]
        last_ms = -1
        for start_ms, end_ms in merge(laid, *unseen):
            if start_ms > last_ms:
                yield start_ms, end_ms
            last_ms = start_ms

    def _walk(self, run: Run, until_ms: int) -> Iterator[Run]:
        start_ms = run[0]
        while start_ms < min(run[1], until_ms):
            bucket = self.frontier.grid.around(start_ms)
            yield bucket
            start_ms = bucket[1]

    def _forget(self, start_ms: int, end_ms: int) -> None:
        """A final bucket leaves the room's state."""
        for camera in self.parts.pop(start_ms, ()):
            if self.newest.get(camera) == start_ms:
                del self.newest[camera]
                self.changed.add(("camera", camera))
            self.changed.add(("part", start_ms, camera))
        self._stale.discard(start_ms)
        unseen = self.frontier.unseen
        for camera, runs in list(unseen.items()):
            if runs[0][0] < end_ms:
                self.changed.add(("frontier",))
                unseen[camera] = [(max(start, end_ms), end) for start, end in runs if end > end_ms]
                if not unseen[camera]:
                    del unseen[camera]
