"""Run a study: python -m studies.uniformity bias. Seeded: the same points and weights every time."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import farpoint
from studies.uniformity import bias, coverage, descent, finetuning, interpolation, language, plots

RESULTS = Path(__file__).parent / "results"
STUDIES = {
    "bias": (bias, plots.bias),
    "descent": (descent, plots.descent),
    "interpolation": (interpolation, plots.interpolation),
    "language": (language, plots.training),
    "finetuning": (finetuning, plots.training),
    "coverage": (coverage, plots.coverage),
}
_WITH_DEVICES = [name for name, (study, _) in STUDIES.items() if hasattr(study.Settings, "device")]


def main() -> None:
    """Run what the command line names; write its figures and its picture."""
    parser = argparse.ArgumentParser(prog="python -m studies.uniformity", description=__doc__)
    parser.add_argument("study", choices=list(STUDIES))
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--small", action="store_true", help="some seconds: what the tests run")
    size.add_argument("--large", action="store_true", help="more points and seeds")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help="folder (default: %(default)s)")
    parser.add_argument(
        "--device", help=f"what networks are trained on, such as cuda: of {', '.join(_WITH_DEVICES)}"
    )
    options = parser.parse_args()
    study, plot = STUDIES[options.study]
    settings = study.SMALL if options.small else study.LARGE if options.large else study.Settings()
    if options.device is not None:
        if options.study not in _WITH_DEVICES:
            parser.error(f"{options.study} trains no network: it has no use for --device")
        settings = replace(settings, device=options.device)
    began = time.perf_counter()
    found = study.run(settings)
    seconds = time.perf_counter() - began
    options.output.mkdir(parents=True, exist_ok=True)
    record = {"study": options.study, "farpoint": farpoint.__version__, "seconds": round(seconds, 1), **found}
    (options.output / f"{options.study}.json").write_text(json.dumps(record, separators=(",", ":")) + "\n")
    plot(found, options.output / f"{options.study}.png")
    print(study.summary(found), file=sys.stdout)


if __name__ == "__main__":
    main()
