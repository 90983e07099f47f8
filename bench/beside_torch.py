"""Times Recurve beside PyTorch on the same shapes, one after the other, and prints a table.

usage: beside_torch.py RECURVE [--seconds S] [--rounds N] [--only NAME]
needs: the program `recurve` (cargo build --release -p recurve-cli) and a Python with torch

A shape is timed in turns: Recurve, PyTorch, Recurve, PyTorch, and so on, each in a process of its own.
The figure of each is the median of its rounds' medians; the ratio says how many times as fast Recurve
is. `train` is forward and then backward to the input and to every parameter, on random data.
"""
import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from datetime import date

NAMES = ["har", "forecast", "hydrology", "charlm", "ptb-small", "ptb-medium", "tagger", "large",
         "gru-mid", "rnn-mid", "seq-256", "seq-512", "batch-512", "stream-128", "stream-512", "stream-1024"]


def time_torch(shape, seconds):
    import torch
    torch.set_num_threads(shape["threads"])
    torch.manual_seed(0)
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn-tanh": torch.nn.RNN}[shape["cell"]]
    layer = kind(shape["input"], shape["hidden"], shape["layers"], bidirectional=shape["bidirectional"])
    train = shape["mode"] == "train"
    x = torch.randn(shape["steps"], shape["batch"], shape["input"], requires_grad=train)
    if train:
        width = shape["hidden"] * (2 if shape["bidirectional"] else 1)
        dy = torch.randn(shape["steps"], shape["batch"], width)

        def run():
            layer.zero_grad(set_to_none=True)
            x.grad = None
            layer(x)[0].backward(dy)
    else:
        layer.eval()
        state = [None]

        def run():
            with torch.inference_mode():
                after = layer(x, state[0])[1]
                state[0] = after if shape["mode"] == "step" else None

    for _ in range(3):
        run()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return {"median_ms": statistics.median(times) * 1e3, "version": torch.__version__}


def ask(command):
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def processor():
    with open("/proc/cpuinfo") as info:
        return next((line.split(":")[1].strip() for line in info if line.startswith("model name")), "unknown")


def main():
    if sys.argv[1:2] == ["--torch"]:
        print(json.dumps(time_torch(json.loads(sys.argv[2]), float(sys.argv[3]))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recurve")
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only")
    a = parser.parse_args()
    rows, peaks, version = [], [], ""
    for name in NAMES if a.only is None else [a.only]:
        ours, theirs = [], []
        for _ in range(a.rounds):
            bench = [a.recurve, "bench", "--preset", name, "--seconds", str(a.seconds), "--threads", "2", "--json"]
            shape = ask(bench)
            ours.append(shape["median_ms"])
            peaks.append(shape["peak_gflops"])
            torch = ask([sys.executable, __file__, "--torch", json.dumps(shape), str(a.seconds)])
            theirs.append(torch["median_ms"])
            version = torch["version"]
        mine, other = statistics.median(ours), statistics.median(theirs)
        rows.append((name, shape, mine, other))
        print(f"{name}: {other / mine:.2f}", file=sys.stderr, flush=True)
    print(f"# Recurve beside PyTorch, {date.today()}\n")
    print(f"{processor()}, {platform.system()} {platform.machine()}, 2 threads, f32, {rows[0][1]['isa']}; PyTorch {version}.")
    print(f"Product rate of Recurve's own kernel, 1024³: {statistics.median(peaks):.0f} GFLOP/s (median of all runs).")
    print(f"Median of {a.rounds} rounds of {a.seconds} s each, in turns; made by `bench/beside_torch.py`.\n")
    print("| shape | mode | cell | T | B | I | H | L | Recurve ms | PyTorch ms | times as fast | Recurve GFLOP/s |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for name, s, mine, other in rows:
        two = ", both directions" if s["bidirectional"] else ""
        rate = s["gflops"] * s["median_ms"] / mine
        print(f"| {name} | {s['mode']} | {s['cell']}{two} | {s['steps']} | {s['batch']} | {s['input']} | {s['hidden']} | "
              f"{s['layers']} | {mine:.3g} | {other:.3g} | {other / mine:.2f} | {rate:.0f} |")


main()
