#!/usr/bin/env python3
"""Times Recurve, PyTorch, ONNX Runtime, candle and Burn in turns on the same shapes, and judges.

Builds the programs, asks each in a process of its own, writes bench/results/DATE-PROCESSOR-ISA.md, and prints
which rows of standing.toml hold. Exit code 1 where one does not. See README.md.
"""
import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import judge
import measure
import report
import shapes

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="PATTERN", help="shapes whose name fits, such as 'stream-*'")
    parser.add_argument("--seconds", type=float, help="how long a program times a shape (0.4)")
    parser.add_argument("--rounds", type=int, help="how often each program is asked (3)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="one short round: whether all works, not how fast it is")
    parser.add_argument("--venv", type=Path, default=HERE / ".venv", help="where the rivals in Python are")
    parser.add_argument("--output", type=Path, help="the file to write; `-` writes none")
    a = parser.parse_args()
    a.seconds = a.seconds if a.seconds is not None else 0.05 if a.quick else 0.4
    a.rounds = a.rounds if a.rounds is not None else 1 if a.quick else 3
    return a


def build(workspace, *packages):
    """Builds the release programs of a workspace; the folder they are in."""
    subprocess.run(["cargo", "build", "--release", "--locked", *packages], cwd=workspace, check=True)
    told = subprocess.run(["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked"], cwd=workspace,
                          check=True, capture_output=True, text=True).stdout
    return Path(json.loads(told)["target_directory"]) / "release"


def main():
    a = arguments()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    own, rivals = build(ROOT, "-p", "recurve-cli"), build(HERE)
    python = a.venv / "bin" / "python"
    commands = {
        "recurve": [own / "recurve", "bench"],
        "recurve-product": [rivals / "bench-product"],
        "torch": [python, HERE / "rivals" / "torch_rnn.py"],
        "onnxruntime": [python, HERE / "rivals" / "onnx_rnn.py"],
        "candle": [rivals / "bench-candle"],
        "burn": [rivals / "bench-burn"],
    }
    programs = measure.Programs({name: [str(part) for part in command] for name, command in commands.items()}, a.seconds)
    groups = shapes.load(HERE / "shapes.toml", str(own / "recurve"), a.only)
    if not groups:
        sys.exit(f"--only {a.only}: no shape has such a name")
    begin = time.time()
    results = measure.run(groups, programs, a.rounds, a.threads)
    results.start_mb = measure.at_start(programs, a.threads)
    all_shapes = [shape for group in groups for shape in group]
    court = judge.Judge(all_shapes, results, a.threads)
    verdicts = court.verdicts(HERE / "standing.toml", a.only is None)
    head = report.conditions(results, a, load, ROOT, (time.time() - begin) / 60)
    text = report.write(all_shapes, court, verdicts, head)
    if str(a.output) != "-":
        output = a.output or HERE / "results" / report.file_name(results.isa)
        output.write_text(text)
        print(f"wrote {output}", file=sys.stderr)
    print("\n".join([head, *report.standing(verdicts)]))
    missed = [verdict for verdict in verdicts if verdict.found is not None and not judge.holds(verdict.found, verdict.row)]
    sys.exit(1 if any("at_least" in v.row or "at_most" in v.row for v in missed) else 0)


main()
