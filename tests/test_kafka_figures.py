"""Every figure of what Kafka costs here, in docs/topics.md, is in a result file."""

import json
from typing import Any

import pytest

from tests.support import ROOT

PAGE = (ROOT / "docs" / "topics.md").read_text()
ONE, THREE = "one node, plaintext", "three nodes, TLS, SCRAM, access"


def result(name: str) -> Any:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())


def spread(found: dict[str, Any], digits: int = 0) -> str:
    median, least, most = (f"{found[key]:,.{digits}f}" for key in ("median", "min", "max"))
    return f"{median} ({least} to {most})"


def shares(rates: dict[str, Any], figure: str) -> str:
    """Percent of the bare client's median or best round that the median of each other way appends."""
    bare, *others = rates.values()
    return " / ".join(f"{100 * other['median'] / bare[figure]:.0f}" for other in others) + " %"


def slower(runs: list[dict[str, int]]) -> str:
    worst = max(runs, key=lambda one: one["p99"])
    return f"{worst['p50']:,} / {worst['p99']:,}"


def rows() -> dict[str, str]:
    bus, route, aggregate, chaos = map(result, ("bus_kafka", "route_kafka", "aggregate_kafka", "chaos"))
    ingest, demo = result("ingest_kafka"), result("demo")["figures"]
    both = (bus[ONE], bus[THREE])
    appended = [f"{shares(one['append_mb_per_s'], 'median')}; {shares(one['append_mb_per_s'], 'max')}" for one in both]
    steps = [(one["step_of_detections_ms"]["median"], one["step_of_detections_ms"]["p99"]) for one in both]
    starts = [spread(one["started_s"][how], 1) for one in both for how in ("from_nothing", "again")]
    rooms = aggregate["rooms"]
    return {
        "frames": "| frames of 40 kB, of the bare client's median round; of its best: itself in transactions of 16"
        " / the bus with 480 / 16 / 1 a step"
        f" | {appended[0]} | {appended[1]} | 80 % |",
        "steps": "| a step of 100 detections, median / p99, ms | "
        + " | ".join(f"{median:.0f} / {p99:.0f}" for median, p99 in steps)
        + " | 40 / 250 |",
        "starts": f"| a cluster starts, s: from nothing; again | {starts[0]}; {starts[1]} | {starts[2]}; {starts[3]} | 20 |",
        "away": f"| a publisher whose broker is away for {bus['broker_away']['seconds']:.0f} s grows by, MB"
        f" | {bus['broker_away']['grew_mb']:.0f} | not measured | 50 |",
        "demo": "| the demo, capture to event, p50 / p99, ms (the slower run; on a file: "
        f"{slower(demo['capture_to_event_ms'])}) | {slower(demo['over_kafka']['capture_to_event_ms'])} | not measured | 2,000 |",
        "changed": "| a camera is added; removed, s"
        f" | {spread(ingest['added_s'], 1)}; {spread(ingest['removed_s'], 1)} | not measured | 5 |",
        "taken over": "| a camera is handed to a copy of ingest that joins (longest time without a frame); taken over from a dead one, s"
        f" | {spread(ingest['handed_over_gap_s'], 1)}; {spread(ingest['taken_over_s'], 1)} | not measured | 15 |",
        "route": f"| the whole route, frames/s (on a file in the same run: {spread(route['sqlite']['frames_per_s'])})"
        f" | {spread(route['kafka']['frames_per_s'])} | not measured | 60 |",
        **{
            f"rooms {count}": f"| aggregate, records/s and CPU ms a record, {int(count):,} rooms"
            f" | {spread(found['records_per_s'])}; {spread(found['cpu_ms_per_record'], 3)} | not measured | 3,000 |"
            for count, found in rooms.items()
        },
        "growth": f"A record of 1,000 rooms costs {aggregate['cpu_of_1000_rooms_to_10']:.2f} times the CPU"
        " that it costs of 10 (limit: 1.2); in steps"
        f" of 500 records {aggregate['cpu_of_1000_rooms_to_10_in_steps_of_500']:.2f} times",
        "in steps of 500": "in steps of 500 one process takes "
        + ", ".join(
            f"{spread(found['records_per_s'])} records/s of {int(count):,} rooms"
            for count, found in aggregate["rooms_in_steps_of_500"].items()
        ),
        "restore": f"| the state of 1,000 rooms is read again, s | {spread(aggregate['restore']['seconds'], 1)} | not measured | 15 |",
        "chaos": f"{chaos['faults']} faults under {chaos['routes']} routes; from the end of a fault until the route went on:"
        f" {spread(chaos['recovered_s'], 1)} s",
    }


def test_the_demo_finds_the_same_over_kafka() -> None:
    demo = result("demo")["figures"]
    assert demo["over_kafka"]["same_events"] == [True] * len(demo["f1"])
    assert demo["over_kafka"]["f1"] == demo["f1"]


def kilobytes(found: dict[str, Any], digits: int = 0) -> list[str]:
    return [f"{found[key] / 1000:.{digits}f}" for key in ("median", "min", "max")]


def test_what_a_room_costs_a_schools_line_is_as_measured() -> None:
    bridge = result("bridge")
    records, pictures = (
        kilobytes(bridge["crosses"]["bytes_per_s"], 1),
        kilobytes(bridge["with_pictures_it_would_be"]["bytes_per_s"]),
    )
    wire, _, _ = kilobytes(bridge["on_the_wire_bytes_per_s"]["one room alone"], 1)
    readme = (ROOT / "README.md").read_text()
    assert (
        f"{records[0]} kB/s of records ({records[1]} to {records[2]}, three lessons), {wire} kB/s on the wire" in readme
    )
    assert f"{pictures[0]} kB/s ({pictures[1]} to {pictures[2]}; `benchmarks/results/bridge.json`)" in readme


@pytest.mark.parametrize("name", sorted(rows()))
def test_a_figure_of_kafka_is_the_measured_one(name: str) -> None:
    assert rows()[name] in PAGE
