"""The benchmark's results as a table for people."""

from __future__ import annotations

from typing import Any

_HEAD = f"{'system':27}{'records/s':>11}{'CPU us':>9}{'records':>11}{'seconds':>9}{'wrong':>7}{'ours is':>10}"


def table(report: dict[str, Any]) -> str:
    """Return the systems, the latencies and the lifecycle as lines of text."""
    ours = report["ours"]
    rate = next((s["records_per_second"] for s in report["systems"] if s["system"] == ours), None)
    lines = [_HEAD]
    for one in report["systems"]:
        bad = one["duplicates"] + one["missing"] + one["wrong"]
        times = f"{rate / one['records_per_second']:9.2f}x" if rate else f"{'-':>10}"
        lines.append(
            f"{one['system']:27}{one['records_per_second']:11,.0f}{one['cpu_us_per_record']:9.1f}"
            f"{one['records']:11,}{one['seconds']:9.1f}{bad:7}{times}"
        )
    if report["hops"]:
        lines += ["", f"{'hop, ms':27}{'load':>14}{'p50':>9}{'p95':>9}{'p99':>9}{'max':>9}"]
    for system, loads in report["hops"].items():
        for one in loads.values():
            told = "".join(f"{one[name]:9.1f}" for name in ("p50", "p95", "p99", "max"))
            lines.append(f"{system:27}{one['rate']:12,.0f}/s{told}")
    if report["lifecycle"]:
        found = report["lifecycle"]
        lines += [
            "",
            (
                f"trade lifecycle alone (risk_manager): {found['records_per_second']:,.0f} records/s,"
                f" {found['cpu_us_per_record']:.0f} us CPU, {found['records']:,} records"
            ),
        ]
    return "\n".join(lines)
