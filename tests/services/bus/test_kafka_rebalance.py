"""What only Kafka does: partitions change hands while members live, die and freeze; a refused record; a broker that is away."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from kafka.admin import ConfigResource, ConfigResourceType

from classpulse.bus.base import Member, Place
from classpulse.bus.kafka_intake import POLL_RECORDS
from classpulse.codec import Stored
from classpulse.errors import Fatal, Fenced, RecordTooLarge, Recoverable
from classpulse.topics import Topic
from tests.brokers import running
from tests.contracts.bus.desk import BUSES, ROOMY, Desk, after, out, poll_until, values

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]

PARTITIONS = 4
TAKEN_OVER_WITHIN_S = 15.0
PATIENCE_S = 90.0
"""After so long a process that a test waits for is killed."""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(BUSES["kafka"], tmp_path)
    yield desk
    desk.close()


def fill(desk: Desk, topic: Topic, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        desk.publish_values(topic, [b"%d" % number], partition=number % PARTITIONS)


def turn(member: Member, timeout_ms: int = 100) -> list[Stored]:
    """One poll and its commit."""
    came = member.poll(max_records=64, max_bytes=ROOMY, timeout_ms=timeout_ms)
    if came:
        member.commit([], after(came))
    return came


def shared(members: list[Member], done: dict[str, int]) -> None:
    """Let the members take turns until each owns its share."""
    give_up = time.monotonic() + TAKEN_OVER_WITHIN_S
    while {len(m.assignment()) for m in members} != {PARTITIONS // len(members)}:
        assert time.monotonic() < give_up, [m.assignment() for m in members]
        for member in members:
            note(turn(member), done)


def note(came: list[Stored], done: dict[str, int]) -> None:
    for record in came:
        key = (record.value or b"").decode()
        done[key] = done.get(key, 0) + 1


def test_a_second_member_takes_its_share_and_every_record_is_done_once(desk: Desk) -> None:
    topic, group, done = desk.topic(partitions=PARTITIONS), desk.name(), dict[str, int]()
    first = desk.member(group, [topic], slot="a")
    fill(desk, topic, 8)
    while len(done) < 8:
        note(turn(first), done)
    assert first.handed_over() == frozenset()

    second = desk.member(group, [topic], slot="b")
    shared([first, second], done)
    fill(desk, topic, 8, first=8)
    give_up = time.monotonic() + TAKEN_OVER_WITHIN_S
    while len(done) < 16:
        assert time.monotonic() < give_up, sorted(done)
        for member in (first, second):
            note(turn(member), done)

    assert set(done.values()) == {1}
    assert not first.assignment() & second.assignment()
    assert first.handed_over() == second.assignment()
    assert second.handed_over() == frozenset()


def test_what_was_polled_from_a_partition_that_was_taken_away_is_not_given_again_by_the_first(desk: Desk) -> None:
    """Records that wait inside the first member when a partition leaves it belong to the second."""
    topic, group, done = desk.topic(partitions=PARTITIONS), desk.name(), dict[str, int]()
    first = desk.member(group, [topic], slot="a")
    for partition in range(PARTITIONS):
        desk.publish_values(topic, [b"%d-%d" % (partition, n) for n in range(20)], partition=partition)
    came = poll_until(first, 1, max_records=1)
    first.commit([], after(came))
    note(came, done)

    second = desk.member(group, [topic], slot="b")
    give_up = time.monotonic() + TAKEN_OVER_WITHIN_S
    while len(done) < 20 * PARTITIONS:
        assert time.monotonic() < give_up, len(done)
        for member in (first, second):
            polled = member.poll(max_records=3, max_bytes=ROOMY, timeout_ms=100)
            member.commit([], after(polled))
            note(polled, done)

    assert second.assignment(), "the second member got nothing"
    assert set(done.values()) == {1}


MEMBER = """
import sys, time
from classpulse.bus.base import open_bus
url, group, topic, slot = sys.argv[1:]
bus = open_bus(url)
member = bus.member(group, [bus.topic(topic)], slot=slot)
while not member.assignment():
    member.poll(max_records=64, max_bytes=1 << 20, timeout_ms=100)
while True:
    came = member.poll(max_records=64, max_bytes=1 << 20, timeout_ms=100)
    print("owns", len(member.assignment()), "has", len(came), flush=True)
    if came:
        sys.stdin.readline()
        member.commit([], {type(next(iter(member.assignment())))(r.topic, r.partition): r.offset + 1 for r in came})
        print("committed", flush=True)
