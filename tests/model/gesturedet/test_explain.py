import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="maps are taken from the net in torch (the train extra)")
pytest.importorskip("onnx", reason="a release is read with onnx (the train extra)")

from gesturedet.anchors import feature_sizes_hw  # noqa: E402
from gesturedet.card import load_release  # noqa: E402
from gesturedet.detector import BASELINE, CLASSROOM, GestureDet  # noqa: E402
from gesturedet.drawing import colour_of  # noqa: E402
from gesturedet.faults import TILE  # noqa: E402
from gesturedet.heads import Head  # noqa: E402
from gesturedet.maps import heat, look, net_of_release, stretched  # noqa: E402
from gesturedet.postprocess import softmax  # noqa: E402
from gesturedet.preprocess import preprocess  # noqa: E402
from gesturedet.recipes import product  # noqa: E402
from gesturedet.runtime.onnxruntime import OnnxRuntime  # noqa: E402
from gesturedet.training_run import start, write_checkpoint  # noqa: E402
from tests.model.gesturedet.lively import lively_net  # noqa: E402
from tests.model.gesturedet.running import Ran, Run  # noqa: E402
from tests.model.gesturedet.voc_folder import write_voc  # noqa: E402
from tests.services.fake_release import make_release  # noqa: E402

pytestmark = pytest.mark.torch

SMALL = replace(CLASSROOM, input_hw=(96, 160))


def written(ran: Ran) -> list[dict[str, Any]]:
    """What the command says that it wrote: the whole of its standard output is one object."""
    told: list[dict[str, Any]] = json.loads(ran.out)["written"]
    return told


def drawn_box(sheet: Path, label: str, *, column: int) -> tuple[int, int, int]:
    """Left, right and lower edge of the box on the first tile of a sheet, the lower one looked for in a column."""
    off = np.abs(cv2.imread(str(sheet))[:TILE, :TILE].astype(int) - colour_of(label))
    ink = (off < 30).all(axis=2)  # lines are softened a little
    bottom = int(np.flatnonzero(ink[:, column]).max())
    sides = np.flatnonzero(ink[bottom - 8 : bottom].all(axis=0))
    return int(sides.min()), int(sides.max()), bottom


@pytest.fixture(scope="module")
def shown() -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 10, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(pixels, (480, 270)), dtype=np.uint8)


def test_a_map_without_differences_stretches_to_nothing() -> None:
    assert not stretched(np.full((2, 3), 0.7, np.float32)).any()
    assert stretched(np.array([[0.5, 0.6, 0.7]], np.float32))[0] == pytest.approx([0.0, 0.5, 1.0], abs=1e-6)


def test_heat_is_cold_at_0_warm_at_1_and_as_large_as_the_picture() -> None:
    ramp = np.linspace(0, 1, 32, dtype=np.float32)[None].repeat(4, axis=0)
    drawn = heat(ramp, np.full((40, 320, 3), 90, np.uint8)).astype(int)
    assert drawn.shape == (40, 320, 3)
    assert drawn[20, 50, 0] > drawn[20, 50, 2] + 50
    assert drawn[20, 300, 2] > drawn[20, 300, 0] + 50


def test_a_map_for_each_level_and_a_mask_within_0_and_1(shown: np.ndarray) -> None:
    seen = look(lively_net(SMALL), shown)
    assert [level.shape for level in seen.levels] == list(feature_sizes_hw(SMALL.input_hw))
    assert seen.attention is not None
    assert seen.attention.shape == feature_sizes_hw(SMALL.input_hw)[1]
    assert 0 <= seen.attention.min() < seen.attention.max() <= 1


def test_of_an_upright_picture_the_maps_show_no_padding(shown: np.ndarray) -> None:
    seen = look(lively_net(SMALL), np.ascontiguousarray(shown[:, :135]))
    assert feature_sizes_hw(SMALL.input_hw)[:2] == ((12, 20), (6, 10))
    assert seen.levels[0].shape == (12, 8)  # the picture fills 60 of 160 columns
    assert seen.attention is not None
    assert seen.attention.shape == (6, 4)
    assert all(min(level.shape) > 0 for level in seen.levels)


def test_a_net_without_spatial_attention_has_no_mask(shown: np.ndarray) -> None:
    assert look(GestureDet(replace(BASELINE, input_hw=(96, 160))).eval(), shown).attention is None


