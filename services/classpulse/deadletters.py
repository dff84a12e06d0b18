"""deadletters.v1 → operator: what could not be read, and another turn for it.

A letter's id is its offset. A record that is published again is what lay on its topic, byte for byte: key, headers, partition
and payload are read there, not in the letter. That it was is told by a `Retried` in the same atomic step.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from classpulse.bus.base import Bus, Place
from classpulse.clock import Clock, rfc3339
from classpulse.codec import Outgoing, Stored, decode, encode, header
from classpulse.errors import BadInput, InvalidRecord, RecordTooLarge
from classpulse.reading import stored_records
from classpulse.records import DeadLetter, Record, Retried
from classpulse.topics import DEAD_LETTERS, TOPICS

WRITER = "operator"
SLOT = "dead-letters"
OF_THEIR_MOMENT = ("RoomPlan", "Idle", "Hole")
"""Nouns without a sequence: told again later they would change what is in force then."""


@dataclass(frozen=True)
class Letter:
    """A dead letter, and when its record was published again (None: never)."""

    id: int
    noun: DeadLetter
    retried_at_ms: int | None

    @property
    def where(self) -> str:
        """Where the record lay: `topic/partition@offset`."""
        return f"{self.noun.topic}/{self.noun.partition}@{self.noun.offset}"


@dataclass(frozen=True)
class Attempt:
    """What came of a retry; `refused` says why the record was not published again, None where it was."""

    letter: Letter
    refused: str | None


def letters(bus: Bus, *, topic: str | None = None, reason: str | None = None) -> Iterator[Letter]:
    """The dead letters there are, oldest first; only those of a topic (its full name) or for a reason, where given."""
    retried = _retried(bus)
    for offset, noun in _nouns(bus):
        if isinstance(noun, DeadLetter) and topic in (None, noun.topic) and reason in (None, noun.reason):
            yield Letter(offset, noun, retried.get(offset))


def letters_named(bus: Bus, ids: Iterable[int]) -> Iterator[Letter]:
    """The letters of these ids, in their order, each read when its turn comes. Raises BadInput naming every id that is none's."""
    wanted = list(dict.fromkeys(ids))
    if faults := [f"id = {id_}: no dead letter; expected one that `list` shows" for id_ in wanted if not _at(bus, id_)]:
        raise BadInput(faults)
    retried = _retried(bus)
    for id_ in wanted:
        if noun := _at(bus, id_):
            yield Letter(id_, noun, retried.get(id_))


def original(bus: Bus, letter: DeadLetter) -> Stored | str:
    """The record as it lies on its topic, or why it cannot be had."""
    topic = TOPICS.get(letter.topic)
    if topic is None:
        return f"{letter.topic} is no topic of this version"
    if topic.pictures:
        return f"{letter.topic} holds pictures, of which nothing is kept or published again"
    place = Place(letter.topic, letter.partition)
    record = next(iter(bus.fetch(place, letter.offset, max_records=1, max_bytes=1)), None)
    if record is None or record.offset != letter.offset:
        return "its record is gone"
    if (record.key, record.value) != (letter.key, letter.payload):
        return "another record lies in its place now"
    return record


def retry(bus: Bus, clock: Clock, ids: Iterable[int] | None, *, reason: str | None = None) -> Iterator[Attempt]:
    """Publish the records of these letters again, each in a step of its own; None: of all that never were, with `reason`.

    A later retry by anybody fences this one (Fenced), and knows what this one did: nothing is published twice. Raises
    BadInput, before anything is published, for an id that is none's.
    """
    member = bus.member(WRITER, [], slot=SLOT)
    try:
        if ids is None:
            ids = [letter.id for letter in letters(bus, reason=reason) if letter.retried_at_ms is None]
        for letter in letters_named(bus, ids):
            found = _retriable(bus, letter)
            if isinstance(found, Stored):
                now_ms = clock.now_ms()
                mark = Retried(letter=letter.id, topic=found.topic, at_ms=now_ms)
                try:
                    member.commit([_again(found), encode(mark, topic=DEAD_LETTERS, at_ms=now_ms)], {})
                except RecordTooLarge as error:
                    found = error.detail
            yield Attempt(letter, found if isinstance(found, str) else None)
    finally:
        member.close()


def _retriable(bus: Bus, letter: Letter) -> Stored | str:
    """The record to be published again, or why it is not to be."""
    if letter.retried_at_ms is not None:
        return f"was retried at {rfc3339(letter.retried_at_ms)}; had it failed again, it would have a letter of its own"
    found = original(bus, letter.noun)
    if isinstance(found, str):
        return found
    if TOPICS[found.topic].cleanup == "compact":
        return f"{found.topic} keeps the latest of each key, whose place it would take"
    kind = (header(found, "ce_type") or b"").decode(errors="replace").split(".")
    if noun := next((name for name in OF_THEIR_MOMENT if name in kind), None):
        return f"{noun} was said for its own moment, and would change what holds now"
    return found


def _again(record: Stored) -> Outgoing:
    return Outgoing(record.topic, record.partition, record.key, record.value, record.headers)


def _retried(bus: Bus) -> dict[int, int]:
    """When the records of which letters were published again."""
    return {noun.letter: noun.at_ms for _, noun in _nouns(bus) if isinstance(noun, Retried)}


def _at(bus: Bus, id_: int) -> DeadLetter | None:
    """The letter at an offset."""
    record = next(iter(bus.fetch(Place(DEAD_LETTERS.name, 0), id_, max_records=1, max_bytes=1)), None)
    noun = None if record is None or record.offset != id_ else _noun(record)
    return noun if isinstance(noun, DeadLetter) else None


def _nouns(bus: Bus) -> Iterator[tuple[int, Record | None]]:
    """(offset, noun) of everything on the topic."""
    return ((record.offset, _noun(record)) for record in stored_records(bus, DEAD_LETTERS, 0))


def _noun(record: Stored) -> Record | None:
    """What a record says; None where it cannot be read."""
    try:
        return decode(record)
    except InvalidRecord:
        return None
