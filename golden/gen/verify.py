"""Recomputes every golden in NumPy, by another way than the generators took.

    python golden/gen/verify.py

Forward numbers come from loops over single sequences and steps. Gradients come from complex steps:
the loss is computed at q + 1e-30 j in a random direction of each tensor, and the imaginary part is
the slope in that direction, exact to rounding. Of each training curve it takes the first update;
with --all-updates it takes every update of the float64 curves, which needs some minutes. Needs numpy
and safetensors, not torch.
"""
import json
import pathlib
import sys

import numpy as np
from safetensors.numpy import load_file

GOLDEN = pathlib.Path(__file__).resolve().parent.parent
TOLERANCE = {"f64": 1e-12, "f32": 5e-6}
EPSILON = 1e-30
worst = {}


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def relu(a):
    if np.abs(a.real).min() < 1e-5:
        raise SystemExit("a relu is at its corner: choose other numbers")
    return np.where(a.real > 0, a, 0)


def agree(what, found, expected, tag="f64"):
    """The largest difference, relative to the largest value, is within the tolerance."""
    if found.shape != expected.shape:
        raise SystemExit(f"{what}: shape {found.shape}, expected {expected.shape}")
    expected = expected.astype(np.float64)
    error = np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-6)
    worst[tag] = max(worst.get(tag, 0.0), float(error))
    if not error <= TOLERANCE[tag]:
        raise SystemExit(f"{what}: off by {error:.1e}, allowed {TOLERANCE[tag]:.0e}")


def slopes_agree(what, loss, leaves, golden, prefix="grad.", tag="f64"):
    """The slope of `loss` in a random direction of each leaf is the golden gradient times it."""
    numbers = np.random.default_rng(0)
    for name, value in leaves.items():
        gradient = golden[prefix + name].astype(np.float64)
        if gradient.shape != value.shape:
            raise SystemExit(f"{what}: grad.{name} has shape {gradient.shape}")
        for _ in range(3):
            way = numbers.normal(size=value.shape)
            slope = loss(leaves | {name: value + 1j * EPSILON * way}).imag / EPSILON
            terms = gradient * way
            agree(f"{what}: grad.{name}", np.array([slope, np.abs(terms).max()]),
                  np.array([terms.sum(), np.abs(terms).max()]), tag)


def one_step(cell, x, h, c, q):
    """One sequence, one step. `q` has w, r, the bias of each product, and peepholes by gate."""
    a, b = q["w"] @ x + q["b"], q["r"] @ h + q["b_r"]
    n = len(h)
    at = lambda v, gate: v[gate * n:(gate + 1) * n]
    if cell.startswith("rnn"):
        return {"rnn_tanh": np.tanh, "rnn_relu": relu}[cell](a + b), c
    if cell.startswith("gru"):
        r, z = sigmoid(at(a + b, 0)), sigmoid(at(a + b, 1))
        if cell == "gru_reset_before":
            candidate = np.tanh(at(a, 2) + at(q["r"], 2) @ (r * h))
        else:
            candidate = np.tanh(at(a, 2) + r * at(b, 2))
        return candidate + z * (h - candidate), c
    p = q["peepholes"]
    gates = "igo" if "coupled" in cell else "ifgo"
    sums = {g: at(a + b, gates.index(g)) for g in gates}
    i = sigmoid(sums["i"] + p.get("i", 0) * c)
    f = sigmoid(sums["f"] + p.get("f", 0) * c) if "f" in sums else 1 - i
    c = f * c + i * np.tanh(sums["g"])
    return sigmoid(sums["o"] + p.get("o", 0) * c) * np.tanh(c), c


def one_direction(cell, x, h, c, q, reverse=False, lengths=None, resets=None):
    """x [T, B, I] to y [T, B, H], hn and cn [B, H], sequence by sequence."""
    steps, batch = x.shape[:2]
    kind = np.result_type(x, h, c, *(v for v in q.values() if isinstance(v, np.ndarray)))
    y, hn, cn = np.zeros((steps, batch, h.shape[1]), kind), h.astype(kind), c.astype(kind)
    for b in range(batch):
        real = range(steps if lengths is None else int(lengths[b]))
        for t in reversed(real) if reverse else real:
            if resets is not None and resets[t, b]:
                hn[b], cn[b] = 0, 0
            hn[b], cn[b] = one_step(cell, x[t, b], hn[b], cn[b], q)
            y[t, b] = hn[b]
    return y, hn, cn


