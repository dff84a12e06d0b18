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


def test_noise_is_as_strong_as_stated() -> None:
    grey = np.full((90, 160, 3), 128, np.uint8)
    for noise in (0.0, 8.0):
        assert expose(grey, replace(PLAIN, noise=noise), np.random.default_rng(1)).std() == pytest.approx(
            noise, abs=0.5
        )


def test_each_colour_has_its_gain() -> None:
    grey = np.full((90, 160, 3), 128, np.uint8)
    tinted = expose(grey, replace(PLAIN, cast=(1.2, 1.0, 0.8)), np.random.default_rng(1))
    np.testing.assert_allclose(tinted.mean((0, 1)), [153.6, 128, 102.4], atol=1)


def test_contrast_stretches_what_is_bright_from_what_is_dark() -> None:
    halves = np.full((90, 160, 3), 98, np.uint8)
    halves[:, 80:] = 158
    spread = [np.ptp(expose(halves, replace(PLAIN, contrast=c), np.random.default_rng(1))) for c in (1.0, 1.4)]
    assert spread == [60, 84]


def test_a_camera_of_few_pixels_loses_fine_stripes() -> None:
    stripes = np.zeros((90, 160, 3), np.uint8)
    stripes[:, ::2] = 255
    fine, coarse = (
        expose(stripes, replace(PLAIN, pixels=share), np.random.default_rng(1), mean=128).std() for share in (1.0, 0.5)
    )
    assert coarse < 0.2 * fine


def test_a_bright_window_spreads_over_what_is_beside_it() -> None:
    window = np.full((90, 160, 3), 60, np.uint8)
    window[20:60, 40:100] = 250
    dull, glowing = (
        expose(window, replace(PLAIN, glow=glow), np.random.default_rng(1), mean=128) for glow in (0.0, 0.5)
    )
    assert glowing[40, 102:105].mean() > dull[40, 102:105].mean() + 20
    assert np.array_equal(glowing[:, :5], dull[:, :5])


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
