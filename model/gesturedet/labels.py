"""The behaviours by name and by class index: the first word of the route from pixels to boxes.

Weights carry these names and messages carry names too, so no service needs an index table. New behaviours are appended,
never put between: a class index is written into every trained net.
"""

from collections.abc import Sequence

BACKGROUND_CLASS = 0
BEHAVIOURS: tuple[str, ...] = ("hand-raising", "stand-up", "sleeping")

AUXILIARY = frozenset({"adult"})
"""Classes that only help a net to tell behaviours from their likes: marked in pictures, never reported to anybody."""


def class_of(behaviour: str, behaviours: Sequence[str] = BEHAVIOURS) -> int:
    """Return the class index of a behaviour's name, counted from 1 because 0 is background.

    Raises ValueError for a name that is no behaviour.
    """
    if behaviour not in behaviours:
        raise ValueError(f"behaviour: {behaviour!r} is none of {', '.join(behaviours)}")
    return behaviours.index(behaviour) + 1


def behaviour_of(class_id: int, behaviours: Sequence[str] = BEHAVIOURS) -> str:
    """Return the name of a class index.

    Raises ValueError for background and for an index that no behaviour has.
    """
    if not 1 <= class_id <= len(behaviours):
        raise ValueError(f"class_id: {class_id} is no behaviour, expected 1 to {len(behaviours)}")
    return behaviours[class_id - 1]
