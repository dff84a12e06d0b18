"""Contract: retention removes the oldest by time and by bytes, and readers are told what they missed."""

import pytest

from classpulse.bus.base import Place
from tests.contracts.bus.desk import ROOMY, Desk, after, out, poll_nothing, poll_until, values

HOUR_MS = 3_600_000


def test_retention_of_empty_topics_removes_nothing(desk: Desk) -> None:
    topic = desk.topic(retention_ms=HOUR_MS, retention_bytes=1000)

    desk.bus.retain(2_000_000_000_000)

    assert all(end == (0, 0) for end in desk.bus.ends(topic).values())


def test_records_older_than_the_limit_go_and_younger_ones_stay(desk: Desk) -> None:
    topic, forever = desk.topic(retention_ms=HOUR_MS), desk.topic()
    desk.publish_values(topic, [b"0", b"1"], partition=1)
    desk.publish_values(forever, [b"kept"])
    appended_ms = desk.fetch_all(topic, 1)[-1].appended_at_ms

    assert desk.bus.retain(appended_ms + HOUR_MS) in (0, 1)
    assert values(desk.fetch_all(topic, 1))[-1] == b"1"

    desk.bus.retain(appended_ms + HOUR_MS + 1)
    assert desk.fetch_all(topic, 1) == []
    first, following = desk.bus.ends(topic)[1]
    assert first == following >= 2
    assert desk.all_values(forever)[0] == [b"kept"]


def test_offsets_go_on_rising_after_everything_was_removed(desk: Desk) -> None:
    topic = desk.topic(partitions=1, retention_ms=HOUR_MS)
    desk.publish_values(topic, [b"0", b"1"])
    last = desk.fetch_all(topic)[-1]
    desk.bus.retain(last.appended_at_ms + HOUR_MS + 1)
    desk.reopen()

    desk.publish_values(topic, [b"2"])

    (record,) = desk.fetch_all(topic)
    assert record.value == b"2"
    assert record.offset > last.offset


def test_a_partition_above_its_bytes_loses_the_oldest_only(desk: Desk) -> None:
    topic = desk.topic(partitions=2, retention_bytes=10_000)
    desk.publish_values(topic, [b"%03d" % n + b"x" * 997 for n in range(30)], partition=0)
    desk.publish_values(topic, [b"small"], partition=1)

    removed = desk.bus.retain(desk.fetch_all(topic)[-1].appended_at_ms)

    left = desk.fetch_all(topic)
    size_bytes = sum(len(r.key) + len(r.value or b"") for r in left)
    assert size_bytes <= 10_000 < size_bytes + 2 * (1000 + len(left[0].key))
    assert [int((r.value or b"")[:3]) for r in left] == list(range(30 - len(left), 30))
    assert removed == 30 - len(left)
    assert desk.bus.ends(topic)[0][0] == left[0].offset
    assert desk.all_values(topic)[1] == [b"small"]


def test_fetch_before_what_is_left_starts_at_what_is_left(desk: Desk) -> None:
    topic = desk.topic(partitions=1, retention_bytes=3_000)
    desk.publish_values(topic, [b"%d" % n * 900 for n in range(8)])
    desk.bus.retain(desk.fetch_all(topic)[-1].appended_at_ms)

    (record,) = desk.bus.fetch(Place(topic.name, 0), 0, max_records=1, max_bytes=ROOMY)

    assert record.offset == desk.bus.ends(topic)[0][0]


def test_a_reader_that_missed_nothing_is_told_nothing(desk: Desk) -> None:
    topic = desk.topic(partitions=1, retention_ms=HOUR_MS)
    member = desk.member(desk.name(), [topic])
    assert member.expired() == {}
    desk.publish_values(topic, [b"0"])
    polled = poll_until(member, 1)
    member.commit([], after(polled))
    desk.bus.retain(polled[-1].appended_at_ms + HOUR_MS + 1)
    desk.publish_values(topic, [b"1"])

    assert values(poll_until(member, 1)) == [b"1"]
    assert member.expired() == {}


def test_a_reader_is_told_once_where_unread_records_were_removed(desk: Desk) -> None:
    topic = desk.topic(partitions=2, retention_ms=HOUR_MS)
    group = desk.name()
    desk.publish_values(topic, [b"0", b"1", b"2"], partition=1)
    desk.publish_values(topic, [b"a"], partition=0)
    member = desk.member(group, [topic])
    polled = sorted(poll_until(member, 4), key=lambda r: r.partition)
    member.commit([], after([r for r in polled if r.partition == 1][:1]))
    member.rewind()
    desk.bus.retain(max(r.appended_at_ms for r in polled) + HOUR_MS + 1)
    desk.publish_values(topic, [b"3"], partition=1)

    (record,) = poll_until(member, 1)

    assert record.value == b"3"
    missed = member.expired()
    assert polled[-1].offset < missed.pop(Place(topic.name, 1)) <= record.offset
    assert set(missed) <= {Place(topic.name, 0)}
    assert Place(topic.name, 1) not in member.expired()


