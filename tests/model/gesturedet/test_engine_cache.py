import logging
from pathlib import Path

import msgspec
import pytest

from gesturedet.runtime.base import RuntimeRefused
from gesturedet.runtime.engine_cache import BatchProfile, EngineCache, EngineKey, EngineRefused
from tests.model.gesturedet.full_disk import full_disk

KEY = EngineKey(
    model="0" * 64,
    types="as-given",
    tensorrt="10.15.1.29",
    gpu="NVIDIA H100 80GB HBM3",
    architecture="sm_90",
    profile=BatchProfile(),
)
OTHERS = {
    "model": "1" * 64,
    "types": "fp16",
    "tensorrt": "11.4.0",
    "gpu": "NVIDIA H200",
    "architecture": "sm_89",
    "profile": BatchProfile(best=4, most=16),
}


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines")


class Builder:
    """Builds and loads engines; what it loads is known by its bytes, and `refused` ones are not loaded."""

    def __init__(self, engine: bytes = b"built\nof lines", refused: bytes = b"") -> None:
        self.engine, self.refused = engine, refused
        self.given: list[bytes] = []

    def load(self, engine: bytes) -> str | None:
        return None if engine == self.refused else f"loaded {engine!r}"

    def build(self, timings: bytes) -> tuple[bytes, bytes]:
        self.given.append(timings)
        return self.engine, timings + b"t"


def test_an_empty_cache_has_no_engine_and_no_timings_and_makes_no_folder(cache: EngineCache) -> None:
    assert cache.engine(KEY) is None
    assert cache.timings(KEY) == b""
    assert not cache.folder.exists()


def test_a_kept_engine_comes_back_for_its_key(cache: EngineCache) -> None:
    cache.keep_engine(KEY, b"one\ntwo\n")
    assert cache.engine(KEY) == b"one\ntwo\n"
    assert [path.name for path in cache.folder.iterdir()] == [KEY.file_name]


@pytest.mark.parametrize("field", OTHERS)
def test_an_engine_serves_nothing_that_differs_in_anything(cache: EngineCache, field: str) -> None:
    other = msgspec.structs.replace(KEY, **{field: OTHERS[field]})
    cache.keep_engine(KEY, b"engine")
    assert cache.engine(other) is None


@pytest.mark.parametrize("field", OTHERS)
def test_an_engine_copied_from_elsewhere_is_refused_naming_what_it_was_built_for(
    cache: EngineCache, field: str
) -> None:
    other = msgspec.structs.replace(KEY, **{field: OTHERS[field]})
    cache.keep_engine(other, b"engine")
    (cache.folder / other.file_name).rename(cache.folder / KEY.file_name)
    with pytest.raises(EngineRefused, match=rf"\.engine: built for {field} .*, expected ") as refused:
        cache.engine(KEY)
    assert repr(OTHERS[field]) in str(refused.value)
    assert repr(getattr(KEY, field)) in str(refused.value)


@pytest.mark.parametrize("left", [0, 5, 100, -1])
def test_a_truncated_engine_is_refused(cache: EngineCache, left: int) -> None:
    cache.keep_engine(KEY, b"engine")
    path = cache.folder / KEY.file_name
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(EngineRefused, match="damaged"):
        cache.engine(KEY)


def test_the_first_time_an_engine_is_built_and_from_then_on_it_is_loaded(cache: EngineCache) -> None:
    builder = Builder()
    assert cache.obtain(KEY, builder.load, builder.build) == "loaded b'built\\nof lines'"
    assert cache.obtain(KEY, builder.load, builder.build) == "loaded b'built\\nof lines'"
    assert builder.given == [b""]


def test_a_second_net_on_the_same_gpu_builds_with_the_timings_of_the_first(cache: EngineCache) -> None:
    builder = Builder()
    for model in ("0" * 64, "1" * 64, "2" * 64):
        cache.obtain(msgspec.structs.replace(KEY, model=model), builder.load, builder.build)
    cache.obtain(msgspec.structs.replace(KEY, gpu="NVIDIA H200"), builder.load, builder.build)
    assert builder.given == [b"", b"t", b"tt", b""]


