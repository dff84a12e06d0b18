"""Every table of docs/detector.md is what its result files say, and the files of what the released model sees are of it."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from benchmarks.exams.markdown import as_markdown

from gesturedet.card import WEIGHTS, ModelCard, load_release
from tests.support import ROOT

PAGE = (ROOT / "docs" / "detector.md").read_text()
RUNTIMES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}


def result(name: str) -> Any:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())


def card(name: str) -> ModelCard:
    return load_release(WEIGHTS / name).card


def squeezed(text: str) -> str:
    """Text without spaces and line ends: how it is laid out is free."""
    return re.sub(r"\s", "", text)


def rows_in(markdown: str) -> list[str]:
    """The rows of all tables, without headings and spaces."""
    lines = [squeezed(line) for line in markdown.splitlines()]
    below = [*lines[1:], ""]
    table = [(line, after) for line, after in zip(lines, below, strict=True) if line.startswith("|")]
    return [line for line, after in table if not (is_rule(line) or is_rule(after))]


def is_rule(line: str) -> bool:
    return bool(line) and set(line) <= set("|-:")


def row(cells: Iterable[str]) -> str:
    return squeezed(f"| {' | '.join(cells)} |")


def spread(found: Mapping[str, Any], digits: int = 1) -> str:
    """A median with the least and the most, as the page quotes it."""
    median, least, most = (f"{found[key]:.{digits}f}" for key in ("median", "min", "max"))
    return f"{median} ({least} to {most})"


def sat_by(name: str, exams: str) -> dict[str, Any]:
    """What a released model showed on the exams."""
    (found,) = (one for one in result(exams)["releases"] if one["digest"] == card(name).digest)
    return found  # type: ignore[no-any-return]


def exam_rows() -> list[str]:
    """What the released int8 model and its losses are rendered to, in order; figures by size are left to the file."""
    told, released = result("exams"), sat_by("classroom", "exams")
    figures = {name: {**found, "sizes": []} for name, found in released["figures"].items()}
    return rows_in(as_markdown({**told, "releases": [{**released, "figures": figures}]}))


def choice_rows() -> list[str]:
    """The two classroom models side by side."""
    columns = [choice("classroom", "exams"), choice("classroom-640", "exams_640")]
    return [row([what, *(told[what] for told in columns)]) for what in columns[0]]


def choice(name: str, exams: str) -> dict[str, str]:
    net, live, sat = result("net"), result("live")["figures"][name], sat_by(name, exams)["figures"]
    height, width = card(name).input_hw
    times = (net["nets_ms"][f"{name}, onnxruntime int8, {threads} threads"] for threads in (1, 2))
    return {
        "pixels": f"{height} x {width}",
        "million operations": f"{net['mflops'][name]:,}",
        "ms a picture in ONNX Runtime, int8: one thread; two": "; ".join(map(spread, times)),
        **{f"mAP50 on `{exam}`": f"{found['map50']:.3f}" for exam, found in sat.items() if "map50" in found},
        "calibration error on `rooms`": f"{sat['rooms']['calibration']['error']:.3f}",
        "F1 of events: hand-raising, stand-up, sleeping": ", ".join(
            f"{one['f1']:.2f}" for one in sat["lessons"]["behaviours"]
        ),
        "false events in a room and hour without gestures": f"{sat['quiet']['per_room_hour']:.0f}",
        "40 live cameras, a frame/s: frames dropped": spread(live["dropped"], 0),
        "capture to event, p99, ms": spread(live["capture_to_event_p99_ms"], 0),
    }


def ablation_rows() -> list[str]:
    return [row(ablation_cells(name, found)) for name, found in result("ablation")["rows"].items()]


def ablation_cells(name: str, found: Mapping[str, Any]) -> list[str]:
    (seed,) = found["seeds"].values()
    cells = [name, f"{found['mflops']:.0f}", f"{found['map50']:.3f}"]
    for told in seed["behaviours"]:
        least, most = told["ap50_interval"]
        cells += [f"{told['ap50']:.3f}", f"{least:.3f} to {most:.3f}"]
    return [*cells, str(found["paper_map"])]


def gain_rows() -> list[str]:
    return [row(gain_cells(name, found)) for name, found in result("gains")["rows"].items()]


def gain_cells(name: str, found: Mapping[str, Any]) -> list[str]:
    (seed,) = found["seeds"].values()
    points = "" if name == found["beside"] else f"{found['points']:+.1f}"
    return [name, f"{found['map50']:.3f}", points, *(f"{told['ap50']:.3f}" for told in seed["behaviours"])]


def net_rows() -> list[str]:
    cases = [case.removesuffix(", 1 threads") for case in result("net")["nets_ms"] if case.endswith(", 1 threads")]
    return [row(net_cells(result("net"), case)) for case in cases]


def net_cells(told: Mapping[str, Any], case: str) -> list[str]:
    net, runtime, precision = re.fullmatch(r"(.*), (\S+) (\S+)", case).groups()  # type: ignore[union-attr]
    runtime, _, own = runtime.partition("-")
    precision = own or precision
    one, two = (told["nets_ms"][f"{case}, {threads} threads"] for threads in (1, 2))
    # The file's own share is rounded already, and once more would be once too often.
    peak = told["peak_gop_per_s"][f"{precision.replace('fp32', 'f32')}, 1 threads"]
    share = told["mflops"][net] / one["median"] / peak["median"]
    assert share == pytest.approx(one["share_of_peak"], abs=0.001)
    return [f"{net}, {RUNTIMES[runtime]} {precision}", spread(one), spread(two), f"{share:.0%}"]


def around_rows() -> list[str]:
    around = result("net")["around_ms"]
    nets = {"paper model": "GestureDet 300", "classroom model": "classroom"}
    jpeg = {
        name: "; ".join(spread(around[f"JPEG to boxes: {net}, {runtime} int8"]) for runtime in RUNTIMES)
        for name, net in nets.items()
    }
    after = "; ".join(spread(found, 2) for case, found in around.items() if case.startswith("postprocess: "))
    return [
        *(row([f"{name}, ONNX Runtime int8; OpenVINO int8", times]) for name, times in jpeg.items()),
        row(["post-processing of 11,658 default boxes: 20 pupils; noise in one box of fifteen", after]),
    ]


def peer_rows() -> list[str]:
    times = result("peers")["nets_ms"]
    nets = dict.fromkeys(case.split(", ")[0] for case in times)
    columns = [f"{runtime} int8, {threads} threads" for runtime in RUNTIMES for threads in (1, 2)]
    return [row([net, *(spread(times[f"{net}, {column}"]) for column in columns)]) for net in nets]


TABLES = {
    "exams": exam_rows,
    "classroom models": choice_rows,
    "ablation": ablation_rows,
    "gains": gain_rows,
    "net": net_rows,
    "around the net": around_rows,
    "peers": peer_rows,
}


@pytest.mark.parametrize("table", TABLES)
def test_every_row_of_a_result_is_in_the_page_once_and_in_order(table: str) -> None:
    wanted = TABLES[table]()
    assert wanted
    assert [line for line in rows_in(PAGE) if line in set(wanted)] == wanted


def phrases() -> dict[str, str]:
    net, peers, plain, point = map(result, ("net", "peers", "plain_video", "operating_point"))
    baseline, ours, smaller, classroom = (f"{value:,}" for value in net["mflops"].values())
    faster = [f"{value:.2f}" for value in peers["int8_times_as_fast_as_yolo11n"].values()]
    route = [best(ways) for ways in peers["route"]["frames_per_s"].values()]
    asked = [at_least(point, name) for name in point["least_scores"]]
    _, walk, street = (one["alarms_per_minute"] for one in plain["rows"])
    mirrored = [f"{100 * one['confirmed_when_mirrored']:.0f}" for one in plain["rows"]]
    cut = [f"{100 * one['confirmed_when_cut']:.0f}" for one in plain["rows"]]
    (rooms,) = card("paper").exams
    smaller_sat = sat_by("classroom-640", "exams_640")["figures"]
    lost = result("exams_640")["losses"][0]["map50"]["rooms"]
    least, most = lost["interval"]
    rates = [
        listed(f"{one[key]:.2f}" for one in smaller_sat["lessons"]["behaviours"]) for key in ("precision", "recall")
    ]
    years = result("statures")["years"].values()
    return {
        "statures in exams": f"are {pairs_cm(years, 'frozen_exams')} cm (`statures.json`), with deviations of",
        "the WHO's statures": f"medians are {listed_pairs((row['who_boys_cm'], row['who_girls_cm']) for row in years)}. What",
        "statures for training": f"since recipe 5 has {pairs_cm(years, 'training')} (",
        "machine": f"On an {net['machine']['cpu']} with {net['machine']['cores']} cores",
        "rounds": f"one run of {net['rounds']} rounds in turns",
        "operations": f"{baseline} million operations for the baseline, {ours} for GestureDet at 300 x 300,",
        "events of the smaller": f"precision of its events is {rates[0]}, recall {rates[1]}.",
        "loss of the smaller": f"loses {lost['points']} points of mAP50 on `rooms` (95 %: {least:.2f} to {most:.2f})",
        "operations in classrooms": f"{smaller} for `classroom-640`, {classroom} for `classroom`.",
        "times as fast": f"{faster[0]} and {faster[1]} times as fast as YOLO11n in ONNX Runtime, {faster[2]} and {faster[3]} times",
        "our route": f"with the paper model does {route[0]} frames a second",
        "their route": f"on the same clips {route[1]}, each",
        "route": f"{peers['route']['best_over_best']:.2f} times, where 1.1 was wanted",
        "true events": f"({', '.join(str(one['true']) for one in asked)} true)",
        "events": f"F1 is {listed(format(one['f1'], '.2f') for one in asked)} at the scores",
        "plain clips": f"{listed(str(one['pictures']) for one in plain['rows'])} pictures at {plain['fps']} a second",
        "events in plain clips": f"Events by the usual rules: {listed(str(sum(one['events'].values())) for one in plain['rows'])}",
        "alarms of one who walks": f"{walk['sleeping']:.1f} a minute of `sleeping` where one walks",
        "one who walks stands": f"a room and {walk['stand-up']:.1f} of `stand-up`",
        "alarms in a street": f"{street['hand-raising']:.1f} of `hand-raising` and {street['stand-up']:.1f} of `stand-up`",
        "mirrored": f"confirms {listed(mirrored)} %",
        "cut": f"of what lies within, {listed(cut)} %",
        "paper model": f"AP50 {listed(format(one.ap50, '.3f') for one in rooms.behaviours)} on `rooms`",
    }


def best(ways: Mapping[str, Any]) -> str:
    return spread(max(ways.values(), key=lambda way: way["median"]), 0)


def at_least(point: Mapping[str, Any], behaviour: str) -> Mapping[str, Any]:
    """What was found at the score that the usual rules ask for."""
    (found,) = (one for one in point["curves"][behaviour] if one["score"] == point["least_scores"][behaviour])
    return found  # type: ignore[no-any-return]


def pairs_cm(years: Iterable[Mapping[str, Any]], whose: str) -> str:
    return listed_pairs((row[whose]["boys_cm"]["median"], row[whose]["girls_cm"]["median"]) for row in years)


def listed_pairs(pairs: Iterable[tuple[float, float]]) -> str:
    return ", ".join(f"{boys:.0f} and {girls:.0f}" for boys, girls in pairs)


def listed(values: Iterable[str]) -> str:
    *first, last = values
    return f"{', '.join(first)} and {last}"


@pytest.mark.parametrize("what", phrases())
def test_the_text_quotes_the_result_files(what: str) -> None:
    assert squeezed(phrases()[what]) in squeezed(PAGE)


def test_exams_were_sat_by_the_released_models_in_both_precisions() -> None:
    sat = {one["precision"]: one["digest"] for one in result("exams")["releases"]}
    assert sat == {"fp32": card("classroom-fp32").digest, "int8": card("classroom").digest}
    assert [(loss["from"], loss["to"]) for loss in result("exams")["losses"]] == [(sat["fp32"], sat["int8"])]
    assert [one["precision"] for one in result("exams_640")["releases"]] == ["fp32", "int8"]
    assert [loss["to"] for loss in result("exams_640")["losses"]] == [card("classroom-640").digest]


def test_plain_clips_and_lessons_were_looked_at_by_the_released_model() -> None:
    assert {one["digest"] for one in result("plain_video")["rows"]} == {card("classroom").digest}
    assert result("operating_point")["model"] == card("classroom").digest


@pytest.mark.parametrize("name", ["net", "peers"])
def test_times_are_of_the_released_nets_or_the_page_says_of_which(name: str) -> None:
    weights = result(name)["weights"]
    folders = {"GestureDet 300": "paper", "classroom-640": "classroom-640", "classroom": "classroom"}
    released = {
        (net, precision): f"released {card(release).digest[:12]}"
        for net, folder in folders.items()
        for precision, release in (("int8", folder), ("fp32", f"{folder}-fp32"))
        if net in weights and (WEIGHTS / release).is_dir()
    }
    other = {net for (net, precision), digest in released.items() if weights[net][precision] != digest}
    assert not other or (other == {"classroom"} and "those of an earlier release (the same net)" in PAGE)


def test_rows_are_told_from_headings_and_layout() -> None:
    told = "text\n| a | b |\n| --- | --: |\n|  x, y |1.0 |\n\n| c |\n|--|\n"
    assert rows_in(told) == ["|x,y|1.0|"]
