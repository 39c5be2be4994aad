"""How long imports take in fresh processes, as ratios to `import numpy` in the same run.

python benchmarks/import_time.py [--rounds N]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from statistics import median

CASES = {
    "import numpy": "import numpy",
    "import pynq_cnn": "import pynq_cnn",
    "import pynq_cnn, and the first use of pynq_cnn.classify": "import pynq_cnn; pynq_cnn.classify",
}


def seconds_of(statement: str) -> float:
    """Seconds that a statement takes in a fresh interpreter, without the interpreter's own start."""
    script = f"from time import perf_counter\nstart = perf_counter()\n{statement}\nprint(perf_counter() - start)"
    return float(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=21, metavar="N", help="processes of each, taking turns (21)")
    args = parser.parse_args()
    for statement in CASES.values():
        seconds_of(statement)  # from now on the files are in memory
    rounds = [[seconds_of(statement) for statement in CASES.values()] for _ in range(args.rounds)]
    print("| | median | to `import numpy` |")
    print("|---|---|---|")
    for i, case in enumerate(CASES):
        print(
            f"| {case} | {1000 * median(row[i] for row in rounds):.1f} ms |"
            f" {median(row[i] / row[0] for row in rounds):.2f} |"
        )


if __name__ == "__main__":
    main()
