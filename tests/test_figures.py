"""Every figure of the README is in a result file, and the files are of the model that is released."""

import json
from typing import Any

import pytest

from classpulse.aggregate.rules import DEFAULT_RULES
from gesturedet.card import load_release
from tests.support import ROOT

README = (ROOT / "README.md").read_text()
MEASURED = README[README.index("## What was measured") : README.index("## A school of your own")]


def result(name: str) -> Any:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())


def quoted(spread: dict[str, Any], digits: int = 0) -> str:
    """A spread as the README quotes it."""
    median, least, most = (f"{spread[key]:.{digits}f}" for key in ("median", "min", "max"))
    return f"{median} ({least} to {most}, {len(spread['runs'])} runs)"


def seconds(spread: dict[str, Any]) -> str:
    """A spread in ms as the README quotes it, in s."""
    inner = {key: spread[key] / 1000 for key in ("median", "min", "max")}
    return quoted({**inner, "runs": spread["runs"]}, 2)


def live_cell(model: str, found: dict[str, Any]) -> str:
    """What a row of the README says of 40 live cameras with a model."""
    whole, steady = (seconds(found[f"{which}capture_to_event_p99_ms"]) for which in ("", "steady_"))
    dropped, counted = max(
        (lost, seen + lost) for lost, seen in zip(found["dropped"]["runs"], found["frames"]["runs"], strict=True)
    )
    lost = f"{dropped} of {counted} frames dropped at most"
    return f" `{model}` | {whole.replace(' (', ' s (', 1)}; {steady.replace(' (', ' s (', 1)}; {lost} |"


def phrases() -> dict[str, str]:
    demo, route, live, bus, aggregate = map(result, ("demo", "route", "live", "bus_sqlite", "aggregate"))
    figures, told = demo["figures"], demo["last_report"]
    behaviours = told["behaviours"]
    card = load_release().card
    (exam,) = card.exams
    (sat,) = (one["figures"] for one in result("exams")["releases"] if one["digest"] == card.digest)
    quiet, (least, most) = sat["quiet"], sat["quiet"]["per_room_hour_interval"]
    latencies = [(one["p50"], one["p99"]) for one in figures["capture_to_event_ms"]]
    latencies.sort(key=lambda pair: pair[1])
    middle = latencies[len(latencies) // 2]
    ways = route["ways"]
    return {
        "f1": " / ".join(f"{one['f1']:.2f}" for one in behaviours.values()),
        "true events": ", ".join(str(one["true"]) for one in behaviours.values()),
        "beside the lessons": f"{quoted(figures['beside_the_lessons_s'])}".replace(" (", " s (", 1),
        "first detection": f"{quoted(figures['first_detection_s'], 1)}".replace(" (", " s (", 1),
        "memory": f"{quoted(figures['pss_mib'])}".replace(" (", " MiB (", 1),
        "demo latency": f"{middle[0]} / {middle[1]} ms",
        "route": quoted(ways["paper, 2 workers x 1 thread"]["frames_per_s"]).replace(" (", " frames/s (", 1),
        "one process": quoted(ways["paper, 1 worker x 2 threads"]["frames_per_s"]),
        "three and one": quoted(ways["paper, 2 workers x 1 thread, 3 cameras on one"]["frames_per_s"]),
        "classroom route": quoted(ways["classroom, 2 workers x 1 thread"]["frames_per_s"]),
        "nets alone": "; ".join(quoted(route["net_alone_frames_per_s"][net]) for net in ("paper", "classroom")),
        **{f"live with {model}": live_cell(model, found) for model, found in live["figures"].items()},
        "bus append": quoted(bus["cases"]["append, 1 frame and its state a step"]["mb_per_s"]),
        "bus read": quoted(bus["cases"]["read, 64 records a poll, positions committed"]["mb_per_s"]),
        "aggregate": quoted(aggregate["figures"]["1 cameras, a frame every 200 ms"]["step_ms"], 1),
        "exam": ", ".join(f"{row.behaviour} {row.ap50:.2f} ({row.truths} objects)" for row in exam.behaviours),
        "exam recall": ", ".join(f"{row.recall:.0%}" for row in exam.behaviours),
        "false events": f"{quiet['per_room_hour']:.0f} (95 %: {least:.0f} to {most:.0f})",
        "quiet room": f"about {quiet['per_room_hour']:.0f} false events an hour",
        "lessons' f1": " / ".join(f"{one['f1']:.2f}" for one in sat["lessons"]["behaviours"]) + " | 1: missed",
        "machine": demo["machine"]["cpu"],
    }


@pytest.mark.parametrize("what", phrases())
def test_the_readme_quotes_the_result_files(what: str) -> None:
    assert phrases()[what] in MEASURED


def test_what_was_measured_was_measured_with_the_released_model() -> None:
    card = load_release().card
    assert result("demo")["last_report"]["model"] == card.digest
    assert result("operating_point")["model"] == card.digest
    assert result("operating_point")["thresholds"] == card.thresholds


def test_the_settings_page_states_the_usual_rules() -> None:
    rules = (
        f"{name} {rule.least_score:g} / {rule.least_duration_ms} / {rule.longest_gap_ms}"
        for name, rule in DEFAULT_RULES.items()
    )
    assert f"Usual: {', '.join(rules)} |" in (ROOT / "docs" / "settings.md").read_text()


def test_rules_ask_for_the_scores_that_the_validation_lessons_gave() -> None:
    found = result("operating_point")
    assert {name: rule.least_score for name, rule in DEFAULT_RULES.items()} == found["least_scores"]
    assert found["lesson_seeds"]
    assert all(20_000_000 <= seed < 30_000_000 for seed in found["lesson_seeds"]), "lessons of the val split alone"


@pytest.mark.parametrize("name", ["aggregate", "bus_sqlite", "demo", "live", "route"])
def test_a_result_says_its_machine_and_its_commit_and_was_taken_from_a_clean_tree(name: str) -> None:
    found = result(name)
    assert found["machine"]["cpu"] in MEASURED
    assert len(found["commit"]) == 12, "a commit, without the + of a tree that differs from it"
