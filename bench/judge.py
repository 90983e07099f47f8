"""Holds what was measured against `standing.toml`."""
import math
import tomllib
from dataclasses import dataclass, field

from shapes import Question


@dataclass
class Verdict:
    row: dict
    found: float | None = None
    where: str = ""
    count: int = 0
    holding: int = 0
    missing: list = field(default_factory=list)

    @property
    def text(self):
        if self.found is None:
            return "not run"
        if "aim" in self.row and better(self.found, self.row["aim"], self.row):
            return "**aim reached**"
        if "at_least" not in self.row and "at_most" not in self.row:
            return "aim not reached"
        return "reached" if holds(self.found, self.row) else "**MISSED**"


def lower_is_better(row):
    return "at_most" in row or row["quantity"] == "microseconds"


def better(value, bound, row):
    return value <= bound if lower_is_better(row) else value >= bound


def holds(value, row):
    bound = row.get("at_most", row.get("at_least", row.get("aim")))
    return better(value, bound, row)


class Judge:
    def __init__(self, shapes, results, threads):
        self.shapes = {shape.name: shape for shape in shapes}
        self.results = results
        self.threads = threads

    def verdicts(self, file, all_shapes):
        """A verdict for each row; unless all shapes are there, only for rows that are about one that is."""
        with open(file, "rb") as text:
            verdicts = [self.verdict(row) for row in tomllib.load(text)["row"]]
        return [verdict for verdict in verdicts if all_shapes or verdict.count or verdict.missing]

    def verdict(self, row):
        verdict = Verdict(row)
        values = []
        for label, value in self.pairs(row) if "pairs" in row else self.described(row):
            if isinstance(value, str):
                verdict.missing.append((label, value))
            elif value is not None:
                values.append((value, label))
        if not values:
            return verdict
        verdict.count = len(values)
        verdict.holding = sum(holds(value, row) for value, _ in values)
        if row.get("over") == "geometric mean":
            verdict.found = math.exp(sum(math.log(value) for value, _ in values) / len(values))
            verdict.where = "mean of all"
        else:
            worst = max if lower_is_better(row) else min
            verdict.found, verdict.where = worst(values)
        return verdict

    def pairs(self, row):
        for names in row["pairs"]:
            if all(name in self.shapes for name in names):
                first, second = (self.recurve(self.shapes[name], "f32") for name in names)
                strings = [one for one in (first, second) if isinstance(one, str)]
                yield " / ".join(names), strings[0] if strings else first.gflops / second.gflops

    def described(self, row):
        where = dict(row["where"])
        dtype = where.pop("dtype", "f32")
        for shape in self.shapes.values():
            if not shape.alone and dtype in shape.dtypes and matches(shape, where):
                yield shape.name, self.quantity(shape, dtype, row["quantity"])

    def recurve(self, shape, dtype):
        return self.of(shape, "recurve-product" if shape.mode == "product" else "recurve", dtype)

    def of(self, shape, program, dtype, threads=None):
        """Figures, a reason why there are none, or nothing where nobody was asked."""
        question = Question(program, dtype, threads or self.threads)
        return self.results.figures(shape, question) or self.results.reasons.get((shape.name, question))

    def quantity(self, shape, dtype, quantity):
        """A number; a reason where there is none; nothing where it was not to be measured."""
        kind, *more = quantity.split()
        own = self.recurve(shape, dtype)
        if kind == "microseconds":
            return own if isinstance(own, str) or own is None else 1e3 * own.ms
        if kind == "times":
            other = self.of(shape, more[0], more[1] if len(more) > 1 else dtype)
        elif kind == "threads":
            other = self.of(shape, "recurve", dtype, 1)
        else:
            other = self.of(shape, "torch", dtype)
        for figures in (own, other):
            if figures is None or isinstance(figures, str):
                return figures
        if kind == "share":
            return own.gflops / other.peak_gflops
        if kind == "memory":
            return self.memory(own, other)
        return own.gflops / other.gflops

    def memory(self, own, other):
        start = self.results.start_mb
        if None in (own.memory_mb, other.memory_mb, start.get("recurve"), start.get("torch")):
            return "this system does not say how much memory a process had"
        return (own.memory_mb - start["recurve"]) / (other.memory_mb - start["torch"])


def matches(shape, where):
    for key, wanted in where.items():
        value = getattr(shape, key)
        if isinstance(wanted, list) and isinstance(wanted[0], int):
            found = wanted[0] <= value <= wanted[1]
        else:
            found = value in wanted if isinstance(wanted, list) else value == wanted
        if not found:
            return False
    return True
