"""Runs every benchmark beside this file and prints one table: `make bench`.

Each `bench_*.py` has `run()`, which returns rows: name, value, unit, bound (or None), note. Values
are medians of processor time in alternating blocks of one process, to be fair on a busy machine.
"""

import argparse
import importlib.util
import json
import platform
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def load(path):
    """Import one benchmark file."""
    sys.path.insert(0, str(HERE))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def verdict(row):
    """Say whether a value keeps its bound."""
    if row.get("bound") is None:
        return ""
    at_least = row.get("at_least", False)
    kept = row["value"] >= row["bound"] if at_least else row["value"] <= row["bound"]
    return f"{'>=' if at_least else '<='} {row['bound']:g} {'ok' if kept else 'NOT KEPT'}"


def main():
    """Run what was asked for and print the table; status 1 if a bound is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="benchmarks to run (default: all)")
    parser.add_argument("--json", metavar="FILE", help="write the rows there too")
    args = parser.parse_args()
    rows = []
    for path in sorted(HERE.glob("bench_*.py")):
        name = path.stem.removeprefix("bench_")
        if args.names and name not in args.names:
            continue
        print(f"\n{name}", flush=True)
        for row in load(path).run():
            rows.append({"benchmark": name, **row})
            line = f"  {row['name']:<58} {row['value']:>12,.3f} {row['unit']:<10} {verdict(row)}"
            print(line.rstrip(), flush=True)
            if row.get("note"):
                print(f"      {row['note']}")
    print(f"\n{platform.python_implementation()} {platform.python_version()}, {platform.machine()}")
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=1))
    return 1 if any("NOT" in verdict(row) for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
