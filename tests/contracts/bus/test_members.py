"""Contract: groups read independently, members share partitions, and positions are what was committed."""

import time

import pytest

from classpulse.bus.base import Member, Place
from classpulse.errors import BadInput
from tests.contracts.bus.desk import PATIENCE_S, ROOMY, Desk, after, out, poll_nothing, poll_until, values


def test_groups_read_independently(desk: Desk) -> None:
    topic = desk.topic(partitions=1)
    desk.publish_values(topic, [b"0", b"1"])
    one, other = desk.name(), desk.name()
    first = desk.member(one, [topic])
    first.commit([], after(poll_until(first, 2)))

    assert values(poll_until(desk.member(other, [topic]), 2)) == [b"0", b"1"]
    assert desk.bus.positions(one, topic) == {
        0: desk.bus.fetch(Place(topic.name, 0), 0, max_records=9, max_bytes=ROOMY)[-1].offset + 1
    }
    assert desk.bus.positions(other, topic) == {}


def test_a_new_member_goes_on_where_the_last_one_committed(desk: Desk) -> None:
    topic, group = desk.topic(partitions=1), desk.name()
    desk.publish_values(topic, [b"0", b"1", b"2"])
    first = desk.member(group, [topic])
    polled = poll_until(first, 3)
    first.commit([], after(polled[:2]))
    first.close()

    assert values(poll_until(desk.member(group, [topic]), 1)) == [b"2"]


def test_what_was_polled_and_not_committed_is_polled_again(desk: Desk) -> None:
    topic, group = desk.topic(partitions=1), desk.name()
    desk.publish_values(topic, [b"0", b"1"])
    first = desk.member(group, [topic])
    poll_until(first, 2)
    poll_nothing(first)
    first.close()

    assert values(poll_until(desk.member(group, [topic]), 2)) == [b"0", b"1"]


def test_rewind_goes_back_to_the_committed_positions(desk: Desk) -> None:
    topic, group = desk.topic(partitions=2), desk.name()
    desk.publish_values(topic, [b"0", b"1", b"2"], partition=0)
    desk.publish_values(topic, [b"a"], partition=1)
    member = desk.member(group, [topic])
    member.rewind()
    polled = poll_until(member, 4)
    member.commit([], after([r for r in polled if r.partition == 0][:1]))

    member.rewind()

    assert sorted(values(poll_until(member, 3)), key=str) == [b"1", b"2", b"a"]


def test_several_topics_are_read_together(desk: Desk) -> None:
    one, other = desk.topic(partitions=1), desk.topic(partitions=1)
    desk.publish(out(one, b"one"), out(other, b"other"))

    came = poll_until(desk.member(desk.name(), [one, other]), 2)

    assert {(r.topic, r.value) for r in came} == {(one.name, b"one"), (other.name, b"other")}


def test_a_member_that_asks_for_no_records_shares_the_partitions_and_reads_none(desk: Desk) -> None:
    topic, group = desk.topic(partitions=2), desk.name()
    desk.publish_values(topic, [b"0"], partition=0)
    member = desk.member(group, [topic])
    give_up = time.monotonic() + PATIENCE_S
    while len(member.assignment()) < 2:
        assert time.monotonic() < give_up
        assert member.poll(max_records=0, max_bytes=0, timeout_ms=50) == []

    assert member.poll(max_records=0, max_bytes=0, timeout_ms=50) == []
    assert desk.bus.positions(group, topic) == {}
    assert values(poll_until(member, 1)) == [b"0"]


def test_members_of_a_group_own_disjoint_partitions_that_cover_all(desk: Desk) -> None:
    topic, group = desk.topic(partitions=5), desk.name()
    members = [desk.member(group, [topic], index=index, count=3) for index in range(3)]
    for partition in range(5):
        desk.publish_values(topic, [b"%d" % partition], partition=partition)

    settle(members, {Place(topic.name, p) for p in range(5)})

    owned = [place for member in members for place in member.assignment()]
    assert len(owned) == len(set(owned)) == 5
    for member in members:
        records = poll_until(member, len(member.assignment()))
        assert {Place(r.topic, r.partition) for r in records} == member.assignment()


def test_an_index_outside_the_count_is_refused(desk: Desk) -> None:
    with pytest.raises(BadInput, match=r"index = 2 of count = 2; expected 0 <= index < count"):
        desk.bus.member("g", [], index=2, count=2)


def test_lag_counts_what_is_not_committed(desk: Desk) -> None:
    topic, group = desk.topic(partitions=2), desk.name()
    desk.publish_values(topic, [b"x" * 100] * 3, partition=0)
    desk.publish_values(topic, [b"x" * 100], partition=1)
    size_bytes = out(topic, b"x" * 100).size_bytes
    holes = 2 * desk.row.holes_per_step
    records, lag_bytes = desk.bus.lag(group, topic)
    assert 4 <= records <= 4 + holes
    assert lag_bytes == 4 * size_bytes

    member = desk.member(group, [topic])
    polled = poll_until(member, 4)
    assert desk.bus.lag(group, topic)[1] == 4 * size_bytes
    member.commit([], after([r for r in polled if r.partition == 0][:2]))
    records, lag_bytes = desk.bus.lag(group, topic)
    assert 2 <= records <= 2 + holes
    assert lag_bytes == 2 * size_bytes

    member.commit([], after(polled))
    records, lag_bytes = desk.bus.lag(group, topic)
    assert records <= holes
    assert lag_bytes == 0


def settle(members: list[Member], places: set[Place]) -> None:
    """Wait until the members own everything and each something; a bus that hands partitions out does so while they poll."""
    give_up = time.monotonic() + PATIENCE_S
    while {place for m in members for place in m.assignment()} != places or not all(m.assignment() for m in members):
        assert time.monotonic() < give_up, "partitions without an owner, or an owner without partitions"
        for member in members:
            member.poll(max_records=1, max_bytes=1, timeout_ms=50)
    for member in members:
        member.rewind()
