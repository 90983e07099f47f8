"""Twenty steps of training of a small character model, as torch takes them.

    python golden/gen/training_curve.py      writes golden/training/

Embedding -> two-layer LSTM -> linear; the loss is the mean cross-entropy over all B * T positions;
the global norm of the gradient is clipped before each optimiser step. `same` shows the same window
at every step, from zero states; `stream` reads on through the text and carries the states over,
cut off from the gradient.
"""
from itertools import product

import numpy as np
import torch

from common import DTYPES, GOLDEN, save, save_index, stream, torch_version, uniform

VOCAB, EMB, HIDDEN, LAYERS, BATCH, STEPS, UPDATES = 13, 6, 9, 2, 3, 8, 20
CLIP = 1.0
OPTIMISERS = {"adam": {"lr": 1e-2, "betas": [0.9, 0.999], "eps": 1e-8}, "sgd": {"lr": 0.5, "momentum": 0.9}}
# Wide enough that the first steps are clipped.
BOUNDS = {"emb": 1.0, "rnn": 0.6, "out": 2.5}


def text():
    """[B, T * updates + 1] tokens: five words in random order, with token 0 between them."""
    numbers, length = stream("training", "text"), STEPS * UPDATES + 1
    words = [[*numbers.integers(1, VOCAB, size=n), 0] for n in (2, 3, 3, 4, 5)]
    rows = []
    for _ in range(BATCH):
        row = []
        while len(row) < length:
            row += words[numbers.integers(len(words))]
        rows.append(row[:length])
    return np.array(rows, np.int64)


def build(dtype):
    model = torch.nn.ModuleDict({
        "emb": torch.nn.Embedding(VOCAB, EMB, dtype=dtype),
        "rnn": torch.nn.LSTM(EMB, HIDDEN, LAYERS, batch_first=True, dtype=dtype),
        "out": torch.nn.Linear(HIDDEN, VOCAB, dtype=dtype),
    })
    with torch.no_grad():
        for name, weight in model.named_parameters():
            bound = BOUNDS[name.split(".")[0]]
            weight.copy_(torch.from_numpy(uniform(tuple(weight.shape), bound, "training", name)))
    return model


def optimiser(kind, parameters):
    make = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[kind]
    return make(parameters, **OPTIMISERS[kind])


def named(prefix, model, of=lambda weight: weight):
    return {f"{prefix}.{name}": of(weight).detach().clone() for name, weight in model.named_parameters()}


def train(mode, kind, dtype):
    """The curve with the weights after it, and the weights and gradients of the first step."""
    model, tokens, state = build(dtype), torch.from_numpy(text()), None
    opt = optimiser(kind, model.parameters())
    losses, norms, start = [], [], {}
    for update in range(UPDATES):
        at = update * STEPS if mode == "stream" else 0
        before = named("initial", model) if update == 0 else {}
        y, after = model["rnn"](model["emb"](tokens[:, at:at + STEPS]), state)
        targets = tokens[:, at + 1:at + STEPS + 1]
        loss = torch.nn.functional.cross_entropy(model["out"](y).flatten(0, 1), targets.flatten())
        opt.zero_grad()
        loss.backward()
        start |= before | named("grad", model, lambda weight: weight.grad) if update == 0 else {}
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP))
        losses.append(loss.detach())
        opt.step()
        if mode == "stream":
            state = tuple(s.detach() for s in after)
    curve = {"losses": torch.stack(losses), "grad_norms": torch.stack(norms), **named("final", model)}
    if mode == "stream":
        curve |= {"final_h": state[0], "final_c": state[1]}
    return curve, start


def main():
    folder, index = GOLDEN / "training", []
    for tag, dtype in DTYPES.items():
        starts = []
        for mode, kind in product(("same", "stream"), OPTIMISERS):
            curve, start = train(mode, kind, dtype)
            starts.append(start)
            file = f"{mode}_{kind}_{tag}.safetensors"
            save(folder / file, curve)
            index.append({"file": file, "start": f"start_{tag}.safetensors", "mode": mode, "optimiser": kind,
                          **OPTIMISERS[kind], "dtype": tag})
        # The first step is the same in all four: same window, zero states, not yet an update.
        assert all(torch.equal(s[n], starts[0][n]) for s in starts for n in starts[0])
        save(folder / f"start_{tag}.safetensors", starts[0] | {"tokens": text()})
    about = {"torch": torch_version(), "vocab": VOCAB, "embedding": EMB, "hidden": HIDDEN, "layers": LAYERS,
             "batch": BATCH, "steps": STEPS, "updates": UPDATES, "clip_norm": CLIP}
    save_index(folder / "index.json", about, index)


if __name__ == "__main__":
    main()
