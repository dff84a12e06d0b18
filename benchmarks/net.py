"""Claims: what the detector costs on a CPU, in one interleaved run of 12 rounds.

The four nets on each runtime with one thread and with two, with the share of the processor's measured peak; the paper
model from a 640-wide JPEG to boxes in at most 6 ms on one core; post-processing of 11,658 default boxes in at most 0.5 ms;
and whether normalising inside the graph saves anything. Weights are random where no release has them: then a figure says
nothing but time, and boxes are found only by chance. Figures in milliseconds: median, least and most of the rounds' medians.
"""

import argparse
import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import msgspec
import numpy as np
from interleaved import Case, Visit, Work, conduct
from measured import ROOT, write_result
from peaks import peaks, share
from random_nets import CONFIGS, BenchNet, make_nets, some_images

from gesturedet.anchors import PAPER_ANCHORS, anchors_cxcywh
from gesturedet.boxes import cxcywh_to_xyxy, encode, iou_matrix
from gesturedet.card import Release, load_release
from gesturedet.export import take_bytes
from gesturedet.labels import BEHAVIOURS
from gesturedet.postprocess import find_candidates, postprocess
from gesturedet.predictor import Predictor
from gesturedet.preprocess import Bytes, Floats, normalise
from gesturedet.runtime.base import open_runtime

LESSON = ROOT / "services" / "classpulse" / "demo" / "lessons" / "lesson-1.mp4"
ROWS = (
    ("onnxruntime", "fp32", "f32"),
    ("onnxruntime", "int8", "int8"),
    ("openvino", "fp32", "f32"),
    ("openvino-bf16", "fp32", "bf16"),
    ("openvino", "int8", "int8"),
)
"""Runtime, precision of the file, and what it computes in."""
LIMITS = {"jpeg_to_boxes_ms": 6.0, "postprocess_ms": 0.5}


def run_net(runtime: str, file: Path, threads: int, name: str) -> Work:
    """One picture of noise through a net."""
    loaded = open_runtime(runtime, file.read_bytes(), threads=threads)
    images = some_images(CONFIGS[name], 1)
    return lambda: loaded.run(images)


def run_from_bytes(runtime: str, file: Path, picture: Bytes) -> Work:
    """A picture of the net's size through a net, normalised wherever the net wants it."""
    loaded = open_runtime(runtime, file.read_bytes())
    if loaded.input.in_bytes:
        return lambda: loaded.run(picture[None])
    return lambda: loaded.run(normalise(picture))


def run_jpeg(runtime: str, file: Path, release: Release, jpeg: bytes) -> Work:
    """A JPEG to boxes, on one core."""
    predictor = Predictor(release, open_runtime(runtime, file.read_bytes()))
    coded = np.frombuffer(jpeg, np.uint8)
    return lambda: predictor.predict(np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8))


def run_postprocess(logits: Floats, offsets: Floats) -> Work:
    """Outputs for 11,658 default boxes to detections."""
    anchors = anchors_cxcywh((300, 300), PAPER_ANCHORS)
    thresholds = dict.fromkeys(BEHAVIOURS, 0.3)
    return lambda: postprocess(logits, offsets, anchors, thresholds=thresholds)


