"""Cells and batches that torch does not have: outputs, final states and every gradient, float64.

    python golden/gen/other_cells.py         writes golden/other_cells/

The equations stand here as in the papers, one step at a time (a prime marks the step before):
peepholes from Gers & Schmidhuber 2000, "Recurrent nets that time and count"; the coupled
input-forget gate from Greff et al. 2015, "LSTM: a search space odyssey"; the GRU that resets its
state before the product from Cho et al. 2014, "Learning phrase representations using RNN
encoder-decoder", with the roles of z and 1 - z as in torch. Gradients come from torch's reverse mode
over these equations.

Each cell runs three batches: `plain`; `lengths`, where a sequence ends early, its states then stay
and its outputs are 0; and `resets`, which also has lengths, where a flag at step t makes the states
before that step zero, at t = 0 in place of the initial states. The cells that torch has run `resets`
only, for torch does not have those; golden/torch_layers holds the rest of them.
"""
import numpy as np
import torch
from torch import sigmoid, tanh

from common import GOLDEN, gradients, save, save_index, tensors, torch_version, uniform

INPUT, HIDDEN, STEPS, BATCH = 3, 4, 6, 4
LENGTHS = [4, 6, 1, 5]
RESETS = [[0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, 1, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0]]
PADDING = 9.0


def rows(x, h, q):
    """The products of every gate, [B, H] each: w x + r h' + b."""
    return (x @ q["w"].T + h @ q["r"].T + q["b"]).split(HIDDEN, 1)


def rnn_tanh(x, h, c, q):
    (a,) = rows(x, h, q)
    return tanh(a), c


def lstm(x, h, c, q):
    i, f, g, o = rows(x, h, q)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


def lstm_peephole(x, h, c, q):
    i, f, g, o = rows(x, h, q)
    p_i, p_f, p_o = q["p"].split(HIDDEN)
    i = sigmoid(i + p_i * c)
    f = sigmoid(f + p_f * c)
    c = f * c + i * tanh(g)
    o = sigmoid(o + p_o * c)
    return o * tanh(c), c


def lstm_coupled(x, h, c, q):
    i, g, o = rows(x, h, q)
    i = sigmoid(i)
    c = (1 - i) * c + i * tanh(g)
    return sigmoid(o) * tanh(c), c


def lstm_coupled_peephole(x, h, c, q):
    i, g, o = rows(x, h, q)
    p_i, p_o = q["p"].split(HIDDEN)
    i = sigmoid(i + p_i * c)
    c = (1 - i) * c + i * tanh(g)
    o = sigmoid(o + p_o * c)
    return o * tanh(c), c


def gru_reset_before(x, h, c, q):
    w_r, w_z, w_n = q["w"].split(HIDDEN)
    r_r, r_z, r_n = q["r"].split(HIDDEN)
    b_r, b_z, b_n = q["b"].split(HIDDEN)
    r = sigmoid(x @ w_r.T + h @ r_r.T + b_r)
    z = sigmoid(x @ w_z.T + h @ r_z.T + b_z)
    n = tanh(x @ w_n.T + (r * h) @ r_n.T + b_n)
    return (1 - z) * n + z * h, c


def gru_reset_after(x, h, c, q):
    w_r, w_z, w_n = q["w"].split(HIDDEN)
    r_r, r_z, r_n = q["r"].split(HIDDEN)
    b_r, b_z, b_n = q["b"].split(HIDDEN)
    r = sigmoid(x @ w_r.T + h @ r_r.T + b_r)
    z = sigmoid(x @ w_z.T + h @ r_z.T + b_z)
    n = tanh(x @ w_n.T + b_n + r * (h @ r_n.T + q["b_rn"]))
    return (1 - z) * n + z * h, c


