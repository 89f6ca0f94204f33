"""The price of the market with what was bought and sold, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from processors.records.market import Side
from streams.summary.collect import Material
from streams.summary.figures import OrderFills

_INCHES: Final = (12.0, 6.0)
_DPI: Final = 120
_STYLES: Final = {
    Side.BUY: ("bought", "^", "#1a7f37"),
    Side.SELL: ("sold", "v", "#c62828"),
}


@dataclass(frozen=True, slots=True)
class Marker:
    """Orders of one side that were filled in one minute, at their average price."""

    time: datetime
    price: float
    orders: int


def markers(fills: Sequence[OrderFills], side: Side) -> list[Marker]:
    """Put the orders of one side and minute together: many accounts follow one signal.

    Args:
        fills: by order.
        side: which of them.
    """
    minutes: dict[datetime, list[OrderFills]] = {}
    for each in fills:
        if each.order.side is side and each.time is not None:
            minute = each.time.replace(second=0, microsecond=0)
            minutes.setdefault(minute, []).append(each)
    return [
        Marker(minute, sum(float(each.price) for each in found) / len(found), len(found))
        for minute, found in sorted(minutes.items())
    ]


def draw(material: Material, fills: Sequence[OrderFills], path: Path) -> None:
    """Write the picture.

    Args:
        material: has the prices.
        fills: by order.
        path: of a PNG file.
    """
    import matplotlib as mpl

    mpl.use("Agg")  # no display is needed
    from matplotlib import dates
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
    axes: Any = figure.add_subplot()
    tick = material.last_tick
    instrument = tick.instrument if tick else ""
    base, _, quote = (tick.symbol if tick else "/").partition("/")
    prices = material.prices.get(instrument, [])
    axes.plot(
        [point.time for point in prices],
        [float(point.price) for point in prices],
        color="#34495e",
        linewidth=0.9,
        label="price, last of each minute",
        zorder=1,
    )
    mine = [each for each in fills if each.order.instrument == instrument]
    for side, (word, shape, colour) in _STYLES.items():
        found = markers(mine, side)
        axes.scatter(
            [marker.time for marker in found],
            [marker.price for marker in found],
            s=[30 + 5 * marker.orders for marker in found],
            marker=shape,
            color=colour,
            edgecolors="white",
            linewidths=0.6,
            alpha=0.85,
            label=f"{word}: {sum(marker.orders for marker in found)} orders",
            zorder=2,
        )
    axes.set_title(f"{instrument}: price and fills (larger marker: more orders in that minute)")
    axes.set_xlabel("market time (UTC)")
    axes.set_ylabel(f"price ({quote} per {base})")
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(dates.AutoDateLocator()))
    axes.legend(loc="best", framealpha=0.9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
