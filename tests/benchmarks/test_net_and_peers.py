"""The speed tables' arithmetic, on times that are known; nothing is timed."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="nets are made with torch (the train extra)")
pytest.importorskip("onnx", reason="nets are written with onnx (the train extra)")
pytest.importorskip("openvino", reason="peers are timed with OpenVINO (the openvino extra)")

from benchmarks.random_nets import CONFIGS, BenchNet

from benchmarks import net, peers
from gesturedet.postprocess import find_candidates

FILES = {kind: Path(f"{kind}.onnx") for kind in ("fp32", "int8")}


def bench_net(name: str, mflops: float) -> BenchNet:
    return BenchNet(name, CONFIGS[name], mflops, FILES, dict.fromkeys(FILES, "random"), None)


def test_without_nets_there_is_nothing_to_time() -> None:
    assert net.net_cases([]) == []
    assert peers.net_cases({}) == []
    assert net.with_shares([], {}, {}) == {}


def test_every_net_is_timed_on_every_runtime_with_one_thread_and_with_two_each_group_in_a_process_of_its_own() -> None:
    cases = net.net_cases([bench_net("baseline 300", 1), bench_net("classroom", 1)])
    assert len({case.name for case in cases}) == len(cases) == 2 * len(net.ROWS) * 2
    for case in cases:
        runtime, file, threads, name = case.make.args  # type: ignore[attr-defined]
        assert case.name.startswith(f"{name}, {runtime} ")
        assert case.name.endswith(f", {threads} threads")
        assert case.group == f"{runtime}, {threads} threads"
        assert file == FILES["int8" if " int8, " in case.name else "fp32"]


def test_a_share_of_the_peak_is_that_of_the_runtimes_own_data_type_and_threads() -> None:
    chosen = bench_net("classroom", 1000)
    times = {case.name: {"median": 10.0} for case in net.net_cases([chosen])}
    peak = {
        "f32, 1 threads": {"median": 200.0},
        "int8, 1 threads": {"median": 400.0},
        "int8, 2 threads": {"median": 800.0},
    }

    told = {name: row["share_of_peak"] for name, row in net.with_shares([chosen], times, peak).items()}

    # 1,000 million operations in 10 ms are 100 billion a second
    assert told["classroom, onnxruntime fp32, 1 threads"] == 0.5
    assert told["classroom, openvino int8, 1 threads"] == 0.25
    assert told["classroom, onnxruntime int8, 2 threads"] == 0.125
    assert told["classroom, openvino-bf16 fp32, 1 threads"] is None


def test_post_processing_is_timed_on_many_candidates_and_on_a_room_of_pupils() -> None:
    least = np.full(3, 0.3, np.float32)
    room, noise = (len(find_candidates(outputs()[0], least).rows) for outputs in (net.room_outputs, net.noise_outputs))
    assert 100 < room < 1000
    assert 700 < noise < 1000
    assert len(net.run_postprocess(*net.room_outputs())()) >= 10  # type: ignore[arg-type]


def test_the_picture_of_the_route_is_640_wide() -> None:
    assert net.lesson_picture().shape == (360, 640, 3)


def test_how_many_times_as_fast_is_the_peers_time_over_ours() -> None:
    cases = peers.net_cases(dict.fromkeys(("GestureDet 300", "YOLO11n 320"), FILES))
    times = {case.name: {"median": 2.0 if "GestureDet" in case.name else 5.0} for case in cases}
    assert peers.ratios(times) == {
        f"{runtime} int8, {threads} threads": 2.5 for runtime in ("onnxruntime", "openvino") for threads in (1, 2)
    }


def test_a_peer_and_ours_are_timed_in_the_precision_of_their_row_and_in_the_same_process() -> None:
    cases = peers.net_cases(dict.fromkeys(("GestureDet 300", "YOLO11n 320"), FILES))
    assert all(case.make.args[1] == FILES["int8" if " int8, " in case.name else "fp32"] for case in cases)  # type: ignore[attr-defined]
    groups = {name: [c.group for c in cases if c.name.startswith(name)] for name in ("GestureDet 300", "YOLO11n 320")}
    assert groups["GestureDet 300"] == groups["YOLO11n 320"]
    assert set(groups["YOLO11n 320"]) == {
        f"{runtime}, {n} threads" for runtime in ("onnxruntime", "openvino") for n in (1, 2)
    }
