"""Recurrent steps in which more happens than a cell: outputs, final states and every gradient, float64.

    python golden/gen/stages.py         writes golden/stages/

The equations stand here one step at a time (a prime marks the step before), gradients come from torch's
reverse mode over them.

- `norm`: Ba, Kiros & Hinton 2016, "Layer normalization", equations 20 to 22 for the LSTM and 23 to 25 for the
  GRU: N(w x) gain_w + N(r h') gain_r + b, all gates of an LSTM together, gates and candidate of a GRU
  apart, and h = o tanh(N(c) gain_c + shift_c). N takes the mean and divides by sqrt(variance + 1e-5). The
  vanilla network in the same way. The output gate's peephole sees c, not N(c).
- `projection`: Sak, Senior & Beaufays 2014: h = projection (o tanh(c)). `clip` bounds c before it is used
  (as TensorFlow's LSTM cell does), `projection_clip` bounds h.
- `gates`: the full gate recurrence of Greff et al. 2017: the gates i f o of the step before, through
  `r_gates` [3H, 3H], reach i f o. They are carried beside c: `c0` and `cn` are [B, 4H], c i f o.

Every case has lengths and resets, which are those of other_cells.py.
"""
import numpy as np
import torch
from torch import sigmoid, tanh

from common import GOLDEN, gradients, save, save_index, tensors, torch_version, uniform
from other_cells import BATCH, HIDDEN, INPUT, LENGTHS, PADDING, RESETS, STEPS

LSTM = {"lstm": "ifgo", "lstm_peephole": "ifgo", "lstm_coupled": "igo", "lstm_coupled_peephole": "igo"}
GATES = {**LSTM, "gru": "rzn", "rnn_tanh": "h"}
PEEPHOLES = {"lstm_peephole": "ifo", "lstm_coupled_peephole": "io"}

# The cell and its options.
CASES = {
    "lstm_norm": ("lstm", {"norm": True}),
    "lstm_peephole_norm": ("lstm_peephole", {"norm": True}),
    "lstm_coupled_peephole_norm": ("lstm_coupled_peephole", {"norm": True}),
    "gru_norm": ("gru", {"norm": True}),
    "rnn_norm": ("rnn_tanh", {"norm": True}),
    "lstm_clip": ("lstm_peephole", {"clip": 0.4}),
    "lstm_coupled_clip": ("lstm_coupled", {"clip": 0.4}),
    "lstm_projection": ("lstm", {"projection": 2}),
    "lstm_projection_clip": ("lstm_peephole", {"projection": 3, "clip": 0.5, "projection_clip": 0.2}),
    "lstm_projection_norm": ("lstm_peephole", {"projection": 3, "norm": True, "clip": 0.7}),
    "lstm_gates": ("lstm", {"gates": True}),
    "lstm_peephole_gates": ("lstm_peephole", {"gates": True}),
    "lstm_projection_gates": ("lstm_peephole", {"projection": 2, "gates": True}),
}


