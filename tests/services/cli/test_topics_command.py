"""`topics` on a real cluster with users and access: what is wanted is brought about, said before it is done, and held."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka.admin import ConfigResource, ConfigResourceType

from classpulse.bridge.main import take_place
from classpulse.bus.base import Place, open_bus
from classpulse.bus.kafka_admin import Cluster
from classpulse.bus.kafka_link import parse_link
from classpulse.codec import Outgoing, encode
from classpulse.errors import BadInput, Fatal
from classpulse.records import Heartbeat
from classpulse.topics import CAMERAS, DETECTIONS, EVENTS, FRAMES, TIMELINES, TOPICS, partition_of
from tests.brokers import running

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]


def topics(*words: str, url: str = "") -> "subprocess.CompletedProcess[str]":
    """`classpulse topics …` as an administrator."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("CLASSPULSE_")}
    environ |= {
        "CLASSPULSE_BUS": url or running("secure").url("{stage}"),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    command = [sys.executable, "-m", "classpulse.cli", "topics", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environ, timeout=120, check=False)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    admin = Cluster(parse_link(running("secure").url("admin").partition("://")[2]))
    yield admin
    admin.close()


@pytest.fixture
def wanted() -> None:
    """A cluster that is as it should be."""
    assert topics("apply", "--force").returncode == 0


def test_an_empty_cluster_is_told_what_it_lacks_then_gets_it_then_lacks_nothing(cluster: Cluster) -> None:
    for name in [told["name"] for told in cluster._admin.describe_topics() if told["name"].startswith("classpulse.")]:
        cluster._admin.delete_topics([name])

    planned = topics("plan")
    assert planned.returncode == 0
    assert (
        "create classpulse.frames.v1: 24 partitions, delete, keeps 600 s and 67108864 bytes a partition"
        in planned.stdout
    )
    assert len([line for line in planned.stdout.splitlines() if line.startswith("create")]) == len(TOPICS)
    assert topics("check").returncode == 1

    applied = topics("apply")
    assert (applied.returncode, applied.stdout) == (0, planned.stdout)

    assert (topics("check").returncode, topics("plan").stdout) == (0, "")


@pytest.mark.usefixtures("wanted")
def test_limits_that_drifted_come_back_but_what_loses_records_only_when_forced(cluster: Cluster) -> None:
    longer = {"retention.ms": "1209600000"}  # wanted are 7 days: going back loses records
    shorter = {"retention.ms": "60000"}
    for topic, change in ((DETECTIONS, longer), (EVENTS, shorter)):
        cluster._admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, configs=change)])

    refused = topics("apply")

    assert refused.returncode == 1
    assert f"change {EVENTS.name}: retention.ms 60000 to 2592000000\n" == refused.stdout
    assert (
        f"refused: change {DETECTIONS.name}: retention.ms 1209600000 to 604800000 (--force does it)" in refused.stderr
    )
    assert topics("apply", "--force").returncode == 0
    assert topics("check").returncode == 0


@pytest.mark.usefixtures("wanted")
def test_partitions_of_a_keyed_topic_are_not_changed_unless_forced_and_never_taken_away(cluster: Cluster) -> None:
    cluster._admin.create_partitions({CAMERAS.name: 2})
    try:
        refused = topics("apply", "--force")
        assert refused.returncode == 1
        assert (
            "2 partitions to 1, which breaks the order of its keys; Kafka cannot take partitions away" in refused.stderr
        )
    finally:
        cluster._admin.delete_topics([CAMERAS.name])
    assert topics("apply").returncode == 0


@pytest.mark.usefixtures("wanted")
def test_a_topic_that_nobody_declared_is_deleted_only_when_forced(cluster: Cluster) -> None:
    cluster._admin.create_topics({"classpulse.old.v0": {"num_partitions": 1}}, wait_for_metadata=True)

    assert "refused: delete classpulse.old.v0: not in topics.py (--force does it)" in topics("apply").stderr
    assert topics("apply", "--force").stdout == "delete classpulse.old.v0: not in topics.py\n"


