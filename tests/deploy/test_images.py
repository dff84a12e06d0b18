"""The images that need no GPU are built, and each runs: by buildah, and with a root that cannot be written, as pods have it."""

import json
import os
import shutil
import subprocess
import time
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from deploy.images.build import PROGRAMS, USUAL, build, local_base, size_of

from classpulse.bus.base import open_bus
from classpulse.clock import SystemClock
from classpulse.completion import Completion
from tests.deploy.containers import DATA, SAID, USER, Container, stop
from tests.support import ROOT, require

pytestmark = [pytest.mark.images, pytest.mark.xdist_group("images")]

ROOM = "district/school/room-1"
SITE = "/opt/classpulse/lib/python3*/site-packages"
PYTHON = "/opt/classpulse/bin/python3"
LEAST_FRAMES = 100
LEFT_OVER = ("gcc", "cc", "g++", "make", "pip", "pip3", "uv", "wget", "curl")
AGGREGATE_MB = 150
ROUTE_WITHIN_S = 240

RAY = """
set -e
cd /tmp
ray start --head --num-cpus=1 --metrics-export-port=8080 --disable-usage-stats >/tmp/start.log 2>&1 || { cat /tmp/start.log; exit 1; }
python3 - <<'END'
import sys, time, urllib.request
wanted = {
    "http://127.0.0.1:52365/api/healthz": b"raylet: success",
    "http://127.0.0.1:8265/api/gcs_healthz": b"success",
    "http://127.0.0.1:8080/metrics": b"ray_",
}
until = time.monotonic() + 90
while wanted and time.monotonic() < until:
    for url, expected in list(wanted.items()):
        try:
            if expected in urllib.request.urlopen(url, timeout=5).read():
                print("answered:", url)
                del wanted[url]
        except OSError:
            time.sleep(0.5)
sys.exit(f"no answer: {sorted(wanted)}" if wanted else 0)
END
python3 -c 'import ray.autoscaler._private.kuberay.run_autoscaler, ray.util.client'
ray stop >/dev/null 2>&1
"""
"""A head as KubeRay starts it, and what it then looks at: health of node and cluster, metrics; its autoscaler is of the same image."""


@pytest.fixture(scope="module")
def images() -> Iterator[dict[str, Container]]:
    """Each usual image, built and mounted."""
    absent = [name for name in (*PROGRAMS, "buildah", "ip") if shutil.which(name) is None]
    require("images", not absent and os.geteuid() == 0, f"expected {', '.join(absent) or 'root, as debootstrap does'}")
    base = local_base()
    with ExitStack() as stack:
        yield {target: stack.enter_context(Container(build(target, base).name)) for target in USUAL}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder that belongs to the image's user."""
    folder = tmp_path / "data"
    folder.mkdir()
    os.chown(folder, USER, USER)
    return folder


@pytest.mark.parametrize("target", USUAL)
def test_an_image_says_its_release_and_its_settings_as_its_user(images: dict[str, Container], target: str) -> None:
    image = images[target]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert image.run("classpulse", "--version") == f"classpulse {version}\n"
    assert f"data = {DATA}\n" in image.run("classpulse", "settings")
    assert image.run("id", "-u") == f"{USER}\n"


@pytest.mark.parametrize("target", USUAL)
def test_an_image_says_what_it_is(images: dict[str, Container], target: str) -> None:
    config = images[target].config
    labels = {name.rpartition("image.")[2]: value for name, value in config["Labels"].items()}
    commit = subprocess.check_output(["git", "-C", str(ROOT), "rev-parse", "HEAD"], text=True).strip()
    assert labels["title"] == f"classpulse/{target}"
    assert labels["revision"].removesuffix("+") == commit
    assert {"description", "version", "base.name"} <= set(labels)
    assert (config["User"], config["Entrypoint"]) == (f"{USER}:{USER}", ["classpulse"])


@pytest.mark.parametrize("target", USUAL)
def test_an_image_holds_no_tool_of_its_making_and_no_torch(images: dict[str, Container], target: str) -> None:
    image = images[target]
    assert image.run("sh", "-c", f"for name in python3 {' '.join(LEFT_OVER)}; do command -v $name; done").split() == [
        PYTHON
    ]
    assert "No module named 'torch'" in image.run("python3", "-c", "import torch")
    assert not list(image.root.glob("root/.cache/*"))
    assert not (image.root / "run/secrets").exists()
    secret = subprocess.run(
        ["grep", "-rIlE", "index-url|trusted-host", str(image.root / "etc")], check=False, capture_output=True
    )
    assert secret.stdout == b""


