"""`python -m streams.checks`: 0 all hold, 2 called wrongly, 3 one does not, 4 out of reach."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from processors.errors import ConfigError, PipelineError, UnavailableError
from streams.checks.run import REFUSED, TICKS, Expected, Outcome, run

_OK, _USAGE, _FOUND, _UNREACHABLE = 0, 2, 3, 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks and return the exit status.

    Args:
        arguments: without the program's name; those of the process if not given.
    """
    asked = _parser().parse_args(arguments)
    try:
        expected = Expected(asked.ticks, _refused(asked.refused), asked.golden)
        outcome = run(asked.bootstrap, asked.registry, asked.simulator, expected, asked.timeout)
        _write(asked.out, json.dumps(outcome.document(), indent=2) + "\n")
        _write(asked.ledger, "".join(f"{line}\n" for line in outcome.ledger))
    except UnavailableError as error:
        sys.stderr.write(f"error: {error}\n")
        return _UNREACHABLE
    except (ConfigError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return _USAGE
    except PipelineError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    _tell(outcome)
    return _OK if outcome.ok else _FOUND


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m streams.checks",
        description="Check a finished run from its topics and the venue's own ledger.",
        epilog="Exit status: 0 all checks hold, 2 called wrongly, 3 one does not hold, "
        "4 a service cannot be reached.",
    )
    parser.add_argument("--bootstrap", required=True, help="host:port of the broker")
    parser.add_argument("--registry", required=True, help="URL of the schema registry")
    parser.add_argument("--simulator", required=True, help="URL of the simulator")
    parser.add_argument("--out", type=Path, help="file that the result is written to, as JSON")
    parser.add_argument(
        "--ledger", type=Path, help="file that the lines of the digest are written to, to compare"
    )
    parser.add_argument("--golden", type=Path, help="file with the digest to be met")
    parser.add_argument("--ticks", type=int, default=TICKS, help="ticks that there must be")
    parser.add_argument(
        "--refused",
        action="append",
        metavar="REASON=COUNT",
        help="dead letters of market.tick that there must be; may be given again; 'none' for none",
    )
    parser.add_argument("--timeout", type=float, default=15.0, help="seconds for each service")
    return parser


def _refused(given: list[str] | None) -> dict[str, int]:
    if given is None:
        return dict(REFUSED)
    found: dict[str, int] = {}
    for text in given:
        reason, equals, count = text.partition("=")
        if text == "none":
            continue
        if not equals or not reason or not count.isdigit():
            raise ConfigError("--refused is not REASON=COUNT", given=text)
        found[reason] = int(count)
    return found


def _write(path: Path | None, text: str) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _tell(outcome: Outcome) -> None:
    width = max(len(check.name) for check in outcome.checks)
    for check in outcome.checks:
        state = "ok  " if check.ok else "FAIL"
        sys.stdout.write(f"{state}  {check.name:<{width}}  {check.detail}\n")
    failed = sum(not check.ok for check in outcome.checks)
    told = f"{failed} failed" if failed else "all hold"
    sys.stdout.write(f"{len(outcome.checks)} checks, {told}; ledger digest {outcome.digest}\n")


if __name__ == "__main__":
    sys.exit(main())