"""


@contextmanager
def a_process(topic: Topic, group: str, slot: str) -> Iterator["subprocess.Popen[str]"]:
    """A member in a process of its own, which waits for a line before it commits; killed at the end."""
    words = [sys.executable, "-c", MEMBER, running("plain").url(), group, topic.name, slot]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ
    ) as process:
        late = threading.Timer(PATIENCE_S, process.kill)
        late.start()
        try:
            yield process
        finally:
            late.cancel()
            process.kill()


def told(process: "subprocess.Popen[str]", words: str) -> list[str]:
    """What it said until it said this."""
    said: list[str] = []
    for line in process.stdout or ():
        said.append(line.strip())
        if words in line:
            return said
    pytest.fail(f"{words!r} was not said:\n" + "\n".join(said[-20:]))


def test_a_killed_members_partitions_are_taken_over_in_time(desk: Desk) -> None:
    topic, group = desk.topic(partitions=PARTITIONS), desk.name()
    with a_process(topic, group, "dies") as other:
        told(other, f"owns {PARTITIONS}")
        survivor = desk.member(group, [topic], slot="lives")
        other.kill()
        began = time.monotonic()
        fill(desk, topic, PARTITIONS)
        done: dict[str, int] = {}
        while len(done) < PARTITIONS:
            assert time.monotonic() - began < TAKEN_OVER_WITHIN_S, done
            note(turn(survivor), done)


def test_a_member_that_is_dismissed_leaves_its_group_at_once_and_one_that_only_closed_does_not(desk: Desk) -> None:
    topic, group = desk.topic(partitions=PARTITIONS), desk.name()
    first, second = desk.member(group, [topic], slot="a"), desk.member(group, [topic], slot="b")
    shared([first, second], {})
    first.close()
    assert len(members_of(desk, group)) == 2, "its place is kept for a successor"

    desk.bus.dismiss(group, index=0, slot="a")
    assert members_of(desk, group) == {"0-b"}
    desk.bus.dismiss(group, index=0, slot="a")
    give_up = time.monotonic() + TAKEN_OVER_WITHIN_S
    while len(second.assignment()) < PARTITIONS:
        assert time.monotonic() < give_up
        turn(second)


def members_of(desk: Desk, group: str) -> set[str]:
    """The names of a group's static members, as the broker has them."""
    told = desk.bus._admin.describe_groups([group])[group]
    return {one["group_instance_id"] for one in told["members"]}


def test_a_frozen_member_whose_partitions_were_given_away_is_fenced_when_it_wakes(desk: Desk) -> None:
    topic, group = desk.topic(partitions=1), desk.name()
    with a_process(topic, group, "freezes") as zombie:
        told(zombie, "owns 1")
        desk.publish_values(topic, [b"once"])
        told(zombie, "has 1")
        zombie.send_signal(signal.SIGSTOP)
        survivor = desk.member(group, [topic], slot="lives")
        assert values(poll_until(survivor, 1)) == [b"once"]
        survivor.commit([], {Place(topic.name, 0): 1})

        zombie.send_signal(signal.SIGCONT)
        zombie.stdin.write("\n")  # type: ignore[union-attr]
        zombie.stdin.flush()  # type: ignore[union-attr]
        said = told(zombie, "classpulse.errors.")
        assert "classpulse.errors.Fenced" in said[-1], said
        assert zombie.wait(20) != 0
        assert desk.bus.positions(group, topic) == {0: 1}


def test_a_partition_that_waited_in_the_middle_of_a_batch_goes_on_though_nothing_new_comes(desk: Desk) -> None:
    topic = desk.topic(partitions=2)
    desk.publish_values(topic, (b"%d" % number for number in range(POLL_RECORDS + 100)))
    member = desk.member(desk.name(), [topic])
    came = poll_until(member, 1, max_records=1)
    desk.publish_values(topic, [b"other"], partition=1)
    while came[-1].value != b"other":
        came += poll_until(member, 1, max_records=1)
    came += poll_until(member, POLL_RECORDS + 101 - len(came))
    assert [int(one.value or b"") for one in came if one.partition == 0] == list(range(POLL_RECORDS + 100))


def test_a_join_that_newer_metadata_set_off_ends_where_polls_are_short(desk: Desk) -> None:
    topic, group = desk.topic(partitions=1), desk.name()
    member = desk.member(group, [topic])
    desk.publish_values(topic, [b"0"])
    member.commit([], after(poll_until(member, 1)))

    member._intake._consumer._coordinator._assignment_snapshot = {}  # type: ignore[attr-defined]  # as if it was older
    desk.publish_values(topic, [b"1"])
    give_up, came = time.monotonic() + TAKEN_OVER_WITHIN_S, []
    while not came and time.monotonic() < give_up:
        came = member.poll(max_records=1, max_bytes=ROOMY, timeout_ms=1)
    assert values(came) == [b"1"]


