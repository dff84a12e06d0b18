"""What a command says where a checkpoint does not fit its net, or a runtime does not do its work."""

from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from gesturedet.card import CARD_FILE, MODEL_FILE, digest_of, load_release, read_card, write_card
from gesturedet.runtime.base import RuntimeRefused
from tests.model.gesturedet.running import Ran, Run
from tests.model.gesturedet.voc_folder import write_voc
from tests.services.fake_release import INPUT_HW, make_release


def check_refused(ran: Ran, *says: str) -> None:
    """One line, exit code 2, and all of `says` in it."""
    assert (ran.code, len(ran.err.splitlines())) == (2, 1), ran.err
    assert ran.err.startswith("error: ")
    assert [text for text in says if text not in ran.err] == []


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A checkpoint whose weights have other names than the net's."""
    torch = pytest.importorskip("torch", reason="a checkpoint is torch's (the train extra)")
    from gesturedet.recipes import product
    from gesturedet.training_run import start, write_checkpoint

    torch.set_num_threads(1)
    path = tmp_path / "foreign.pt"
    write_checkpoint(start(product(), []), path)
    state = torch.load(path, weights_only=True)
    for key in ("model", "average"):
        state[key] = {f"old.{name}": value for name, value in state[key].items()}
    torch.save(state, path)
    return path


@pytest.mark.torch
def test_a_checkpoint_of_another_architecture_is_named(run: Run, foreign: Path, tmp_path: Path) -> None:
    voc = write_voc(tmp_path / "voc", {"a": []})
    for split in ("val", "test"):
        write_voc(voc, {"a": []}, split=split)
    out = ("--out", tmp_path / "out")
    says = (f"checkpoint: {foreign} is of another architecture than GestureDet", "Missing key(s)")
    check_refused(run("export", foreign, *out), *says)
    check_refused(run("release", foreign, "--train", voc, "--val", voc, "--test", voc, *out), *says)
    check_refused(run("explain", foreign, voc / "JPEGImages" / "a.jpg", *out), *says)
    check_refused(run("evaluate", foreign, voc), *says)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def unfit(tmp_path: Path) -> Path:
    """A release whose net is read and cannot be run: it takes one picture for seven."""
    folder = tmp_path / "unfit"
    make_release(folder)
    net = onnx.load(folder / MODEL_FILE)
    net.graph.initializer.append(numpy_helper.from_array(np.array([7, 3, *INPUT_HW], np.int64), "seven"))
    net.graph.node.insert(0, helper.make_node("Reshape", ["images", "seven"], ["reshaped"]))
    net.graph.node[1].input[0] = "reshaped"
    data = net.SerializeToString()
    (folder / MODEL_FILE).write_bytes(data)
    card = msgspec.structs.replace(read_card((folder / CARD_FILE).read_bytes(), origin="fake"), digest=digest_of(data))
    (folder / CARD_FILE).write_bytes(write_card(card))
    return folder


def test_a_runtime_that_breaks_off_in_a_call_is_told(run: Run, unfit: Path, tmp_path: Path) -> None:
    picture = write_voc(tmp_path / "voc", {"a": []}) / "JPEGImages" / "a.jpg"
    for command in (("detect", picture, "--model", unfit, "--json"), ("bench", unfit, "--rounds", "1")):
        check_refused(run(*command, "--runtime", "onnxruntime"), "ONNX Runtime: a batch of 1 did not run: ")


def test_openvino_that_is_still_at_another_batch_is_told() -> None:
    openvino = pytest.importorskip("gesturedet.runtime.openvino", reason="needs openvino (the openvino extra)")
    runtime = openvino.OpenVino(load_release().onnx_bytes)
    images = np.zeros((8, 3, *runtime.input.size_hw), np.float32)
    runtime._request.start_async({0: images})
    with pytest.raises(RuntimeRefused, match="OpenVINO: a batch of 1 did not run: Infer Request is busy"):
        runtime.run(images[:1])
    runtime._request.wait()


def test_a_runtime_that_compiles_no_net_is_told(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    make_release(tmp_path / "release")
    too_many = ("--runtime", "openvino", "--threads", 2**31)
    check_refused(run("bench", tmp_path / "release", *too_many), "OpenVINO: the net cannot be compiled: Wrong value")
