"""`python -m streams.summary`: 0 written, 2 called wrongly, 4 a service is out of reach."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from processors.errors import ConfigError, PipelineError, UnavailableError
from streams.checks.decoding import Decoder
from streams.checks.reading import Reader
from streams.summary.collect import Material, collect
from streams.summary.figures import figures, fills_of
from streams.summary.latency import latency
from streams.summary.people import tell
from streams.summary.plot import draw

_OK, _FAILED, _USAGE, _UNREACHABLE = 0, 1, 2, 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Sum a run up, write the files, print the tables, and return the exit status.

    Args:
        arguments: without the program's name; those of the process if not given.
    """
    asked = _parser().parse_args(arguments)
    try:
        with Reader(asked.bootstrap, patience=asked.timeout) as reader:
            material = collect(reader, Decoder.at(asked.registry))
        document = summary(material, _checks(asked.checks))
        write(material, document, asked.out)
    except UnavailableError as error:
        sys.stderr.write(f"error: {error}\n")
        return _UNREACHABLE
    except (ConfigError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return _USAGE
    except PipelineError as error:
        sys.stderr.write(f"error: {error}\n")
        return _FAILED
    tell(document)
    sys.stdout.write(f"written: {asked.out / 'summary.json'}, {asked.out / 'price.png'}\n")
    return _OK


def summary(material: Material, checks: dict[str, bool]) -> dict[str, Any]:
    """Return the whole summary as plain data.

    Args:
        material: what stands in the topics.
        checks: by name whether each holds.
    """
    return {**figures(material), "latency_ms": latency(material), "checks": checks}


def write(material: Material, document: dict[str, Any], out: Path) -> None:
    """Write summary.json and price.png.

    Args:
        material: has the prices and fills.
        document: the summary.
        out: folder.
    """
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=2, ensure_ascii=False)
    (out / "summary.json").write_text(text + "\n", encoding="utf-8")
    draw(material, fills_of(material), out / "price.png")


def _checks(path: Path | None) -> dict[str, bool]:
    if path is None:
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {str(check["name"]): bool(check["ok"]) for check in found["checks"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError("the file of the checks cannot be read", file=str(path)) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m streams.summary",
        description="Sum a run up for people, from its topics.",
        epilog="Exit status: 0 written, 2 called wrongly, 4 a service cannot be reached.",
    )
    parser.add_argument("--bootstrap", required=True, help="host:port of the broker")
    parser.add_argument("--registry", required=True, help="URL of the schema registry")
    parser.add_argument("--out", type=Path, required=True, help="folder of the files written")
    parser.add_argument("--checks", type=Path, help="what python -m streams.checks has written")
    parser.add_argument("--timeout", type=float, default=15.0, help="seconds for each service")
    return parser


if __name__ == "__main__":
    sys.exit(main())
