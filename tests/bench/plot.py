"""The benchmark's results as a picture: throughput, processor time, hop latency."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_COLORS = {"ours": "#1a7f37", "peer": "#7a8699"}
_LOADS = {"low": "#9ecae1", "high": "#3182bd"}


def draw(report: dict[str, Any], path: Path) -> None:
    """Write the picture as PNG."""
    import matplotlib as mpl

    mpl.use("Agg")  # no display is needed
    from matplotlib import pyplot as plt

    rows = 2 if report["hops"] else 1
    figure, axes = plt.subplots(rows, 2, figsize=(13, 4.8 * rows), squeeze=False)
    systems = report["systems"]
    names = [one["system"].replace("_", " ") for one in systems]
    colors = [_COLORS["ours" if n.startswith("fillonce") else "peer"] for n in names]
    _bars(axes[0][0], names, [s["records_per_second"] for s in systems], colors, "{:,.0f}")
    axes[0][0].set_title("Hold workload, exactly once, one worker")
    axes[0][0].set_xlabel("records per second (more is better)")
    _bars(axes[0][1], names, [s["cpu_us_per_record"] for s in systems], colors, "{:,.0f}")
    axes[0][1].set_title("Processor time of the worker, all threads")
    axes[0][1].set_xlabel("microseconds per record (less is better)")
    if report["hops"]:
        for place, share in enumerate(("p50", "p99")):
            _latency(axes[1][place], report["hops"], share)
    facts = report["machine"]
    figure.suptitle(
        f"{facts['cpu']}, {facts['cores']} cores, broker on the same machine; "
        f"Kafka {facts['kafka']}, Python {facts['python']}, Java {facts['java_of_peer']}",
        fontsize=10,
    )
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _bars(axis: Any, names: list[str], numbers: list[float], colors: list[str], form: str) -> None:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    bars = axis.barh(names, numbers, color=colors)
    axis.bar_label(bars, labels=[form.format(n) for n in numbers], padding=3, fontsize=9)
    axis.invert_yaxis()
    axis.margins(x=0.15)
    axis.xaxis.set_major_locator(MaxNLocator(5))
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axis.spines[["top", "right"]].set_visible(False)


def _latency(axis: Any, hops: dict[str, Any], share: str) -> None:
    """One group of bars a system, one bar a load; logarithmic, for they lie far apart."""
    loads = list(dict.fromkeys(load for found in hops.values() for load in found))
    names = [name.replace("_", " ") for name in hops]
    thickness = 0.8 / len(loads)
    for place, load in enumerate(loads):
        numbers = [found[load][share] for found in hops.values()]
        rate = next(iter(hops.values()))[load]["rate"]
        spots = [row + (place - (len(loads) - 1) / 2) * thickness for row in range(len(names))]
        bars = axis.barh(
            spots, numbers, thickness, label=f"{rate:,.0f} records/s", color=_LOADS.get(load)
        )
        axis.bar_label(bars, labels=[f"{n:,.1f}" for n in numbers], padding=3, fontsize=9)
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.margins(x=0.2)
    axis.set_title(f"Hop latency, {share}")
    axis.set_xlabel(
        "milliseconds from due to be sent until read committed, logarithmic (less is better)"
    )
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=len(loads), fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)
