"""Question: what the exams' pictures hold. `python -m benchmarks.exams.contents --exams FOLDER`, which `draw.py` filled.

Writes results/exam_pictures.json: counts by class, size, view and light, and seeds; prints the table for docs/exams.md.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.exams.frozen import check
from benchmarks.exams.table import EXAMS, PictureExam
from benchmarks.measured import write_result

from synthroom.datacard import Card, as_markdown, data_card


def contents(folder: Path) -> list[Card]:
    """Count every exam of pictures. Raises what `frozen.check` raises where one is not the frozen one."""
    pictures = {name: exam for name, exam in EXAMS.items() if isinstance(exam, PictureExam)}
    for name, exam in pictures.items():
        check(exam, folder / name)
    return [data_card(folder / name) for name in pictures]


def main() -> None:
    """Count, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exams", type=Path, required=True)
    try:
        cards = contents(parser.parse_args().exams)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from error
    write_result("exam_pictures", {"sets": cards})
    sys.stdout.write(as_markdown(cards))


if __name__ == "__main__":
    main()
