"""Contract: records keep their order, place, bytes and time."""

import re
import threading
import time

import pytest

from classpulse.bus.base import Place
from classpulse.clock import SystemClock
from classpulse.errors import BadInput, Fatal
from tests.contracts.bus.desk import ROOMY, Desk, after, out, poll_nothing, poll_until, values


def test_an_empty_topic_gives_nothing_and_says_where_it_ends(desk: Desk) -> None:
    topic = desk.topic(partitions=2)

    poll_nothing(desk.member(desk.name(), [topic]))
    assert desk.bus.ends(topic) == {0: (0, 0), 1: (0, 0)}
    assert desk.bus.positions(desk.name(), topic) == {}
    assert desk.bus.lag(desk.name(), topic) == (0, 0)
    assert desk.bus.fetch(Place(topic.name, 1), 0, max_records=10, max_bytes=ROOMY) == []


def test_a_member_without_topics_owns_nothing_and_polls_nothing(desk: Desk) -> None:
    publisher = desk.member(desk.name())

    assert publisher.assignment() == frozenset()
    poll_nothing(publisher)


def test_a_partition_is_read_in_the_order_it_was_written_across_steps(desk: Desk) -> None:
    topic = desk.topic()
    publisher = desk.member(desk.name())
    for step in range(5):
        publisher.commit([out(topic, b"%d" % (step * 3 + i), partition=2) for i in range(3)], {})

    came = poll_until(desk.member(desk.name(), [topic]), 15)

    assert values(came) == [b"%d" % i for i in range(15)]
    offsets = [record.offset for record in came]
    assert offsets == sorted(set(offsets))
    assert {(record.topic, record.partition) for record in came} == {(topic.name, 2)}


def test_key_value_headers_and_time_come_back_as_they_were(desk: Desk) -> None:
    topic = desk.topic()
    headers = (("ce_id", b"a/1"), ("twice", b"1"), ("twice", b"\x00\xff"), ("empty", b""))
    before_ms = SystemClock().now_ms()
    desk.publish(
        out(topic, bytes(range(256)), key="schüler/räume/kamera", headers=headers),
        out(topic, None, key="", headers=()),
        out(topic, b"", key="k"),
    )
    after_ms = SystemClock().now_ms()

    full, absent, empty = poll_until(desk.member(desk.name(), [topic]), 3)

    assert (full.key, full.value, full.headers) == ("schüler/räume/kamera", bytes(range(256)), headers)
    assert (absent.key, absent.value, absent.headers) == ("", None, ())
    assert (empty.key, empty.value) == ("k", b"")
    assert all(before_ms <= record.appended_at_ms <= after_ms for record in (full, absent, empty))


def test_a_large_record_comes_back_whole(desk: Desk) -> None:
    topic = desk.topic(max_record_bytes=4 * 1024 * 1024)
    picture = bytes(range(256)) * 12_000
    desk.publish(out(topic, picture))

    assert values(poll_until(desk.member(desk.name(), [topic]), 1)) == [picture]


def test_poll_respects_both_limits_and_still_gives_a_record_above_the_bytes(desk: Desk) -> None:
    topic = desk.topic(partitions=1)
    desk.publish_values(topic, [b"x" * 1000] * 10)
    member = desk.member(desk.name(), [topic])

    assert len(poll_until(member, 1, max_records=3)) == 3
    assert len(poll_until(member, 1, max_bytes=2500)) == 2
    assert len(poll_until(member, 1, max_bytes=10)) == 1
    assert len(poll_until(member, 4)) == 4


def test_no_partition_waits_for_ever_behind_a_full_one(desk: Desk) -> None:
    topic = desk.topic(partitions=4)
    desk.publish_values(topic, [b"busy"] * 200, partition=0)
    desk.publish_values(topic, [b"busy"] * 200, partition=1)
    desk.publish_values(topic, [b"quiet"], partition=3)
    member = desk.member(desk.name(), [topic])

    first_polls = [record for _ in range(8) for record in poll_until(member, 1, max_records=10)]

    assert b"quiet" in values(first_polls)