def test_an_engine_of_another_gpu_is_told_and_built_anew(cache: EngineCache, caplog: pytest.LogCaptureFixture) -> None:
    other = msgspec.structs.replace(KEY, gpu="NVIDIA H200")
    cache.keep_engine(other, b"engine")
    (cache.folder / other.file_name).rename(cache.folder / KEY.file_name)
    with caplog.at_level(logging.WARNING):
        assert cache.obtain(KEY, Builder().load, Builder().build) == "loaded b'built\\nof lines'"
    assert "built for gpu 'NVIDIA H200', expected 'NVIDIA H100 80GB HBM3'; it is built anew" in caplog.text
    assert cache.engine(KEY) == b"built\nof lines"


def test_an_engine_that_tensorrt_itself_refuses_is_told_and_built_anew(
    cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    cache.keep_engine(KEY, b"stale")
    builder = Builder(refused=b"stale")
    with caplog.at_level(logging.WARNING):
        assert cache.obtain(KEY, builder.load, builder.build) == "loaded b'built\\nof lines'"
    assert "TensorRT refuses it; it is built anew" in caplog.text


def test_an_engine_that_the_disk_has_no_room_for_is_told_and_used(
    cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    cache.keep_timings(KEY, b"old")
    builder = Builder(engine=bytes(4096))
    with full_disk(at_bytes=1024), caplog.at_level(logging.WARNING):
        assert cache.obtain(KEY, builder.load, builder.build) == f"loaded {bytes(4096)!r}"
    path = cache.folder / KEY.file_name
    assert f"{path} cannot be written (File too large); an older one is kept: the next start builds anew" in caplog.text
    assert [kept.name for kept in cache.folder.iterdir()] == [KEY.timing_name]
    assert cache.timings(KEY) == b"old"


def test_an_engine_without_a_folder_to_be_kept_in_is_told_and_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "home").write_bytes(b"no folder")
    cache = EngineCache(tmp_path / "home" / "engines")
    with caplog.at_level(logging.WARNING):
        assert cache.obtain(KEY, Builder().load, Builder().build) == "loaded b'built\\nof lines'"
    assert "cannot be written (Not a directory)" in caplog.text


def test_an_engine_that_cannot_be_loaded_although_just_built_is_a_fault(cache: EngineCache) -> None:
    builder = Builder(engine=b"bad", refused=b"bad")
    with pytest.raises(RuntimeRefused, match=r"\.engine: just built and cannot be loaded"):
        cache.obtain(KEY, builder.load, builder.build)


@pytest.mark.parametrize(("pictures", "sizes"), [(0, []), (1, [1]), (16, [16]), (17, [16, 1]), (40, [16, 16, 8])])
def test_pictures_are_cut_into_batches_that_the_profile_takes(pictures: int, sizes: list[int]) -> None:
    parts = BatchProfile(most=16).parts(pictures)
    assert [len(range(pictures)[part]) for part in parts] == sizes
    assert [place for part in parts for place in range(pictures)[part]] == list(range(pictures))


@pytest.mark.parametrize(("best", "most"), [(0, 4), (5, 4), (-1, -1)])
def test_a_profile_that_no_batch_fits_is_refused(best: int, most: int) -> None:
    with pytest.raises(ValueError, match=f"profile: best {best} and most {most}, expected 1 <= best <= most"):
        BatchProfile(best=best, most=most)


def test_file_names_are_plain_and_say_what_they_can() -> None:
    assert KEY.file_name.startswith("000000000000-as-given-trt10.15.1.29-sm_90-b8-16-")
    assert KEY.timing_name == "timing-trt10.15.1.29-sm_90-NVIDIA-H100-80GB-HBM3.cache"
