"""The names of hidden rooms are nobody's to give."""

from pathlib import Path

import pytest

from classpulse.errors import BadInput
from classpulse.site import parse_room


def test_the_names_of_hidden_rooms_are_refused() -> None:
    expected = "rooms that begin with canary- are hidden, for canary lessons; expected another name"
    with pytest.raises(BadInput, match=f"room.room = 't/s/canary-1': {expected}"):
        parse_room({"room": "t/s/canary-1"}, base=Path())
    assert parse_room({"room": "canary-1/canary-1/canary"}, base=Path()).room == "canary-1/canary-1/canary"
