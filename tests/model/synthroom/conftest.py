"""The drawings' tests: one renderer for those that draw."""

import pytest

from synthroom import renderer as rendering
from synthroom.crew import one_thread, own_renderer
from tests.support import require

WIDTH, HEIGHT = 320, 180


@pytest.fixture(scope="session")
def renderer() -> rendering.Renderer:
    one_thread()
    why = rendering.available()
    require("synth", not why, why)
    return own_renderer(WIDTH, HEIGHT)
