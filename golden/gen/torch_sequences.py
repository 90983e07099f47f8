"""Layers over whole sequences as torch computes them, float64: convolutions and attention.

    python golden/gen/torch_sequences.py         writes golden/torch_sequences.safetensors

Each case has its own prefix. Weights have the names and shapes that Recurve gives them; y and the
gradient that reaches it are 0 past the end of a sequence.
"""
import math

import numpy as np
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from common import GOLDEN, gradients, save, tensors, uniform

STEPS, BATCH = 6, 3
LENGTHS = [4, 6, 1]
REAL = torch.arange(STEPS)[:, None] < torch.tensor(LENGTHS)


def draw(case, shapes):
    """Leaves by name, for `case`."""
    return tensors({n: uniform(s, 0.8, case, n) for n, s in shapes.items()}, torch.float64)


def finish(case, leaves, y):
    """The tensors of a case: leaves, y, the gradient that reaches y, and those of the leaves."""
    y = y * REAL[:, :, None]
    loss_wy = torch.from_numpy(uniform(tuple(y.shape), 1.0, case, "loss_wy")) * REAL[:, :, None]
    out = leaves | {"y": y, "loss_wy": loss_wy} | gradients((y * loss_wy).sum(), leaves)
    return {f"{case}.{name}": value for name, value in out.items()}


def tcn(case, inputs, channels, kernel, blocks, weight_norm):
    shapes = {"x": (STEPS, BATCH, inputs)}
    for block in range(blocks):
        width = inputs if block == 0 else channels
        for which, columns in enumerate((width, channels)):
            name = f"0.tcn.{block}.{which}"
            shapes[f"{name}.weight"] = (channels, kernel * columns)
            if weight_norm:
                shapes[f"{name}.gain"] = (channels,)
            shapes[f"{name}.bias"] = (channels,)
        if width != channels:
            shapes[f"0.tcn.{block}.beside.weight"] = (channels, width)
            shapes[f"0.tcn.{block}.beside.bias"] = (channels,)
    q = draw(case, shapes)
    x = q["x"].permute(1, 2, 0)
    for block in range(blocks):
        distance, inner = 2**block, x
        for which in range(2):
            name = f"0.tcn.{block}.{which}"
            weight = q[f"{name}.weight"].unflatten(1, (kernel, -1)).permute(0, 2, 1)
            if weight_norm:
                weight = torch._weight_norm(weight, q[f"{name}.gain"][:, None, None], 0)
            inner = functional.pad(inner, ((kernel - 1) * distance, 0))
            inner = functional.conv1d(inner, weight, q[f"{name}.bias"], dilation=distance).relu()
        beside = q.get(f"0.tcn.{block}.beside.weight")
        if beside is not None:
            x = functional.conv1d(x, beside[:, :, None], q[f"0.tcn.{block}.beside.bias"])
        x = (inner + x).relu()
    return finish(case, q, x.permute(2, 0, 1))


def hidden_keys(causal, context):
    """Of each step, the steps that it does not see."""
    back = torch.arange(STEPS)[:, None] - torch.arange(STEPS)
    return (back < 0) | (back >= context) if causal else torch.zeros_like(back, dtype=torch.bool)


def attention(case, width, heads, causal=False, context=0):
    names = {"project.weight": "in_proj_weight", "project.bias": "in_proj_bias",
             "output.weight": "out_proj.weight", "output.bias": "out_proj.bias"}
    module = nn.MultiheadAttention(width, heads, dtype=torch.float64)
    own = dict(module.named_parameters())
    q = draw(case, {"x": (STEPS, BATCH, width)} | {f"0.attention.{n}": own[o].shape for n, o in names.items()})
    weights = {o: q[f"0.attention.{n}"] for n, o in names.items()}
    mask = {"attn_mask": hidden_keys(causal, context), "key_padding_mask": ~REAL.T, "need_weights": False}
    y, _ = functional_call(module, weights, (q["x"], q["x"], q["x"]), mask)
    return finish(case, q, y)


def transformer(case, width, heads, layers, inner, positions, causal=False, context=0):
    names = {"norm.0.gain": "norm1.weight", "norm.0.shift": "norm1.bias",
             "project.weight": "self_attn.in_proj_weight", "project.bias": "self_attn.in_proj_bias",
             "output.weight": "self_attn.out_proj.weight", "output.bias": "self_attn.out_proj.bias",
             "norm.1.gain": "norm2.weight", "norm.1.shift": "norm2.bias",
             "up.weight": "linear1.weight", "up.bias": "linear1.bias",
             "down.weight": "linear2.weight", "down.bias": "linear2.bias"}
    module = nn.TransformerEncoderLayer(width, heads, inner, 0.0, norm_first=True, dtype=torch.float64)
    own = dict(module.named_parameters())
    shapes = {"x": (STEPS, BATCH, width)}
    if positions == "learned":
        shapes["0.transformer.positions"] = (STEPS + 2, width)
    for layer in range(layers):
        shapes |= {f"0.transformer.{layer}.{n}": own[o].shape for n, o in names.items()}
    shapes |= {"0.transformer.norm.gain": (width,), "0.transformer.norm.shift": (width,)}
    q = draw(case, shapes)
    if positions == "learned":
        added = q["0.transformer.positions"][:STEPS]
    else:
        angles = torch.arange(STEPS, dtype=torch.float64)[:, None] * torch.exp(
            torch.arange(0, width, 2, dtype=torch.float64) * (-math.log(10000.0) / width))
        added = torch.stack([angles.sin(), angles.cos()], 2).flatten(1)
    x = q["x"] + added[:, None]
    mask = {"src_mask": hidden_keys(causal, context), "src_key_padding_mask": ~REAL.T}
    for layer in range(layers):
        weights = {o: q[f"0.transformer.{layer}.{n}"] for n, o in names.items()}
        x = functional_call(module, weights, (x,), mask)
    y = functional.layer_norm(x, (width,), q["0.transformer.norm.gain"], q["0.transformer.norm.shift"])
    return finish(case, q, y)


def main():
    out = tcn("tcn", 3, 4, 3, 2, False) | tcn("tcn_norm", 4, 4, 2, 3, True)
    out |= attention("attention", 6, 3) | attention("attention_causal", 6, 2, True, 4)
    out |= transformer("transformer", 6, 2, 2, 8, "learned")
    out |= transformer("transformer_causal", 6, 3, 2, 5, "sines", True, 3)
    out["lengths"] = np.array(LENGTHS, np.int64)
    save(GOLDEN / "torch_sequences.safetensors", out)


if __name__ == "__main__":
    main()
