"""What exists is documented, and what is documented exists."""

import re

import pytest

from classpulse.telemetry import REGISTRY
from classpulse.topics import TOPICS
from tests.support import ROOT


def rows(page: str) -> list[list[str]]:
    lines = (ROOT / "docs" / page).read_text().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]


def test_every_topic_has_its_row_and_every_row_its_topic() -> None:
    documented = {cells[0].strip("`"): cells for cells in rows("topics.md")}
    assert documented.keys() == TOPICS.keys()


@pytest.mark.parametrize("name", sorted(TOPICS))
def test_a_topics_row_says_what_the_code_says(name: str) -> None:
    topic = TOPICS[name]
    cells = next(cells for cells in rows("topics.md") if cells[0] == f"`{name}`")
    assert cells[1] == topic.key
    assert cells[2] == str(topic.partitions)
    assert ("compacted" in cells[3]) == (topic.cleanup == "compact")
    assert cells[5] == ", ".join(topic.nouns)


def test_every_metric_has_its_row_and_every_row_its_metric() -> None:
    exposed = set()
    for family in REGISTRY.collect():
        exposed.add(family.name + "_total" if family.type == "counter" else family.name)
    documented = {cells[0].strip("`") for cells in rows("metrics.md") if cells[0].startswith("`classpulse_")}
    assert documented == exposed


def test_every_metric_has_the_prefix_and_base_units() -> None:
    for family in REGISTRY.collect():
        assert re.fullmatch(r"classpulse_[a-z_]+", family.name)
        assert not family.name.endswith(("_ms", "_milliseconds", "_kb"))