def test_the_mask_is_what_the_net_multiplies_its_map_by(shown: np.ndarray) -> None:
    net = lively_net(SMALL)
    given: list[torch.Tensor] = []
    net.spatial_attention.register_forward_hook(lambda _module, maps, out: given.extend((maps[0], out)))
    with torch.inference_mode():
        net(torch.from_numpy(preprocess(shown, SMALL.input_hw)))
    factor = (given[1] / given[0])[0, given[0][0].abs().amin(dim=(1, 2)) > 1e-3].mean(dim=0).numpy()
    seen = look(net, shown).attention
    assert seen is not None
    np.testing.assert_allclose(1 + seen, factor, atol=1e-3)


def test_a_level_is_warm_where_its_own_head_finds_something(shown: np.ndarray) -> None:
    net = lively_net(SMALL)
    for head in net.class_heads.levels:
        assert isinstance(head, Head)
        torch.nn.init.zeros_(head.point.weight)
        torch.nn.init.zeros_(head.point.bias)
    finding = net.class_heads.levels[2]
    with torch.no_grad():
        finding.point.bias[1] = 9.0  # the first box of each cell says hand-raising
    levels = look(net, shown).levels
    assert [round(float(level.max()), 2) for level in levels] == [0.25, 0.25, 1.0, 0.25, 0.25, 0.25]


def test_the_released_net_in_int8_is_rebuilt_up_to_its_bits(shown: np.ndarray) -> None:
    release = load_release()
    seen = look(net_of_release(release), shown)
    logits = OnnxRuntime(release.onnx_bytes).run(preprocess(shown, release.card.input_hw))[0][0]
    expected = softmax(logits)[:, 1:].max(axis=1)
    best = np.concatenate([level.ravel() for level in seen.levels])
    cells = expected.reshape(-1, release.card.anchors.per_cell).max(axis=1)
    assert np.corrcoef(best, cells)[0, 1] > 0.9


def test_explain_writes_a_png_for_the_mask_and_for_each_level_of_a_checkpoint(
    run: Run, tmp_path: Path, shown: np.ndarray
) -> None:
    write_checkpoint(start(product(), []), tmp_path / "last.pt")
    assert cv2.imwrite(str(tmp_path / "a.png"), shown)
    ran = run("explain", tmp_path / "last.pt", tmp_path / "a.png", "--out", tmp_path / "out")
    assert ran.code == 0
    made = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in made] == ["attention.png", *(f"level-{number}.png" for number in range(1, 7))]
    assert {cv2.imread(str(path)).shape for path in made} == {shown.shape}
    assert f"{tmp_path / 'out' / 'level-1.png'}: 80 x 44 places" in ran.out


def test_explain_draws_a_release_too(run: Run, tmp_path: Path, shown: np.ndarray) -> None:
    assert cv2.imwrite(str(tmp_path / "a.png"), shown)
    ran = run("explain", "classroom", tmp_path / "a.png", "--out", tmp_path / "out", "--json")
    assert (ran.code, ran.err) == (0, "")
    net = net_of_release(load_release())
    seen, elsewhere = look(net, shown), look(net, np.ascontiguousarray(shown[:, ::-1]))
    assert seen.attention is not None
    assert elsewhere.attention is not None
    assert np.abs(stretched(seen.attention) - stretched(elsewhere.attention)).max() > 0.3, "it is of this picture"
    maps = {"attention": seen.attention, **{f"level-{number}": level for number, level in enumerate(seen.levels, 1)}}
    for name, values in maps.items():
        expected = heat(stretched(values) if name == "attention" else values, shown)
        np.testing.assert_array_equal(cv2.imread(str(tmp_path / "out" / f"{name}.png")), expected)
    assert [(row["what"], row["columns"], row["rows"], row["least"], row["most"]) for row in written(ran)] == [
        (name, values.shape[1], values.shape[0], round(float(values.min()), 4), round(float(values.max()), 4))
        for name, values in maps.items()
    ]
    assert [row["file"] for row in written(ran)] == [str(tmp_path / "out" / f"{name}.png") for name in maps]


