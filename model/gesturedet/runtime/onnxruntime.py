"""The net on ONNX Runtime's CPU provider: what the product uses. Legend: see `runtime.base`."""

import onnxruntime

from gesturedet.runtime.base import Floats, check_images


class OnnxRuntime:
    """One session with a stated number of threads. Workers side by side take one each and never spin on shared cores."""

    def __init__(self, onnx_bytes: bytes, *, threads: int = 1) -> None:
        if threads < 1:
            raise ValueError(f"threads: {threads} is not at least 1")
        self._session = onnxruntime.InferenceSession(onnx_bytes, _options(threads), providers=["CPUExecutionProvider"])
        (images,) = self._session.get_inputs()
        self._input_name = images.name
        self._input_hw: tuple[int, int] = (images.shape[2], images.shape[3])

    def run(self, images_BCHW: Floats) -> tuple[Floats, Floats]:
        """Return logits_BAK and offsets_BA4. Raises ValueError for pictures of another size than the net's."""
        check_images(images_BCHW, self._input_hw)
        logits_BAK, offsets_BA4 = self._session.run(["logits", "offsets"], {self._input_name: images_BCHW})
        return logits_BAK, offsets_BA4


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3  # errors
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options
