"""How many workers a machine carries: measured, by letting more and more of them look at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import cv2
import numpy as np

from classpulse.clock import Clock, SystemClock
from classpulse.detect.devices import Device
from classpulse.detect.eyes import GestureEyes, open_eyes
from classpulse.detect.ground import Probe
from classpulse.detect.pictures import decode_picture
from classpulse.errors import ClassPulseError
from classpulse.records import Frame
from classpulse.settings import Settings

LOOK_S = 0.5
WORTH = 1.2
"""Twice the workers are worth it where they see a fifth more."""

MOST = 16
PICTURE_HW = (720, 1280)


def probe(settings: Settings, device: Device, cores: int) -> Probe:
    """Look with 1, 2, 4 … threads, as long as that is worth it, and no more than `cores` where cores do the work."""
    clock = SystemClock()
    cv2.setNumThreads(1)
    most = max(1, min(MOST, cores // settings.runtime_threads if device == "cpu" else MOST))
    frame = _frame(clock)
    eyes: list[GestureEyes] = []
    found: list[float] = []
    try:
        while True:
            workers = min(most, 2 ** len(found))
            for _ in range(workers - len(eyes)):
                eyes.append(open_eyes(settings, device))
                settings = replace(settings, runtime=eyes[0].runtime)  # one that does not fit beside it counts no more
            found.append(_rate(eyes, frame, clock))
            if workers == most or (len(found) > 1 and found[-1] < WORTH * found[-2]):
                break
    except (ClassPulseError, ValueError) as error:  # RuntimeRefused is a ValueError; what fitted before counts
        if not found:
            return Probe(0, error=str(error))
        found.append(0.0)
    best = len(found) if len(found) == 1 or found[-1] >= WORTH * found[-2] else len(found) - 1
    return Probe(
        workers=min(most, 2 ** (best - 1)),
        pictures_per_s=tuple(round(rate, 1) for rate in found if rate),
        runtime=eyes[0].runtime,
        refused=eyes[0].refused,
    )


def _rate(eyes: list[GestureEyes], frame: Frame, clock: Clock) -> float:
    """Pictures a second, decoded and seen, of all of these together."""
    stop = threading.Event()
    with ThreadPoolExecutor(len(eyes)) as pool:
        began_ms = clock.monotonic_ms()
        looking = [pool.submit(partial(_look, one, frame, stop)) for one in eyes]
        clock.sleep_ms(int(1000 * LOOK_S))
        stop.set()
        seen = sum(one.result() for one in looking)
        return 1000 * seen / (clock.monotonic_ms() - began_ms)


def _look(eyes: GestureEyes, frame: Frame, stop: threading.Event) -> int:
    seen = 0
    while not stop.is_set():
        eyes.see([decode_picture(frame) for _ in range(eyes.at_once)])
        seen += eyes.at_once
    return seen


def _frame(clock: Clock) -> Frame:
    """A wall in soft light, as large as a camera's picture: decoding and the net take as long whatever is shown."""
    height, width = PICTURE_HW
    light = np.linspace(60, 200, width, dtype=np.float32) + np.linspace(-30, 30, height, dtype=np.float32)[:, None]
    grain = np.random.default_rng(0).normal(0, 4, (height, width))
    picture = np.repeat((light + grain).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return Frame(
        camera="probe/probe/probe/probe",
        epoch=0,
        sequence=0,
        captured_at_ms=clock.now_ms(),
        interval_ms=200,
        width=width,
        height=height,
        jpeg=jpeg.tobytes(),
    )
