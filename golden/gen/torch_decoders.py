"""An encoder and a decoder with attention and input feeding, built of torch's cells, float64.

    python golden/gen/torch_decoders.py         writes golden/torch_decoders.safetensors

The encoder is torch's bidirectional GRU; the decoder runs step by step, sequence by sequence, as its
papers write it. Weights have the names and shapes that Recurve gives them; logits and the gradient that
reaches them are 0 past the end of a target.
"""
import math

import numpy as np
import torch
from torch.func import functional_call
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from common import GOLDEN, gradients, save, stream, tensors, uniform

INPUTS, UNITS, HIDDEN, LAYERS, VECTOR, EMBEDDING, VOCABULARY = 3, 2, 4, 2, 3, 2, 5
SOURCE, TARGET, BATCH = [3, 4, 2], [2, 1, 3], 3
MEMORY = 2 * UNITS
TOKENS = stream("decoders", "tokens").integers(0, VOCABULARY, (max(TARGET), BATCH))
GATES = {"lstm": 4, "gru": 3}
WIDTH, FILTERS, REACH, HEADS = 3, 2, 1, 2


def shapes(score, cell):
    out = {"x": (max(SOURCE), BATCH, INPUTS)}
    for direction in ("forward", "reverse"):
        name = f"encoder.0.recurrent.0.{direction}"
        out |= {f"{name}.w": (6, INPUTS), f"{name}.r": (6, UNITS), f"{name}.b": (6,), f"{name}.b_r": (6,)}
    states = 2 if cell == "lstm" else 1
    out["decoder.embedding.weight"] = (VOCABULARY, EMBEDDING)
    out["decoder.bridge.weight"] = (LAYERS * states * HIDDEN, MEMORY)
    out["decoder.bridge.bias"] = (LAYERS * states * HIDDEN,)
    rows = GATES[cell] * HIDDEN
    for layer in range(LAYERS):
        name = f"decoder.recurrent.{layer}"
        out |= {f"{name}.w": (rows, EMBEDDING + VECTOR if layer == 0 else HIDDEN), f"{name}.r": (rows, HIDDEN),
                f"{name}.b": (rows,)}
        if cell == "gru":
            out[f"{name}.b_r"] = (rows,)
    linear = {"general": {"key": (HIDDEN, MEMORY, False)},
              "additive": {"query": (WIDTH, HIDDEN, True), "key": (WIDTH, MEMORY, False)},
              "multi_head": {n: (HIDDEN, MEMORY if n in ("key", "value") else HIDDEN, True)
                             for n in ("query", "key", "value", "output")}}
    linear["location"] = linear["additive"]
    for name, (outputs, inputs, bias) in linear[score].items():
        out[f"decoder.attention.{name}.weight"] = (outputs, inputs)
        if bias:
            out[f"decoder.attention.{name}.bias"] = (outputs,)
    if score in ("additive", "location"):
        out["decoder.attention.score"] = (1, WIDTH)
    if score == "location":
        out["decoder.attention.location.filters"] = (FILTERS, 2 * REACH + 1)
        out["decoder.attention.location.weight"] = (WIDTH, FILTERS)
    context = HIDDEN if score == "multi_head" else MEMORY
    out |= {"decoder.combine.weight": (VECTOR, context + HIDDEN), "decoder.combine.bias": (VECTOR,),
            "decoder.output.weight": (VOCABULARY, VECTOR), "decoder.output.bias": (VOCABULARY,)}
    return out


def encode(q):
    module = torch.nn.GRU(INPUTS, UNITS, bidirectional=True, dtype=torch.float64)
    weights = {}
    for direction, end in (("forward", ""), ("reverse", "_reverse")):
        for own, theirs in (("w", "weight_ih"), ("r", "weight_hh"), ("b", "bias_ih"), ("b_r", "bias_hh")):
            weights[f"{theirs}_l0{end}"] = q[f"encoder.0.recurrent.0.{direction}.{own}"]
    packed = pack_padded_sequence(q["x"], torch.tensor(SOURCE), enforce_sorted=False)
    return pad_packed_sequence(functional_call(module, weights, (packed,))[0])[0]


