"""A topic in the broker's words, and who may touch it: from topics.py alone."""

import pytest

from classpulse.bus.kafka_access import grants
from classpulse.bus.kafka_topics import BATCH_BYTES, configs_of, topic_from
from classpulse.topics import DAY_MS, DEAD_LETTERS, DETECTIONS, EVENTS, FRAMES, MINUTE_MS, TIMELINES, TOPICS, Topic

ALL = tuple(TOPICS.values())


@pytest.mark.parametrize("topic", ALL, ids=lambda topic: topic.name)
def test_what_the_broker_is_told_says_the_topics_limits_again(topic: Topic) -> None:
    found = topic_from(topic.name, topic.partitions, configs_of(topic))

    for limit in ("partitions", "cleanup", "retention_ms", "retention_bytes", "max_record_bytes"):
        assert getattr(found, limit) == getattr(topic, limit), limit


def test_the_largest_record_and_a_full_batch_are_both_taken() -> None:
    for topic in ALL:
        assert int(configs_of(topic)["max.message.bytes"]) > max(topic.max_record_bytes, BATCH_BYTES)
        assert int(configs_of(topic)["segment.bytes"]) > int(configs_of(topic)["max.message.bytes"])


def test_pictures_lie_in_segments_that_are_gone_a_minute_after_their_time() -> None:
    assert int(configs_of(FRAMES)["segment.ms"]) == MINUTE_MS
    assert configs_of(FRAMES)["compression.type"] == "producer"


def test_a_topic_limited_by_bytes_is_kept_as_readers_get_it() -> None:
    for topic in ALL:
        compressed = configs_of(topic)["compression.type"] == "lz4"
        assert compressed == (topic.retention_bytes is None and not topic.pictures)


def test_a_compacted_topic_with_a_time_limit_is_both() -> None:
    assert configs_of(TIMELINES)["cleanup.policy"] == "compact,delete"


def test_only_detect_reads_pictures_and_only_ingest_writes_them() -> None:
    wanted = grants(ALL)
    reads = {g.user for g in wanted if g.name == FRAMES.name and g.operation == "READ"}
    writes = {g.user for g in wanted if g.name == FRAMES.name and g.operation == "WRITE"}

    assert (reads, writes) == ({"detect"}, {"ingest"})


def test_nobody_may_do_what_topics_py_does_not_say() -> None:
    for grant in grants(ALL):
        if grant.kind == "TOPIC" and grant.operation in ("READ", "WRITE"):
            topic = TOPICS[grant.name]
            assert grant.user in (topic.read_by if grant.operation == "READ" else topic.written_by)
    assert not [g for g in grants(ALL) if g.user == "analyst" and g.operation != "READ"]


def test_only_the_operator_cuts_logs_off_and_never_one_whose_latest_records_count() -> None:
    cuts = {(grant.user, grant.name) for grant in grants(ALL) if grant.operation == "DELETE"}

    assert cuts == {("operator", topic.name) for topic in (FRAMES, DETECTIONS, EVENTS, DEAD_LETTERS)}
    assert all(TOPICS[name].cleanup == "delete" for _, name in cuts)


def test_what_is_superseded_is_compacted_away_within_a_day() -> None:
    for topic in ALL:
        limit = configs_of(topic).get("max.compaction.lag.ms")
        assert limit == (str(DAY_MS) if topic.cleanup == "compact" else None)


def test_every_topic_is_written_and_read_by_somebody() -> None:
    for topic in ALL:
        assert topic.written_by, topic.name
        assert topic.read_by, topic.name
    assert "aggregate" in DETECTIONS.read_by
