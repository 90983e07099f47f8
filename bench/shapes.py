"""The shapes that are timed, and what is asked of whom."""
import fnmatch
import itertools
import json
import subprocess
import tomllib
from dataclasses import dataclass, field

TORCH_CELLS = ("lstm", "gru", "rnn-tanh", "rnn-relu")


@dataclass(frozen=True)
class Question:
    """A program, the type of the numbers, the number of threads; `once`: in the first round only."""
    program: str
    dtype: str
    threads: int
    once: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Shape:
    name: str
    mode: str
    hidden: int
    cell: str = "lstm"
    steps: int = 1
    batch: int = 1
    input: int = 1
    layers: int = 1
    bidirectional: bool = False
    lengths: str = "full"
    dtypes: tuple = ("f32",)
    turns: str = ""
    alone: bool = False
    named: bool = False

    def arguments(self):
        sizes = ["mode", "cell", "steps", "batch", "input", "hidden", "layers"]
        arguments = [part for name in sizes for part in (f"--{name}", str(getattr(self, name)))]
        arguments += ["--bidirectional"] if self.bidirectional else []
        return arguments + (["--lengths", self.lengths] if self.lengths != "full" else [])

    def questions(self, threads):
        """What is asked, Recurve first: a rival need not answer in a type that Recurve refused."""
        if self.mode == "product":
            return [Question("recurve-product", "f32", threads), Question("torch", "f32", threads)]
        asked = [Question("recurve", dtype, threads) for dtype in self.dtypes]
        if self.alone:
            return asked
        full = self.lengths == "full"
        if self.mode == "train" and full and threads > 1:
            asked.append(Question("recurve", "f32", 1))
        if self.cell in TORCH_CELLS:
            types = ["f32"] + (["bf16"] if "bf16" in self.dtypes and self.batch > 1 else [])
            asked += [Question("torch", dtype, threads) for dtype in types]
        if self.mode != "train" and self.cell == "lstm" and full:
            asked.append(Question("onnxruntime", "f32", threads))
        if self.named and self.cell == "lstm" and not self.bidirectional:
            asked += [Question(rival, "f32", threads, once=True) for rival in ("candle", "burn")]
        return asked


def named(recurve, dtypes):
    """The shapes that `recurve bench` has names for."""
    told = subprocess.run([recurve, "bench", "--list", "--json"], check=True, capture_output=True, text=True).stdout
    for line in told.splitlines():
        shape = json.loads(line)
        yield Shape(**shape, dtypes=tuple(dtypes[shape["mode"]]), named=True)


def described(entries):
    """The shapes of `shapes.toml`; one entry with `each` stands for several."""
    for entry in entries:
        entry = dict(entry)
        each = entry.pop("each", {})
        size = entry.pop("size", {})
        for values in itertools.product(*each.values()):
            one = dict(zip(each, values))
            fields = {**size, **entry, **one}
            for key in ("name", "turns"):
                fields[key] = fields.get(key, "").format(**one)
            yield Shape(**{**fields, "dtypes": tuple(fields.get("dtypes", ["f32"]))})


def load(file, recurve, only):
    """The shapes in groups that are timed in turns."""
    with open(file, "rb") as text:
        told = tomllib.load(text)
    groups = {}
    for shape in [*named(recurve, told["named"]), *described(told["shape"])]:
        if only is None or fnmatch.fnmatch(shape.name, only):
            groups.setdefault(shape.turns or shape.name, []).append(shape)
    return list(groups.values())
