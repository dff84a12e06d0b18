"""A school whose district's Kafka is away for a while in the middle of a lesson: the timelines are the same bytes."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from deploy.local.kafka.cluster import Cluster

from classpulse.bus.base import open_bus
from classpulse.clock import SystemClock
from classpulse.topics import DETECTIONS, TOPICS
from tests.brokers import MORTAL, require_kafka
from tests.chaos.district import aggregating, declare, write_edge
from tests.chaos.route import LIMIT_S, Outcome, check, log_of, outcome, tail, up, wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.xdist_group("kafka-chaos")]

AWAY_MS = 20_000
"""Longer than any call of the client waits, and than a transaction may stay open."""


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Cluster]:
    """One node in plaintext."""
    require_kafka()
    with Cluster(tmp_path / "kafka", 1, secure=False, wrapper=MORTAL).lasting() as cluster:
        yield cluster


def test_a_district_that_is_away_in_the_middle_of_a_lesson_has_the_same_timelines_in_the_end(
    undisturbed: Outcome, one: Cluster, tmp_path: Path
) -> None:
    district = one.url()
    declare(district)
    site = write_edge(tmp_path, district)
    school = up(site)
    try:
        with (
            aggregating(tmp_path, district) as aggregator,
            closing(open_bus(f"sqlite://{site.parent}/data/bus.sqlite")) as bus,
        ):
            bus.create(tuple(TOPICS.values()))
            wait_until(lambda: sum(bus.positions("bridge", DETECTIONS).values()) > 20, site)
            one.stop()
            crossed = bus.positions("bridge", DETECTIONS)
            SystemClock().sleep_ms(AWAY_MS)
            wait_until(lambda: "no link to the district" in log_of(site), site)
            assert sum(bus.positions("bridge", DETECTIONS).values()) - sum(crossed.values()) <= 1_024
            assert bus.lag("bridge", DETECTIONS)[0] > 0, "the spool fills"
            assert school.poll() is None, "it waits for its district, however long that is"
            one.start()
            assert school.wait(LIMIT_S) == 0, tail(site)
            aggregator.finish()
        assert restarts(site) == 1, "once for the link that broke, not again while it was away"
        check(outcome(site, bus_url=district), undisturbed)
    finally:
        school.kill()
        school.wait()


def restarts(site: Path) -> int:
    """How often the bridge was started again."""
    stages = json.loads((site.parent / "data" / "status.json").read_text())["stages"]
    return int(next(stage["restarts"] for stage in stages if stage["name"] == "bridge"))