def torch_stack(case, leaves, lengths):
    """All layers and directions under torch's names."""
    x, hs, cs = leaves["x"], [], []
    for layer in range(case["layers"]):
        ys = []
        for d, suffix in enumerate(["", "_reverse"][:1 + case["bidirectional"]]):
            get = lambda n: leaves.get(f"{n}_l{layer}{suffix}")
            q = {"w": get("weight_ih"), "r": get("weight_hh"), "peepholes": {}}
            none = np.zeros(len(q["w"]))
            q |= {"b": get("bias_ih") if case["bias"] else none, "b_r": get("bias_hh") if case["bias"] else none}
            at = len(hs)
            h = leaves["h0"][at]
            c = leaves["c0"][at] if "c0" in leaves else np.zeros(h.shape)
            y, hn, cn = one_direction(case["cell"], x, h, c, q, reverse=d == 1, lengths=lengths)
            ys.append(y), hs.append(hn), cs.append(cn)
        x = np.concatenate(ys, axis=2)
    return x, np.stack(hs), np.stack(cs)


def other_layer(case, leaves, golden):
    hidden = case["hidden"]
    p = {g: leaves["p"][n * hidden:(n + 1) * hidden] for n, g in enumerate(case["peepholes"])}
    b_r = np.concatenate([np.zeros(2 * hidden), leaves["b_rn"]]) if "b_rn" in leaves else np.zeros(len(leaves["b"]))
    q = {"w": leaves["w"], "r": leaves["r"], "b": leaves["b"], "b_r": b_r, "peepholes": p}
    h = leaves["h0"]
    # The peepholes decide whether numbers are complex, too.
    c = leaves.get("c0", np.zeros(h.shape)) + 0 * leaves.get("p", np.zeros(1)).sum() + 0 * b_r.sum()
    return one_direction(case["cell"], leaves["x"], h, c, q, lengths=golden.get("lengths"), resets=golden.get("resets"))


def check_recurrent(folder, forward):
    index = json.loads((GOLDEN / folder / "index.json").read_text())
    for case in index["cases"]:
        tag, what = case.get("dtype", "f64"), f"{folder}/{case['file']}"
        golden = load_file(GOLDEN / what)
        leaves = {n[5:]: golden[n[5:]].astype(np.float64) for n in golden if n.startswith("grad.")}
        states = ("hn", "cn") if "cn" in golden else ("hn",)

        def loss(leaves):
            y, *after = forward(case, leaves, golden)
            total = (y * golden["loss_wy"]).sum()
            return total + sum((s * golden[f"loss_w{n[0]}"]).sum() for n, s in zip(states, after))

        y, *after = forward(case, leaves, golden)
        agree(f"{what}: y", y, golden["y"], tag)
        for name, state in zip(states, after):
            agree(f"{what}: {name}", state, golden[name], tag)
        agree(f"{what}: loss", np.array(loss(leaves)), golden["loss"], tag)
        slopes_agree(what, loss, leaves, golden, tag=tag)
    return len(index["cases"])


def model_loss(q, inputs, targets, h, c):
    """The character model on one window of tokens [B, T]: the loss and the states after it."""
    x = q["emb.weight"][inputs.T]
    stack = {n[4:]: v for n, v in q.items() if n.startswith("rnn.")} | {"x": x, "h0": h, "c0": c}
    case = {"cell": "lstm", "layers": len(h), "bidirectional": False, "bias": True}
    y, h, c = torch_stack(case, stack, None)
    return cross_entropy(y @ q["out.weight"].T + q["out.bias"], targets.T), h, c


def cross_entropy(logits, classes, smoothing=0.0):
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    goal = np.eye(logits.shape[-1])[classes] * (1 - smoothing) + smoothing / logits.shape[-1]
    return -(goal * log_p).sum(-1).mean()


def gradient(loss, q):
    """The gradient of `loss` for every entry of q, one complex step each."""
    grads = {}
    for name, value in q.items():
        grads[name] = np.zeros(value.shape)
        for at in np.ndindex(value.shape):
            moved = value.astype(complex)
            moved[at] += 1j * EPSILON
            grads[name][at] = loss(q | {name: moved}).imag / EPSILON
    return grads


def optimise(case, q, grads, moments, update):
    """One update of the weights q in place, after clipping; `update` counts from 1."""
    for n, g in grads.items():
        if case["optimiser"] == "sgd":
            way = moments[n] = case["momentum"] * moments.get(n, 0) + g
        else:
            (b1, b2), (m, v) = case["betas"], moments.get(n, (0, 0))
            moments[n] = m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
            way = m / (1 - b1**update) / (np.sqrt(v / (1 - b2**update)) + case["eps"])
        q[n] = q[n] - case["lr"] * way


