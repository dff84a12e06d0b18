"""Contract: compacted topics give the latest record of each key."""

import pytest

from classpulse.errors import Fatal
from tests.contracts.bus.desk import Desk, out, poll_until, values


def test_an_empty_compacted_topic_has_no_latest_records(desk: Desk) -> None:
    topic = desk.compacted()

    assert list(desk.bus.latest(topic)) == []
    assert list(desk.bus.latest(topic, partition=1)) == []
    assert list(desk.bus.latest(topic, key="a")) == []


def test_latest_gives_one_record_a_key_in_partition_and_offset_order(desk: Desk) -> None:
    topic = desk.compacted(partitions=2)
    desk.publish(out(topic, b"a1", key="a", partition=1), out(topic, b"b1", key="b", partition=1))
    desk.publish(out(topic, b"c1", key="c", partition=0), out(topic, b"a2", key="a", partition=1))
    desk.publish(out(topic, b"d1", key="d", partition=1), out(topic, b"d2", key="d", partition=1))

    assert values(desk.bus.latest(topic)) == [b"c1", b"b1", b"a2", b"d2"]
    assert values(desk.bus.latest(topic, partition=1)) == [b"b1", b"a2", b"d2"]
    assert values(desk.bus.latest(topic, partition=0)) == [b"c1"]


def test_latest_of_one_key_is_that_record_alone(desk: Desk) -> None:
    topic = desk.compacted(partitions=2)
    headers = (("ce_id", b"7"),)
    desk.publish(out(topic, b"old", key="a"), out(topic, b"new", key="a", headers=headers), out(topic, b"x", key="b"))

    (record,) = desk.bus.latest(topic, key="a")

    assert (record.key, record.value, record.headers, record.partition) == ("a", b"new", headers, 0)
    assert list(desk.bus.latest(topic, key="a", partition=1)) == []
    assert list(desk.bus.latest(topic, key="nobody")) == []


def test_a_deleted_key_is_gone_until_it_is_written_again(desk: Desk) -> None:
    topic = desk.compacted(partitions=1)
    desk.publish(out(topic, b"a1", key="a"), out(topic, b"b1", key="b"))
    desk.publish(out(topic, None, key="a"))

    assert values(desk.bus.latest(topic)) == [b"b1"]
    assert list(desk.bus.latest(topic, key="a")) == []

    desk.publish(out(topic, b"a2", key="a"))
    assert values(desk.bus.latest(topic)) == [b"b1", b"a2"]


def test_deleting_a_key_that_never_was_is_allowed(desk: Desk) -> None:
    topic = desk.compacted(partitions=1)
    desk.publish(out(topic, None, key="never"))

    assert list(desk.bus.latest(topic)) == []


def test_who_reads_along_sees_changes_and_deletions_in_order(desk: Desk) -> None:
    topic = desk.compacted(partitions=1)
    member = desk.member(desk.name(), [topic])
    desk.publish(out(topic, b"a1", key="a"))
    assert values(poll_until(member, 1)) == [b"a1"]

    desk.publish(out(topic, b"a2", key="a"))
    assert values(poll_until(member, 1)) == [b"a2"]

    desk.publish(out(topic, None, key="a"))
    (deletion,) = poll_until(member, 1)
    assert (deletion.key, deletion.value) == ("a", None)
    assert member.expired() == {}


def test_who_reads_later_ends_with_the_same_latest_records(desk: Desk) -> None:
    topic = desk.compacted(partitions=1)
    for number in range(20):
        desk.publish(out(topic, b"%d" % number, key=f"k{number % 3}"))

    offset_of = {record.key: record.offset for record in desk.fetch_all(topic)}
    came = {record.key: record.value for record in desk.fetch_all(topic)}

    assert came == {"k0": b"18", "k1": b"19", "k2": b"17"}
    assert offset_of["k2"] < offset_of["k0"] < offset_of["k1"]


def test_more_keys_than_one_look_holds_all_come(desk: Desk) -> None:
    topic = desk.compacted(partitions=1)
    desk.publish(*(out(topic, b"%d" % n, key=f"k{n}") for n in range(1200)))

    assert values(desk.bus.latest(topic)) == [b"%d" % n for n in range(1200)]


def test_latest_of_a_topic_that_is_not_compacted_is_refused(desk: Desk) -> None:
    topic = desk.topic()

    with pytest.raises(Fatal, match="cleanup is 'delete'; expected 'compact'"):
        desk.bus.latest(topic)
