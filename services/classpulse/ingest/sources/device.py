"""camera → ingest: a camera at this machine, `device:///dev/video0[?size=1280x720&fps=30&format=mjpeg]`, through V4L2."""

import re

import av
from av.container import InputContainer

from classpulse.errors import BadInput
from classpulse.ingest.sources.base import Address, Wish, check_size
from classpulse.ingest.sources.container import LIMITS, READ_SLICE_MS, AvSource
from classpulse.settings import masked

FORMATS = ("auto", "h264", "mjpeg", "nv12", "yuyv422")


class DeviceSource(AvSource):
    """A camera that Linux shows under /dev."""

    def __init__(self, address: Address, wish: Wish) -> None:
        super().__init__(address, wish)
        address.choose("size", "fps", "format")
        if not address.path.startswith("/dev/"):
            raise BadInput(
                [f"source = {masked(address.url)!r}: is no device; expected one such as device:///dev/video0"]
            )
        self._size = address.options.get("size", "")
        if self._size and not re.fullmatch(r"[1-9]\d{0,4}x[1-9]\d{0,4}", self._size):
            raise BadInput([f"source = {masked(address.url)!r}: size = {self._size!r}; expected one such as 1280x720"])
        self._fps = address.number("fps", 0, least=0, most=240)
        self._format = address.choice("format", "auto", *FORMATS)

    def _connect(self, timeout_s: float) -> InputContainer:
        container: InputContainer = av.open(
            self._address.path,
            format="v4l2",
            options=self.options(),
            stream_options=[LIMITS],
            timeout=(timeout_s, READ_SLICE_MS / 1000),
        )
        return container

    def options(self) -> dict[str, str]:
        """What V4L2 is asked for; whatever is not said is the driver's choice."""
        asked = {"video_size": self._size, "framerate": str(self._fps or "")}
        asked["input_format"] = "" if self._format == "auto" else self._format
        return {name: value for name, value in asked.items() if value}

    def _prepare_decoder(self) -> None:
        check_size(self._stream.codec_context.width, self._stream.codec_context.height)
        super()._prepare_decoder()
