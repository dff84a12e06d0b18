import json
from dataclasses import replace
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="a release is made from a torch checkpoint (the train extra)")
onnx = pytest.importorskip("onnx", reason="a release is exported with onnx (the train extra)")

from gesturedet.api import load  # noqa: E402
from gesturedet.card import CARD_FILE, load_release, write_card  # noqa: E402
from gesturedet.recipes import product  # noqa: E402
from gesturedet.releasing import evenly, export_release  # noqa: E402
from gesturedet.runtime.base import NetMismatch  # noqa: E402
from gesturedet.runtime.symmetric import check_symmetric  # noqa: E402
from gesturedet.training_run import Run as TrainingRun  # noqa: E402
from gesturedet.training_run import start, write_checkpoint  # noqa: E402
from tests.model.gesturedet.cards import CALIBRATION, EXAM  # noqa: E402
from tests.model.gesturedet.lively import lively_net  # noqa: E402
from tests.model.gesturedet.running import Ran, runner  # noqa: E402

pytestmark = [
    pytest.mark.torch,
    pytest.mark.xdist_group("export"),
    pytest.mark.filterwarnings("default"),  # the exporter and the quantiser warn about themselves
]


def a_run() -> TrainingRun:
    """The product's net with weights that say much: what int8 loses shows."""
    torch.set_num_threads(1)
    run = start(product(), [])
    run.model.load_state_dict(lively_net(product().net).state_dict())
    return replace(run, average=None, lineage=("a champion",))


