"""bus → eyes: how each behaviour and each state looks, on a page and in a terminal; the one place that says so."""

from dataclasses import dataclass

from classpulse.reading import State


@dataclass(frozen=True)
class Ink:
    """A behaviour's colours: on a light page, on a dark page, in a terminal."""

    light: str
    dark: str
    terminal: str


INKS: dict[str, Ink] = {
    "hand-raising": Ink(light="#1f66d1", dark="#6aa9ff", terminal="dodger_blue1"),
    "stand-up": Ink(light="#c2570c", dark="#ff9d4d", terminal="dark_orange"),
    "sleeping": Ink(light="#7a3fbf", dark="#c39bff", terminal="medium_purple1"),
}
OTHER_INKS: tuple[Ink, ...] = (
    Ink(light="#0f766e", dark="#4fd1c5", terminal="turquoise2"),
    Ink(light="#a21c5b", dark="#ff8ac0", terminal="hot_pink"),
    Ink(light="#55700f", dark="#b5d94c", terminal="chartreuse3"),
)
"""For behaviours added later, in the order they are shown; every colour has a contrast of 4.5 : 1 on its page."""

STATE_GLYPHS: dict[State, str] = {
    State.ACTIVE: "█",
    State.QUIET: "·",
    State.UNSEEN: "╱",
    State.NOBODY: "░",
    State.UNRECORDED: " ",
}
STATE_STYLES: dict[State, str] = {
    State.ACTIVE: "bold",
    State.QUIET: "dim",
    State.UNSEEN: "bold red",
    State.NOBODY: "bright_black",
    State.UNRECORDED: "dim italic",
}
STATE_MEANINGS: dict[State, str] = {
    State.ACTIVE: "seen, and this happened",
    State.QUIET: "seen, and nothing happened",
    State.UNSEEN: "somebody was to be observed and nothing was seen",
    State.NOBODY: "nobody was to be observed",
    State.UNRECORDED: "no record of this time",
}


def ink_of(behaviour: str, behaviours: tuple[str, ...]) -> Ink:
    """The colours of one of the `behaviours` shown together; those without colours of their own share the others."""
    if behaviour in INKS:
        return INKS[behaviour]
    others = [name for name in behaviours if name not in INKS]
    return OTHER_INKS[others.index(behaviour) % len(OTHER_INKS)] if behaviour in others else OTHER_INKS[0]
