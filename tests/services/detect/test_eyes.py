"""The net is what its card says, or it is refused; what it sees is rounded before it travels."""

import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from classpulse.detect.devices import RUNTIMES_OF
from classpulse.detect.eyes import GestureEyes, open_eyes
from classpulse.errors import BadInput
from classpulse.settings import Settings
from gesturedet.card import CARD_FILE, MODEL_FILE, find_release
from gesturedet.runtime.base import RUNTIMES, Floats, Images
from gesturedet.runtime.onnxruntime import OnnxRuntime
from tests.services.fake_release import change_a_byte, make_release


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_release(tmp_path / "release")
    return tmp_path / "release"


def opened(folder: Path, **changes: str) -> GestureEyes:
    return open_eyes(Settings(model=folder, **changes))  # type: ignore[arg-type]


def grey(level: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    return np.full((90, 160, 3), level, np.uint8)


def test_an_empty_picture_shows_nothing(folder: Path) -> None:
    assert opened(folder).see([grey(0)]) == [[]]


def test_what_is_seen_has_a_name_a_rounded_score_and_a_rounded_box(folder: Path) -> None:
    ((seen,),) = opened(folder).see([grey(200)])
    assert seen.behaviour == "hand-raising"
    assert 0.9 < seen.score < 1.0
    assert seen.score == round(seen.score, 4)
    assert seen.box_xyxy == tuple(round(value, 5) for value in seen.box_xyxy)
    assert all(0.0 <= value <= 1.0 for value in seen.box_xyxy)


@pytest.mark.parametrize("at_once", [1, 2, 16])
def test_each_picture_of_a_look_has_its_own_answer_in_calls_as_large_as_the_runtime_likes(
    folder: Path, at_once: int
) -> None:
    eyes, sizes = opened(folder), []
    alone = [eyes.see([picture])[0] for picture in (grey(200), grey(0), grey(220))]
    runtime = eyes._predictor.runtime
    run = runtime.run
    runtime.at_once = at_once
    runtime.run = lambda images: (sizes.append(len(images)), run(images))[1]  # type: ignore[method-assign]
    seen = eyes.see([grey(200), grey(0), grey(220)])
    assert [[one.behaviour for one in found] for found in seen] == [["hand-raising"], [], ["hand-raising"]]
    assert seen == alone
    assert max(sizes) == min(at_once, 3)


class Tight(OnnxRuntime):
    """A device with room for one picture at once, in a table that has it in front."""

    at_once = 16
    looks: ClassVar[list[int]] = []

    def run(self, images: Images) -> tuple[Floats, Floats]:
        """Break off where it is too many."""
        self.looks.append(len(images))
        if len(images) > 1:
            raise RuntimeError("CUDA out of memory")
        return super().run(images)


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RUNTIMES, "tight", f"{__name__}:Tight")
    monkeypatch.setitem(RUNTIMES_OF, "cpu", ("tight", "onnxruntime"))
    Tight.looks.clear()


@pytest.mark.usefixtures("tight")
def test_a_runtime_without_room_for_its_looks_is_refused_for_the_next(folder: Path) -> None:
    eyes = open_eyes(Settings(model=folder), "cpu")
    assert eyes.runtime == "onnxruntime"
    assert eyes.refused == ("runtime = 'tight': broke off at its first looks, RuntimeError: CUDA out of memory",)
    assert Tight.looks == [1, 1, 1, 16]


@pytest.mark.usefixtures("tight")
def test_a_runtime_of_choice_without_room_is_named(folder: Path) -> None:
    with pytest.raises(BadInput, match=r"^runtime = 'tight': broke off at its first looks"):
        opened(folder, runtime="tight")


def test_the_digest_travels(folder: Path) -> None:
    assert opened(folder).digest == make_release(folder).digest


def test_weights_changed_by_a_byte_are_refused_with_both_digests(folder: Path) -> None:
    card = make_release(folder)
    change_a_byte(folder / MODEL_FILE)
    with pytest.raises(BadInput, match=rf"model = .*digest expected {card.digest}, found [0-9a-f]{{64}}"):
        opened(folder)


def test_a_card_that_is_none_is_refused(folder: Path) -> None:
    (folder / CARD_FILE).write_text("{}")
    with pytest.raises(BadInput, match=r"model = .*card.json: no model card"):
        opened(folder)


def test_a_released_model_goes_by_its_name() -> None:
    paper = find_release("paper").card.digest
    assert open_eyes(Settings(model=Path("paper"))).digest == paper != open_eyes(Settings()).digest


def test_a_name_that_is_no_release_is_named_once() -> None:
    with pytest.raises(BadInput, match=r"^model = 'cake': none of the released models \(classroom.*\), no folder"):
        open_eyes(Settings(model=Path("cake")))


def test_a_folder_without_a_release_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"model = .*model.onnx: not there, expected a folder with"):
        opened(tmp_path)


def test_an_unknown_runtime_is_answered_with_the_nearest(folder: Path) -> None:
    with pytest.raises(BadInput, match="runtime = 'onnxruntim': unknown; nearest is onnxruntime"):
        opened(folder, runtime="onnxruntim")


def test_a_runtime_that_cannot_be_had_is_answered_with_the_extra_that_brings_it(folder: Path) -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['tensorrt', 'tensorrt_bindings'])); "
        "from pathlib import Path; from classpulse.detect.eyes import open_eyes; "
        "from classpulse.settings import Settings; "
        f"open_eyes(Settings(model=Path({str(folder)!r}), runtime='tensorrt'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    said = done.stderr.strip().splitlines()[-1]
    assert said.startswith("classpulse.errors.BadInput: runtime = 'tensorrt': ")
    assert said.count("tensorrt'") == 1
    assert "pip install '.[gpu]'" in said


def test_a_runtime_without_threads_is_refused(folder: Path) -> None:
    with pytest.raises(BadInput, match="runtime = 'onnxruntime': threads: 0 is not a whole number of at least 1"):
        opened(folder, runtime_threads=0)  # type: ignore[arg-type]