def normal(a):
    return (a - a.mean(1, keepdim=True)) / (a.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()


def sums(x, h, q, norm, groups):
    """The products of both sides, apart; normalised over groups of gates."""
    a, b = x @ q["w"].T, h @ q["r"].T
    if norm:
        a, b = (torch.cat([normal(part) for part in s.split([n * HIDDEN for n in groups], 1)], 1) for s in (a, b))
        a, b = a * q["gain_w"], b * q["gain_r"]
    return a + q["b"], b


def lstm(x, h, c, q, kind, options):
    gates = LSTM[kind]
    a, b = sums(x, h, q, options.get("norm"), [len(gates)])
    z = dict(zip(gates, (a + b).split(HIDDEN, 1)))
    p = dict(zip(PEEPHOLES.get(kind, ""), q["p"].split(HIDDEN))) if "p" in q else {}
    c, old = c[:, :HIDDEN], c[:, HIDDEN:]
    if options.get("gates"):
        for gate, extra in zip("ifo", (old @ q["r_gates"].T).split(HIDDEN, 1)):
            z[gate] = z[gate] + extra
    i = sigmoid(z["i"] + p.get("i", 0) * c)
    f = sigmoid(z["f"] + p.get("f", 0) * c) if "f" in gates else 1 - i
    c = f * c + i * tanh(z["g"])
    if options.get("clip"):
        c = c.clamp(-options["clip"], options["clip"])
    o = sigmoid(z["o"] + p.get("o", 0) * c)
    shown = normal(c) * q["gain_c"] + q["shift_c"] if options.get("norm") else c
    h = o * tanh(shown)
    if options.get("projection"):
        h = h @ q["projection"].T
    if options.get("projection_clip"):
        h = h.clamp(-options["projection_clip"], options["projection_clip"])
    return h, torch.cat([c, i, f, o], 1) if options.get("gates") else c


def gru(x, h, c, q, kind, options):
    a, b = sums(x, h, q, options.get("norm"), [2, 1])
    (r, z, n), (r_h, z_h, n_h) = a.split(HIDDEN, 1), (b + q["b_r"]).split(HIDDEN, 1)
    r, z = sigmoid(r + r_h), sigmoid(z + z_h)
    return (1 - z) * tanh(n + r * n_h) + z * h, c


def rnn(x, h, c, q, kind, options):
    a, b = sums(x, h, q, options.get("norm"), [1])
    return tanh(a + b), c


def compute(name):
    kind, options = CASES[name]
    step = {"gru": gru, "rnn_tanh": rnn}.get(kind, lstm)
    rows, out = len(GATES[kind]) * HIDDEN, options.get("projection", HIDDEN)
    carried = HIDDEN * (4 if options.get("gates") else 1)
    shapes = {"w": (rows, INPUT), "r": (rows, out), "b": (rows,)}
    if kind == "gru":
        shapes["b_r"] = (rows,)
    if kind in PEEPHOLES:
        shapes["p"] = (len(PEEPHOLES[kind]) * HIDDEN,)
    if options.get("gates"):
        shapes["r_gates"] = (3 * HIDDEN, 3 * HIDDEN)
    if options.get("projection"):
        shapes["projection"] = (out, HIDDEN)
    if options.get("norm"):
        shapes |= {"gain_w": (rows,), "gain_r": (rows,)}
        shapes |= {"gain_c": (HIDDEN,), "shift_c": (HIDDEN,)} if kind in LSTM else {}
    q = {n: uniform(s, 0.8, name, n) for n, s in shapes.items()}
    inputs = {"x": uniform((STEPS, BATCH, INPUT), 1.4, name, "x"), "h0": uniform((BATCH, out), 0.9, name, "h0")}
    arriving = {"loss_wy": uniform((STEPS, BATCH, out), 1.0, name, "loss_wy"),
                "loss_wh": uniform((BATCH, out), 1.0, name, "loss_wh")}
    if kind in LSTM:
        inputs["c0"] = uniform((BATCH, carried), 0.9, name, "c0")
        arriving["loss_wc"] = uniform((BATCH, carried), 1.0, name, "loss_wc")
    for b, length in enumerate(LENGTHS):
        inputs["x"][length:, b] = PADDING
    q, inputs, arriving = (tensors(part, torch.float64) for part in (q, inputs, arriving))
    h, c, outputs = inputs["h0"], inputs.get("c0", torch.zeros(())), []
    for t, x in enumerate(inputs["x"]):
        keep = 1 - torch.tensor(RESETS[t])[:, None]
        real = torch.tensor(LENGTHS)[:, None] > t
        h_next, c_next = step(x, h * keep, c * keep, q, kind, options)
        outputs.append(torch.where(real, h_next, 0.0))
        h, c = torch.where(real, h_next, h), torch.where(real, c_next, c)
    out = {"y": torch.stack(outputs), "hn": h}
    loss = (out["y"] * arriving["loss_wy"]).sum() + (h * arriving["loss_wh"]).sum()
    if kind in LSTM:
        out["cn"] = c
        loss = loss + (c * arriving["loss_wc"]).sum()
    out["resets"] = np.array(RESETS, np.uint8)
    return {**q, **inputs, **arriving, **out, "loss": loss, **gradients(loss, inputs | q)}


def main():
    folder, index = GOLDEN / "stages", []
    for name, (kind, options) in CASES.items():
        file = f"{name}.safetensors"
        save(folder / file, compute(name))
        index.append({"file": file, "cell": kind, "input": INPUT, "hidden": HIDDEN, "steps": STEPS, "batch": BATCH,
                      "lengths": LENGTHS, "norm": False, "gates": False, "clip": None, "projection": None,
                      "projection_clip": None, **options})
    save_index(folder / "index.json", {"torch": torch_version()}, index)


if __name__ == "__main__":
    main()
