"""The table in Markdown."""
import os
import platform
import re
import subprocess
from collections import Counter
from datetime import date

RIVALS = [("torch", "PyTorch"), ("onnxruntime", "ONNX Runtime"), ("candle", "candle"), ("burn", "Burn")]


def processor():
    try:
        with open("/proc/cpuinfo") as info:
            return next(line.split(":")[1].strip() for line in info if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def file_name(isa):
    words = re.sub(r"\((R|TM)\)|@.*|\b(CPU|Processor)\b", "", processor()).lower().split()
    return "-".join([str(date.today()), *words, isa]) + ".md"


def commit(root):
    def git(*arguments):
        return subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True).stdout.strip()
    changed = git("status", "--porcelain", "--untracked-files=no")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + (" with changes" if changed else "")


def number(value, digits=3):
    return "" if value is None or isinstance(value, str) else f"{value:.{digits}g}"


def conditions(results, a, load, root, minutes):
    versions = ", ".join(f"{title} {results.versions[name]}" for name, title in RIVALS if name in results.versions)
    with_load = "" if load is None else f" Load average of the machine before the run: {load:.2f}."
    return (f"{processor()}, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} "
            f"processors, {platform.system()} {platform.release()} {platform.machine()}; {results.isa}, {a.threads} threads.\n"
            f"Recurve at commit {commit(root)}; {versions or 'no rival'}.\n"
            f"Median of {a.rounds} rounds of {a.seconds:g} s for each program and shape, in turns; the whole took "
            f"{minutes:.0f} minutes.{with_load} Times drift on a shared machine; ratios within a row hold better.\n")


def standing(verdicts):
    lines = ["## Where Recurve must stand", "",
             "Each row is judged by the worst of its shapes.", "",
             "| what | at least | aim | found | worst shape | shapes that hold | |", "|---|---|---|---|---|---|---|"]
    for v in verdicts:
        row = v.row
        bound = f"≤ {row['at_most']:g}" if "at_most" in row else number(row.get("at_least"))
        held = f"{v.holding} of {v.count}" if v.count else ""
        lines.append(f"| {row['what']} | {bound} | {number(row.get('aim'))} | {number(v.found)} | {v.where} | {held} | {v.text} |")
    notes = [f"- {v.row['what']}: {v.row['not_measured']}." for v in verdicts if "not_measured" in v.row]
    for v in verdicts:
        if v.missing:
            shapes = ", ".join(label for label, _ in v.missing)
            notes.append(f"- {v.row['what']}: not run for {shapes} ({v.missing[0][1]}).")
    return [*lines, "", "Not measured:", "", *notes] if notes else lines


def its_f32(told):
    return told and f"{told} (its f32)"


def rows(shapes, judge):
    """One line for each shape and type."""
    for shape in shapes:
        for dtype in shape.dtypes:
            own = judge.recurve(shape, dtype)
            if own is None or isinstance(own, str):
                yield shape, dtype, None
                continue

            def quantity(kind):
                return number(judge.quantity(shape, dtype, kind))

            times = [quantity(f"times {rival}") or its_f32(quantity(f"times {rival} f32")) for rival, _ in RIVALS]
            start = judge.results.start_mb.get("recurve")
            memory = "" if None in (start, own.memory_mb) else f"{max(0.0, own.memory_mb - start):.0f}"
            yield shape, dtype, [number(own.ms), number(own.gflops), quantity("share"), *times, quantity("threads"), memory]


def table(shapes, judge):
    heads = ["ms", "GFLOP/s", "share", *(f"× {title}" for _, title in RIVALS), "2 / 1 threads", "MiB"]
    lines = ["## Every shape", "",
             "`share`: of PyTorch's product of two 2048 × 2048 matrices of the same type, measured in the same turns. "
             "`×`: how many times as fast as that program, by operations per second. `MiB`: largest resident memory "
             "above that of starting up.", "",
             "| shape | mode | cell | T | B | I | H | L | type | " + " | ".join(heads) + " |",
             "|---" * (9 + len(heads)) + "|"]
    for shape, dtype, cells in rows(shapes, judge):
        if shape.mode == "product":
            continue
        cell = shape.cell + (", both ways" if shape.bidirectional else "") + (", lengths" if shape.lengths != "full" else "")
        cells = cells or ["not run", *[""] * (len(heads) - 1)]
        sizes = [shape.steps, shape.batch, shape.input, shape.hidden, shape.layers]
        lines.append("| " + " | ".join([shape.name, shape.mode, cell, *map(str, sizes), dtype, *cells]) + " |")
    return lines


def products(shapes, judge):
    sizes = [shape for shape in shapes if shape.mode == "product"]
    if not sizes:
        return []
    lines = ["## Products of two square matrices of f32, GFLOP/s", "", "| size | Recurve | PyTorch | |", "|---|---|---|---|"]
    for shape in sizes:
        own, other = judge.recurve(shape, "f32"), judge.of(shape, "torch", "f32")
        rates = [number(None if one is None or isinstance(one, str) else one.gflops) for one in (own, other)]
        lines.append(f"| {shape.hidden} | {' | '.join(rates)} | {number(judge.quantity(shape, 'f32', 'product share'))} |")
    return [*lines, ""]


def reasons(results):
    counted = Counter((question.program, question.dtype, reason) for (_, question), reason in results.reasons.items())
    if not counted:
        return []
    return ["", "## Not run", "", *(f"- {program}, {dtype}, {count} shapes: {reason}"
                                    for (program, dtype, reason), count in counted.items())]


def write(shapes, judge, verdicts, head):
    lines = [f"# Recurve beside its rivals, {date.today()}", "", head, *standing(verdicts), "",
             *products(shapes, judge), *table(shapes, judge), *reasons(judge.results)]
    return "\n".join(lines) + "\n"
