"""Outputs, final states and every gradient of torch's nn.RNN, nn.LSTM and nn.GRU.

    python golden/gen/torch_layers.py        writes golden/torch_layers/

The loss is sum(y * loss_wy) + sum(hn * loss_wh) + sum(cn * loss_wc), so `loss_w*` are the gradients
that reach y, hn and cn. Names and layouts are torch's, time first; golden/README.md lists them.
"""
from itertools import product

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from common import DTYPES, GOLDEN, gradients, save, save_index, tensors, torch_version, uniform

SMALL = {"input": 5, "hidden": 4, "steps": 6, "batch": 3}
LARGE = {"input": 10, "hidden": 33, "steps": 7, "batch": 5}
LENGTHS = [4, 7, 1, 6, 3]
RAGGED = SMALL | {"steps": max(LENGTHS), "batch": len(LENGTHS)}
PADDING = 9.0
CELLS = ("rnn_tanh", "rnn_relu", "lstm", "gru")


def case(cell, size, layers=1, bidirectional=False, bias=True, lengths=None, dtypes=("f64",)):
    words = [cell, f"l{layers}", "bi" if bidirectional else "uni"]
    words += [] if bias else ["nobias"]
    words += ["lengths"] if lengths else []
    words += [f"h{size['hidden']}"] if size is LARGE else []
    return {"name": "_".join(words), "cell": cell, "layers": layers, "bidirectional": bidirectional,
            "bias": bias, **size, "lengths": lengths, "dtypes": list(dtypes)}


def cases():
    for cell, layers, bi in product(CELLS, (1, 2), (False, True)):
        both = cell in ("lstm", "gru") and layers == 2 and bi
        yield case(cell, SMALL, layers, bi, dtypes=("f64", "f32") if both else ("f64",))
    for cell in CELLS:
        yield case(cell, SMALL, bidirectional=True, bias=False)
        yield case(cell, RAGGED, lengths=LENGTHS)
        yield case(cell, RAGGED, 2, True, lengths=LENGTHS, dtypes=("f64", "f32") if cell == "lstm" else ("f64",))
    yield case("lstm", LARGE)
    yield case("gru", LARGE, dtypes=("f32",))
    yield case("rnn_tanh", LARGE, bidirectional=True, lengths=LENGTHS, dtypes=("f32",))


def build(c, dtype):
    make = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}.get(c["cell"], torch.nn.RNN)
    extra = {"nonlinearity": c["cell"][4:]} if make is torch.nn.RNN else {}
    return make(c["input"], c["hidden"], c["layers"], bias=c["bias"], bidirectional=c["bidirectional"],
                dtype=dtype, **extra)


def numbers(c):
    """Weights, inputs and the gradients that reach the outputs, in float64."""
    name, hidden = c["name"], c["hidden"]
    shapes = {n: tuple(w.shape) for n, w in build(c, torch.float32).named_parameters()}
    weights = {n: uniform(s, 1.2 / hidden**0.5, name, n) for n, s in shapes.items()}
    directions = 2 if c["bidirectional"] else 1
    state = (c["layers"] * directions, c["batch"], hidden)
    inputs = {"x": uniform((c["steps"], c["batch"], c["input"]), 1.4, name, "x"), "h0": uniform(state, 0.9, name, "h0")}
    arriving = {"loss_wy": uniform((c["steps"], c["batch"], directions * hidden), 1.0, name, "loss_wy"),
                "loss_wh": uniform(state, 1.0, name, "loss_wh")}
    if c["cell"] == "lstm":
        inputs["c0"] = uniform(state, 0.9, name, "c0")
        arriving["loss_wc"] = uniform(state, 1.0, name, "loss_wc")
    for b, length in enumerate(c["lengths"] or []):
        inputs["x"][length:, b] = PADDING
    return weights, inputs, arriving


def run(c, weights, inputs, dtype):
    """y, hn and cn (None but for the LSTM) as torch computes them."""
    states = tuple(inputs[n] for n in ("h0", "c0") if n in inputs)
    states = states if c["cell"] == "lstm" else states[0]
    x = inputs["x"]
    if c["lengths"]:
        x = pack_padded_sequence(x, torch.tensor(c["lengths"]), enforce_sorted=False)
    y, after = torch.func.functional_call(build(c, dtype), weights, (x, states))
    if c["lengths"]:
        y, _ = pad_packed_sequence(y, total_length=c["steps"])
    return (y, *after) if c["cell"] == "lstm" else (y, after, None)


def compute(c, dtype):
    weights, inputs, arriving = numbers(c)
    weights, inputs, arriving = (tensors(part, dtype) for part in (weights, inputs, arriving))
    y, hn, cn = run(c, weights, inputs, dtype)
    loss = (y * arriving["loss_wy"]).sum() + (hn * arriving["loss_wh"]).sum()
    out = {"y": y, "hn": hn}
    if cn is not None:
        loss = loss + (cn * arriving["loss_wc"]).sum()
        out["cn"] = cn
    if c["lengths"]:
        out["lengths"] = np.array(c["lengths"], np.int64)
    return {**weights, **inputs, **arriving, **out, "loss": loss, **gradients(loss, inputs | weights)}


def main():
    folder, index = GOLDEN / "torch_layers", []
    for c in cases():
        for tag in c.pop("dtypes"):
            file = f"{c['name']}_{tag}.safetensors"
            save(folder / file, compute(c, DTYPES[tag]))
            index.append({"file": file, **{k: v for k, v in c.items() if k != "name"}, "dtype": tag})
    save_index(folder / "index.json", {"torch": torch_version()}, index)


if __name__ == "__main__":
    main()
