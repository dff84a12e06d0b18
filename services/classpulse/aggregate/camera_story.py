"""aggregate, second leg: one camera's ordered story → facts: what was seen, missed and due, and events.

A camera is read in (epoch, sequence) order. An old sequence is a duplicate and says nothing; a hole is counted with the
reason that was told for it; the first record of a higher epoch supersedes all lower ones. Nothing here looks at another
camera, a bucket or a clock, so a camera's facts depend on its own story alone, however it was batched or interleaved.

What happened last says whether somebody is due: a word of the camera, or a turn of its room's timetable, which is told beside the
story: where the camera says nothing when a lesson begins or ends (its ingest is dead), it is due from then on, or no longer.

Two times: `told_ms` is the story's own clock within its epoch (spans and events go by it); `high_ms` is the latest time
ever told, over all epochs. Coverage and due time are only ever added behind `high_ms`: where a new epoch begins earlier
(a camera clock that jumped back) its frames and events count, but no millisecond is covered twice.
"""

from typing import NamedTuple

import msgspec

from classpulse.aggregate.facts import Counted, Fact, Happened, Missed, Passed, Watched
from classpulse.aggregate.spans import Span, follow, grow, over, silence
from classpulse.aggregate.told import first_ms, last_ms, sequences
from classpulse.codec import frame_trace
from classpulse.records import (
    BehaviourEvent,
    CameraState,
    Detection,
    Dropped,
    FrameDetections,
    Heartbeat,
    Hole,
    Phase,
    Rule,
    Told,
    room_of,
)

UNEXPLAINED = "lost_in_crash"
SUPERSEDED = "superseded"

STATE_HOLDS_MS = 24 * 60 * 60 * 1000
"""How long what was told last is believed without another word; what lies beyond has no record at all."""

LONGEST_INTERVAL_MS = 5 * 60 * 1000
"""A frame never speaks for longer than 1.5 times this, whatever sampling interval it claims."""

TURN_MS = 10_000
"""A camera that speaks so soon after the timetable's end is at work: the end is put off, by so long after its last word."""

PAST_EPOCHS = 16
"""So many superseded epochs are remembered, to count what of them comes late once; older ones are duplicates."""

_RANK = {"up": 0, "connecting": 1, "silent": 2, "off": 3}


class Speech(msgspec.Struct, array_like=True):
    """The newest frame speaks from its capture until the next record, at most until `until_ms`."""

    from_ms: int
    until_ms: int
    people: dict[str, int]


class Reading(NamedTuple):
    """One record being read: the rules it is read by, its time on the story's clock, the facts found so far."""

    rules: dict[str, Rule]
    at_ms: int
    facts: list[Fact]


