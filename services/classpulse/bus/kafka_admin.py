"""What a cluster lacks beside topics.py, and how it gets it: topics, their limits, and who may do what."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ConfigResource,
    ConfigResourceType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)

from classpulse.bus.kafka_access import Grant, grants
from classpulse.bus.kafka_link import Link
from classpulse.bus.kafka_topics import UNLIMITED, configs_of
from classpulse.topics import Topic

OURS = "classpulse."
SHRINKS = ("retention.ms", "retention.bytes", "max.message.bytes")
"""Limits that, made smaller, take records away or refuse them."""


@dataclass(frozen=True)
class Change:
    """One difference. `loses`: bringing it about would lose records or their order. `act` None: nobody can bring it about."""

    line: str
    act: Callable[[], object] | None
    loses: bool = False


class Cluster:
    """A cluster as its administrator sees it."""

    def __init__(self, link: Link) -> None:
        self._link = link
        with link.connecting():
            self._admin = KafkaAdminClient(**link.client())

    def changes(self, topics: Sequence[Topic], *, replicas: int = -1) -> list[Change]:
        """What differs from these topics, in the order in which it is to be brought about."""
        with self._link.meaning("compare topics"):
            there = {
                told["name"]: len(told["partitions"])
                for told in self._admin.describe_topics()
                if told["name"].startswith(OURS)
            }
            found = [*self._topics(topics, there, replicas), *self._extra(topics, there)]
        return [*found, *self._access(grants(topics))]

    def apply(self, change: Change) -> None:
        """Bring one about. Raises Fatal where that is not allowed."""
        if change.act is not None:
            with self._link.meaning(change.line):
                change.act()

    def close(self) -> None:
        """Let go."""
        self._admin.close()

    def _topics(self, topics: Sequence[Topic], there: Mapping[str, int], replicas: int) -> Iterator[Change]:
        configs = self._configs([topic.name for topic in topics if topic.name in there])
        for topic in topics:
            if topic.name not in there:
                yield Change(
                    f"create {topic.name}: {topic.partitions} partitions, {_kept(topic)}", self._maker(topic, replicas)
                )
                continue
            if there[topic.name] != topic.partitions:
                yield self._repartition(topic, there[topic.name])
            for key, wanted in configs_of(topic).items():
                if (now := configs[topic.name].get(key)) != wanted:
                    yield self._configure(topic, key, now, wanted)

    def _extra(self, topics: Sequence[Topic], there: Collection[str]) -> Iterator[Change]:
        for name in sorted(set(there) - {topic.name for topic in topics}):
            yield Change(f"delete {name}: not in topics.py", partial(self._admin.delete_topics, [name]), loses=True)

    def _maker(self, topic: Topic, replicas: int) -> Callable[[], object]:
        wanted = {"num_partitions": topic.partitions, "replication_factor": replicas, "configs": configs_of(topic)}
        return lambda: self._admin.create_topics({topic.name: wanted}, wait_for_metadata=True)

    def _repartition(self, topic: Topic, now: int) -> Change:
        line = f"change {topic.name}: {now} partitions to {topic.partitions}, which breaks the order of its keys"
        if topic.partitions < now:
            return Change(
                f"{line}; Kafka cannot take partitions away: a new version of the topic is needed", None, loses=True
            )
        return Change(line, lambda: self._admin.create_partitions({topic.name: topic.partitions}), loses=True)

    def _configure(self, topic: Topic, key: str, now: str | None, wanted: str) -> Change:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic.name, configs={key: wanted})
        loses = key == "cleanup.policy" or (key in SHRINKS and _smaller(wanted, now))
        return Change(
            f"change {topic.name}: {key} {now} to {wanted}", lambda: self._admin.alter_configs([resource]), loses
        )

    def _configs(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        if not names:
            return {}
        asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        told = self._admin.describe_configs(asked, config_filter="all")["topic"]
        return {name: {key: entry["value"] for key, entry in told[name].items()} for name in names}

    def _access(self, wanted: frozenset[Grant]) -> Iterator[Change]:
        """Who may do what; nothing where the cluster asks nobody who he is."""
        try:
            with self._link.meaning("compare access"):
                there = self._granted({grant.user for grant in wanted})
        except Exception as error:
            if isinstance(error.__cause__, kafka_errors.SecurityDisabledError):
                return
            raise
        for grant in sorted(wanted - there.keys()):
            yield Change(f"allow {grant}", partial(self._allow, grant))
        for grant in sorted(there.keys() - wanted):
            yield Change(f"withdraw {grant}", partial(self._withdraw, there[grant]))

    def _allow(self, grant: Grant) -> None:
        """The library returns what the brokers refused, and raises nothing."""
        for refused in self._admin.create_acls([_acl(grant)])["failed"]:
            raise refused()

    def _withdraw(self, acl: ACL) -> None:
        """As `_allow`."""
        for _, _, error in self._admin.delete_acls([_exactly(acl)]):
            if error is not kafka_errors.NoError:
                raise error()

    def _granted(self, users: Collection[str]) -> dict[Grant, ACL]:
        """What is allowed now to our users; what others may is none of our business."""
        anything = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
        found, error = self._admin.describe_acls(
            ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY, anything)
        )
        if error is not kafka_errors.NoError:
            raise error()
        return {_grant(acl): acl for acl in found if acl.principal.removeprefix("User:") in users}


def _kept(topic: Topic) -> str:
    limits = [
        f"{topic.retention_ms // 1000} s" if topic.retention_ms is not None else "",
        f"{topic.retention_bytes} bytes a partition" if topic.retention_bytes is not None else "",
    ]
    kept = " and ".join(limit for limit in limits if limit) or "everything"
    return f"{topic.cleanup}, keeps {kept}"


def _smaller(wanted: str, now: str | None) -> bool:
    return wanted != UNLIMITED and (now in (None, UNLIMITED) or int(wanted) < int(now or 0))


def _acl(grant: Grant) -> ACL:
    pattern = ACLResourcePatternType.PREFIXED if grant.prefixed else ACLResourcePatternType.LITERAL
    return ACL(
        f"User:{grant.user}",
        "*",
        ACLOperation[grant.operation],
        ACLPermissionType.ALLOW,
        ResourcePattern(ResourceType[grant.kind], grant.name, pattern),
    )


def _grant(acl: ACL) -> Grant:
    return Grant(
        acl.principal.removeprefix("User:"),
        acl.operation.name,
        acl.resource_pattern.resource_type.name,
        acl.resource_pattern.resource_name,
        acl.resource_pattern.pattern_type is ACLResourcePatternType.PREFIXED,
    )


def _exactly(acl: ACL) -> ACLFilter:
    pattern = acl.resource_pattern
    same = ResourcePatternFilter(pattern.resource_type, pattern.resource_name, pattern.pattern_type)
    return ACLFilter(acl.principal, acl.host, acl.operation, acl.permission_type, same)
