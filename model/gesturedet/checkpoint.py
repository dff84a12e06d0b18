"""A training run ↔ a file: what can be gone on with, evaluated and released (training leg, beside the engine)."""

import json
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gesturedet.recipes import Recipe, recipe_of, with_labels
from gesturedet.whole_files import write_whole

State = dict[str, Any]
"""What a checkpoint holds, by name; `file` is where it was read from."""


def write_state(state: State, path: Path) -> None:
    """Write a checkpoint; a kill or a full disk leaves the old file or the new one, never half of one.

    Raises OSError naming the file when it cannot be written.
    """
    whole = BytesIO()
    torch.save(state, whole)
    write_whole(path, whole.getbuffer())


def read_checkpoint(path: Path) -> State:
    """Read a checkpoint. Raises FileNotFoundError, or ValueError for a file that is none."""
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint: {path} is no file")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"checkpoint: {path} cannot be read ({type(error).__name__}), expected last.pt or best.pt of a run"
        ) from error
    if not isinstance(state, dict) or not {"recipe", "epoch", "model"} <= state.keys():
        raise ValueError(f"checkpoint: {path} holds no training run, expected keys recipe, epoch, model")
    return {**state, "file": str(path)}


def recipe_behind(state: State, name: str | None = None) -> Recipe:
    """Return the recipe that a checkpoint was made by, or the one of the given name, for the classes it was made for."""
    made: dict[str, Any] = json.loads(state["recipe"])
    recipe = recipe_of(name or made["name"])
    return with_labels(recipe, tuple(made.get("labels", recipe.labels)))


def released_weights(state: State, recipe: Recipe) -> dict[str, Tensor]:
    """Return the weights of a checkpoint that are evaluated and released: the average if there is one.

    Raises ValueError if they were trained for another net than the recipe's, other default boxes included.
    """
    trained, expected = json.loads(state["recipe"])["net"], json.loads(recipe_text(recipe))["net"]
    if trained != expected:
        raise ValueError(
            f"checkpoint: {state['file']}: its net differs from recipe {recipe.name!r} in "
            f"{_differences(trained, expected)}, expected the same net"
        )
    weights: dict[str, Tensor] = state["average"] if "average" in state else state["model"]
    return weights


def load_weights(module: nn.Module, weights: dict[str, Tensor], file: str) -> None:
    """Give a module its weights. Raises ValueError naming `file` for weights of another architecture."""
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        first = str(error).splitlines()[1:2] or [str(error)]
        raise ValueError(
            f"checkpoint: {file} is of another architecture than {type(module).__name__} ({first[0].strip()[:200]})"
        ) from error


def check_recipe(state: State, recipe: Recipe) -> None:
    """Raise ValueError if a checkpoint was made by another recipe; only the number of epochs may differ."""
    made, expected = json.loads(state["recipe"]), json.loads(recipe_text(recipe))
    if made != expected:
        raise ValueError(
            f"checkpoint: {state['file']}: its recipe differs from {recipe.name!r} in {_differences(made, expected)}, "
            "expected the same but for the epochs"
        )


def lineage_of(state: State) -> tuple[str, ...]:
    """Return what a checkpoint's run began with, oldest first; empty for ported or random weights."""
    return tuple(state.get("lineage", ()))


def trained_by(state: State) -> dict[str, Any]:
    """Return the settings a checkpoint was really trained with, the net's aside, and its whole epochs so far."""
    settings: dict[str, Any] = json.loads(state["recipe"])
    del settings["net"]
    return settings | {"epochs": state["epoch"]}


def recipe_text(recipe: Recipe) -> str:
    """Write a recipe down so that it can be compared; how long it lasts may change between two starts."""
    settings = asdict(recipe)
    del settings["epochs"]
    return json.dumps(settings, sort_keys=True)


def _differences(found: dict[str, Any], expected: dict[str, Any]) -> str:
    keys = [key for key in {**expected, **found} if found.get(key) != expected.get(key)]
    return ", ".join(f"{key} ({found.get(key)!r}, expected {expected.get(key)!r})" for key in keys)
