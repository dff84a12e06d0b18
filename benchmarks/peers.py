"""Claims: GestureDet beside what people would otherwise take, in the same run; YOLO11n at 320 and torchvision's SSDLite.

Nets: GestureDet 300 in int8 is at least 1.3 times as fast as YOLO11n-320 in int8 in the same runtime. Whole route:
`classpulse` with the int8 paper model, four clips at once on two cores, does at least 1.1 times the frames a second of
Ultralytics' own loop with YOLO11n-320 in OpenVINO on the same clips, although ours ends in timelines and that in boxes.

The peers are architectures with random weights: compared, never shipped. All nets run in the same sessions with the same
settings; int8 is ONNX Runtime's quantiser for all, of everything it can quantise in a peer. The environment is one of its
own, see peers-requirements.txt.
"""

import argparse
import functools
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import onnxruntime
import openvino
import torch
from interleaved import Case, Work, conduct
from measured import ROOT, spread, write_result
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from random_nets import BenchNet, make_nets

from gesturedet.card import load_release
from gesturedet.export import write_release
from gesturedet.runtime.onnxruntime import session_options
from gesturedet.runtime.openvino import settings
from route import EVEN, LESSONS, Way, clip_720p
from route import run as run_route

SIZE = 320
ROWS = (("onnxruntime", "fp32"), ("onnxruntime", "int8"), ("openvino-bf16", "fp32"), ("openvino", "int8"))
LIMITS = {"int8_times_as_fast_as_yolo11n": 1.3, "route_times_the_frames_of_yolo11n": 1.1}
WAYS = {"2 workers x 1 thread": (2, 1), "1 worker x 2 threads": (1, 2)}
"""Workers, and threads of each."""
Files = dict[str, Path]


class SsdLite(torch.nn.Module):
    """torchvision's SSDLite up to its raw outputs, as ours ends: without default boxes and suppression."""

    def __init__(self) -> None:
        from torchvision.models.detection import ssdlite320_mobilenet_v3_large  # noqa: PLC0415 - only in this environment

        super().__init__()
        whole = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)
        self.backbone, self.head = whole.backbone, whole.head

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and offsets."""
        said = self.head(list(self.backbone(images).values()))
        return said["cls_logits"], said["bbox_regression"]


def ssdlite(folder: Path) -> Path:
    """SSDLite with random weights as ONNX."""
    torch.manual_seed(0)
    net, path = SsdLite(), folder / "ssdlite320.onnx"
    enliven(net, net)
    images = torch.zeros(1, 3, SIZE, SIZE)
    torch.onnx.export(net.eval(), (images,), str(path), input_names=["images"], opset_version=17, dynamo=False)
    return path


def yolo(folder: Path) -> tuple[Path, Path]:
    """YOLO11n with random weights, as ONNX and as the folder that Ultralytics runs on OpenVINO."""
    from ultralytics import YOLO  # noqa: PLC0415 - only in this environment

    torch.manual_seed(0)
    here = Path.cwd()
    os.chdir(folder)  # it writes beside itself
    try:
        model = YOLO("yolo11n.yaml")
        enliven(model.model, model.model)
        exported = {kind: model.export(format=kind, imgsz=SIZE, verbose=False) for kind in ("onnx", "openvino")}
    finally:
        os.chdir(here)
    return folder / exported["onnx"], folder / exported["openvino"]


def enliven(net: torch.nn.Module, run: Callable[[torch.Tensor], object]) -> None:
    """Give batch norms the statistics of noise, so that maps neither die nor grow without end."""
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    net.train()
    with torch.no_grad():
        run(torch.rand(4, 3, SIZE, SIZE))
    net.eval()


class Noise(CalibrationDataReader):  # type: ignore[misc]
    """Eight pictures to calibrate with."""

    def __init__(self, name: str) -> None:
        random = np.random.default_rng(0)
        shown = [random.uniform(0, 1, (1, 3, SIZE, SIZE)).astype(np.float32) for _ in range(8)]
        self._left = iter([{name: images} for images in shown])

    def get_next(self) -> dict[str, Any] | None:
        """The next picture, until there is none."""
        return next(self._left, None)


def quantised(path: Path) -> Path:
    """A peer in int8: everything that the quantiser can, with the settings of ours."""
    shaped, out = path.with_suffix(".shaped.onnx"), path.with_suffix(".int8.onnx")
    quant_pre_process(path, shaped, skip_symbolic_shape=True)
    quantize_static(
        shaped,
        out,
        Noise(onnx.load(shaped).graph.input[0].name),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return out


def run_file(runtime: str, file: Path, threads: int) -> Work:
    """One picture of noise through any net of one input, in the product's sessions."""
    if runtime == "onnxruntime":
        session = onnxruntime.InferenceSession(file, session_options(threads), providers=["CPUExecutionProvider"])
        (taken,) = session.get_inputs()
        feed = {taken.name: _noise(taken.shape)}
        return lambda: session.run(None, feed)
    precision = "bf16" if runtime == "openvino-bf16" else "f32"
    compiled = openvino.Core().compile_model(file, "CPU", settings(threads, precision))
    request, images = compiled.create_infer_request(), _noise(list(compiled.inputs[0].partial_shape))
    return lambda: request.infer({0: images}, share_inputs=True)


def _noise(shape: list[Any]) -> Any:
    sizes = [1, *(size if isinstance(size, int) else size.get_length() for size in shape[1:])]
    return np.random.default_rng(1).uniform(0, 1, sizes).astype(np.float32)