def noise(path: Path, seed: int) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 16, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.resize(pixels, (480, 270)))
    return path


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    """A release in full precision that takes floats."""
    export_release(folder / "last.pt", product(), folder / "plain", name="plain", thresholds={}, lineage=())
    return folder / "plain"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint `last.pt` and pictures for it."""
    made: Path = tmp_path_factory.mktemp("export")
    write_checkpoint(a_run(), made / "last.pt")
    for seed in range(3):
        noise(made / "pictures" / f"{seed}.png", seed)
    return made


def test_evenly_spread_things_are_few_or_all_and_in_order() -> None:
    assert evenly([], 5) == []
    assert evenly("abc", 5) == ["a", "b", "c"]
    assert evenly("abcdefghi", 3) == ["a", "e", "i"]


def test_a_checkpoint_becomes_a_release_and_that_its_int8_form(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runner(capsys)
    exported = run(
        "export",
        folder / "last.pt",
        "--out",
        folder / "fp32",
        "--name",
        "lively",
        "--threshold",
        "stand-up=0.3",
        "--lineage",
        "drawn rooms",
    )
    assert (exported.code, exported.out.startswith(f"{folder / 'fp32'}: lively, fp32, ")) == (0, True)
    full = load_release(folder / "fp32").card
    assert full.thresholds == {"hand-raising": 0.5, "stand-up": 0.3, "sleeping": 0.5}
    assert (full.lineage, full.exams, full.data_seeds) == (("a champion", "drawn rooms"), (), {})
    assert full.recipe["name"] == "product"

    assert full.calibration is None, "nobody has looked at pictures"
    examined = msgspec.structs.replace(full, exams=(EXAM,), calibration=CALIBRATION)
    (folder / "fp32" / CARD_FILE).write_bytes(write_card(examined))
    made = run("quantize", folder / "fp32", folder / "pictures", "--out", folder / "int8", "--most", "2", "--json")
    assert (made.code, made.err) == (0, "")
    small = load_release(folder / "int8").card
    size = (folder / "int8" / "model.onnx").stat().st_size
    told = {"out": str(folder / "int8"), "name": "lively", "precision": "int8", "bytes": size, "digest": small.digest}
    assert json.loads(made.out) == told
    assert (small.precision, small.thresholds, small.calibration) == ("int8", full.thresholds, CALIBRATION)
    assert small.exams == (), "the figures are of other bytes"
    assert small.lineage[-1] == f"lively {full.digest} (fp32)"
    assert small.data_seeds == {"calibration": "2 pictures of pictures"}
    sizes = [(folder / kind / "model.onnx").stat().st_size for kind in ("fp32", "int8")]
    assert sizes[1] < sizes[0] / 3

    again = run("quantize", folder / "int8", folder / "pictures", "--out", folder / "again")
    assert (again.code, again.err) == (2, "error: lively: precision is int8, expected fp32\n")

    shown = cv2.imread(str(folder / "pictures" / "0.png"))
    logits = [_logits(folder / kind, shown) for kind in ("fp32", "int8")]
    assert np.corrcoef(logits[0].ravel(), logits[1].ravel())[0, 1] > 0.95, "the same net, a little coarser"


def test_pictures_that_cannot_be_read_are_named_counted_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, shown = runner(capsys), tmp_path / "shown"
    for name in ("a.png", "c.png"):
        noise(shown / name, 0)
    (shown / "b.png").write_bytes(b"damaged")
    made = run("quantize", "paper-fp32", shown, "--out", tmp_path / "int8")
    assert made.code == 0
    assert made.err.splitlines() == [
        f"left out: {shown / 'b.png'}: 7 bytes are not a readable picture",
        "2 pictures, 1 left out",
    ]
    assert load_release(tmp_path / "int8").card.data_seeds["calibration"] == "2 pictures of shown"


def test_no_readable_picture_at_all_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.png").write_bytes(b"damaged")
    made = runner(capsys)("quantize", "paper-fp32", tmp_path, "--out", tmp_path / "int8")
    assert (made.code, made.err.splitlines()[1:]) == (
        2,
        ["error: pictures: none of 1 can be read, expected at least one"],
    )
    assert not (tmp_path / "int8").exists()


def test_what_tensorrt_needs_is_made_by_a_switch(folder: Path, plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = runner(capsys)
    assert run("quantize", plain, folder / "pictures", "--out", folder / "usual", "--most", "1").code == 0
    made = run("quantize", plain, folder / "pictures", "--out", folder / "symmetric", "--most", "1", "--symmetric")
    assert made.code == 0
    check_symmetric(load_release(folder / "symmetric").onnx_bytes)
    with pytest.raises(NetMismatch, match="int8 in a form that TensorRT cannot read"):
        check_symmetric(load_release(folder / "usual").onnx_bytes)
    shown = cv2.imread(str(folder / "pictures" / "0.png"))
    assert np.corrcoef(_logits(plain, shown).ravel(), _logits(folder / "symmetric", shown).ravel())[0, 1] > 0.95


def test_a_net_that_takes_bytes_finds_the_same_boxes_also_when_it_is_quantised(
    folder: Path, plain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runner(capsys)
    exported = run("export", folder / "last.pt", "--out", folder / "bytes", "--bytes", "--json")
    assert json.loads(exported.out)["digest"] == load_release(folder / "bytes").card.digest
    for name in ("plain", "bytes"):
        coarse = folder / f"{name}-int8"
        assert run("quantize", folder / name, folder / "pictures", "--out", coarse, "--most", "2").code == 0

    shown = cv2.imread(str(folder / "pictures" / "0.png"))
    for outside, inside, most in (("plain", "bytes", 1e-4), ("plain-int8", "bytes-int8", 2 * 24 / 255)):
        wanted, found = (load(folder / name).detect(shown, min_score=0.4) for name in (outside, inside))
        assert load(folder / inside).predictor.runtime.input.in_bytes
        assert len(wanted) > 10, "a comparison of nothing proves nothing"
        assert found.labels == wanted.labels
        np.testing.assert_allclose(found.boxes_xyxy, wanted.boxes_xyxy, atol=1e-2)
        np.testing.assert_allclose(_logits(folder / inside, shown), _logits(folder / outside, shown), atol=most)
    nodes = onnx.load(folder / "bytes-int8" / "model.onnx").graph.node
    coded = [node.input[0] for node in nodes if node.op_type == "QuantizeLinear"]
    assert [name for name in coded if name.startswith("pixels")] == [], "what makes floats of bytes is not made coarser"
    assert "images" in coded


def _logits(release: Path, shown: np.ndarray) -> np.ndarray:
    predictor = load(release).predictor
    return predictor.runtime.run(predictor.prepare(shown))[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["export", "{folder}/absent.pt", "--out", "{folder}/x"], "absent.pt is no file"),
        (["export", "{folder}/last.pt", "--out", "{folder}/x", "--recipe", "cake"], "'cake' is none of paper"),
        (["export", "{folder}/last.pt", "--out", "{folder}/x", "--recipe", "paper"], "differs from recipe 'paper' in"),
        (
            ["export", "{folder}/last.pt", "--out", "{folder}/x", "--threshold", "cake=0.5"],
            "thresholds: 'cake' is none of hand-raising",
        ),
        (
            ["export", "{folder}/last.pt", "--out", "{folder}/x", "--threshold", "stand-up"],
            "threshold: 'stand-up' is no BEHAVIOUR=SCORE",
        ),
        (
            ["export", "{folder}/last.pt", "--out", "{folder}/x", "--threshold", "stand-up=7"],
            "thresholds: stand-up = 7.0 is not a score",
        ),
        (["quantize", "cake", "{folder}", "--out", "{folder}/x"], "'cake' is none of the released models"),
        (["quantize", "classroom", "{folder}/absent", "--out", "{folder}/x"], "absent' is no folder"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2_and_writes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    ran: Ran = runner(capsys)(*(word.format(folder=folder) for word in arguments))
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert says in ran.err
    assert not (folder / "x").exists()
