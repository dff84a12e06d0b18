"""Contract: whatever members do in whatever order, the bus agrees with a model of lists and numbers."""

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classpulse.bus.base import Member, Place
from classpulse.codec import Stored
from classpulse.errors import Fenced
from tests.contracts.bus.desk import ROOMY, Desk, out

PARTITIONS = 3
GROUPS = 2


@dataclass
class Group:
    """What the model knows of a group with one member: how much of each partition it has polled and committed."""

    name: str
    member: Member
    polled: list[int] = field(default_factory=lambda: [0] * PARTITIONS)
    done: list[int] = field(default_factory=lambda: [0] * PARTITIONS)
    positions: dict[Place, int] = field(default_factory=dict)


class World:
    """The bus and its model side by side."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.topic = desk.topic(partitions=PARTITIONS)
        self.state = desk.compacted(partitions=1)
        self.log: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
        self.written: dict[str, bytes] = {}
        self.number = 0
        self.groups = [self._joined(desk.name()) for _ in range(GROUPS)]

    def step(self, group: Group, partitions: list[int], *, move: bool) -> None:
        """Commit a record to each of the partitions and a state, with or without what was polled."""
        made = [(partition, self._value()) for partition in partitions]
        state = self._value()
        outputs = [out(self.topic, value, partition=partition) for partition, value in made]
        group.member.commit([*outputs, out(self.state, state, key=group.name)], group.positions if move else {})
        for partition, value in made:
            self.log[partition].append(value)
        self.written[group.name] = state
        if move:
            group.done = list(group.polled)
            group.positions = {}

    def poll(self, group: Group, max_records: int) -> None:
        """What is polled must be the next of each partition, and something if there is something."""
        unread = sum(len(log) - polled for log, polled in zip(self.log, group.polled, strict=True))
        records = group.member.poll(max_records=max_records, max_bytes=ROOMY, timeout_ms=5_000 if unread else 0)
        assert bool(records) == bool(unread)
        assert len(records) <= max_records
        for record in records:
            self._check_next(group, record)
            group.positions[Place(record.topic, record.partition)] = record.offset + 1

    def rewind(self, group: Group) -> None:
        """Forget what was polled."""
        group.member.rewind()
        group.polled, group.positions = list(group.done), {}

    def restart(self, group: Group) -> None:
        """A new member takes over; the old one is a zombie from now on."""
        zombie = group.member
        self.desk.reopen()
        group.member = self.desk.member(group.name, [self.topic])
        group.polled, group.positions = list(group.done), {}
        with pytest.raises(Fenced):
            zombie.commit([out(self.topic, b"zombie")], {})

    def check(self) -> None:
        """At the end the bus holds what the model holds."""
        bus = self.desk.bus
        assert self.desk.all_values(self.topic) == dict(enumerate(self.log))
        assert {record.key: record.value for record in bus.latest(self.state)} == self.written
        for group in self.groups:
            unread = [value for log, done in zip(self.log, group.done, strict=True) for value in log[done:]]
            assert bus.lag(group.name, self.topic)[1] == sum(out(self.topic, value).size_bytes for value in unread)
            assert set(bus.positions(group.name, self.topic)) == {p for p in range(PARTITIONS) if group.done[p]}

    def _check_next(self, group: Group, record: Stored) -> None:
        assert record.value == self.log[record.partition][group.polled[record.partition]]
        assert record.offset >= group.positions.get(Place(record.topic, record.partition), 0)
        group.polled[record.partition] += 1

    def _joined(self, name: str) -> Group:
        return Group(name, self.desk.member(name, [self.topic]))

    def _value(self) -> bytes:
        self.number += 1
        return b"%d" % self.number


who = st.integers(0, GROUPS - 1)
where = st.lists(st.integers(0, PARTITIONS - 1), max_size=4)
moves = st.one_of(
    st.tuples(st.just("step"), who, where, st.booleans()),
    st.tuples(st.just("poll"), who, st.integers(1, 4)),
    st.tuples(st.just("rewind"), who),
    st.tuples(st.just("restart"), who),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=st.lists(moves, min_size=1, max_size=25))
def test_any_interleaving_of_steps_polls_rewinds_and_restarts_agrees_with_the_model(
    desk: Desk, story: list[tuple[object, ...]]
) -> None:
    world = World(desk)
    for move, group_number, *rest in story:
        tell(world, str(move), world.groups[int(str(group_number))], rest)
    world.check()


def tell(world: World, move: str, group: Group, rest: list[object]) -> None:
    """Let one thing happen."""
    match move, rest:
        case "step", [list(partitions), bool(moved)]:
            world.step(group, partitions, move=moved)
        case "poll", [int(max_records)]:
            world.poll(group, max_records)
        case "rewind", _:
            world.rewind(group)
        case _:
            world.restart(group)