def linear(q, name, x):
    return functional.linear(x, q[f"decoder.{name}.weight"], q.get(f"decoder.{name}.bias"))


def attention(q, score, s, memory, before):
    """The context, and the weights of the step."""
    if score == "multi_head":
        parts = [linear(q, f"attention.{n}", x).unflatten(-1, (HEADS, -1))
                 for n, x in (("query", s), ("key", memory), ("value", memory))]
        a = torch.einsum("hd,jhd->hj", parts[0], parts[1]).div(math.sqrt(HIDDEN // HEADS)).softmax(1)
        return linear(q, "attention.output", torch.einsum("hj,jhd->hd", a, parts[2]).flatten()), a
    if score == "general":
        e = linear(q, "attention.key", memory) @ s
    else:
        inner = linear(q, "attention.query", s) + linear(q, "attention.key", memory)
        if score == "location":
            taps = q["decoder.attention.location.filters"][:, None]
            seen = functional.conv1d(before[None, None], taps, padding=REACH)[0]
            inner = inner + seen.T @ q["decoder.attention.location.weight"].T
        e = torch.tanh(inner) @ q["decoder.attention.score"][0]
    a = e.softmax(0)
    return a @ memory, a


def decode(q, score, cell, memory, tokens):
    states = 2 if cell == "lstm" else 1
    first = torch.tanh(linear(q, "bridge", memory.mean(0))).view(LAYERS, states, HIDDEN)
    s = [tuple(first[layer]) for layer in range(LAYERS)]
    vector, before = torch.zeros(VECTOR, dtype=torch.float64), torch.zeros(len(memory), dtype=torch.float64)
    logits = []
    for token in tokens:
        x = torch.cat([q["decoder.embedding.weight"][token], vector])
        for layer in range(LAYERS):
            w, r, b = (q[f"decoder.recurrent.{layer}.{n}"] for n in ("w", "r", "b"))
            if cell == "lstm":
                i, f, g, o = (w @ x + b + r @ s[layer][0]).chunk(4)
                c = f.sigmoid() * s[layer][1] + i.sigmoid() * g.tanh()
                s[layer] = (o.sigmoid() * c.tanh(), c)
            else:
                b_r = q[f"decoder.recurrent.{layer}.b_r"]
                h = torch._VF.gru_cell(x[None], s[layer][0][None], w, r, b, b_r)[0]
                s[layer] = (h,)
            x = s[layer][0]
        context, before = attention(q, score, x, memory, before)
        vector = torch.tanh(linear(q, "combine", torch.cat([context, x])))
        logits.append(linear(q, "output", vector))
    return logits


def case(score, cell):
    q = tensors({n: uniform(s, 0.9, score, n) for n, s in shapes(score, cell).items()}, torch.float64)
    memory = encode(q)
    zero = torch.zeros(VOCABULARY, dtype=torch.float64)
    columns = []
    for b in range(BATCH):
        logits = decode(q, score, cell, memory[:SOURCE[b], b], TOKENS[:TARGET[b], b])
        columns.append(torch.stack(logits + [zero] * (max(TARGET) - TARGET[b])))
    y = torch.stack(columns, 1)
    real = torch.arange(max(TARGET))[:, None, None] < torch.tensor(TARGET)[:, None]
    loss_wy = torch.from_numpy(uniform(tuple(y.shape), 1.0, score, "loss_wy")) * real
    out = q | {"y": y, "loss_wy": loss_wy} | gradients((y * loss_wy).sum(), q)
    return {f"{score}.{name}": value for name, value in out.items()}


def main():
    out = case("general", "lstm") | case("additive", "gru") | case("multi_head", "lstm") | case("location", "gru")
    out |= {"source": np.array(SOURCE, np.int64), "target": np.array(TARGET, np.int64),
            "tokens": TOKENS.astype(np.int64)}
    save(GOLDEN / "torch_decoders.safetensors", out)


if __name__ == "__main__":
    main()
