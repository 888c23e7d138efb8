"""The map's page as a file: its figures, what it escapes, and that it needs nothing else."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from liqtiers.datasets.errors import LakeError
from liqtiers.reports.formatting import money
from liqtiers.reports.map_page import price_span, render_map_page, write_map_page
from liqtiers.reports.map_picture import map_picture
from made_up_maps import LONGS, PRICE, SHORTS, made_up_map, still_panel

HOSTILE = "</script><script>window.struck = 1</script><img src=x onerror='window.struck=1'>"


def render(**options: object) -> str:
    panel = still_panel()
    built = made_up_map(panel, **options)  # type: ignore[arg-type]  # any of its options
    picture = map_picture(built, panel, tick=0.1)
    return render_map_page(picture, command="liqtiers map", fingerprint="0123456789abcdef")


class Cells(HTMLParser):
    """Collects the cells of a page's tables by the table's id, and the text by element id."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self._table: str | None = None
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._table = dict(attrs).get("id") or ""
            self.tables[self._table] = []
        elif tag == "tr" and self._table is not None:
            self.tables[self._table].append([])
        elif tag in ("td", "th") and self._table is not None:
            self.tables[self._table][-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False
        elif tag == "table":
            self._table = None

    def handle_data(self, data: str) -> None:
        if self._in_cell and self._table is not None:
            self.tables[self._table][-1][-1] += data


def tables(page: str) -> dict[str, list[list[str]]]:
    reader = Cells()
    reader.feed(page)
    return reader.tables


def drawn(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return dict(json.loads(found[1]))


def test_tables_state_the_levels_that_were_put_in() -> None:
    """Shorts and longs within each distance are the hand-made sums, and so is each tier."""
    found = tables(render())
    rows = {row[0]: row for row in found["windows"][1:]}
    assert rows["5%"][1:4] == ["200.00 M", "300.00 M", "1 to 1.5"]
    assert rows["10%"][1:4] == ["700.00 M", "400.00 M", "1.8 to 1"]
    assert rows["40%"][1:4] == ["14.20 B", "1.00 B", "14.2 to 1"]
    tiers = {row[0]: row for row in found["tiers"][1:]}
    assert tiers["S1"][1:3] == ["shorts", "200.00 M"]
    assert tiers["S2"][1:5] == ["shorts", "500.00 M", "0.01 h", "+5.7%"]
    assert tiers["S4"][1:3] == ["shorts", "2.60 B"]
    assert tiers["L2"][1:3] == ["longs", "100.00 M"]
    assert [row[0] for row in found["tiers"][1:]] == ["S4", "S3", "S2", "S1", "L1", "L2", "L3"]


def test_chart_holds_the_levels_that_were_put_in() -> None:
    """What the chart draws from, bin by bin, sums to the levels."""
    data = drawn(render())
    for side, levels in (("shorts", SHORTS), ("longs", LONGS)):
        bins = data[side]
        assert isinstance(bins, dict)
        assert len(bins["edges"]) == len(bins["notional"]) + 1
        assert sum(bins["notional"]) == pytest.approx(sum(levels.values()), rel=1e-6)
    assert data["price"] == PRICE


def test_page_begins_with_the_imbalance_its_base_rate_and_the_caveat() -> None:
    """The sentence is the headline; how common it was and what it is made of follow at once."""
    page = render()
    start = page.index("<h1")
    assert "700.00\u00a0M USDT of shorts above against 400.00\u00a0M of longs below" in page
    order = [
        "Within 10%",
        "too few to say",
        "mostly price minus its own moving average",
        "The map<",
    ]
    places = [page.index(text, start) for text in order]
    assert places == sorted(places)


def test_page_says_when_it_is_built_from_volume_or_imported() -> None:
    """Where the map comes from stands above the headline and with the leverage mix."""
    assert "map from volume" in render(model="volume")
    assert "The leverage mix is a prior" in render(model="volume")
    imported = render()
    assert "imported from worked example" in imported
    assert "relative intensities" in imported
    assert "the maker&#39;s own" in imported


@pytest.mark.parametrize(
    ("sides", "words"),
    [({"longs": {}}, "of shorts above, none below."), ({"shorts": {}}, "of longs below, none above.")],
)  # fmt: skip
def test_one_sided_map_says_that_nothing_is_there(
    sides: dict[str, dict[float, float]], words: str
) -> None:
    """An empty side is called empty, in the headline and beside its nearest tier."""
    page = render(**sides)
    assert words in page
    assert "no stretch is dense enough" in page


def test_hostile_names_stay_text() -> None:
    """A maker's name that is markup opens no element and ends no script."""
    page = render(model=HOSTILE)
    assert "<img" not in page
    assert "<script>window.struck" not in page
    assert "&lt;img src=x" in page


def test_page_is_whole_and_names_no_other_place() -> None:
    """Style, script and data are inside, for light and dark; nothing is fetched."""
    page = render()
    own = re.sub(r"<script\b.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?!data:)\w""", own)
    assert "url(" not in own
    assert "prefers-color-scheme: dark" in own
    assert page.count("</html>") == 1


def test_same_map_gives_the_same_figures_twice() -> None:
    """Nothing in the page depends on when it is written."""

    def plain(page: str) -> str:
        return re.sub(r"<script.*?</script>|id=\"[^\"]+\"", "", page, flags=re.DOTALL)

    assert plain(render()) == plain(render())
    assert drawn(render()) == drawn(render())


@pytest.mark.parametrize("price", [1.234e-5, 8.2e9])
def test_prices_of_any_size_are_told_apart(price: float) -> None:
    """No two edges of a tier are written alike, however small or large the price."""
    panel = still_panel(price=price)
    picture = map_picture(made_up_map(panel), panel, tick=0.01)
    page = render_map_page(picture, command="", fingerprint="")
    for row in tables(page)["tiers"][1:]:
        lower, upper = (float(cell.replace(",", "")) for cell in row[5:7])
        assert lower < upper
        assert lower == pytest.approx(
            next(t.lower for t in picture.tiers if t.name == row[0]), rel=1e-4
        )


def test_picture_spans_what_the_map_holds() -> None:
    """The price axis ends a little beyond the outermost level, and never below nothing."""
    panel = still_panel()
    low, high = price_span(map_picture(made_up_map(panel), panel))
    assert 0.80 * PRICE < low < 0.85 * PRICE
    assert 1.37 * PRICE < high < 1.45 * PRICE


def test_money_in_the_tables_is_the_pictures() -> None:
    """The tables repeat the prepared figures, formatted as everywhere."""
    panel = still_panel()
    picture = map_picture(made_up_map(panel), panel, tick=0.1)
    page = render_map_page(picture, command="", fingerprint="")
    stated = [row[2] for row in tables(page)["tiers"][1:]]
    assert stated == [money(tier.notional) for tier in picture.tiers]
    assert np.isnan(picture.book)
    assert "not known" in page


MOMENT = datetime(2026, 1, 2, tzinfo=UTC)


def test_page_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A folder that is a file is one clear error, and nothing is left behind."""
    panel = still_panel()
    picture = map_picture(made_up_map(panel), panel)
    (tmp_path / "file").write_text("")
    with pytest.raises(LakeError, match="cannot write"):
        write_map_page(
            picture, tmp_path / "file" / "map.html", command="", fingerprint="", created_at=MOMENT
        )
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