def test_a_member_whose_place_was_taken_says_so_when_it_polls(desk: Desk) -> None:
    topic, group = desk.topic(partitions=1), desk.name()
    first = desk.member(group, [topic], slot="a")
    desk.publish_values(topic, [b"0"])
    poll_until(first, 1)
    second = desk.member(group, [topic], slot="a")
    assert values(poll_until(second, 1)) == [b"0"]

    with pytest.raises(Fenced, match="no longer in the group"):
        poll_for(first, TAKEN_OVER_WITHIN_S)


def poll_for(member: Member, seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        member.poll(max_records=1, max_bytes=ROOMY, timeout_ms=100)


def test_who_is_idle_commits_the_positions_behind_the_last_marker(desk: Desk) -> None:
    topic, group = desk.topic(partitions=1), desk.name()
    member = desk.member(group, [topic])
    desk.publish_values(topic, [b"0", b"1"])
    poll_until(member, 2)
    give_up = time.monotonic() + 3
    while time.monotonic() < give_up:
        assert member.poll(max_records=9, max_bytes=ROOMY, timeout_ms=200) == []
    assert desk.bus.positions(group, topic) == {}, "nothing was committed, so nothing may be passed"

    member.rewind()
    member.commit([], after(poll_until(member, 2)))
    passed(desk, member, group, topic)
    for _ in range(2):  # and what was aborted behind it, again and again
        leave_open(desk, topic)
        passed(desk, member, group, topic)


def passed(desk: Desk, member: Member, group: str, topic: Topic) -> None:
    """The idle member commits up to the end."""
    give_up = time.monotonic() + TAKEN_OVER_WITHIN_S
    while desk.bus.positions(group, topic)[0] < desk.bus.ends(topic)[0][1]:
        assert time.monotonic() < give_up
        assert member.poll(max_records=9, max_bytes=ROOMY, timeout_ms=200) == []


def leave_open(desk: Desk, topic: Topic) -> None:
    """A member dies in the middle of a step; its successor ends that."""
    dead = desk.member(desk.name(), slot="dies")
    producer = dead._outlet._producer  # type: ignore[attr-defined]
    producer.begin_transaction()
    producer.send(topic.name, value=b"never", key=b"k", headers=[], partition=0).get(10)
    producer.abort_transaction()


def test_a_record_that_the_broker_refuses_fails_alone_and_the_member_goes_on(desk: Desk) -> None:
    topic = desk.topic(max_record_bytes=500_000)
    smaller = ConfigResource(ConfigResourceType.TOPIC, topic.name, configs={"max.message.bytes": "100000"})
    desk.bus._admin.alter_configs([smaller])  # type: ignore[attr-defined]
    member = desk.member(desk.name())

    with pytest.raises(RecordTooLarge, match=r"output 1, key 'big' .*refused by the broker"):
        member.commit([out(topic, b"fits"), out(topic, b"x" * 300_000, key="big")], {})
    member.commit([out(topic, b"after")], {})

    assert desk.all_values(topic)[0] == [b"after"]


def test_a_member_whose_broker_is_away_asks_to_try_again_and_then_succeeds(tmp_path: Path) -> None:
    """The broker freezes for longer than a call may take; nothing of the refused step is there, the repeated one once."""
    desk = Desk(BUSES["kafka"], tmp_path)
    topic, member = desk.topic(partitions=1), desk.member(desk.name())
    member.commit([out(topic, b"before")], {})
    (broker,) = running("plain").members
    running("plain").signal_node(broker, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(Recoverable):
            member.commit([out(topic, b"meanwhile")], {})
        assert time.monotonic() - began < 25
    finally:
        running("plain").signal_node(broker, signal.SIGCONT)
    give_up = time.monotonic() + 60
    while True:
        try:
            member.commit([out(topic, b"meanwhile")], {})
            break
        except Recoverable:
            assert time.monotonic() < give_up
        except (Fenced, Fatal):  # the broker ended the open transaction, or the client cannot: a fresh process goes on
            member = desk.member(desk.name())
    assert read_at_last(desk, topic, 2) == [b"before", b"meanwhile"]
    desk.close()


def read_at_last(desk: Desk, topic: Topic, count: int) -> list[bytes | None]:
    """What the first partition holds, as soon as it has a leader and that many committed records."""
    give_up, found = time.monotonic() + 60, list[bytes | None]()
    while len(found) < count and time.monotonic() < give_up:
        with suppress(Recoverable):
            found = desk.all_values(topic)[0]
    return found
