from dataclasses import replace

import numpy as np
import pytest

from synthroom.renderer import U8
from synthroom.sensor import Sensor, coded, draw_sensor, encode_jpeg, expose
from synthroom.sitting import Draw

PLAIN = Sensor(pixels=1.0, blur_px=0.3, cast=(1.0, 1.0, 1.0), brightness=128, contrast=1.0, noise=0.0)


def scene() -> U8:
    rng = np.random.default_rng(0)
    return np.repeat(np.repeat(rng.integers(40, 200, (9, 16, 3)), 10, 0), 10, 1).astype(np.uint8)


def taken(sensor: Sensor) -> U8:
    return expose(scene(), sensor, np.random.default_rng(1))


def test_a_picture_becomes_as_bright_as_the_sensor_aims_at() -> None:
    assert taken(PLAIN).mean() == pytest.approx(128, abs=6)
    assert taken(replace(PLAIN, brightness=60)).mean() == pytest.approx(60, abs=8)


def test_night_is_grey() -> None:
    out = taken(replace(PLAIN, night=True, cast=(1.3, 1.0, 0.7)))
    assert np.array_equal(out[..., 0], out[..., 1])
    assert np.array_equal(out[..., 1], out[..., 2])


def test_motion_smears_along_its_direction_only() -> None:
    line = np.zeros((60, 60, 3), np.uint8)
    line[:, 30] = 255
    sensor = replace(PLAIN, motion_px=9.0, brightness=4)
    across = expose(line, replace(sensor, motion_deg=0.0), np.random.default_rng(1), mean=4)
    along = expose(line, replace(sensor, motion_deg=90.0), np.random.default_rng(1), mean=4)
    assert across[30, 30, 0] < along[30, 30, 0]


def test_a_picture_through_h264_keeps_its_size_and_loses_detail() -> None:
    fine, coarse = coded(scene(), 20), coded(scene(), 45)
    assert fine.shape == coarse.shape == scene().shape
    error = [np.abs(one.astype(int) - scene()).mean() for one in (fine, coarse)]
    assert 0 < error[0] < error[1]


def test_dim_rooms_are_dark_noisy_or_infrared() -> None:
    drawn = [draw_sensor(Draw(np.random.default_rng(seed)), "dim") for seed in range(60)]
    assert {sensor.night for sensor in drawn} == {True, False}
    assert np.median([sensor.noise for sensor in drawn]) > 6
    assert np.median([sensor.brightness for sensor in drawn]) < 90


def test_what_jpeg_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match=r"picture of shape \(0, 4, 3\): expected one that JPEG can hold"):
        encode_jpeg(np.zeros((0, 4, 3), np.uint8), 80)
