"""Who may do what on a Kafka cluster: the least that each stage and person needs, from topics.py.

Every stage has a user of its own name. Reading or writing a topic includes describing it. A member needs its consumer group
and transactional ids that begin with its name; who only looks at a group's positions may describe it.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from classpulse.topics import DEAD_LETTERS, DETECTIONS, EVENTS, FRAMES, Topic

MEMBERS = ("ingest", "detect", "aggregate")
"""Users that join consumer groups: those whose names begin with their own (a school's ingest has one of its own)."""

LOOKS_AT: dict[str, tuple[str, ...]] = {"ingest": ("detect",), "operator": ("detect", "aggregate")}
"""The groups whose positions a user looks at without being in them."""

CUT_OFF = (FRAMES, DETECTIONS, EVENTS, DEAD_LETTERS)
"""The topics of which the operator may remove the oldest records: pictures that were looked at, and what is erased."""

TRANSACTIONS = "classpulse/"


class Grant(NamedTuple):
    """`user` may do `operation` to the `kind` named `name`, or to all whose names begin so."""

    user: str
    operation: Literal["READ", "WRITE", "DESCRIBE", "DELETE"]
    kind: Literal["TOPIC", "GROUP", "TRANSACTIONAL_ID"]
    name: str
    prefixed: bool = False

    def __str__(self) -> str:
        """As a person would say it."""
        what = self.kind.lower().replace("_", " ")
        return f"{self.user} to {self.operation} {what} {self.name}{'*' if self.prefixed else ''}"


def grants(topics: Sequence[Topic]) -> frozenset[Grant]:
    """Everything that is to be allowed."""
    return frozenset((*_topics(topics), *_groups(), *_writers(topics)))


def _topics(topics: Sequence[Topic]) -> Iterator[Grant]:
    for topic in topics:
        yield from (Grant(user, "WRITE", "TOPIC", topic.name) for user in topic.written_by)
        yield from (Grant(user, "READ", "TOPIC", topic.name) for user in topic.read_by)
    yield from (Grant("operator", "DELETE", "TOPIC", topic.name) for topic in CUT_OFF)


def _groups() -> Iterator[Grant]:
    yield from (Grant(user, "READ", "GROUP", user, prefixed=True) for user in MEMBERS)
    for user, groups in LOOKS_AT.items():
        yield from (Grant(user, "DESCRIBE", "GROUP", group) for group in groups)


def _writers(topics: Sequence[Topic]) -> Iterator[Grant]:
    for user in sorted({user for topic in topics for user in topic.written_by}):
        yield Grant(user, "WRITE", "TRANSACTIONAL_ID", f"{TRANSACTIONS}{user}", prefixed=True)
