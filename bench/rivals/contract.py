"""What the rivals in Python have in common: the arguments, the clock and the answer.

Every program takes the arguments of `recurve bench`, times one shape, and prints one line of JSON with
the same fields. What a program cannot do it refuses with a reason on standard error and exit code 2.
"""
import argparse
import json
import statistics
import sys
import time

GATES = {"lstm": 4, "gru": 3, "rnn-tanh": 1, "rnn-relu": 1}


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", choices=["train", "infer", "step", "product"], required=True)
    parser.add_argument("--cell", default="lstm")
    for name in ["steps", "batch", "input", "layers", "threads"]:
        parser.add_argument(f"--{name}", type=int, default=1)
    parser.add_argument("--hidden", type=int, required=True)
    parser.add_argument("--bidirectional", action="store_true")
    parser.add_argument("--lengths", choices=["uniform"])
    parser.add_argument("--dtype", default="f32")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def refuse(reason):
    print(reason, file=sys.stderr)
    sys.exit(2)


def operations(a, rows):
    """Floating-point operations of the products of one run over `rows` real steps."""
    if a.mode == "product":
        return 2 * a.hidden ** 3
    directions = 2 if a.bidirectional else 1
    widths = [a.input if layer == 0 else a.hidden * directions for layer in range(a.layers)]
    weights = sum(directions * GATES[a.cell] * a.hidden * (width + a.hidden) for width in widths)
    return 2 * rows * weights * (3 if a.mode == "train" else 1)


def peak_mb():
    """The largest resident memory of the process in MiB, where the system says it."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))
    except OSError:
        return None


def seconds_of(run, seconds, warm=2, least=3):
    for _ in range(warm):
        run()
    times, end = [], time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return times


def answer(program, version, a, times, rows=None, **more):
    median = statistics.median(times)
    shape = {key: value for key, value in vars(a).items() if key not in ("seconds", "json")}
    rows = a.steps * a.batch if rows is None else rows
    print(json.dumps({
        "program": program, "version": version, **shape,
        "median_ms": 1e3 * median, "min_ms": 1e3 * min(times), "runs": len(times),
        "gflops": operations(a, rows) / median / 1e9, "peak_rss_mb": peak_mb(), **more,
    }))
