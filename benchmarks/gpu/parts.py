"""What a GPU script needs and a bare checkout lacks: packages by pip, TensorRT's libraries by Maven. All of it under build/."""

import importlib.util
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SITE = ROOT / "build" / "gpu-site"
LIBRARIES = ROOT / "build" / "tensorrt"

PACKAGES: Mapping[str, str] = {
    "msgspec": "msgspec>=0.20,<1",
    "cv2": "opencv-python-headless>=4.10,<6",
    "onnx": "onnx>=1.19,<2",
    "onnxscript": "onnxscript>=0.5,<1",
    "matplotlib": "matplotlib>=3.10,<4",
    "rich": "rich>=13,<16",
    "pytest": "pytest>=8.4,<10",
    "hypothesis": "hypothesis>=6.140,<7",
}
"""Module → requirement, of what every GPU script uses besides torch."""

ONNX_RUNTIME = "onnxruntime-gpu>=1.26,<2"
BINDINGS = "tensorrt-cu13-bindings==10.15.1.29"
REDIST = "org.bytedeco:tensorrt:10.15-1.5.13:jar:linux-x86_64-redist"
"""TensorRT's own wheels fetch their libraries from outside the package index; this archive of them is on Maven Central."""


def use_checkout() -> None:
    """Let this process and its children import the checkout and what was installed beside it.

    The folder of the script itself goes: a script named tensorrt.py would be taken for the package.
    """
    paths = [str(path) for path in (SITE, ROOT, ROOT / "model", ROOT / "services", ROOT / "benchmarks")]
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = paths + [path for path in sys.path if path != here]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)


def install(requirements: list[str], wheels: Path | None) -> str:
    """Install into `SITE`, from a folder of wheels where one is given. Return why it failed, or nothing.

    Without what they need themselves: it would bring another NumPy and torch than the machine's, which shadow its own.
    """
    patience = ["--retries", "1", "--timeout", "10"]  # minutes on a GPU are dear, and there may be no network
    source = patience if wheels is None else ["--no-index", "--find-links", str(wheels)]
    command = [sys.executable, "-m", "pip", "install", "-q", "--upgrade", "--no-deps", "--target", str(SITE), *source]
    done = subprocess.run([*command, *requirements], capture_output=True, text=True, check=False)
    importlib.invalidate_caches()
    return "" if done.returncode == 0 else f"pip install {' '.join(requirements)}: {_last_line(done.stderr)}"


def install_missing(wheels: Path | None) -> None:
    """Install the packages that cannot be imported. Raises SystemExit naming what cannot be had."""
    missing = [wanted for module, wanted in PACKAGES.items() if importlib.util.find_spec(module) is None]
    if missing and (fault := install(missing, wheels)):
        raise SystemExit(f"{fault}; expected the packages in the index or under --wheels")


def install_onnx_runtime(wheels: Path | None) -> str:
    """Have an ONNX Runtime with CUDA. Return why there is none, or nothing."""
    check = "import onnxruntime as o, sys; sys.exit('CUDAExecutionProvider' not in o.get_available_providers())"
    if subprocess.run([sys.executable, "-c", check], capture_output=True, check=False).returncode == 0:
        return ""
    return install([ONNX_RUNTIME], wheels)


def install_tensorrt(wheels: Path | None) -> str:
    """Have TensorRT and its bindings. Return why there is none, or nothing; the process may be replaced on the way.

    Libraries are found by the loader's path, which is read when a process starts: hence once more from the beginning.
    """
    if importlib.util.find_spec("tensorrt") is not None:
        return ""
    if importlib.util.find_spec("tensorrt_bindings") is None and (fault := install([BINDINGS], wheels)):
        return fault
    if not any(LIBRARIES.glob("**/libnvinfer.so*")) and (fault := _fetch_libraries()):
        return fault
    folder = str(next(LIBRARIES.glob("**/libnvinfer.so*")).parent)
    path = os.environ.get("LD_LIBRARY_PATH", "")
    if folder not in path.split(os.pathsep):
        os.environ["LD_LIBRARY_PATH"] = os.pathsep.join((folder, path)) if path else folder
        os.execv(sys.executable, [sys.executable, *sys.argv])
    return ""


def _fetch_libraries() -> str:
    command = ["mvn", "-q", "dependency:copy", f"-Dartifact={REDIST}", f"-DoutputDirectory={LIBRARIES}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "mvn: not found on PATH, expected it there to fetch TensorRT's libraries"
    if done.returncode != 0:
        return f"mvn dependency:copy {REDIST}: {_last_line(done.stdout + done.stderr)}"
    for archive in LIBRARIES.glob("*.jar"):
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(LIBRARIES, [name for name in packed.namelist() if ".so" in name])
        archive.unlink()
    for library in list(LIBRARIES.glob("**/*.so.*.*")):  # the loader asks for libnvinfer.so.10
        short = library.with_name(".".join(library.name.split(".")[:3]))
        if not short.exists():
            short.symlink_to(library.name)
    return ""


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason was given"])[-1]
