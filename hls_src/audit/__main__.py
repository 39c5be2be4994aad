"""`python -m audit`, in `hls_src/`: print the audit; exit with 1 if there is a fault that is not known."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from .report import Audit
from .tables import text, write_into
from .toolchain import AuditError

HERE = Path(__file__).parent.parent


def top_of(script: Path) -> tuple[Path, str]:
    """File and name of the top function, as `hls.tcl` gives them to Vitis HLS."""
    text = script.read_text(encoding="utf-8")
    name = re.search(r"^\s*set_top\s+(\w+)", text, re.MULTILINE)
    file = re.search(r"^\s*add_files\s+(?!.*-tb).*?([\w.]+\.cpp)", text, re.MULTILINE)
    if not name or not file:
        raise AuditError(f"{script} has no set_top and add_files; give --source and --top")
    return script.parent / file[1], name[1]


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m audit", description="Audit of the engine for synthesis.")
    parser.add_argument("--source", type=Path, help="file of the top function (default: what hls.tcl says)")
    parser.add_argument("--top", help="its name (default: what hls.tcl says)")
    parser.add_argument(
        "-D", dest="defines", action="append", default=[], metavar="NAME=VALUE", help="a macro, such as PCNN_PE=24"
    )
    parser.add_argument("--docs", type=Path, help="write the tables into this page, between its marks")
    parser.add_argument("--json", action="store_true", help="print the sums and faults as JSON")
    arguments = parser.parse_args(words)
    try:
        source, top = top_of(HERE / "hls.tcl")
        audit = Audit(arguments.source or source, arguments.top or top, tuple(arguments.defines))
        if arguments.docs:
            write_into(arguments.docs, audit)
    except AuditError as error:
        print(f"audit: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        rounded = {name: round(amount) for name, amount in audit.total.items()}
        print(
            json.dumps(
                {"total": rounded, "faults": audit.faults, "unknown": audit.unknown_faults, "notes": audit.notes}
            )
        )
    else:
        print(text(audit))
    return 1 if audit.unknown_faults else 0


if __name__ == "__main__":
    sys.exit(main())