class Story(msgspec.Struct, array_like=True):
    """Where one camera's story stands. `epoch` -1: nothing was heard of it yet.

    `since_ms`: a camera that was never heard of is due from here on (live cameras only). `past`: of superseded epochs,
    the sequence after the last one that was accounted for. `turns`: the timetable's beginnings (True) and ends (False) that no
    time told has passed yet; `turned`: the last one passed, unless the camera's own word `state` is from later; `turn_told_ms`: the
    latest one that was told.
    """

    camera: str
    epoch: int = -1
    next_sequence: int = 0
    told_ms: int = 0
    high_ms: int | None = None
    since_ms: int | None = None
    state: CameraState = "connecting"
    speech: Speech | None = None
    spans: list[Span] = []
    ordinals: dict[str, tuple[int, int]] = {}
    hole_reason: str | None = None
    newest_frame: tuple[int, int] = (0, 0)
    past: dict[int, int] = {}
    past_from: int = 0
    turns: list[tuple[int, bool]] = []
    turned: tuple[int, bool] | None = None
    turn_told_ms: int = 0

    @property
    def due(self) -> bool:
        """Whether somebody is to be observed here, as far as time was told."""
        return self.state != "off" if self.turned is None else self.turned[1]

    @property
    def holds(self) -> bool:
        """Whether somebody is due here, or will be by what is known already."""
        return self.due or any(due for _, due in self.turns)

    def read(self, noun: Told, rules: dict[str, Rule]) -> list[Fact]:
        """The facts of one record of this camera; none for what was told before."""
        if isinstance(noun, Hole):
            self.hole_reason = noun.reason
            return []
        if noun.epoch < self.epoch:
            return self._late(noun)
        if not self._is_new(noun):
            return []
        if isinstance(noun, FrameDetections):
            self.newest_frame = (noun.epoch, noun.sequence)
        facts: list[Fact] = []
        if self.turns:
            self._speaks(noun)
        if noun.epoch > self.epoch:
            self._begin(Reading(rules, first_ms(noun), facts), noun.epoch)
        reading = Reading(rules, max(first_ms(noun), self.told_ms), facts)
        match noun:
            case FrameDetections():
                self._frame(noun, reading)
            case Dropped():
                self._dropped(noun, reading)
            case Heartbeat():
                self._heartbeat(noun, reading)
        self.hole_reason = None
        return facts

    def expect(self, at_ms: int | None, state: CameraState = "connecting") -> list[Fact]:
        """The camera is part of its room's plan from `at_ms` on (None: since when somebody is due here only its own first word tells).

        `state`: until that word; one that is `off` is not waited for.
        """
        facts: list[Fact] = []
        if self.epoch < 0 and self.high_ms is None:
            self.since_ms, self.state = at_ms, state
        elif at_ms is not None and not self.due:
            self._cover(at_ms, facts)
            self._be("connecting", at_ms)
        return facts

    def turn(self, at_ms: int, due: bool) -> None:
        """At `at_ms` the room's timetable begins to want that its live cameras are observed, or no longer does; told once more: nothing."""
        if at_ms <= self.turn_told_ms:
            return
        self.turn_told_ms = at_ms
        if self.high_ms is None and self.since_ms is None:
            self.since_ms, self.state = (at_ms, "connecting") if due else (None, "off")
        elif due and self.turns and self.turns[-1][0] >= at_ms:  # the end before it is put off beyond it
            self.turns[-1] = (at_ms, due)
        else:
            self.turns.append((at_ms, due))

    def forget_turns(self) -> None:
        """No timetable says anything of this camera any more."""
        self.turns, self.turned = [], None

    def leave(self) -> list[Fact]:
        """The camera is no part of its room's plan any more: what was going on ends, and nobody is due here."""
        facts: list[Fact] = []
        self._end(list(self.spans), Reading({}, self.told_ms, facts))
        self.speech, self.state, self.since_ms = None, "off", None
        self.forget_turns()
        return facts

    def idle(self, at_ms: int) -> list[Fact]:
        """Nothing came though the wall clock reached `at_ms`: time passes, the story's own clock stands still."""
        facts: list[Fact] = []
        if self.high_ms is None:
            if self.since_ms is None or at_ms < self.since_ms:
                return facts
            self.high_ms = self.since_ms
        if at_ms > self.high_ms:
            self._pass(Reading({}, at_ms, facts))
        return facts

    def _is_new(self, noun: Told) -> bool:
        """Whether a record of this epoch or a higher one says anything that was not told before."""
        if noun.epoch > self.epoch:
            return True
        match noun:
            case FrameDetections():
                return noun.sequence >= self.next_sequence
            case Dropped():
                return noun.last_sequence >= self.next_sequence
            case Heartbeat():
                if noun.last_sequence != self.next_sequence - 1:
                    return noun.last_sequence >= self.next_sequence
                if noun.at_ms != self.told_ms:
                    return noun.at_ms > self.told_ms
                return _RANK[noun.state] > _RANK[self.state]  # at one instant the state only moves towards off
        return False

    def _begin(self, reading: Reading, epoch: int) -> None:
        """A higher epoch: what was going on ends, and the story's clock starts anew."""
        if self.high_ms is None:
            self.high_ms = reading.at_ms if self.since_ms is None else min(reading.at_ms, self.since_ms)
        self._pass(reading)
        self._end(list(self.spans), reading)
        if self.epoch >= 0:
            self.past[self.epoch] = self.next_sequence
        self._forget()
        self.epoch, self.next_sequence, self.told_ms = epoch, 0, reading.at_ms
        self.speech, self.ordinals = None, {}

    def _frame(self, noun: FrameDetections, reading: Reading) -> None:
        self._hole(noun.sequence, reading)
        self._pass(reading)
        self._step_to(noun.sequence + 1, reading.at_ms)
        counted = _by_behaviour(noun.detections)
        interval_ms = min(max(noun.interval_ms, 0), LONGEST_INTERVAL_MS)
        until_ms = reading.at_ms + 3 * interval_ms // 2
        if self.turned is not None:  # a turn that it came too late for
            until_ms = min(until_ms, self.turned[0])
        self.speech = Speech(reading.at_ms, until_ms, {name: len(seen) for name, seen in counted.items()})
        self._link(counted, noun.model, reading)
        self._confirm(reading)
        reading.facts.append(Counted(reading.at_ms, noun.model))

    def _dropped(self, noun: Dropped, reading: Reading) -> None:
        first = max(noun.first_sequence, self.next_sequence)
        self._hole(first, reading)
        self._pass(reading)
        ended_ms = max(noun.last_ms, reading.at_ms)
        self._step_to(noun.last_sequence + 1, ended_ms)
        self._pass(reading._replace(at_ms=ended_ms))
        reading.facts.append(Missed(reading.at_ms, ended_ms, noun.last_sequence + 1 - first, noun.reason))

    def _heartbeat(self, noun: Heartbeat, reading: Reading) -> None:
        self._hole(noun.last_sequence + 1, reading)
        self._pass(reading)
        if noun.state != "up" or noun.last_sequence >= self.next_sequence:
            self._step_to(max(self.next_sequence, noun.last_sequence + 1), reading.at_ms, noun.state)
        else:
            self.told_ms = reading.at_ms
            self._be(noun.state, reading.at_ms)
        if noun.state == "off":
            self._end(list(self.spans), reading)

    def _step_to(self, next_sequence: int, told_ms: int, state: CameraState = "up") -> None:
        """The camera gave frames up to here; the newest frame seen before speaks no longer."""
        self.next_sequence, self.told_ms = next_sequence, told_ms
        self._be(state, told_ms)
        self.speech = None
        silence(self.spans)

    def _speaks(self, noun: Told) -> None:
        """The camera has a word of its own: an end of the timetable just before it is put off, or not needed."""
        turn_ms, due = self.turns[0]
        if due or not turn_ms <= first_ms(noun) < turn_ms + TURN_MS:
            return
        del self.turns[0]
        if not (isinstance(noun, Heartbeat) and noun.state == "off"):
            self._put_off(last_ms(noun))

    def _put_off(self, spoke_ms: int) -> None:
        """The timetable's end comes so long after this word, unless the next lesson has begun by then."""
        if not self.turns or self.turns[0][0] > spoke_ms + TURN_MS:
            self.turns.insert(0, (spoke_ms + TURN_MS, False))

    def _be(self, state: CameraState, at_ms: int) -> None:
        """A word of its own; one from before the last turn of the timetable changes nothing of that."""
        self.state = state
        if self.turned is not None and self.turned[0] <= at_ms:
            if not self.turned[1] and state != "off":
                self._put_off(at_ms)
            self.turned = None

    def _hole(self, sequence: int, reading: Reading) -> None:
        """Sequences before `sequence` that nothing told of: taken evenly between the last time told and now."""
        frames = sequence - self.next_sequence
        if frames > 0:
            step_ms = (reading.at_ms - self.told_ms) // (frames + 1)
            reason = self.hole_reason or UNEXPLAINED
            reading.facts.append(Missed(self.told_ms + step_ms, reading.at_ms - step_ms, frames, reason))

    def _late(self, noun: Told) -> list[Fact]:
        """A record of a superseded epoch: what it tells of frames nobody told of before is counted, and nothing else."""
        known = self.past.get(noun.epoch, 0)
        first, last = sequences(noun)
        if last < known or noun.epoch < self.past_from:
            return []
        self.past[noun.epoch] = last + 1
        self._forget()
        at_ms = first_ms(noun)
        late = [(max(first, known) - known, UNEXPLAINED), (last + 1 - max(first, known), SUPERSEDED)]
        return [Missed(at_ms, at_ms, frames, reason) for frames, reason in late if frames > 0]

    def _forget(self) -> None:
        """Remember only the newest superseded epochs."""
        for old in sorted(self.past)[:-PAST_EPOCHS]:
            del self.past[old]
            self.past_from = old + 1

    def _pass(self, reading: Reading) -> None:
        """Time passes up to `reading.at_ms`, from one turn of the timetable to the next; at an end of it what was going on ends."""
        while self.turns and self.turns[0][0] <= reading.at_ms:
            turned = self.turns.pop(0)
            self._elapse(turned[0], reading)
            if turned[0] < self.told_ms:  # told late: a word of the camera is from later
                if not turned[1] and self.state != "off":
                    self._put_off(self.told_ms)
                continue
            self.turned = turned
            if not self.due:
                self.speech = None
                self._end(list(self.spans), reading)
        self._elapse(reading.at_ms, reading)

    def _elapse(self, at_ms: int, reading: Reading) -> None:
        """What the newest frame speaks for is covered; spans are confirmed or end."""
        self._cover(at_ms, reading.facts)
        if self.speech is not None:
            grow(self.spans, min(at_ms, self.speech.until_ms))
        if self.spans:
            self._confirm(reading)
            self._end(over(self.spans, at_ms), reading)

    def _cover(self, at_ms: int, facts: list[Fact]) -> None:
        """Due and observed time from the latest time told until now."""
        high_ms = self.high_ms
        if high_ms is None or at_ms > high_ms:
            self.high_ms = at_ms
        if high_ms is None or at_ms <= high_ms:
            return
        facts.append(Passed(high_ms, min(at_ms, high_ms + STATE_HOLDS_MS), self.due))
        if self.speech is not None:
            start_ms, end_ms = max(high_ms, self.speech.from_ms), min(at_ms, self.speech.until_ms)
            if end_ms > start_ms:
                facts.append(Watched(start_ms, end_ms, self.speech.people))

    def _link(self, counted: dict[str, list[Detection]], model: str, reading: Reading) -> None:
        for behaviour, seen in counted.items():
            rule = reading.rules.get(behaviour)
            if rule is not None:
                mine = [span for span in self.spans if span.behaviour == behaviour]
                ordinal = self._ordinal(behaviour, reading.at_ms)
                begun = follow(mine, seen, reading.at_ms, rule=rule, model=model, ordinal=ordinal)
                if begun:
                    self.ordinals[behaviour] = (reading.at_ms, ordinal + len(begun))
                    self.spans += begun

    def _ordinal(self, behaviour: str, at_ms: int) -> int:
        """The number of the next span that starts at this time (two frames may share one millisecond)."""
        start_ms, count = self.ordinals.get(behaviour, (at_ms, 0))
        return count if start_ms == at_ms else 0

    def _confirm(self, reading: Reading) -> None:
        for span in self.spans:
            if not span.confirmed and span.satisfied:
                span.confirmed = True
                reading.facts.append(self._happened(span, "started", reading.at_ms))

    def _end(self, spans: list[Span], reading: Reading) -> None:
        """Close spans; those never confirmed leave no trace."""
        if spans:
            reading.facts.extend(self._happened(span, "ended", reading.at_ms) for span in spans if span.confirmed)
            self.spans = [span for span in self.spans if not any(span is closed for closed in spans)]

    def _happened(self, span: Span, phase: Phase, at_ms: int) -> Happened:
        event = BehaviourEvent(
            id=f"{self.camera}/{self.epoch}/{span.behaviour}/{span.start_ms}/{span.ordinal}",
            room=room_of(self.camera),
            behaviour=span.behaviour,
            phase=phase,
            started_at_ms=span.start_ms,
            ended_at_ms=span.end_ms if phase == "ended" else None,
            model=span.model,
        )
        return Happened(event, at_ms, frame_trace(self.camera, *self.newest_frame))


def _by_behaviour(detections: tuple[Detection, ...]) -> dict[str, list[Detection]]:
    """What a frame shows, by behaviour: all of it counts, whatever its score."""
    found: dict[str, list[Detection]] = {}
    for one in detections:
        found.setdefault(one.behaviour, []).append(one)
    return found
