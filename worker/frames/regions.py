"""Find connected regions of a mask."""

import numpy as np
from numpy.typing import NDArray


def label_regions(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Number the regions of true pixels that touch by their sides, from 1.

    Rows are cut into runs, and runs that touch one of the row above are united.

    Returns:
        `(height, width)`, 0 where the mask is false, and how many regions there are.
    """
    edges = np.diff(mask.astype(np.int8), axis=1, prepend=0, append=0)
    rows, starts = np.nonzero(edges == 1)
    _, stops = np.nonzero(edges == -1)
    parents = list(range(len(rows)))

    def root(run: int) -> int:
        while parents[run] != run:
            parents[run] = parents[parents[run]]
            run = parents[run]
        return run

    first_of_row = np.searchsorted(rows, np.arange(mask.shape[0] + 1)).tolist()
    start_list, stop_list = starts.tolist(), stops.tolist()
    for row in range(1, mask.shape[0]):
        above, here = first_of_row[row - 1], first_of_row[row]
        while above < first_of_row[row] and here < first_of_row[row + 1]:
            if start_list[above] < stop_list[here] and start_list[here] < stop_list[above]:
                parents[root(here)] = root(above)
            if stop_list[above] < stop_list[here]:
                above += 1
            else:
                here += 1
    roots = np.array([root(run) for run in range(len(rows))], np.int64)
    kept, numbers = np.unique(roots, return_inverse=True)
    marks = np.zeros((mask.shape[0], mask.shape[1] + 1), np.int32)
    np.add.at(marks, (rows, starts), numbers.astype(np.int32) + 1)
    np.add.at(marks, (rows, stops), -(numbers.astype(np.int32) + 1))
    return np.cumsum(marks, axis=1, dtype=np.int32)[:, :-1], len(kept)