@pytest.mark.parametrize("target", USUAL)
def test_nothing_but_the_data_folder_and_tmp_can_be_written_by_the_user(
    images: dict[str, Container], target: str
) -> None:
    look = "find / -xdev -writable ! -type l ! -path '/proc/*' ! -path '/dev/*' ! -path '/sys/*' 2>/dev/null"
    assert sorted(images[target].run("sh", "-c", look).split()) == ["/tmp", SAID, DATA]


@pytest.mark.parametrize("target", USUAL)
def test_compiled_modules_are_those_of_the_sources_beside_them(images: dict[str, Container], target: str) -> None:
    """Else each start would compile them again, because it cannot write."""
    said = images[target].run("python3", "-v", "-c", "import classpulse.cli")
    assert "classpulse/__pycache__/cli" in said
    assert "bytecode is stale" not in said


def test_aggregate_is_small(images: dict[str, Container]) -> None:
    above_base_bytes = size_of(images["aggregate"].image) - size_of(local_base())
    assert above_base_bytes <= AGGREGATE_MB * 1_000_000


def test_an_image_for_a_gpu_is_refused_a_base_without_tensorrt(images: dict[str, Container]) -> None:
    with pytest.raises(SystemExit, match="No package metadata was found for tensorrt"):
        build("detect-gpu", local_base())


def test_a_root_that_cannot_be_written_is_refused_to_the_user(images: dict[str, Container], data: Path) -> None:
    said = images["aggregate"].done(
        data, "sh", "-c", f"touch /opt/x /etc/x 2>&1; touch /tmp/x {DATA}/x && echo written"
    )
    assert said.count("Read-only file system") == 2
    assert said.endswith("written\n")


def test_the_images_together_are_the_route_from_a_lesson_to_its_timeline(
    images: dict[str, Container], data: Path
) -> None:
    ingest, aggregate = images["ingest"], images["aggregate"]
    (lesson,) = ingest.root.glob(f"{SITE[1:]}/classpulse/demo/lessons/lesson-1.mp4")
    ingest.done(data, "classpulse", "rooms", "add", ROOM)
    source = f"file:///{lesson.relative_to(ingest.root)}?start=2026-03-02T08:00:00Z"
    ingest.done(data, "classpulse", "cameras", "add", f"{ROOM}/front", source, "--fps", "2")

    stages = {"ingest": ingest, "detect": images["detect-cpu"], "aggregate": aggregate}
    running = [image.start(data, "classpulse", stage) for stage, image in stages.items()]
    try:
        ended = played(data, running)
    finally:
        left = stop(running)

    assert ended, "\n".join(said[-2_000:] for _, said in left)
    assert [code for code, _ in left] == [0, 0, 0]
    (account,) = json.loads(aggregate.done(data, "classpulse", "audit", "--format", "json"))["cameras"]
    assert account["captured"] > LEAST_FRAMES
    assert account["difference"] == 0
    assert aggregate.done(data, "classpulse", "events", ROOM).count("hand-raising") > 1
    images["export"].done(data, "classpulse", "export", "--parquet", f"{DATA}/parquet")
    assert list(data.glob("parquet/**/*.parquet"))


def played(data: Path, running: list["subprocess.Popen[str]"]) -> bool:
    """Whether the clip was told to its end while all stages ran."""
    bus = open_bus(f"sqlite://{data}/bus.sqlite")
    try:
        completion = Completion(bus, SystemClock())
        until = time.monotonic() + ROUTE_WITHIN_S
        while time.monotonic() < until and all(process.poll() is None for process in running):
            if completion.ended():
                return bool(completion.told)
            time.sleep(0.5)
        return False
    finally:
        bus.close()


def test_a_ray_head_answers_what_kuberay_asks(images: dict[str, Container], data: Path) -> None:
    said = images["detect-cpu"].done(data, "bash", "-c", RAY)
    assert said.count("answered:") == 3