def test_a_restarted_reader_is_told_what_went_while_it_was_away(desk: Desk) -> None:
    topic, group = desk.topic(partitions=1, retention_bytes=3_000), desk.name()
    first = desk.member(group, [topic])
    desk.publish_values(topic, [b"0"])
    first.commit([], after(poll_until(first, 1)))
    first.close()
    desk.publish_values(topic, [b"%d" % n * 900 for n in range(1, 9)])
    desk.bus.retain(desk.fetch_all(topic)[-1].appended_at_ms)
    left = desk.fetch_all(topic)
    desk.reopen()

    member = desk.member(group, [topic])

    assert values(poll_until(member, len(left))) == values(left)
    assert member.expired() == {Place(topic.name, 0): left[0].offset}
    assert member.expired() == {}


def test_rewinding_tells_again_what_was_missed_and_not_yet_passed(desk: Desk) -> None:
    topic, group = desk.topic(partitions=1, retention_bytes=3_000), desk.name()
    first = desk.member(group, [topic])
    desk.publish_values(topic, [b"0"])
    first.commit([], after(poll_until(first, 1)))
    desk.publish_values(topic, [b"%d" % n * 900 for n in range(1, 9)])
    desk.bus.retain(desk.fetch_all(topic)[-1].appended_at_ms)
    poll_until(first, 1)
    assert set(first.expired()) == {Place(topic.name, 0)}

    first.rewind()
    poll_until(first, 1)

    assert set(first.expired()) == {Place(topic.name, 0)}


def test_lag_counts_only_what_is_left(desk: Desk) -> None:
    topic = desk.topic(partitions=1, retention_ms=HOUR_MS)
    desk.publish_values(topic, [b"0", b"1"])
    desk.bus.retain(desk.fetch_all(topic)[-1].appended_at_ms + HOUR_MS + 1)
    assert desk.bus.lag(desk.name(), topic) == (0, 0)

    desk.publish(out(topic, b"22"))

    assert desk.bus.lag(desk.name(), topic)[1] == out(topic, b"22").size_bytes


def test_a_compacted_topic_with_a_time_limit_forgets_keys_not_written_since(desk: Desk) -> None:
    topic = desk.compacted(partitions=1, retention_ms=HOUR_MS)
    desk.publish(out(topic, b"a", key="a"))
    appended_ms = next(desk.bus.latest(topic)).appended_at_ms

    desk.bus.retain(appended_ms + HOUR_MS)
    assert values(desk.bus.latest(topic)) == [b"a"]

    desk.bus.retain(appended_ms + HOUR_MS + 1)
    assert list(desk.bus.latest(topic)) == []


def test_superseded_records_of_a_compacted_topic_are_not_missed(desk: Desk) -> None:
    topic = desk.compacted(partitions=1)
    member = desk.member(desk.name(), [topic])
    desk.publish(out(topic, b"1", key="a"))
    member.commit([], after(poll_until(member, 1)))
    for number in range(2, 6):
        desk.publish(out(topic, b"%d" % number, key="a"))

    while values(poll_until(member, 1))[-1] != b"5":  # a bus may compact later than we read
        pass
    assert member.expired() == {}
    poll_nothing(member)


@pytest.mark.parametrize("limits", [{"retention_ms": HOUR_MS}, {"retention_bytes": 0}])
def test_retaining_again_removes_nothing_more(desk: Desk, limits: dict[str, int]) -> None:
    topic = desk.topic(partitions=1, **limits)
    desk.publish_values(topic, [b"0", b"1"])
    now_ms = desk.fetch_all(topic)[-1].appended_at_ms + HOUR_MS + 1

    assert desk.bus.retain(now_ms) >= 2
    assert desk.bus.retain(now_ms) == 0
    assert desk.fetch_all(topic) == []


def test_forgetting_removes_what_lies_before_an_offset_whatever_its_age(desk: Desk) -> None:
    topic = desk.topic(partitions=2, retention_ms=HOUR_MS)
    desk.publish_values(topic, [b"0", b"1", b"2"], partition=0)
    desk.publish_values(topic, [b"other"], partition=1)
    third = desk.fetch_all(topic)[2].offset

    assert desk.bus.forget(topic, {}) == 0
    assert desk.bus.forget(topic, {0: third}) == 2
    assert desk.bus.forget(topic, {0: third}) == 0

    assert desk.all_values(topic) == {0: [b"2"], 1: [b"other"]}
    first, following = desk.bus.ends(topic)[0]
    assert first == third
    assert third + 1 <= following <= third + 1 + desk.row.holes_per_step


def test_a_reader_that_had_read_what_is_forgotten_has_missed_nothing(desk: Desk) -> None:
    topic = desk.topic(partitions=1)
    desk.publish_values(topic, [b"0", b"1"])
    reader = desk.member("reader", [topic])
    read = poll_until(reader, 2)
    reader.commit([], after(read))
    desk.bus.forget(topic, desk.bus.positions("reader", topic))

    desk.publish_values(topic, [b"2"])

    assert values(poll_until(reader, 1)) == [b"2"]
    assert reader.expired() == {}
