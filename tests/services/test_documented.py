"""What exists is documented, and what is documented exists."""

import re
import threading
import time
from dataclasses import fields
from typing import get_args

import pytest
from prometheus_client import CollectorRegistry

from classpulse.errors import UNREADABLE
from classpulse.records import CameraState
from classpulse.settings import PREFIX, TESTS_PREFIX, Settings
from classpulse.telemetry import Counting, Metrics, OnRegistry, Row
from classpulse.topics import DAY_MS, MIB, MINUTE_MS, TOPICS, Topic
from tests.support import ROOT, Shown


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


def documented_metrics() -> dict[str, list[str]]:
    return {cells[0].strip("`"): cells for cells in rows("metrics.md") if cells[0].startswith("`classpulse_")}


def plain(text: str) -> str:
    """A cell's text without links and marks."""
    return re.sub(r"\[(.*?)\]\(.*?\)", r"\1", text).replace("`", "")


def test_every_metric_has_its_row_and_every_row_its_metric() -> None:
    assert documented_metrics().keys() == {row.shown for row in Metrics.table()}


def test_a_metrics_row_says_what_the_code_says() -> None:
    documented = documented_metrics()
    for row in Metrics.table():
        cells = documented[row.shown]
        assert (cells[1], plain(cells[2])) == (", ".join(row.labels), row.meaning), row.shown


@pytest.mark.parametrize("row", Metrics.table(), ids=lambda row: row.name)
def test_a_metric_is_shown_as_its_row_in_the_table_says(row: Row) -> None:
    metrics = Shown()
    made = getattr(metrics, row.name.removeprefix("classpulse_"))
    made = made.labels(*("x" for _ in row.labels)) if row.labels else made
    getattr(made, {"counter": "inc", "gauge": "set", "histogram": "observe"}[row.kind])(3)
    (family,) = metrics.registry.collect()
    shown = [sample for sample in family.samples if sample.name in (row.shown, f"{row.shown}_sum")]
    assert [(sample.value, tuple(sample.labels)) for sample in shown] == [(3, row.labels)]
    assert (family.documentation, family.type) == (row.meaning, row.kind)


def test_what_a_process_does_not_count_it_does_not_show() -> None:
    metrics = Shown()
    assert list(metrics.registry.collect()) == []
    metrics.frames_captured.inc()
    assert [family.name for family in metrics.registry.collect()] == ["classpulse_frames_captured"]


def test_every_process_has_metrics_of_its_own() -> None:
    one, other = Shown(), Shown()
    one.frames_captured.inc()
    assert (one.value("frames_captured_total"), other.value("frames_captured_total")) == (1, None)


def test_a_metric_named_by_many_threads_at_once_is_one() -> None:
    class Slow(OnRegistry):
        """Gives others the time to name it, too."""

        def counter(self, row: Row) -> Counting:
            time.sleep(0.05)
            return super().counter(row)

    registry = CollectorRegistry()
    metrics = Metrics(Slow(registry))

    def count() -> None:
        metrics.frames_captured.inc()

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert registry.get_sample_value("classpulse_frames_captured_total") == 8


def test_what_takes_time_is_measured_around_two_seconds_and_up_to_a_minute() -> None:
    seconds = [row for row in Metrics.table() if row.kind == "histogram" and row.name.endswith("_seconds")]
    assert seconds
    for row in seconds:
        assert 2.0 in row.buckets
        assert row.buckets[-1] == 60.0


def test_every_reason_of_a_dead_letter_is_known_and_explained() -> None:
    given = {reason for _, text in sources() for reason in re.findall(r"InvalidRecord\(\s*\"(\w+)\"", text)}
    explained = {reason for cells in rows("metrics.md") for reason in re.findall(r"`(\w+)`", cells[0])}
    assert given - {"decode_error"} == set(UNREADABLE), "ingest tells decode_error as a dropped frame"
    assert set(UNREADABLE) <= explained


def test_every_state_of_a_camera_is_explained() -> None:
    meaning = documented_metrics()["classpulse_camera_state"][2]
    assert re.findall(r"`(\w+)` \(", meaning) == list(get_args(CameraState))


def test_metrics_are_made_in_one_place() -> None:
    made = re.compile(
        r"prometheus_client.*(Counter|Gauge|Histogram|Summary)|(Counter|Gauge|Histogram)\(.*, row.meaning"
    )
    assert {name for name, text in sources() if made.search(text)} == {"telemetry.py", "ray_metrics.py"}


def test_no_variable_is_read_that_is_no_setting() -> None:
    settings = {PREFIX + one.name.upper() for one in fields(Settings)}
    named = {word for _, text in sources() for word in re.findall(r"\bCLASSPULSE_[A-Z]\w*", text)}
    assert named <= settings | {TESTS_PREFIX}


def sources() -> list[tuple[str, str]]:
    paths = [path for root in ("services", "model") for path in (ROOT / root).rglob("*.py")]
    return [(path.name, path.read_text()) for path in paths]


def test_every_metric_has_the_prefix_and_base_units() -> None:
    for row in Metrics.table():
        assert re.fullmatch(r"classpulse_[a-z_]+", row.name)
        assert not row.name.endswith(("_ms", "_milliseconds", "_kb", "_total"))