def check_curve(about, case, updates):
    """Takes `updates` updates, the first with the golden gradient; then the loss after them."""
    tag, what, steps = case["dtype"], f"training/{case['file']}", about["steps"]
    start, golden = load_file(GOLDEN / "training" / case["start"]), load_file(GOLDEN / what)
    widen = lambda prefix: {n.removeprefix(prefix): start[n].astype(np.float64) for n in start if n.startswith(prefix)}
    q, moments = widen("initial."), {}
    h = c = np.zeros((about["layers"], about["batch"], about["hidden"]))
    for n in range(about["updates"]):
        at = n * steps if case["mode"] == "stream" else 0
        window = start["tokens"][:, at:at + steps], start["tokens"][:, at + 1:at + steps + 1]
        loss_of = lambda q: model_loss(q, *window, h, c)[0]
        loss, *after = model_loss(q, *window, h, c)
        agree(f"{what}: losses[{n}]", np.array(loss), golden["losses"][n], tag)
        if n == updates:
            return
        if n == 0:
            slopes_agree(what, loss_of, q, start, tag=tag)
        grads = widen("grad.") if n == 0 else gradient(loss_of, q)
        norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
        agree(f"{what}: grad_norms[{n}]", np.array(norm), golden["grad_norms"][n], tag)
        factor = min(1, about["clip_norm"] / (norm + 1e-6))
        optimise(case, q, {name: g * factor for name, g in grads.items()}, moments, n + 1)
        h, c = after if case["mode"] == "stream" else (h, c)
    for name, value in q.items():
        agree(f"{what}: final.{name}", value, golden["final." + name], tag)
    if case["mode"] == "stream":
        agree(f"{what}: final_h", h, golden["final_h"], tag)
        agree(f"{what}: final_c", c, golden["final_c"], tag)


def check_training(all_updates):
    about = json.loads((GOLDEN / "training/index.json").read_text())
    for case in about["cases"]:
        golden = load_file(GOLDEN / "training" / case["file"])
        if not golden["grad_norms"].max() > about["clip_norm"] > golden["grad_norms"].min():
            raise SystemExit(f"{case['file']}: clipping should act at some steps and not at others")
        check_curve(about, case, about["updates"] if all_updates and case["dtype"] == "f64" else 1)
        if case["dtype"] == "f32":
            exact = load_file(GOLDEN / "training" / case["file"].replace("f32", "f64"))
            for n in golden:
                agree(f"{case['file']}: {n} against f64", golden[n].astype(np.float64), exact[n], "f32")
    return len(about["cases"])


def check_parts():
    golden = load_file(GOLDEN / "torch_parts.safetensors")
    lengths, tokens = golden["pool_last.lengths"], golden["embedding.tokens"]

    def layer_norm(q):
        mean = q["x"].mean(-1, keepdims=True)
        var = ((q["x"] - mean) ** 2).mean(-1, keepdims=True)
        return (q["x"] - mean) / np.sqrt(var + 1e-5) * q["weight"] + q["bias"]

    def pooled(pick):
        return lambda q: np.stack([pick(q["x"][:n, b]) for b, n in enumerate(lengths)])

    layers = {
        "layer_norm": layer_norm,
        "linear": lambda q: q["x"] @ q["weight"].T + q["bias"],
        "embedding": lambda q: q["weight"][tokens],
        "pool_last": pooled(lambda rows: rows[-1]),
        "pool_mean": pooled(lambda rows: rows.sum(0) / len(rows)),
        "pool_max": pooled(lambda rows: np.take_along_axis(rows, rows.real.argmax(0)[None], 0)[0]),
    }
    magnitude = lambda e: np.where(e.real < 0, -e, e)
    losses = {
        "cross_entropy": cross_entropy,
        "cross_entropy_smoothed": lambda x, t: cross_entropy(x, t, 0.1),
        "mse": lambda x, t: ((x - t) ** 2).mean(),
        "mae": lambda x, t: magnitude(x - t).mean(),
        "huber": lambda x, t: np.where(abs(x - t) <= 0.7, (x - t) ** 2 / 2, 0.7 * (magnitude(x - t) - 0.35)).mean(),
    }
    for part in layers | losses:
        own = {n.removeprefix(part + "."): v for n, v in golden.items() if n.startswith(part + ".")}
        leaves = {n[5:]: own[n[5:]] for n in own if n.startswith("grad.")}
        if part in layers:
            agree(f"{part}: y", layers[part](leaves), own["y"])
            slopes_agree(part, lambda q: (layers[part](q) * own["loss_wy"]).sum(), leaves, own)
        else:
            agree(f"{part}: loss", np.array(losses[part](leaves["x"], own["targets"])), own["loss"])
            slopes_agree(part, lambda q: losses[part](q["x"], own["targets"]), leaves, own)
    return len(layers | losses)


def main():
    checked = {
        "torch_layers": check_recurrent("torch_layers", lambda case, q, g: torch_stack(case, q, g.get("lengths"))),
        "other_cells": check_recurrent("other_cells", other_layer),
        "training": check_training("--all-updates" in sys.argv),
        "torch_parts": check_parts(),
    }
    for name, count in checked.items():
        print(f"{name}: {count} cases agree")
    print("largest relative difference:", ", ".join(f"{tag} {error:.1e}" for tag, error in worst.items()))


if __name__ == "__main__":
    main()
