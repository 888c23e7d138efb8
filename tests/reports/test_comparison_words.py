"""The sentence of a comparison, for every way in which results can stand to each other."""

from __future__ import annotations

import math

import pytest

from liqtiers.reports.comparison_words import sentence_of

LUCK = "Picked from several, a best result is partly luck: liqtiers tune says how much."


def compared(*results: float | None, differing: int = 2) -> str:
    """The sentence on runs of such net returns."""
    return sentence_of(
        {
            "figures": [
                {"name": "sharpe", "values": [9.0] * len(results)},
                {"name": "net_return", "values": list(results)},
            ],
            "differing": [{}] * differing,
        }
    )


@pytest.mark.parametrize(
    ("results", "told"),
    [
        ((0.01, 0.03, 0.02), "Run 2 of 3 gained most (+1.00%, +3.00%, +2.00% net)"),
        ((-0.01, -0.03), "Run 1 of 2 lost least (-1.00%, -3.00% net)"),
        ((0.01, 0.03, -0.02), "Run 2 of 3 gained most ("),
        ((0.01, 0.0, -0.02), "Run 1 of 3 gained, and no other did ("),
        ((0.0, 0.02), "Run 2 of 2 gained, and the other did not ("),
        ((-0.01, 0.0), "Run 2 of 2 neither gained nor lost, and the other lost ("),
        ((0.0, -0.01, 0.0, -0.3), "Runs 1 and 3 of 4 neither gained nor lost, and every other lost ("),
        ((0.02, 0.02, 0.01), "Runs 1 and 2 of 3 gained most, alike ("),
        ((0.02, 0.02, -0.01), "Runs 1 and 2 of 3 gained, alike, and the other did not ("),
        ((-0.02, -0.02, -0.02, -0.1), "Runs 1, 2 and 3 of 4 lost least, alike ("),
    ],
)  # fmt: skip
def test_the_best_is_told_beside_the_others(results: tuple[float, ...], told: str) -> None:
    """Gained, lost and neither are kept apart, for the best and the others; ties are named whole."""
    sentence = compared(*results)
    assert sentence.startswith(told)
    assert sentence.endswith(f"; 2 settings differ. {LUCK}")


@pytest.mark.parametrize(
    ("results", "told"),
    [
        ((0.0, 0.0), "Runs 1 and 2 of 2 neither gained nor lost (+0.00%, +0.00% net)"),
        ((0.02, 0.02), "Runs 1 and 2 of 2 gained the same (+2.00%, +2.00% net)"),
        ((-0.02, -0.02000001), "Runs 1 and 2 of 2 lost the same (-2.00%, -2.00% net)"),
        ((None, math.nan), "No run's result is known (n/a, n/a net)"),
        ((None, -0.1), "Only the result of run 2 is known: it lost (n/a, -10.00% net)"),
        ((0.0, None), "Only the result of run 1 is known: it neither gained nor lost ("),
    ],
)
def test_where_none_stands_out_none_is_praised(
    results: tuple[float | None, ...], told: str
) -> None:
    """Equal as the page shows them, or nothing known to hold against it: no best, and no word of luck."""
    assert compared(*results, differing=1).startswith(told)
    assert compared(*results, differing=1).endswith("; 1 setting differs.")


@pytest.mark.parametrize("unknown", [None, math.nan])
def test_an_unknown_result_is_not_held_against_the_others(unknown: float | None) -> None:
    """The sentence is on the runs whose result is known, and says so."""
    assert compared(unknown, -0.2, -0.1).startswith(
        "Of the 2 runs whose result is known, run 3 lost least (n/a, -20.00%, -10.00% net)"
    )
    assert compared(0.1, unknown, 0.1).startswith(
        "Of the 2 runs whose result is known, runs 1 and 3 gained the same ("
    )