@pytest.mark.usefixtures("wanted")
def test_each_user_may_do_its_work_and_no_more() -> None:
    """An analyst reads timelines and no pictures; ingest writes frames and no events; aggregate the other way round."""
    secure = running("secure")
    analyst, ingest = open_bus(secure.url("analyst")), open_bus(secure.url("ingest"))
    try:
        assert analyst.ends(TIMELINES)
        with pytest.raises(Fatal, match=r"TopicAuthorizationFailed.*expected a user that may"):
            analyst.fetch(Place(FRAMES.name, 0), 0, max_records=1, max_bytes=1)
        with pytest.raises(Fatal, match=r"TransactionalIdAuthorizationFailed.*expected a user that may"):
            analyst.member("analyst", ())

        member = ingest.member("ingest", (), slot="t/s/r/c")
        member.commit([Outgoing(FRAMES.name, 0, "t/s/r/c", b"picture", ())], {})
        with pytest.raises(Fatal, match="TopicAuthorizationFailed"):
            member.commit([Outgoing(EVENTS.name, 0, "t/s/r", b"{}", ())], {})
        member.close()
    finally:
        analyst.close()
        ingest.close()


@pytest.mark.usefixtures("wanted")
def test_the_bridges_of_two_schools_share_a_user_that_writes_detections_and_reads_nothing() -> None:
    url = running("secure").url("bridge")
    told = Heartbeat(camera="t/s/r/c", epoch=1, last_sequence=-1, at_ms=0, state="up")
    place = Place(DETECTIONS.name, partition_of("t/s/r", DETECTIONS.partitions))
    (one_bus, one), (two_bus, two) = take_place(url, "one", 0), take_place(url, "two", 0)
    try:
        for member in (one, two, one):
            member.commit([encode(told, topic=DETECTIONS, at_ms=0)], {})
        with pytest.raises(Fatal, match="TopicAuthorizationFailed"):
            one_bus.fetch(place, 0, max_records=1, max_bytes=1)
        with pytest.raises(Fatal, match="TopicAuthorizationFailed"):
            two.commit([Outgoing(FRAMES.name, 0, "t/s/r/c", b"picture", ())], {})
    finally:
        for end in (one, two, one_bus, two_bus):
            end.close()


@pytest.mark.usefixtures("wanted")
def test_access_that_was_withdrawn_or_given_by_hand_is_seen_and_mended(cluster: Cluster) -> None:
    from classpulse.bus.kafka_access import Grant
    from classpulse.bus.kafka_admin import _acl, _exactly

    held = Grant("detect", "READ", "TOPIC", FRAMES.name)
    by_hand = Grant("analyst", "READ", "TOPIC", FRAMES.name)
    cluster._admin.delete_acls([_exactly(_acl(held))])
    cluster._admin.create_acls([_acl(by_hand)])

    assert topics("check").stdout.splitlines() == [f"allow {held}", f"withdraw {by_hand}"]
    assert topics("apply").returncode == 0
    assert topics("check").returncode == 0


def test_a_wrong_password_or_none_is_one_clear_line(tmp_path: Path) -> None:
    secure = running("secure")
    wrong = tmp_path / "detect"
    wrong.write_text("detect:guessed\n")
    ca = f"kafka://{secure.servers}?ca={secure.folder}/ca.pem"

    said = topics("plan", url=f"{ca}&credentials={wrong}")
    assert said.returncode == 2
    (line,) = said.stderr.strip().splitlines()
    assert f"user or password refused; expected those of credentials = '{wrong}'" in line
    assert "guessed" not in said.stderr + said.stdout

    with pytest.raises(BadInput, match=r"credentials = .*nobody': No such file"):
        open_bus(f"{ca}&credentials={tmp_path}/nobody")


def test_without_the_client_its_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka/__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'kafka'\", name='kafka')")
    environ = {"PATH": os.environ["PATH"], "CLASSPULSE_BUS": "kafka://127.0.0.1:1"}
    environ["PYTHONPATH"] = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    command = [sys.executable, "-m", "classpulse.cli", "topics", "plan"]
    said = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=120, check=False)

    assert said.returncode == 2
    assert said.stderr == "classpulse: bus = 'kafka://…': No module named 'kafka'; expected `pip install '.[kafka]'`\n"


def test_a_bus_that_makes_its_own_topics_is_told_so(tmp_path: Path) -> None:
    said = topics("plan", url=f"sqlite://{tmp_path}/bus.sqlite")

    assert said.returncode == 2
    assert "makes its topics itself; expected kafka://HOST:PORT[,…] in CLASSPULSE_BUS" in said.stderr
