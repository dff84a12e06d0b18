"""A packaged release as a short training would leave it: one scale of its net a thousandth larger, all else as it was.

`python -m tests.services.tuned_release NAME FOLDER` writes one: a model to swap to that costs what its parent costs.
"""

import sys
from pathlib import Path

import msgspec
import numpy as np
import onnx
from onnx import numpy_helper

from gesturedet.card import CARD_FILE, MODEL_FILE, ModelCard, digest_of, find_release, write_card

STEP = np.float32(1.001)


def make_tuned(name: str, folder: Path) -> ModelCard:
    """Write the release into a folder; gives its card."""
    parent = find_release(name)
    net = onnx.load_from_string(parent.onnx_bytes)
    scale = next(one for one in net.graph.initializer if one.data_type == onnx.TensorProto.FLOAT)
    scale.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scale) * STEP, scale.name))
    data = net.SerializeToString(deterministic=True)
    card = msgspec.structs.replace(
        parent.card,
        name=f"{parent.card.name}-tuned",
        digest=digest_of(data),
        lineage=(*parent.card.lineage, f"{parent.card.name} {parent.card.digest}"),
        exams=(),
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_FILE).write_bytes(data)
    (folder / CARD_FILE).write_bytes(write_card(card))
    return card


if __name__ == "__main__":
    sys.stdout.write(f"{make_tuned(sys.argv[1], Path(sys.argv[2])).digest}\n")
