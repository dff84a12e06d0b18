"""An erasure on a cluster with users: the operator may, the analyst may not, and no reader finds anything afterwards."""

import os
import subprocess
import sys

import pytest
from deploy.local.kafka.cluster import Cluster

from classpulse.bus.base import Bus, Place, open_bus
from classpulse.bus.memory import MemoryBus
from classpulse.clock import ManualClock
from classpulse.codec import Outgoing, decode, encode
from classpulse.records import TimelineBucket
from classpulse.topics import AGGREGATE_STATE, DEAD_LETTERS, DETECTIONS, EVENTS, TIMELINES, TOPICS
from tests.brokers import running
from tests.services.aggregate.stories import ROOM
from tests.services.erase.lessons import NEIGHBOUR, PARTITION, START, buckets, events, moment, play, records

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]

LOGS = (DETECTIONS, AGGREGATE_STATE, TIMELINES, EVENTS, DEAD_LETTERS)
WORDS = ("erase", ROOM, "--from", moment(21), "--to", moment(39))


def classpulse(url: str, *words: str) -> "subprocess.CompletedProcess[str]":
    environ = {k: v for k, v in os.environ.items() if not k.startswith("CLASSPULSE_")}
    environ |= {"CLASSPULSE_BUS": url, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "classpulse.cli", *words]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=240, check=False)


def lay(bus: Bus) -> None:
    """What an aggregator made of both lessons, as it would lie on a cluster: with an older revision, and all detections read."""
    played = MemoryBus(clock=ManualClock(START + 120_000))
    played.create(tuple(TOPICS.values()))
    play(played)
    outputs = []
    for topic in LOGS:
        for one in records(played, topic, PARTITION % topic.partitions):
            noun = None if one.value is None else decode(one)
            if isinstance(noun, TimelineBucket):
                outputs.append(encode(noun, topic=TIMELINES, at_ms=1))
            outputs.append(Outgoing(one.topic, one.partition, one.key, one.value, one.headers))
    member = bus.member("aggregate", [DETECTIONS])
    member.commit(outputs, {})
    place, end = Place(DETECTIONS.name, PARTITION), bus.ends(DETECTIONS)[PARTITION][1]
    while bus.positions("aggregate", DETECTIONS).get(PARTITION, 0) < end:
        member.poll(max_records=10_000, max_bytes=2**25, timeout_ms=1_000)
        if place in member.assignment():
            member.commit((), {place: end})
    member.close()


@pytest.fixture(scope="module")
def secure() -> Cluster:
    cluster = running("secure")
    assert classpulse(cluster.url("{stage}"), "topics", "apply", "--force").returncode == 0
    bus = open_bus(cluster.url("admin"))
    bus.create(tuple(TOPICS.values()))
    lay(bus)
    bus.close()
    return cluster


def test_the_operator_erases_what_no_analyst_finds_again(secure: Cluster) -> None:
    analyst = open_bus(secure.url("analyst"))
    before, others = events(analyst, ROOM), events(analyst, NEIGHBOUR)
    assert len(before) == len(others) == 12

    forbidden = classpulse(secure.url("analyst"), *WORDS, "--yes")
    assert (forbidden.returncode, "expected a user that may" in forbidden.stderr) == (1, True)
    said = classpulse(secure.url("{stage}"), *WORDS)
    assert (said.returncode, said.stderr) == (0, "nothing was erased; --yes does it\n")
    assert events(analyst, ROOM) == before

    done = classpulse(secure.url("{stage}"), *WORDS, "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("erased: a reader finds nothing of it\n")
    assert "superseded revisions lie in the log until the broker compacts it" in done.stderr
    assert sorted(events(analyst, ROOM)) == sorted(one for one in before if one[2] not in (20, 30))
    assert sorted(events(analyst, NEIGHBOUR)) == sorted(others)
    assert (buckets(analyst, ROOM), buckets(analyst, NEIGHBOUR)) == ([0, 10, 40, 50], [0, 10, 20, 30, 40, 50])
    analyst.close()
