"""How often the doctor names a planted fault first, and how often it finds fault with a healthy spec.

``python tests/benchmarks/doctor.py`` runs `nnctl doctor` on every spec under ``tests/checks/specs`` and prints, for
each, what was planted, what was named first, whether that is right, and the seconds; then the shares:

    planted faults named first          82 of 83 (98.8%)
    healthy specs without alarm         20 of 20 (100.0%)
    fresh faults named first            33 of 34 (97.1%)
    fresh healthy specs without alarm   14 of 14 (100.0%)
    faults that lint alone names first  91 of 117

The first two lines are no test of the doctor on specs that it does not know: order and thresholds of its rules were
changed after its first run over them, in which it named 74 of 82. The fresh specs were written when that was done, and
no rule was tuned on them. Two of the last eleven were at fault themselves, and the doctor said so: wine-parallel, meant
to be healthy, trained for 80 updates, and was given more; a spec whose rows repeat was taken out. Lint needs no data
for most faults; the others can only be seen in the data or in a training.

``--only NAME`` runs the specs whose name contains it, ``--json FILE`` keeps the figures.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "checks"))

from planted import Planted, lay_out

from nnctl.checks.doctor import diagnose, diagnose_unusable
from nnctl.core.errors import DataError
from nnctl.experiment.assembly import Experiment, set_blas_threads
from nnctl.spec.lint.advice import lint
from nnctl.spec.load import load_spec

__all__ = ["examined"]


def examined(planted: Planted) -> dict[str, Any]:
    """Return what the doctor says of a spec, held against what was planted in it."""
    started = time.perf_counter()
    loaded = load_spec(planted.path)
    try:
        experiment = Experiment(loaded)
        set_blas_threads(experiment.threads)
        report = diagnose(experiment)
    except DataError as error:
        report = diagnose_unusable(loaded, error)
    first, advice = report.first, lint(loaded).first
    return {
        "spec": planted.name,
        "planted": list(planted.faults),
        "fresh": planted.is_fresh,
        "named": first.rule if first else None,
        "message": first.message if first else "",
        "right": (first.rule in planted.faults) if first and planted.faults else not planted.faults and first is None,
        "lint": advice is not None and advice.rule in planted.faults,
        "also": [f"{f.verdict} {f.rule}" for f in report.findings if f.verdict != "pass" and f is not first],
        "seconds": time.perf_counter() - started,
        "steps": {step["step"]: step["seconds"] for step in report.figures["steps"]},
    }


def show(results: Sequence[dict[str, Any]]) -> None:
    """Print the shares, those of the specs that nothing was tuned on apart."""
    for name, wanted, fresh in (
        ("planted faults named first", True, False),
        ("healthy specs without alarm", False, False),
        ("fresh faults named first", True, True),
        ("fresh healthy specs without alarm", False, True),
    ):
        group = [result for result in results if bool(result["planted"]) == wanted and result["fresh"] == fresh]
        if group:
            right = sum(result["right"] for result in group)
            print(f"{name:<36}{right} of {len(group)} ({right / len(group):.1%})")
    faulty = [result for result in results if result["planted"]]
    if faulty:
        print(f"{'faults that lint alone names first':<36}{sum(r['lint'] for r in faulty)} of {len(faulty)}")
    seconds = sorted(result["seconds"] for result in results)
    print(f"{'seconds a spec':<36}median {seconds[len(seconds) // 2]:.1f}, longest {seconds[-1]:.1f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="specs whose name contains this")
    parser.add_argument("--json", type=Path, help="where to keep the figures")
    options = parser.parse_args(arguments)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for planted in lay_out(Path(folder)):
            if options.only not in planted.name:
                continue
            found = examined(planted)
            results.append(found)
            mark = "  " if found["right"] else "!!"
            print(f"{mark} {found['spec']:<28}{found['named'] or '-':<36}{found['seconds']:5.1f} s", flush=True)
            if not found["right"]:
                print(f"     planted {', '.join(found['planted']) or 'nothing'}; {found['message']}")
                print(f"     also {', '.join(found['also']) or 'nothing'}")
    show(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
