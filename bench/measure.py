"""Asking the programs, in turns, each in a process of its own."""
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from shapes import Question, Shape

# A run of the slowest rival at the largest shape takes half a minute.
LONGEST = 300


@dataclass
class Programs:
    """How to start each program, and for how long each times a shape."""
    commands: dict
    seconds: float

    def ask(self, question, arguments):
        """The line that the program prints, or the reason why it printed none."""
        command = self.commands[question.program]
        if not Path(command[0]).exists():
            return f"{question.program} is not installed: {command[0]} is missing"
        command = [*command, *arguments, "--dtype", question.dtype, "--threads", str(question.threads),
                   "--seconds", str(self.seconds), "--json"]
        threads = {name: str(question.threads) for name in ("RAYON_NUM_THREADS", "OMP_NUM_THREADS")}
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, env={**os.environ, **threads})
        except subprocess.TimeoutExpired:
            return f"more than {LONGEST} seconds"
        if done.returncode != 0:
            told = done.stderr.strip().splitlines() or ["no reason given"]
            return f"exit code {done.returncode}: {told[-1]}"
        return json.loads(done.stdout.splitlines()[-1])


@dataclass
class Figures:
    """Medians over the rounds of what a program told of a shape."""
    ms: float
    gflops: float
    peak_gflops: float
    memory_mb: float
    runs: int

    @classmethod
    def of(cls, lines):
        def median(key):
            values = [line[key] for line in lines if line.get(key) is not None]
            return statistics.median(values) if values else None
        return cls(median("median_ms"), median("gflops"), median("peak_gflops"), median("peak_rss_mb"),
                   sum(line["runs"] for line in lines))


class Results:
    """Figures, and reasons where there are none, by the name of the shape and the question."""

    def __init__(self):
        self.lines, self.reasons, self.versions, self.isa = {}, {}, {}, ""
        self.start_mb = {}

    def take(self, shape, question, told):
        if isinstance(told, str):
            self.reasons[shape.name, question] = told
            return
        self.lines.setdefault((shape.name, question), []).append(told)
        if "version" in told:
            self.versions[told["program"]] = told["version"]
        self.isa = told.get("isa", self.isa)

    def figures(self, shape, question):
        lines = self.lines.get((shape.name, question))
        return Figures.of(lines) if lines else None


def refused(results, shape, question):
    """Whether Recurve has refused this type already, so that nothing would be compared."""
    return any(name == shape.name and asked.program == "recurve" and asked.dtype == question.dtype
               for name, asked in results.reasons)


def run(groups, programs, rounds, threads):
    """Times all shapes: those of a group in turns, and for each shape the programs in turns."""
    results = Results()
    for group in groups:
        for round in range(rounds):
            for shape in group:
                for question in shape.questions(threads):
                    if question.once and round > 0 or refused(results, shape, question):
                        continue
                    if (shape.name, question) not in results.reasons:
                        results.take(shape, question, programs.ask(question, shape.arguments()))
        for shape in group:
            print(progress(results, shape, threads), file=sys.stderr, flush=True)
    return results


def progress(results, shape, threads):
    told = []
    for question in shape.questions(threads):
        figures = results.figures(shape, question)
        label = f"{question.program} {question.dtype}" + ("" if question.threads == threads else " 1 thread")
        if figures:
            told.append(f"{label} {figures.ms:.4g} ms")
        elif (shape.name, question) in results.reasons:
            told.append(f"{label} not run")
    return f"{shape.name}: " + ", ".join(told)


def at_start(programs, threads):
    """The largest resident memory of a program that has next to nothing to do."""
    smallest = Shape("smallest", "train", 1)
    told = {name: programs.ask(Question(name, "f32", threads), smallest.arguments()) for name in ("recurve", "torch")}
    return {name: None if isinstance(line, str) else line.get("peak_rss_mb") for name, line in told.items()}
