"""What exists is documented, and what is documented exists."""

import re
from dataclasses import fields
from typing import get_args

import pytest
from prometheus_client import Counter, Gauge, Histogram

from classpulse import telemetry
from classpulse.records import CameraState
from classpulse.settings import PREFIX, TESTS_PREFIX, Settings
from classpulse.telemetry import REGISTRY
from classpulse.topics import DAY_MS, MIB, MINUTE_MS, TOPICS, Topic
from tests.support import ROOT


def rows(page: str) -> list[list[str]]:
    lines = (ROOT / "docs" / page).read_text().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]


def test_every_topic_has_its_row_and_every_row_its_topic() -> None:
    documented = {cells[0].strip("`"): cells for cells in rows("topics.md")}
    assert documented.keys() == TOPICS.keys()


def kept(topic: Topic) -> str:
    """How a topic's row says what is kept of it."""
    ms, size = topic.retention_ms, topic.retention_bytes
    age = [] if ms is None else [_days(ms // DAY_MS) if ms % DAY_MS == 0 else f"{ms // MINUTE_MS} min"]
    if topic.cleanup == "compact":
        return ", ".join(["compacted", *age])
    a_partition = " a partition" if topic.partitions > 1 else ""
    return " and ".join(age + ([] if size is None else [f"{size // MIB} MiB{a_partition}"]))


def _days(count: int) -> str:
    return f"{count} day{'s' if count > 1 else ''}"


@pytest.mark.parametrize("name", sorted(TOPICS))
def test_a_topics_row_says_what_the_code_says(name: str) -> None:
    topic = TOPICS[name]
    cells = next(cells for cells in rows("topics.md") if cells[0] == f"`{name}`")
    assert cells[1] == topic.key
    assert cells[2] == str(topic.partitions)
    assert cells[3].removesuffix(", never revised") == kept(topic)
    assert cells[4].split(" (")[0] == f"{', '.join(topic.written_by)} → {', '.join(topic.read_by)}"
    assert cells[5] == ", ".join(topic.nouns)


def test_every_metric_has_its_row_and_every_row_its_metric() -> None:
    exposed = set()
    for family in REGISTRY.collect():
        exposed.add(family.name + "_total" if family.type == "counter" else family.name)
    documented = {cells[0].strip("`") for cells in rows("metrics.md") if cells[0].startswith("`classpulse_")}
    assert documented == exposed


def test_every_state_of_a_camera_is_explained() -> None:
    (meaning,) = (cells[2] for cells in rows("metrics.md") if cells[0] == "`classpulse_camera_state`")
    assert re.findall(r"`(\w+)` \(", meaning) == list(get_args(CameraState))


def test_every_metric_is_labelled_as_its_row_says() -> None:
    labels = {cells[0].strip("`"): cells[1] for cells in rows("metrics.md") if cells[0].startswith("`classpulse_")}
    made = {one for one in vars(telemetry).values() if isinstance(one, Counter | Gauge | Histogram)}
    assert len(made) == len(labels)
    for one in made:
        name = f"{one._name}_total" if isinstance(one, Counter) else one._name
        assert labels[name] == ", ".join(one._labelnames), name


def test_metrics_are_made_in_one_place() -> None:
    assert {name for name, text in sources() if "prometheus_client" in text} == {"telemetry.py"}


def test_no_variable_is_read_that_is_no_setting() -> None:
    settings = {PREFIX + one.name.upper() for one in fields(Settings)}
    named = {word for _, text in sources() for word in re.findall(r"\bCLASSPULSE_[A-Z]\w*", text)}
    assert named <= settings | {TESTS_PREFIX}


def sources() -> list[tuple[str, str]]:
    paths = [path for root in ("services", "model") for path in (ROOT / root).rglob("*.py")]
    return [(path.name, path.read_text()) for path in paths]


def test_every_metric_has_the_prefix_and_base_units() -> None:
    for family in REGISTRY.collect():
        assert re.fullmatch(r"classpulse_[a-z_]+", family.name)
        assert not family.name.endswith(("_ms", "_milliseconds", "_kb"))