def test_an_exam_without_a_fault_leaves_no_sheet(run: Run, tmp_path: Path) -> None:
    make_release(tmp_path / "release")
    write_voc(tmp_path / "voc", {"a": []}, split="test")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "misses.png").write_bytes(b"of another run")
    ran = run("explain", tmp_path / "release", tmp_path / "voc", "--out", tmp_path / "out")
    assert (ran.code, ran.out) == (0, "no false alarms\nno misses\n")
    assert not list((tmp_path / "out").iterdir())
    told = run("explain", tmp_path / "release", tmp_path / "voc", "--out", tmp_path / "out", "--json")
    assert written(told) == [{"what": what, "file": None} for what in ("false alarms", "misses")]


def test_an_exams_worst_false_alarms_and_misses_become_sheets(run: Run, tmp_path: Path) -> None:
    make_release(tmp_path / "release")  # it sees a raised hand where a picture is bright
    write_voc(tmp_path / "voc", {name: [("sleeping", (100, 60, 130, 80))] for name in "abc"}, split="test")
    for name in "ab":
        assert cv2.imwrite(str(tmp_path / "voc" / "JPEGImages" / f"{name}.jpg"), np.full((90, 160, 3), 255, np.uint8))
    ran = run("explain", tmp_path / "release", tmp_path / "voc", "--out", tmp_path / "out", "--most", "2")
    assert ran.code == 0
    alarms, misses = (tmp_path / "out" / name for name in ("false-alarms.png", "misses.png"))
    assert ran.out.splitlines() == [
        f"{alarms}: the 2 worst false alarms, scores 1.00 to 1.00",
        f"{misses}: the 2 worst misses, scores 0.00 to 0.00",
    ]
    assert cv2.imread(str(alarms)).shape == cv2.imread(str(misses)).shape == (276, 480, 3)
    # of 160 x 90 pixels the tiles show 48 x 48 from (0, 0) and 78 x 78 from (75, 12), each on 236 x 236
    assert drawn_box(alarms, "hand-raising", column=20) == pytest.approx((13, 26, 32), abs=5)
    assert drawn_box(misses, "sleeping", column=116) == pytest.approx((73, 166, 206), abs=5)
    told = run("explain", tmp_path / "release", tmp_path / "voc", "--out", tmp_path / "out", "--most", "2", "--json")
    assert written(told) == [
        {"what": "false alarms", "file": str(alarms), "worst": 2, "scores": [1.0, 1.0]},
        {"what": "misses", "file": str(misses), "worst": 2, "scores": [0.0, 0.0]},
    ]


def test_an_exams_unreadable_pictures_are_named_counted_and_left_out(run: Run, tmp_path: Path) -> None:
    make_release(tmp_path / "release")
    voc = write_voc(tmp_path / "voc", {name: [("sleeping", (100, 60, 130, 80))] for name in "abc"}, split="test")
    damaged = [voc / "JPEGImages" / f"{name}.jpg" for name in "abc"]
    damaged[0].write_bytes(b"")
    damaged[1].write_bytes(damaged[1].read_bytes()[:-20])
    ran = run("explain", tmp_path / "release", voc, "--out", tmp_path / "out")
    assert (ran.code, ran.out.splitlines()[0]) == (0, "no false alarms")
    assert [line.split(" bytes")[0] for line in ran.err.splitlines()] == [
        f"left out: {damaged[0]}: 0",
        f"left out: {damaged[1]}: {damaged[1].stat().st_size}",
        "1 picture, 2 left out",
    ]
    damaged[2].write_bytes(b"none")
    ran = run("explain", tmp_path / "release", voc, "--out", tmp_path / "out")
    assert (ran.code, ran.err.splitlines()[-1]) == (
        2,
        f"error: shown: no readable picture in split 'test' of '{voc}', expected at least one",
    )


@pytest.mark.parametrize(
    ("model", "shown", "says"),
    [
        ("classroom", "absent.png", "absent.png' is not there, expected a picture or a folder in VOC or COCO layout"),
        ("classroom", ".", "test.txt: no such list of pictures for split 'test'"),
        ("cake", "a.png", "'cake' is none of the released models"),
        ("{folder}/absent.pt", "a.png", "absent.pt is no file"),
        ("{folder}/release", "a.png", "fake: its file has no gesturedet.config, expected one of `export`"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run: Run, tmp_path: Path, model: str, shown: str, says: str) -> None:
    make_release(tmp_path / "release")
    assert cv2.imwrite(str(tmp_path / "a.png"), np.zeros((9, 9, 3), np.uint8))
    ran = run("explain", model.format(folder=tmp_path), tmp_path / shown, "--out", tmp_path / "out")
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert says in ran.err
