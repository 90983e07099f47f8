"""The mLSTM of xLSTM: outputs, final memories and every gradient, float64.

    python golden/gen/mlstm.py         writes golden/mlstm/

The equations stand here as in Beck et al. 2024, "xLSTM: Extended Long Short-Term Memory" (19 to 27),
one step at a time, with the stabiliser of equation 15 in both gates; of the normaliser, the 1 becomes
exp(-m) with it. Gradients come from torch's reverse mode over these equations.

Rows of w and b: q k v o of all heads, then the input gates and the forget gates, one of each per head. A
memory is that of each head in turn: C row by row (a row for each value of v), n, m. The batches are those
of other_cells.py: `plain`, `lengths`, and `resets` (with lengths).
"""
import numpy as np
import torch
from torch.nn.functional import logsigmoid

from common import GOLDEN, gradients, save, save_index, tensors, torch_version, uniform

INPUT, HIDDEN, HEADS, STEPS, BATCH = 3, 4, 2, 70, 3
D = HIDDEN // HEADS
HEAD = D * D + D + 1
LENGTHS = [3, 70, 66]
RESETS = [(0, 1), (1, 0), (20, 1), (21, 1), (64, 2), (69, 1)]
PADDING = 9.0
FORGET = {"mlstm": logsigmoid, "mlstm_exponential": lambda f: f}
BATCHES = {"plain": (None, None), "lengths": (LENGTHS, None), "resets": (LENGTHS, RESETS)}


def step(x, memory, q, forget):
    """h [B, H] and the memory after the step."""
    scale = torch.ones(len(q["b"]), dtype=x.dtype)
    scale[HIDDEN:2 * HIDDEN] = D ** -0.5
    rows = (x @ q["w"].T) * scale + q["b"]
    outputs, memories = [], []
    for head in range(HEADS):
        query, key, value, out = (rows[:, k * HIDDEN + head * D:][:, :D] for k in range(4))
        i, f = (rows[:, 4 * HIDDEN + k * HEADS + head] for k in range(2))
        old = memory[:, head * HEAD:][:, :HEAD]
        c, n, m = old[:, :D * D].reshape(-1, D, D), old[:, D * D:-1], old[:, -1]
        new = torch.maximum(forget(f) + m, i)
        keep, write = torch.exp(forget(f) + m - new), torch.exp(i - new)
        c = keep[:, None, None] * c + write[:, None, None] * value[:, :, None] * key[:, None, :]
        n = keep[:, None] * n + write[:, None] * key
        size = torch.maximum((n * query).sum(1).abs(), torch.exp(-new))
        outputs.append(torch.sigmoid(out) * (c @ query[:, :, None])[:, :, 0] / size[:, None])
        memories += [c.reshape(-1, D * D), n, new[:, None]]
    return torch.cat(outputs, 1), torch.cat(memories, 1)


def run(q, inputs, lengths, resets, forget):
    memory, h, outputs = inputs["c0"], inputs["h0"], []
    for t, x in enumerate(inputs["x"]):
        keep = torch.tensor([float((t, b) not in (resets or [])) for b in range(BATCH)])[:, None]
        real = torch.tensor(lengths)[:, None] > t if lengths else torch.tensor(True)
        h_next, next_memory = step(x, memory * keep, q, forget)
        outputs.append(torch.where(real, h_next, 0.0))
        h, memory = torch.where(real, h_next, h), torch.where(real, next_memory, memory)
    return torch.stack(outputs), h, memory


def compute(name, batch):
    lengths, resets = BATCHES[batch]
    rows = 4 * HIDDEN + 2 * HEADS
    q = {"w": uniform((rows, INPUT), 0.5, name, batch, "w"), "b": uniform((rows,), 0.5, name, batch, "b")}
    inputs = {"x": uniform((STEPS, BATCH, INPUT), 1.0, name, batch, "x"),
              "h0": uniform((BATCH, HIDDEN), 0.9, name, batch, "h0"),
              "c0": uniform((BATCH, HEADS * HEAD), 0.9, name, batch, "c0")}
    arriving = {"loss_wy": uniform((STEPS, BATCH, HIDDEN), 1.0, name, batch, "loss_wy"),
                "loss_wh": uniform((BATCH, HIDDEN), 1.0, name, batch, "loss_wh"),
                "loss_wc": uniform((BATCH, HEADS * HEAD), 1.0, name, batch, "loss_wc")}
    for b, length in enumerate(lengths or []):
        inputs["x"][length:, b] = PADDING
    q, inputs, arriving = (tensors(part, torch.float64) for part in (q, inputs, arriving))
    y, hn, cn = run(q, inputs, lengths, resets, FORGET[name])
    loss = (y * arriving["loss_wy"]).sum() + (hn * arriving["loss_wh"]).sum() + (cn * arriving["loss_wc"]).sum()
    flags = np.zeros((STEPS, BATCH), np.uint8)
    for place in resets or []:
        flags[place] = 1
    return {**q, **inputs, **arriving, "y": y, "hn": hn, "cn": cn, "resets": flags,
            "loss": loss, **gradients(loss, inputs | q)}


def main():
    folder, index = GOLDEN / "mlstm", []
    for name in FORGET:
        for batch, (lengths, resets) in BATCHES.items():
            file = f"{name}_{batch}.safetensors"
            save(folder / file, compute(name, batch))
            index.append({"file": file, "cell": name, "input": INPUT, "hidden": HIDDEN, "heads": HEADS,
                          "steps": STEPS, "batch": BATCH, "lengths": lengths, "resets": resets is not None})
    save_index(folder / "index.json", {"torch": torch_version()}, index)


if __name__ == "__main__":
    main()
