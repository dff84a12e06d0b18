"""Which net a site file names, and that a wrong one is a fault of the file before anything starts."""

from pathlib import Path

import pytest

from classpulse.errors import BadInput
from classpulse.site import parse_site
from tests.services.fake_release import make_release


def test_a_model_is_the_name_of_a_release_or_a_folder_beside_the_file(tmp_path: Path) -> None:
    def model(stated: str) -> Path | None:
        return parse_site({"settings": {"model": stated}}, base=tmp_path, environ={}).settings.model

    make_release(tmp_path / "paper")
    make_release(tmp_path / "papers")
    assert model("") is None
    assert model("paper") == Path("paper")
    assert model("papers") == tmp_path / "papers"
    assert model("./paper") == tmp_path / "paper"
    assert model("papers/model.onnx") == tmp_path / "papers" / "model.onnx"


def test_a_model_or_runtime_that_detect_would_refuse_is_a_fault_of_the_file(tmp_path: Path) -> None:
    wrong = {"settings": {"model": "clasroom", "runtime": "onnxruntim"}}
    with pytest.raises(BadInput) as caught:
        parse_site(wrong, base=tmp_path, environ={})
    assert caught.value.faults == (
        "settings.model = 'clasroom': no released model and no folder; nearest is classroom",
        "settings.runtime = 'onnxruntim': unknown; nearest is onnxruntime",
    )
    with pytest.raises(
        BadInput, match=r"^settings.model = '.': no model.onnx in it; expected a folder with model.onnx"
    ):
        parse_site({"settings": {"model": "."}}, base=tmp_path, environ={})


def test_a_variable_s_model_is_checked_in_the_place_of_the_file_s() -> None:
    with pytest.raises(
        BadInput, match=r"^CLASSPULSE_MODEL = 'papre': no released model and no folder; nearest is paper"
    ):
        parse_site({"settings": {"model": "cake"}}, base=Path("/site"), environ={"CLASSPULSE_MODEL": "papre"})