# The cell, its gates (the rows of w, r and b in order), its peepholes, and its second bias.
CELLS = {
    rnn_tanh: (["h"], [], {}),
    lstm: (["i", "f", "g", "o"], [], {}),
    lstm_peephole: (["i", "f", "g", "o"], ["i", "f", "o"], {}),
    lstm_coupled: (["i", "g", "o"], [], {}),
    lstm_coupled_peephole: (["i", "g", "o"], ["i", "o"], {}),
    gru_reset_before: (["r", "z", "n"], [], {}),
    gru_reset_after: (["r", "z", "n"], [], {"b_rn": (HIDDEN,)}),
}
BATCHES = {"plain": (None, None), "lengths": (LENGTHS, None), "resets": (LENGTHS, RESETS)}
IN_TORCH = (rnn_tanh, lstm, gru_reset_after)


def run(cell, q, inputs, lengths, resets):
    """y [T, B, H], and the states after the last step of each sequence [B, H]."""
    h, c, outputs = inputs["h0"], inputs.get("c0", torch.zeros(())), []
    for t, x in enumerate(inputs["x"]):
        keep = 1 - torch.tensor(resets[t])[:, None] if resets else 1
        real = torch.tensor(lengths)[:, None] > t if lengths else torch.tensor(True)
        h_next, c_next = cell(x, h * keep, c * keep, q)
        outputs.append(torch.where(real, h_next, 0.0))
        h, c = torch.where(real, h_next, h), torch.where(real, c_next, c)
    return torch.stack(outputs), h, c


def compute(cell, batch):
    name = cell.__name__
    gates, peepholes, extra = CELLS[cell]
    lengths, resets = BATCHES[batch]
    shapes = {"w": (len(gates) * HIDDEN, INPUT), "r": (len(gates) * HIDDEN, HIDDEN), "b": (len(gates) * HIDDEN,)}
    shapes |= {"p": (len(peepholes) * HIDDEN,)} if peepholes else {}
    states = ("h", "c") if name.startswith("lstm") else ("h",)
    q = {n: uniform(s, 0.8, name, batch, n) for n, s in (shapes | extra).items()}
    inputs = {"x": uniform((STEPS, BATCH, INPUT), 1.4, name, batch, "x")}
    inputs |= {f"{s}0": uniform((BATCH, HIDDEN), 0.9, name, batch, f"{s}0") for s in states}
    arriving = {"loss_wy": uniform((STEPS, BATCH, HIDDEN), 1.0, name, batch, "loss_wy")}
    arriving |= {f"loss_w{s}": uniform((BATCH, HIDDEN), 1.0, name, batch, f"loss_w{s}") for s in states}
    for b, length in enumerate(lengths or []):
        inputs["x"][length:, b] = PADDING
    q, inputs, arriving = (tensors(part, torch.float64) for part in (q, inputs, arriving))
    y, hn, cn = run(cell, q, inputs, lengths, resets)
    loss = (y * arriving["loss_wy"]).sum() + (hn * arriving["loss_wh"]).sum()
    out = {"y": y, "hn": hn}
    if "c" in states:
        loss = loss + (cn * arriving["loss_wc"]).sum()
        out["cn"] = cn
    if lengths:
        out["lengths"] = np.array(lengths, np.int64)
    if resets:
        out["resets"] = np.array(resets, np.uint8)
    return {**q, **inputs, **arriving, **out, "loss": loss, **gradients(loss, inputs | q)}


def main():
    folder, index = GOLDEN / "other_cells", []
    for cell, (gates, peepholes, _) in CELLS.items():
        for batch, (lengths, resets) in BATCHES.items():
            if cell in IN_TORCH and not resets:
                continue
            file = f"{cell.__name__}_{batch}.safetensors"
            save(folder / file, compute(cell, batch))
            index.append({"file": file, "cell": cell.__name__, "gates": gates, "peepholes": peepholes,
                          "input": INPUT, "hidden": HIDDEN, "steps": STEPS, "batch": BATCH,
                          "lengths": lengths, "resets": resets is not None})
    save_index(folder / "index.json", {"torch": torch_version()}, index)


if __name__ == "__main__":
    main()
