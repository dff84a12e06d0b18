"""A worker begins with what its line says, waits for a store that is away, and never looks with what nobody promoted."""

import shutil
import threading
from pathlib import Path

import pytest

from classpulse.bus.memory import MemoryBus
from classpulse.clock import SystemClock
from classpulse.detect.opening import MIB, available_bytes, check_memory, first_eyes, opener
from classpulse.errors import BadInput, Fatal
from classpulse.lines import Lines, promoted
from classpulse.registry import put
from classpulse.settings import Settings
from classpulse.topics import MODELS
from gesturedet.card import MODEL_FILE, Release, load_release
from tests.services.fake_release import change_a_byte, make_release


class Rig:
    """A line on the memory bus, a registry with two releases, and the settings' own."""

    def __init__(self, folder: Path) -> None:
        make_release(folder / "own")
        self.settings = Settings(data=folder, model=folder / "own")
        self.bus = MemoryBus()
        self.bus.create([MODELS])
        self.lines = Lines(self.bus, SystemClock())
        self.stop = threading.Event()
        self.first, self.second = (self.registered(folder / name, slope) for name, slope in (("a", 20.0), ("b", 25.0)))

    def registered(self, folder: Path, slope: float) -> Release:
        make_release(folder, slope=slope)
        release = load_release(folder)
        self.lines.register(put(release, self.settings.registry_url))
        return release

    def promote(self, release: Release) -> None:
        self.lines.change("main", lambda before: promoted(before, release.card.digest))

    def begin(self) -> str | None:
        eyes = first_eyes(self.settings, self.bus, SystemClock(), "cpu", self.stop)
        return None if eyes is None else eyes.digest

    def spoil(self, release: Release) -> None:
        change_a_byte(Path(self.settings.registry_url) / release.card.digest / MODEL_FILE)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_without_a_promotion_the_release_of_the_settings_looks(rig: Rig) -> None:
    assert rig.begin() == load_release(rig.settings.model).card.digest


def test_the_champion_looks_and_the_one_before_it_where_it_cannot_be_opened(rig: Rig) -> None:
    rig.promote(rig.first)
    assert rig.begin() == rig.first.card.digest
    rig.promote(rig.second)
    assert rig.begin() == rig.second.card.digest
    rig.spoil(rig.second)
    assert rig.begin() == rig.first.card.digest
    rig.spoil(rig.first)
    with pytest.raises(
        Fatal, match=r"line 'main': release .* expected its own; release .*expected a champion, or one before it"
    ):
        rig.begin()


def test_a_store_that_is_away_is_waited_for(rig: Rig) -> None:
    rig.promote(rig.first)
    store = Path(rig.settings.registry_url)
    store.rename(store.with_name("away"))
    found: list[str | None] = []
    waiting = threading.Thread(target=lambda: found.append(rig.begin()))
    waiting.start()
    waiting.join(0.3)
    assert found == []
    store.with_name("away").rename(store)
    waiting.join(10)
    assert found == [rig.first.card.digest]

    shutil.rmtree(store)
    rig.stop.set()
    assert rig.begin() is None


def test_a_second_net_is_opened_on_the_workers_runtime_where_there_is_memory(rig: Rig) -> None:
    eyes = opener(rig.settings, "cpu")(rig.lines.release(rig.first.card.digest))
    assert (eyes.digest, eyes.runtime) == (rig.first.card.digest, "onnxruntime")
    with pytest.raises(BadInput, match="memory: 31 MiB available; expected 32 MiB for a second net"):
        check_memory(rig.first, 31 * MIB)


def test_a_container_has_its_own_limit(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 4096 kB\nMemAvailable: 2048 kB\n")
    assert available_bytes(tmp_path / "meminfo", tmp_path) == 2 * MIB
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1048576\n")
    assert available_bytes(tmp_path / "meminfo", tmp_path) == 2 * MIB
    (tmp_path / "memory.max").write_text(f"{3 * MIB // 2}\n")
    assert available_bytes(tmp_path / "meminfo", tmp_path) == MIB // 2
