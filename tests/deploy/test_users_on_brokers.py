"""The rights that YAML gives to users who only look are enough on real brokers for what they look at, and for nothing else."""

import time
from collections.abc import Iterator

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
)

from classpulse.bus.kafka_link import parse_link
from classpulse.topics import FRAMES
from tests.brokers import running
from tests.deploy.built import built, named
from tests.services.cli.test_topics_command import topics

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]

STAND_IN = "analyst"
"""Whose password there is on the tests' brokers; it may see nothing of what is tried here by itself."""


def client(user: str) -> dict[str, object]:
    """How that user reaches the brokers."""
    return parse_link(running("secure").url(user).partition("://")[2]).client()


def rights(user: str) -> list[ACL]:
    """What YAML allows to a user, for the one who stands in."""
    found = []
    for told in named(built("platform/kafka"), "KafkaUser", user)["spec"]["authorization"]["acls"]:
        resource = told["resource"]
        pattern = "PREFIXED" if resource.get("patternType") == "prefix" else "LITERAL"
        of = ResourcePattern(
            ResourceType[resource["type"].upper()],
            resource.get("name", "kafka-cluster"),
            ACLResourcePatternType[pattern],
        )
        for word in told["operations"]:
            operation = ACLOperation["DESCRIBE_CONFIGS" if word == "DescribeConfigs" else word.upper()]
            found.append(ACL(f"User:{STAND_IN}", "*", operation, ACLPermissionType.ALLOW, of))
    return found


def positions(admin: KafkaAdminClient, group: str) -> object:
    """A group's positions; brokers that were never asked for any first make the topic where they lie."""
    for _ in range(120):
        try:
            return admin.list_group_offsets(group)
        except kafka_errors.RetriableError:
            time.sleep(0.5)
    raise AssertionError(f"{group}: no coordinator")


@pytest.fixture
def allowed(request: pytest.FixtureRequest) -> Iterator[None]:
    """The rights of the user named by the parameter, for as long as the test lasts."""
    assert topics("apply", "--force").returncode == 0
    admin = KafkaAdminClient(**client("admin"))
    given = rights(request.param)
    admin.create_acls(given)
    try:
        yield
    finally:
        admin.delete_acls(
            [ACLFilter(a.principal, a.host, a.operation, a.permission_type, a.resource_pattern) for a in given]
        )
        admin.close()


@pytest.mark.parametrize("allowed", ["admin"], indirect=True)
@pytest.mark.usefixtures("allowed")
def test_who_checks_topics_sees_all_that_is_compared() -> None:
    checked = topics("check", url=running("secure").url(STAND_IN))
    assert {line.rpartition(" to ")[0] for line in checked.stdout.splitlines()} == {f"withdraw {STAND_IN}"}, (
        checked.stderr
    )
    applied = topics("apply", url=running("secure").url(STAND_IN))
    assert (applied.returncode, applied.stdout) == (1, "")
    assert f"withdraw {STAND_IN} to DESCRIBE cluster kafka-cluster" in applied.stderr
    assert "ClusterAuthorizationFailedError" in applied.stderr


@pytest.mark.parametrize("allowed", ["scaler"], indirect=True)
@pytest.mark.usefixtures("allowed")
def test_who_scales_sees_positions_and_ends_and_no_picture() -> None:
    place = TopicPartition(FRAMES.name, 0)
    admin, consumer = KafkaAdminClient(**client(STAND_IN)), KafkaConsumer(**client(STAND_IN), enable_auto_commit=False)
    try:
        assert isinstance(positions(admin, "detect"), dict)
        assert consumer.end_offsets([place])[place] >= 0
        consumer.assign([place])
        consumer.seek_to_beginning()
        with pytest.raises(kafka_errors.TopicAuthorizationFailedError):
            consumer.poll(timeout_ms=20_000)
    finally:
        consumer.close()
        admin.close()
