"""Views: where a classroom's camera hangs, how wide it looks, and in what light the room lies."""

import math

import numpy as np

from synthroom.camera import Camera
from synthroom.layout import Plan
from synthroom.people import Person
from synthroom.renderer import Light
from synthroom.sitting import Draw

PLACES = {"front": 0.62, "middle": 0.16, "back": 0.1, "side": 0.12}
VIEWS = {"wide": 0.5, "medium": 0.34, "close": 0.16}
"""How much of the class a camera looks at: all of it, some rows, or a few pupils."""
CLOSER = {"medium": (0.14, 0.3), "close": (0.3, 0.75)}
"""Share of the picture's height that a body of a metre fills."""
LIGHTS = {"day": 0.5, "lamps": 0.22, "window": 0.16, "dim": 0.12}


def draw_view(d: Draw, plan: Plan, pupils: tuple[Person, ...], view: str) -> Camera:
    """Hang a camera at a real place in the room and aim it; raises KeyError for a view that is none of `VIEWS`."""
    x, y = hang(d, plan, d.pick(PLACES))
    height = min(d.u(2.0, 3.2), plan.height - 0.15)
    if view == "wide":
        return _aim(d, (x, y, height), over_the_class(d, plan, x), float(np.clip(d.rng.normal(84, 12), 60, 110)))
    return _closer(d, (x, y, height), pupils, CLOSER[view])


def hang(d: Draw, plan: Plan, place: str) -> tuple[float, float]:
    """The point of the floor under a camera at one of `PLACES`."""
    x0, y0, x1, y1 = plan.bounds
    margin = d.u(0.2, 0.6)
    corner = x1 - margin if d.chance(0.5) else x0 + margin
    points = {
        "front": (corner * d.u(0.6, 1.0), y0 + margin),
        "middle": (d.u(0.4 * x0, 0.4 * x1), y0 + margin),
        "back": (corner * d.u(0.7, 1.0), y1 - margin),
        "side": (corner, d.u(y0 * 0.6, 0.3)),
    }
    return points[place]


def over_the_class(d: Draw, plan: Plan, x: float) -> tuple[float, float, float]:
    """A point in the middle of the class, as a camera that hangs at `x` is aimed."""
    ys = [desk.y for desk in plan.desks]
    return d.u(-0.8, 0.8) - x * 0.1, float(np.mean(ys)) + d.u(-0.8, 0.8), d.u(0.35, 0.9)


def _closer(d: Draw, eye: tuple[float, float, float], pupils: tuple[Person, ...], share: tuple[float, float]) -> Camera:
    """Look at one pupil so that a sitting body of a metre fills `share` of the picture's height."""
    away = [math.dist(eye[:2], (p.spot.x, p.spot.y)) for p in pupils]
    near = [p for p, m in zip(pupils, away, strict=True) if m > 1.5] or list(pupils)
    chosen = near[int(d.rng.integers(len(near)))]
    target = (chosen.spot.x + d.u(-0.4, 0.4), chosen.spot.y + d.u(-0.4, 0.4), d.u(0.6, 1.1))
    distance = math.dist(eye, target)
    tall = math.degrees(2 * math.atan(0.5 / distance)) / d.u(*share)
    wide = math.degrees(2 * math.atan(math.tan(math.radians(min(tall, 100) / 2)) * 16 / 9))
    return _aim(d, eye, target, float(np.clip(wide, 8, 100)))


def _aim(d: Draw, eye: tuple[float, float, float], target: tuple[float, float, float], fov_deg: float) -> Camera:
    barrel = d.u(0.05, 0.35) if fov_deg > 65 and d.chance(0.6) else (d.u(0, 0.06) if d.chance(0.3) else 0.0)
    roll = float(d.rng.normal(0, 1.5)) if d.chance(0.9) else d.u(-8, 8)
    return Camera(eye=eye, target=target, fov_deg=fov_deg, roll_deg=roll, barrel=barrel)


def draw_light(d: Draw, kind: str) -> Light:
    """Light of a kind of `LIGHTS`: daylight and lamps, lamps alone, a strong window, or hardly any."""
    direction = np.array([d.u(0.3, 0.9) * (1 if d.chance(0.5) else -1), d.u(-0.7, 0.4), d.u(0.9, 1.4)])
    direction /= np.linalg.norm(direction)
    sun = {"day": d.u(0.35, 1.6), "lamps": d.u(0.0, 0.12), "window": d.u(1.6, 3.2), "dim": d.u(0.0, 0.15)}[kind]
    sky = {"day": d.u(0.35, 0.75), "lamps": d.u(0.15, 0.35), "window": d.u(0.25, 0.5), "dim": d.u(0.05, 0.18)}[kind]
    lamp = {"day": d.u(0.0, 0.8), "lamps": d.u(0.6, 1.1), "window": d.u(0.0, 0.3), "dim": d.u(0.0, 0.08)}[kind]
    warm, floor = d.u(0.8, 1.12), sky * 0.55
    return Light(
        direction=(float(direction[0]), float(direction[1]), float(direction[2])),
        sun=(sun, sun * 0.97, sun * warm * 0.93),
        sky=(sky, sky, sky * d.u(0.95, 1.1)),
        ground=(floor, floor * 0.96, floor * 0.9),
        lamp=(lamp, lamp, lamp * d.u(0.72, 1.0)),
    )
