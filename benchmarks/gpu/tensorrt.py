"""The whole check on a GPU from a bare checkout: what is missing is installed, every GPU runtime is held to eager, then timed.

    python benchmarks/gpu/tensorrt.py [--net NAME] [--wheels FOLDER] [--out FILE]

Needs python with torch and a CUDA device. Reported, for each runtime and batch: milliseconds from host memory to host
memory, copies included, and pictures a second, in interleaved rounds; how far each is from the net in torch in full
precision; and how the contract suite of runtimes ended with the GPU required. What cannot be had is named with its reason,
and the rest is measured. Building engines takes most of the time; they stay under build/, so that a second call, or one for
the other net, is short. Weights are random where no release has them: nothing here says anything about accuracy.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import parts

parts.use_checkout()

BATCHES = (1, 4, 16, 32)
ROWS = (
    ("torch eager", "fp32"),
    ("torch compile", "fp16"),
    ("onnxruntime-cuda", "fp32"),
    ("tensorrt", "fp32"),
    ("tensorrt-fp16", "fp32"),
    ("tensorrt", "int8"),
)
"""Runtime, and the precision of its file or of its weights."""
NETS = ("GestureDet 300", "classroom")
Run = Callable[[Any], tuple[Any, Any]]


def torch_row(net: Any, precision: str, *, compiled: bool) -> Run:
    """The net in torch on the GPU, batch norm folded, host to host as the other runtimes."""
    import torch  # noqa: PLC0415 - after what is missing was installed

    from gesturedet.convolution import fold_batch_norm  # noqa: PLC0415

    kind = torch.float16 if precision == "fp16" else torch.float32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    folded = fold_batch_norm(net).eval().to("cuda", kind, memory_format=torch.channels_last)
    forward = torch.compile(folded, mode="reduce-overhead", dynamic=False) if compiled else folded

    @torch.inference_mode()
    def run(images: Any) -> tuple[Any, Any]:
        given = torch.from_numpy(images).pin_memory().to("cuda", non_blocking=True).to(kind)
        logits, offsets = forward(given.contiguous(memory_format=torch.channels_last))
        return logits.float().cpu().numpy(), offsets.float().cpu().numpy()

    return run


def open_row(runtime: str, precision: str, net: Any, files: dict[str, bytes]) -> Run:
    """What one row runs, a picture or many at a time. Raises whatever says why it cannot be had."""
    if runtime.startswith("torch"):
        return torch_row(net, precision, compiled=runtime.endswith("compile"))
    if runtime.startswith("tensorrt"):
        from gesturedet.runtime.engine_cache import BatchProfile, EngineCache  # noqa: PLC0415
        from gesturedet.runtime.tensorrt import TensorRt, TensorRtFp16  # noqa: PLC0415

        made_by = TensorRtFp16 if runtime.endswith("fp16") else TensorRt
        cache = EngineCache(parts.ROOT / "build" / "engines")
        # One engine for single pictures and one for many: each is fastest only at what it was built for.
        one, many = (
            made_by(files[precision], cache=cache, profile=profile)
            for profile in (BatchProfile(), BatchProfile(best=16, most=max(BATCHES)))
        )
        return lambda images: (one if len(images) == 1 else many).run(images)
    from gesturedet.runtime.base import open_runtime  # noqa: PLC0415

    return open_runtime(runtime, files[precision]).run


def distance(said: tuple[Any, Any], wanted: tuple[Any, Any]) -> dict[str, float]:
    """How far logits and offsets are from the net in torch: at most and on average."""
    import numpy as np  # noqa: PLC0415

    found = {}
    for name, one, other in zip(("logits", "offsets"), said, wanted, strict=True):
        gap = np.abs(one.astype(np.float64) - other)
        found |= {f"{name}_most": round(float(gap.max()), 6), f"{name}_mean": round(float(gap.mean()), 7)}
    return found


def timed(run: Run, images: Any, least_s: float = 0.2) -> float:
    """Median milliseconds of a call; every call waits for its outputs."""
    run(images)
    times: list[float] = []
    end = time.perf_counter() + least_s
    while len(times) < 5 or time.perf_counter() < end:
        began = time.perf_counter()
        run(images)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def measure_net(name: str, rounds: int, absent: dict[str, str]) -> dict[str, Any]:
    """Every row of one net: parity, then all rows and batches in turns. What cannot be had goes into `absent`."""
    import torch  # noqa: PLC0415
    from measured import spread  # noqa: PLC0415
    from random_nets import CONFIGS, some_images  # noqa: PLC0415

    config = CONFIGS[name]
    net, files, weights = make_files(name)
    images = {batch: some_images(config, batch) for batch in BATCHES}
    with torch.inference_mode():
        wanted = [output.numpy() for output in net(torch.from_numpy(images[4]))]
    rows, parity = {}, {}
    for runtime, precision in ROWS:
        key = f"{runtime} {precision}"
        try:
            rows[key] = open_row(runtime, precision, net, files)
            parity[key] = distance(rows[key](images[4]), (wanted[0], wanted[1]))
        except Exception as error:  # noqa: BLE001 - one runtime that fails must not hide the others
            rows.pop(key, None)
            absent[key] = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
            print(f"{name}, {key}: {absent[key]}", flush=True)
    visits = [(key, batch) for key in rows for batch in BATCHES]
    times: dict[tuple[str, int], list[float]] = {visit: [] for visit in visits}
    for number in range(rounds):
        for key, batch in random.Random(number).sample(visits, len(visits)):
            times[key, batch].append(timed(rows[key], images[batch]))
        print(f"{name}: round {number + 1} of {rounds}", flush=True)
    figures = {
        key: {
            f"batch {batch}": {
                "ms": spread(times[key, batch]),
                "pictures_per_s": spread([1000 * batch / ms for ms in times[key, batch]]),
            }
            for batch in BATCHES
        }
        for key in rows
    }
    return {"weights": weights, "parity_with_torch_fp32": parity, "rows": figures}


def make_files(name: str) -> tuple[Any, dict[str, bytes], str]:
    """The net in torch on the CPU, and its files: full precision, and int8 in the form that TensorRT reads."""
    import torch  # noqa: PLC0415
    from random_nets import CONFIGS, released, some_images  # noqa: PLC0415

    from gesturedet.convolution import settle_batch_norm  # noqa: PLC0415
    from gesturedet.detector import GestureDet  # noqa: PLC0415
    from gesturedet.export import export_onnx, quantise  # noqa: PLC0415
    from gesturedet.runtime.eager import net_of  # noqa: PLC0415

    config, release = CONFIGS[name], released(name, "fp32")
    torch.manual_seed(0)
    net, weights = GestureDet(config), "random"
    if release is not None:
        net, weights = net_of(release.onnx_bytes), f"released {release.card.digest[:12]}"
    else:
        settle_batch_norm(net, torch.from_numpy(some_images(config, 4)))
    with tempfile.TemporaryDirectory() as folder:
        whole, coarse = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        if release is None:
            export_onnx(net.eval(), whole)
        else:
            whole.write_bytes(release.onnx_bytes)
        quantise(whole, coarse, some_images(config, 16)[:, None], symmetric=True)
        return net.eval(), {"fp32": whole.read_bytes(), "int8": coarse.read_bytes()}, weights


def contract() -> dict[str, Any]:
    """How the contract suite of runtimes ends where the GPU is required."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu"]
    suites = ["tests/contracts/runtime", "tests/model/gesturedet/test_cuda.py"]
    environ = {**os.environ, "CLASSPULSE_TEST_REQUIRE": "gpu"}
    done = subprocess.run([*command, *suites], cwd=parts.ROOT, env=environ, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    return {
        "exit_code": done.returncode,
        "ended": lines[-1] if lines else "",
        "failed": [line for line in lines if line.startswith(("FAILED", "ERROR"))],
    }


def versions() -> dict[str, str]:
    """What was measured with."""
    import torch  # noqa: PLC0415

    found = {"python": sys.version.split()[0], "torch": torch.__version__, "gpu": torch.cuda.get_device_name(0)}
    for module in ("onnxruntime", "tensorrt", "tensorrt_bindings"):
        try:
            found[module] = __import__(module).__version__
        except ImportError:
            continue
    return found


def main() -> None:
    """Install, measure, check, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", type=Path, help="folder of wheels, where no package index can be reached")
    parser.add_argument("--out", type=Path, default=parts.ROOT / "benchmarks" / "results" / "gpu_tensorrt.json")
    parser.add_argument("--net", choices=NETS, action="append", help="only this one; may be repeated")
    parser.add_argument("--rounds", type=int, default=12)
    options = parser.parse_args()
    parts.install_missing(options.wheels)
    import torch  # noqa: PLC0415

    if not torch.cuda.is_available():
        raise SystemExit("torch.cuda: no CUDA device, expected one; these figures stay 'not measured'")
    absent = {
        what: fault
        for what, install in (("onnxruntime", parts.install_onnx_runtime), ("tensorrt", parts.install_tensorrt))
        if (fault := install(options.wheels))
    }
    began = time.monotonic()
    nets = {name: measure_net(name, options.rounds, absent) for name in options.net or NETS}
    result = {
        "name": "gpu_tensorrt",
        "claim": __doc__,
        "rounds": options.rounds,
        "versions": versions(),
        "not_measured": absent,
        "nets": nets,
        "contract": contract(),
        "took_s": round(time.monotonic() - began),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n")
    print(options.out.read_text())


if __name__ == "__main__":
    main()
