"""How the cameras of one process are, for people and alerts: how many are in which state, and, of not too many, each one."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import get_args

from classpulse.records import CameraReport, CameraState, hidden
from classpulse.telemetry import Metrics

STATES: tuple[str, ...] = get_args(CameraState)


class Figures:
    """Shows every camera of up to `most`; of more, none: each has five series, at every scrape. Hidden cameras are nobody's."""

    def __init__(self, metrics: Metrics, most: int) -> None:
        self._metrics, self._most = metrics, most
        self._shown: dict[str, CameraState] = {}

    def show(self, reports: Iterable[CameraReport], last_frames_ms: Mapping[str, int]) -> None:
        """All cameras that there are now, and when the last frame of some was captured."""
        states = {report.camera: report.state for report in reports if not hidden(report.camera)}
        counts = Counter(states.values())
        for state in get_args(CameraState):
            self._metrics.cameras.labels(state).set(counts[state])
        shown = states if len(states) <= self._most else {}
        for camera in self._shown.keys() - shown.keys():
            self._hide(camera)
        for camera, state in shown.items():
            if self._shown.get(camera) != state:
                for name in STATES:
                    self._metrics.camera_state.labels(camera, name).set(name == state)
            if camera in last_frames_ms:
                at_s = last_frames_ms[camera] / 1000
                self._metrics.camera_last_frame_timestamp_seconds.labels(camera).set(at_s)
        self._shown = shown

    def _hide(self, camera: str) -> None:
        for name in STATES:
            self._metrics.camera_state.remove(camera, name)
        self._metrics.camera_last_frame_timestamp_seconds.remove(camera)
