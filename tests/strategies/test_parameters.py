"""Each parameter's bounds, and what is derived from the one declaration."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace
from typing import Any, Final

import pytest

from liqtiers.datasets.errors import InputError
from liqtiers.strategies import CostParameters, TierBreakout, TierBreakoutParameters
from liqtiers.strategies.parameters import backtrader_params, from_mapping, parameter_rows

SETS: Final = (TierBreakoutParameters, CostParameters)
NUMBERS: Final = [(s, f) for s in SETS for f in fields(s) if f.metadata["choices"] is None]
CHOICES: Final = [(s, f) for s in SETS for f in fields(s) if f.metadata["choices"] is not None]


def name_of(value: Any) -> str:
    return str(getattr(value, "name", getattr(value, "__name__", value)))


@pytest.mark.parametrize(("cls", "field"), NUMBERS, ids=name_of)
def test_bounds_are_allowed_and_nothing_beyond_them(cls: Any, field: Any) -> None:
    """The smallest and the largest value pass; a little beyond is refused with name and limit."""
    low, high = field.metadata["low"], field.metadata["high"]
    step = 1 if isinstance(field.default, int) else 1e-9
    for value in (low, high):
        assert getattr(cls(**{field.name: value}), field.name) == value
    for value in (low - step, high + step):
        with pytest.raises(InputError, match=f"{field.name} is .* must lie between"):
            cls(**{field.name: value})


@pytest.mark.parametrize(("cls", "field"), NUMBERS, ids=name_of)
@pytest.mark.parametrize("value", [True, "1", None])
def test_what_is_no_number_is_refused(cls: Any, field: Any, value: object) -> None:
    """A truth value is not the number 1."""
    with pytest.raises(InputError, match=f"{field.name} is {value!r}, it must be a number"):
        cls(**{field.name: value})


@pytest.mark.parametrize(("cls", "field"), NUMBERS, ids=name_of)
def test_not_a_number_and_fractions_of_bars_are_refused(cls: Any, field: Any) -> None:
    """NaN lies between no bounds, and bars are counted."""
    with pytest.raises(InputError, match=field.name):
        cls(**{field.name: float("nan")})
    if isinstance(field.default, int):
        with pytest.raises(InputError, match=f"{field.name} is 5.5, it must be a whole number"):
            cls(**{field.name: 5.5})


@pytest.mark.parametrize(("cls", "field"), CHOICES, ids=name_of)
def test_each_choice_is_allowed_and_no_other(cls: Any, field: Any) -> None:
    """As many runs as choices."""
    for choice in field.metadata["choices"]:
        assert getattr(cls(**{field.name: choice}), field.name) == choice
    with pytest.raises(InputError, match=f"{field.name} is 'other', it must be one of"):
        cls(**{field.name: "other"})


@pytest.mark.parametrize(("cls", "field"), NUMBERS, ids=name_of)
def test_a_search_range_lies_within_the_bounds(cls: Any, field: Any) -> None:
    """A tuner must never draw what the declaration refuses; a logarithm needs more than 0."""
    if field.metadata["search"] is None:
        assert not field.metadata["log"]
        return
    low, high = field.metadata["search"]
    assert field.metadata["low"] <= low < high <= field.metadata["high"]
    assert low > 0 or not field.metadata["log"]
    assert low <= field.default <= high


@pytest.mark.parametrize("cls", SETS)
def test_a_set_can_be_written_as_texts_and_read_again(cls: Any) -> None:
    """What the table shows is what the command line takes."""
    texts = {row["name"]: str(row["value"]) for row in parameter_rows(cls())}
    assert from_mapping(cls, texts) == cls()
    assert all(row["unit"] and row["meaning"] for row in parameter_rows(cls()))


def test_a_name_unlike_any_other_lists_them_all() -> None:
    """Nothing is near, so the message says what there is."""
    with pytest.raises(InputError, match="'zzz'; they are taker_fee, maker_fee"):
        from_mapping(CostParameters, {"zzz": 1})


def test_a_changed_value_shows_beside_its_default() -> None:
    """Both stand in the report's table."""
    rows = {r["name"]: r for r in parameter_rows(TierBreakoutParameters(patience=7))}
    assert (rows["patience"]["value"], rows["patience"]["default"]) == (7, 36)


def test_a_set_cannot_be_changed_but_by_a_checked_copy() -> None:
    """Frozen; `replace` checks again."""
    parameters = TierBreakoutParameters()
    with pytest.raises(FrozenInstanceError):
        parameters.patience = 0  # type: ignore[misc]  # that is the test
    with pytest.raises(InputError, match="patience is 0"):
        replace(parameters, patience=0)


def test_backtraders_params_are_the_same_names_and_defaults() -> None:
    """The strategy declares no parameter of its own but the lot."""
    ours = dict(backtrader_params(TierBreakoutParameters))
    theirs = dict(TierBreakout.params._getitems())
    assert theirs.pop("lot") > 0.0
    assert theirs == ours
