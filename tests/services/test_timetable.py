"""A timetable is shown as short as a person would write it, and reads back as the same lessons."""

import pytest

from classpulse.timetable import lessons_of, lines_of


def test_no_lessons_are_no_lines() -> None:
    assert lines_of(()) == []


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Mon-Sun 00:00-24:00", "Mon-Sun 00:00-24:00"),
        ("Fri,Mon,Tue,Wed 8:00-12:30", "Mon-Wed,Fri 08:00-12:30"),
        ("Mon-Tue 08:00-09:00", "Mon,Tue 08:00-09:00"),
        ("Sat 10:00-11:00", "Sat 10:00-11:00"),
    ],
)
def test_days_with_the_same_times_are_one_line_that_reads_back(line: str, shown: str) -> None:
    lessons = lessons_of(line)
    assert lines_of(lessons) == [shown]
    assert set(lessons_of(shown)) == set(lessons)


def test_other_times_are_another_line() -> None:
    lessons = (*lessons_of("Mon-Fri 08:00-12:30"), *lessons_of("Mon,Wed 13:30-15:00"))
    assert lines_of(lessons) == ["Mon-Fri 08:00-12:30", "Mon,Wed 13:30-15:00"]