def lesson_picture(width: int = 640) -> Bytes:
    """A picture of a lesson in its middle, as ingest sends it."""
    with av.open(str(LESSON)) as clip:
        frames = clip.streams.video[0].frames
        picture = next(frame for place, frame in enumerate(clip.decode(video=0)) if place >= frames // 2)
    height = round(width * picture.height / picture.width / 2) * 2
    return np.asarray(picture.reformat(width, height, "bgr24").to_ndarray(), np.uint8)


def room_outputs(pupils: int = 20) -> tuple[Floats, Floats]:
    """Outputs of a sure net on a room: all default boxes that overlap a pupil by half or more find it."""
    random, anchors = np.random.default_rng(0), anchors_cxcywh((300, 300), PAPER_ANCHORS)
    centres, sizes = random.uniform(0.1, 0.9, (pupils, 2)), random.uniform(0.08, 0.3, (pupils, 2))
    boxes = np.concatenate((centres - sizes / 2, centres + sizes / 2), axis=1).astype(np.float32)
    overlaps = iou_matrix(cxcywh_to_xyxy(anchors), boxes)
    nearest, sure = overlaps.argmax(axis=1), overlaps.max(axis=1) >= 0.5
    logits = random.normal(0, 1, (len(anchors), 4)).astype(np.float32)
    logits[:, 0] += 8
    logits[sure, 1 + nearest[sure] % 3] += 12
    offsets = random.normal(0, 0.3, (len(anchors), 4)).astype(np.float32)
    offsets[sure] += encode(boxes[nearest[sure]], anchors[sure])
    return logits, offsets


def noise_outputs(hot: int = 777) -> tuple[Floats, Floats]:
    """Outputs of a net that sees something in one default box of fifteen, everywhere."""
    random, count = np.random.default_rng(0), len(anchors_cxcywh((300, 300), PAPER_ANCHORS))
    logits = random.normal(0, 1, (count, 4)).astype(np.float32)
    logits[:, 0] += 6
    rows = random.choice(count, hot, replace=False)
    logits[rows, random.integers(1, 4, hot)] += 8
    return logits, random.normal(0, 0.5, (count, 4)).astype(np.float32)


OUTPUTS: dict[str, Callable[[], tuple[Floats, Floats]]] = {"20 pupils": room_outputs, "noise": noise_outputs}


def net_cases(nets: list[BenchNet]) -> list[Case]:
    """Every net on every runtime with one thread and with two."""
    return [
        Case(
            _key(net.name, runtime, precision, threads),
            f"{runtime}, {threads} threads",
            functools.partial(run_net, runtime, net.files[precision], threads, net.name),
        )
        for net in nets
        for runtime, precision, _ in ROWS
        for threads in (1, 2)
    ]


def route_cases(nets: list[BenchNet], jpeg: bytes) -> list[Case]:
    """From a JPEG to boxes on one core, in int8."""
    card = load_release().card
    found = []
    for net in nets:
        drawn = Release(net.release.card if net.release else _card_of(net, card), b"")
        for runtime in ("onnxruntime", "openvino"):
            work = functools.partial(run_jpeg, runtime, net.files["int8"], drawn, jpeg)
            found.append(Case(f"JPEG to boxes: {net.name}, {runtime} int8", f"{runtime}, 1 threads", work))
    return found


def inside_cases(net: BenchNet, picture: Bytes) -> list[Case]:
    """Bytes of the net's size through the net, normalised outside and inside the graph."""
    found = []
    for precision, file in net.files.items():
        inside = file.with_suffix(".bytes.onnx")
        take_bytes(file, inside)
        for runtime in ("onnxruntime", "openvino"):
            for where, used in (("outside", file), ("inside", inside)):
                name = f"normalised {where}: {net.name}, {runtime} {precision}"
                found.append(
                    Case(name, f"{runtime}, 1 threads", functools.partial(run_from_bytes, runtime, used, picture))
                )
    return found


def postprocess_cases() -> list[Case]:
    """Post-processing of a room and of noise."""
    return [
        Case(f"postprocess: {name}", "onnxruntime, 1 threads", functools.partial(run_postprocess, *outputs()))
        for name, outputs in OUTPUTS.items()
    ]


def with_shares(nets: list[BenchNet], times: dict[str, Any], peak: dict[str, Any]) -> dict[str, Any]:
    """The nets' times, each with its share of the peak."""
    found = {}
    for net in nets:
        for runtime, precision, kind in ROWS:
            for threads in (1, 2):
                key = _key(net.name, runtime, precision, threads)
                reached = share(peak, kind, threads, mflops=net.mflops, ms=times[key]["median"])
                found[key] = {**times[key], "share_of_peak": reached}
    return found


def _key(net: str, runtime: str, precision: str, threads: int) -> str:
    return f"{net}, {runtime} {precision}, {threads} threads"


def _card_of(net: BenchNet, like: Any) -> Any:
    """A card for a net without a release: another's, with this net's input and default boxes."""
    return msgspec.structs.replace(like, input_hw=net.config.input_hw, anchors=net.config.anchors)


def main() -> None:
    """Make the nets, measure peaks, time everything in turns, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        nets = make_nets(Path(folder))
        classroom = nets[-1]
        picture = lesson_picture()
        jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
        small = np.asarray(cv2.resize(picture, classroom.config.input_hw[::-1]), np.uint8)
        peak = peaks()
        cases = [*net_cases(nets), *route_cases(nets, jpeg), *inside_cases(classroom, small), *postprocess_cases()]
        times = conduct(cases, rounds=options.rounds, visit=Visit())
    rest = {case.name: times[case.name] for case in cases[len(nets) * len(ROWS) * 2 :]}
    candidates = {
        name: len(find_candidates(outputs()[0], np.full(3, 0.3, np.float32)).rows) for name, outputs in OUTPUTS.items()
    }
    write_result(
        "net",
        {
            "claim": __doc__,
            "rounds": options.rounds,
            "limits": LIMITS,
            "mflops": {net.name: round(net.mflops) for net in nets},
            "weights": {net.name: net.weights for net in nets},
            "peak_gop_per_s": peak,
            "nets_ms": with_shares(nets, times, peak),
            "jpeg": {"bytes": len(jpeg), "size_hw": list(picture.shape[:2])},
            "postprocess_candidates": candidates,
            "around_ms": rest,
        },
    )


if __name__ == "__main__":
    main()