def net_cases(nets: dict[str, Files]) -> list[Case]:
    """Every net in every row with one thread and with two."""
    return [
        Case(
            f"{name}, {runtime} {precision}, {threads} threads",
            f"{runtime.partition('-')[0]}, {threads} threads",
            functools.partial(run_file, runtime, files[precision], threads),
        )
        for name, files in nets.items()
        for runtime, precision in ROWS
        for threads in (1, 2)
    ]


def loop(model: Path, clips: list[Path], core: int | None, ready: Any, found: Any) -> None:
    """Ultralytics' own loop over clips, file to lists of boxes; tells its frames, and when it began and ended."""
    from ultralytics import YOLO  # noqa: PLC0415 - only in this environment

    if core is not None:
        os.sched_setaffinity(0, {core})
    net = YOLO(model, task="detect")
    net.predict(np.zeros((720, 1280, 3), np.uint8), imgsz=SIZE, verbose=False)
    ready.wait()
    began, frames = time.monotonic(), 0
    for clip in clips:
        for one in net.predict(clip, stream=True, imgsz=SIZE, verbose=False):
            one.boxes.data.tolist()
            frames += 1
    found.put((frames, began, time.monotonic()))


def run_loops(clips: list[Path], way: Way) -> float:
    """Frames a second of the loop over the clips, in as many processes as the way has workers."""
    context = multiprocessing.get_context("spawn")
    ready, found = context.Barrier(way.workers), context.Queue()
    shares = [clips[index :: way.workers] for index in range(way.workers)]
    cores = [index if way.workers > 1 else None for index in range(way.workers)]
    jobs = [
        context.Process(target=loop, args=(way.model, *each, ready, found)) for each in zip(shares, cores, strict=True)
    ]
    for job in jobs:
        job.start()
    told = [found.get(timeout=1800) for _ in jobs]
    for job in jobs:
        job.join()
    frames, began, ended = zip(*told, strict=True)
    return float(sum(frames) / (max(ended) - min(began)))


def int8_release(net: BenchNet, folder: Path) -> Path:
    """A release of the int8 net: its own card where it has one, else another's with this net's shapes."""
    card = (net.release or load_release()).card
    fitting = msgspec.structs.replace(
        card, precision="int8", input_hw=net.config.input_hw, anchors=net.config.anchors, frame_width=640
    )
    write_release(folder, net.files["int8"], fitting)
    return folder


def ratios(times: dict[str, Any]) -> dict[str, float]:
    """How many times as fast as YOLO11n GestureDet 300 is in int8, for each runtime and number of threads."""
    keys = [f"{runtime} int8, {threads} threads" for runtime in ("onnxruntime", "openvino") for threads in (1, 2)]
    return {
        key: round(times[f"YOLO11n 320, {key}"]["median"] / times[f"GestureDet 300, {key}"]["median"], 3)
        for key in keys
    }


def routes(model: Path, loop_model: Path, folder: Path, runs: int, most_frames: int) -> dict[str, Any]:
    """Both routes over the same four clips, in turns, each in both ways to use two cores."""
    clips = [folder / f"clip-{number}.mp4" for number in range(4)]
    frames = 0
    for number, clip in enumerate(clips):
        source = LESSONS / f"lesson-{1 + number % 3}.mp4"
        frames += clip_720p(source, clip, mirrored=number == 3, most_frames=most_frames)
    ours: dict[str, list[float]] = {name: [] for name in WAYS}
    theirs: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(runs):
        for name, (workers, threads) in WAYS.items():
            ours[name].append(float(str(run_route(clips, frames, Way(model, workers, threads, EVEN))["frames_per_s"])))
            theirs[name].append(run_loops(clips, Way(loop_model, workers, threads, EVEN)))
    figures = {
        who: {name: spread(found) for name, found in each.items()}
        for who, each in (("classpulse", ours), ("YOLO11n 320, Ultralytics, OpenVINO", theirs))
    }
    best = [max(found["median"] for found in each.values()) for each in figures.values()]
    return {"clips": 4, "frames": frames, "frames_per_s": figures, "best_over_best": round(best[0] / best[1], 3)}


def main() -> None:
    """Make all nets, time them in turns, then run both routes in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--runs", type=int, default=3, help="of each route")
    parser.add_argument("--frames", type=int, default=900, help="of each clip")
    options = parser.parse_args()
    os.environ |= {"YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false", "YOLO_OFFLINE": "true"}
    (ROOT / "build").mkdir(exist_ok=True)
    os.environ["YOLO_CONFIG_DIR"] = str(ROOT / "build")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        own = make_nets(folder / "own", ("GestureDet 300", "classroom"))
        nets = {net.name: net.files for net in own}
        onnx_yolo, openvino_yolo = yolo(folder)
        for peer, path in (("YOLO11n 320", onnx_yolo), ("SSDLite 320", ssdlite(folder))):
            nets[peer] = {"fp32": path, "int8": quantised(path)}
        times = conduct(net_cases(nets), rounds=options.rounds)
        model = int8_release(own[0], folder / "release")
        route = routes(model, openvino_yolo, folder, options.runs, options.frames)
    write_result(
        "peers",
        {
            "claim": __doc__,
            "rounds": options.rounds,
            "limits": LIMITS,
            "weights": {net.name: net.weights for net in own} | {"YOLO11n 320": "random", "SSDLite 320": "random"},
            "nets_ms": times,
            "int8_times_as_fast_as_yolo11n": ratios(times),
            "route": route,
        },
    )


if __name__ == "__main__":
    main()
