"""bus → eyes: cells as they are drawn. A bucket in which a lesson begins or ends tells how long, not when; this says when."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from classpulse.reading import Cell


def laid(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Cells with those parted in which somebody became due, or was due no more, by what their neighbours tell.

    Behind a cell in which nobody was due and before one in which somebody was, the due part lies at the end; the other
    way round, at the beginning. Where the neighbours do not tell, the cell stays whole, with its shares. Behind what is due
    in a provisional cell nothing is recorded yet.
    """
    return tuple(part for place in range(len(cells)) for part in _parts(cells, place))


def _parts(cells: Sequence[Cell], place: int) -> Iterator[Cell]:
    cell = cells[place]
    before, after = _due(cells, place - 1), _due(cells, place + 1)
    if not 0 < cell.due_ms < cell.recorded_ms or cell.recorded_ms < cell.duration_ms or before == after:
        yield cell
    elif after:
        edge_ms = cell.end_ms - cell.due_ms
        yield Cell(cell.start_ms, edge_ms, recorded_ms=edge_ms - cell.start_ms, final=cell.final)
        yield replace(cell, start_ms=edge_ms, recorded_ms=cell.due_ms)
    else:
        edge_ms = cell.start_ms + cell.due_ms
        yield replace(cell, end_ms=edge_ms, recorded_ms=cell.due_ms)
        recorded_ms = cell.end_ms - edge_ms if cell.final else 0
        yield Cell(edge_ms, cell.end_ms, recorded_ms=recorded_ms, final=cell.final)


def _due(cells: Sequence[Cell], place: int) -> bool:
    """Whether anybody was due in the cell of a place; in none that there is not."""
    return 0 <= place < len(cells) and cells[place].due_ms > 0
