"""Contract: a step is atomic, bounded and fenced."""

import threading

import pytest

from classpulse.bus.base import MAX_IN_FLIGHT_BYTES, Place
from classpulse.errors import BadInput, Fatal, Fenced, RecordTooLarge
from classpulse.topics import Topic
from tests.contracts.bus.desk import Desk, after, out, poll_until, values


def test_an_empty_step_changes_nothing(desk: Desk) -> None:
    topic = desk.topic()

    desk.member(desk.name(), [topic]).commit([], {})

    assert all(end == (0, 0) for end in desk.bus.ends(topic).values())


def test_outputs_state_and_positions_of_a_step_are_there_together(desk: Desk) -> None:
    source, sink, state = desk.topic(), desk.topic(), desk.compacted()
    group = desk.name()
    desk.publish_values(source, [b"in"], partition=3)
    member = desk.member(group, [source])
    polled = poll_until(member, 1)

    member.commit([out(sink, b"made", partition=1), out(state, b"s", key="room", partition=1)], after(polled))

    assert desk.all_values(sink)[1] == [b"made"]
    assert values(desk.bus.latest(state)) == [b"s"]
    assert desk.bus.positions(group, source) == {3: polled[0].offset + 1}


@pytest.mark.parametrize("wrong", ["too large", "in flight", "no such partition", "not owned", "fenced"])
def test_of_a_refused_step_nothing_is_visible(desk: Desk, wrong: str) -> None:
    source, sink, state = desk.topic(), desk.topic(max_record_bytes=20 * 1024 * 1024), desk.compacted()
    group = desk.name()
    desk.publish_values(source, [b"in"], partition=0)
    desk.publish(out(state, b"old", key="room"))
    member = desk.member(group, [source], index=0, count=2)
    step = [out(sink, b"made"), out(state, b"new", key="room")]
    positions = after(poll_until(member, 1))
    half = b"x" * (MAX_IN_FLIGHT_BYTES // 2)
    extra, error = {
        "too large": ([out(sink, b"x" * (20 * 1024 * 1024 + 1))], RecordTooLarge),
        "in flight": ([out(sink, half), out(sink, half)], BadInput),
        "no such partition": ([out(sink, b"x", partition=9)], Fatal),
        "not owned": ([], Fatal),
        "fenced": ([], Fenced),
    }[wrong]
    if wrong == "not owned":
        positions = {**positions, not_owned(source, sink, member.assignment()): 1}
    if wrong == "fenced":
        desk.member(group, [source], index=0, count=2)

    with pytest.raises(error):
        member.commit([*step, *extra], positions)

    assert desk.all_values(sink)[0] == []
    assert values(desk.bus.latest(state)) == [b"old"]
    assert desk.bus.positions(group, source) == {}


def test_a_reader_never_sees_half_a_step(desk: Desk) -> None:
    """The writer's steps put number n into a log and into a state; whoever reads one then finds at least that in the other."""
    log, state = desk.topic(partitions=1), desk.compacted(partitions=1)
    publisher = desk.member(desk.name())
    seen: list[tuple[int, int]] = []
    done = threading.Event()

    def write() -> None:
        for number in range(150):
            publisher.commit([out(log, b"%d" % number), out(state, b"%d" % number, key="n")], {})
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        before = last_state(desk, state)
        logged = desk.bus.ends(log)[0][1]
        behind = last_state(desk, state)
        seen.append((before, behind))
        assert before < max(logged, 1)
        assert logged <= (behind + 1) * (1 + desk.row.holes_per_step)
    writer.join()

    assert values(desk.fetch_all(log)) == [b"%d" % n for n in range(150)]
    assert last_state(desk, state) == 149


def test_a_record_above_its_topics_limit_fails_alone(desk: Desk) -> None:
    topic = desk.topic(max_record_bytes=1000)
    member = desk.member(desk.name())
    fits, large = out(topic, b"fits"), out(topic, b"x" * 1001, key="big")

    with pytest.raises(RecordTooLarge, match=f"key 'big' for {topic.name}: 1004 bytes; expected at most 1000"):
        member.commit([fits, large], {})
    member.commit([fits], {})

    assert desk.all_values(topic)[0] == [b"fits"]


def test_a_record_of_exactly_the_limit_is_taken(desk: Desk) -> None:
    topic = desk.topic(max_record_bytes=1000)

    desk.publish(out(topic, b"x" * 990, key="k" * 6, headers=(("h", b"abc"),)))

    assert len(desk.fetch_all(topic)) == 1


def test_a_step_above_what_may_be_in_flight_is_refused_with_its_size(desk: Desk) -> None:
    topic = desk.topic(max_record_bytes=MAX_IN_FLIGHT_BYTES)
    member = desk.member(desk.name())
    part = out(topic, b"x" * (MAX_IN_FLIGHT_BYTES // 4), key="")

    with pytest.raises(BadInput, match=f"5 outputs: {5 * part.size_bytes} bytes in flight; expected at most"):
        member.commit([part] * 5, {})


def test_a_zombie_is_fenced_by_its_successor_and_the_successor_is_not(desk: Desk) -> None:
    topic, group = desk.topic(), desk.name()
    desk.publish_values(topic, [b"in"])
    zombie = desk.member(group, [topic], slot="a")
    polled = poll_until(zombie, 1)
    successor = desk.member(group, [topic], slot="a")

    with pytest.raises(Fenced, match=group):
        zombie.commit([out(topic, b"second voice")], after(polled))
    with pytest.raises(Fenced):
        zombie.commit([out(topic, b"second voice")], {})
    successor.commit([out(topic, b"made")], after(poll_until(successor, 1)))

    assert desk.all_values(topic)[0] == [b"in", b"made"]


def test_a_publisher_is_fenced_only_by_the_same_slot_and_group(desk: Desk) -> None:
    topic, group = desk.topic(), desk.name()
    publisher = desk.member(group, slot="camera-1")
    desk.member(group, slot="camera-2")
    desk.member(desk.name(), slot="camera-1")
    publisher.commit([out(topic, b"still here")], {})

    successor = desk.member(group, slot="camera-1")
    with pytest.raises(Fenced):
        publisher.commit([out(topic, b"zombie")], {})
    successor.commit([out(topic, b"next")], {})

    assert desk.all_values(topic)[0] == [b"still here", b"next"]


def test_a_closed_member_writes_nothing(desk: Desk) -> None:
    topic = desk.topic()
    member = desk.member(desk.name())
    member.close()

    with pytest.raises(Fatal, match="is closed; expected an open one"):
        member.commit([out(topic, b"x")], {})


def test_members_of_several_threads_publish_side_by_side(desk: Desk) -> None:
    topic = desk.topic(partitions=4)

    def camera(partition: int) -> None:
        member = desk.member("cameras", slot=f"{topic.name}/{partition}")
        for number in range(30):
            member.commit([out(topic, b"%d" % number, partition=partition)], {})

    threads = [threading.Thread(target=camera, args=(partition,)) for partition in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert desk.all_values(topic) == {p: [b"%d" % n for n in range(30)] for p in range(4)}


def last_state(desk: Desk, state: Topic) -> int:
    """The number in the state, -1 before the first step."""
    return int(next((r.value or b"" for r in desk.bus.latest(state, key="n")), b"-1"))


def not_owned(topic: Topic, other: Topic, owned: frozenset[Place]) -> Place:
    """A partition of another member; where the only member was given all of them, one of a topic it does not read."""
    places = [Place(topic.name, p) for p in range(topic.partitions)] + [Place(other.name, 0)]
    return next(place for place in places if place not in owned)