def test_poll_gives_up_in_time_and_wakes_up_when_a_record_comes(desk: Desk) -> None:
    topic = desk.topic()
    member = desk.member(desk.name(), [topic])
    member.poll(max_records=1, max_bytes=ROOMY, timeout_ms=10)
    started = time.monotonic()
    member.poll(max_records=1, max_bytes=ROOMY, timeout_ms=300)
    assert 0.25 < time.monotonic() - started < 5

    timer = threading.Timer(0.2, desk.publish_values, (topic, [b"late"]))
    timer.start()
    started = time.monotonic()
    came = member.poll(max_records=1, max_bytes=ROOMY, timeout_ms=9_000)
    timer.join()

    assert values(came) == [b"late"]
    assert time.monotonic() - started < 7


def test_fetch_reads_from_an_offset_without_being_a_member(desk: Desk) -> None:
    topic = desk.topic()
    desk.publish_values(topic, [b"0", b"1", b"2", b"3"], partition=1)
    offsets = [record.offset for record in desk.fetch_all(topic, 1)]
    place = Place(topic.name, 1)

    assert values(desk.bus.fetch(place, offsets[2], max_records=10, max_bytes=ROOMY)) == [b"2", b"3"]
    assert values(desk.bus.fetch(place, 0, max_records=2, max_bytes=ROOMY)) == [b"0", b"1"]
    assert values(desk.bus.fetch(place, 0, max_records=10, max_bytes=1)) == [b"0"]
    assert desk.bus.fetch(place, offsets[3] + 1, max_records=10, max_bytes=ROOMY) == []


def test_ends_name_the_offsets_there_are(desk: Desk) -> None:
    topic = desk.topic(partitions=2)
    desk.publish_values(topic, [b"0", b"1"], partition=1)
    records = desk.fetch_all(topic, 1)

    first, following = desk.bus.ends(topic)[1]

    assert first == records[0].offset
    assert records[-1].offset < following <= records[-1].offset + 1 + desk.row.holes_per_step
    assert desk.bus.ends(topic)[0] == (0, 0)


def test_creating_a_topic_again_keeps_its_records_and_another_partition_count_is_refused(desk: Desk) -> None:
    topic = desk.topic(partitions=2)
    other = desk.topic(partitions=1)
    desk.publish_values(topic, [b"kept"])
    desk.bus.create([topic])

    wider = type(topic)(**{**vars(topic), "partitions": 3})
    with pytest.raises(BadInput, match=re.escape(f"topic {topic.name}: partitions = 3; it exists with 2")):
        desk.bus.create([other, wider])

    assert desk.all_values(topic) == {0: [b"kept"], 1: []}


def test_a_topic_or_partition_that_does_not_exist_is_named(desk: Desk) -> None:
    topic = desk.topic(partitions=2)
    nobody = type(topic)(**{**vars(topic), "name": desk.name()})

    with pytest.raises(Fatal, match=f"topic '{nobody.name}' does not exist"):
        desk.publish(out(nobody, b"x"))
    with pytest.raises(Fatal, match=f"{topic.name}: partition 2 does not exist; expected 0 to 1"):
        desk.publish(out(topic, b"x", partition=2))
    with pytest.raises(Fatal, match=f"topic '{nobody.name}' does not exist"):
        desk.member(desk.name(), [nobody])
    with pytest.raises(Fatal, match=f"topic '{nobody.name}' does not exist"):
        desk.bus.ends(nobody)


def test_records_and_positions_outlive_the_process(desk: Desk) -> None:
    topic, group = desk.topic(partitions=1), desk.name()
    desk.publish_values(topic, [b"0", b"1", b"2"])
    member = desk.member(group, [topic])
    member.commit([], after(poll_until(member, 2, max_records=2)))

    desk.reopen()

    assert values(desk.fetch_all(topic)) == [b"0", b"1", b"2"]
    assert values(poll_until(desk.member(group, [topic]), 1)) == [b"2"]
