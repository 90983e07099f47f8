"""Makes golden/foreign: small model files as other programs write them, each with what its model computes.

    python golden/gen/foreign.py            (needs numpy, safetensors and torch)

`NAME.io.safetensors` holds `x` [T, B, I] and `y` [T, B, outputs] of `NAME.*`, in float64 though the files hold
float32. PyTorch computes all of them: the modules of Burn and candle have its equations, under other names and,
in Burn, with matrices the other way round and one linear map for each gate. What has no `io` is for the tests
that damage files, and is as small as its format allows.
"""
import io
import json
import zipfile

import numpy as np
import torch
from common import GOLDEN, save, uniform
from safetensors.numpy import save_file

FOLDER = GOLDEN / "foreign"
STEPS, BATCH, INPUT, HIDDEN = 5, 2, 3, 4
GATES = {"lstm": ["input", "forget", "cell", "output"], "gru": ["reset", "update", "new"], "rnn": [""]}


def fill(module, *names):
    """Weights from the generator, exact in float32."""
    state = {key: torch.from_numpy(uniform(value.shape, 0.6, *names, key)) for key, value in module.state_dict().items()}
    module.double().load_state_dict(state)
    return {key: value.numpy().astype(np.float32) for key, value in state.items()}


def give(name, model):
    x = uniform((STEPS, BATCH, INPUT), 1.0, name, "x")
    with torch.no_grad():
        save(FOLDER / f"{name}.io.safetensors", {"x": x, "y": model(torch.from_numpy(x))})


class Stacked(torch.nn.Module):
    """Recurrent layers, a normalisation if wanted, and a linear layer."""

    def __init__(self, *layers, norm=False):
        super().__init__()
        self.layers = torch.nn.ModuleList(layers)
        width = layers[-1].hidden_size * (2 if layers[-1].bidirectional else 1)
        self.norm = torch.nn.LayerNorm(width) if norm else None
        self.head = torch.nn.Linear(width, 2)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)[0]
        return self.head(x if self.norm is None else self.norm(x))


def burn(name, kind, both=False, coupled=False, bias=True):
    """A model as burn-store writes it: a module for every gate, matrices [inputs, outputs]."""
    made = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[kind]
    model = Stacked(made(INPUT, HIDDEN, bidirectional=both, bias=bias), norm=True)
    state = fill(model, name)
    tensors = {}
    for direction, suffix in (("forward.", ""), ("reverse.", "_reverse"))[: 1 + both]:
        for at, gate in enumerate(GATES[kind]):
            if coupled and gate == "forget":
                continue
            module = "rnn." + (direction if both else "") + (f"{gate}_gate." if gate else "gate.")
            rows = slice(at * HIDDEN, (at + 1) * HIDDEN)
            for theirs, ours in (("input_transform", "ih"), ("hidden_transform", "hh")):
                tensors[f"{module}{theirs}.weight"] = state[f"layers.0.weight_{ours}_l0{suffix}"][rows].T
                if bias:
                    tensors[f"{module}{theirs}.bias"] = state[f"layers.0.bias_{ours}_l0{suffix}"][rows]
    tensors |= {"norm.gamma": state["norm.weight"], "norm.beta": state["norm.bias"]}
    tensors |= {"head.weight": state["head.weight"].T, "head.bias": state["head.bias"]}
    if coupled:
        # f = 1 - i is the sigmoid of minus the sum of i.
        for key in [key for key in state if key.startswith("layers.0.")]:
            state[key][HIDDEN : 2 * HIDDEN] = -state[key][:HIDDEN]
        model.load_state_dict({key: torch.from_numpy(value).double() for key, value in state.items()})
    tensors = {key: np.ascontiguousarray(value) for key, value in tensors.items()}
    save_file(tensors, FOLDER / f"{name}.safetensors", {"producer": "burn"})
    give(name, model)


def candle(name, layers, prefixes, drop=()):
    """A model as a VarMap of candle writes it: names of PyTorch, a prefix for every layer, either bias or none."""
    model = Stacked(*layers)
    state = fill(model, name)
    tensors = {}
    for key, value in state.items():
        at, _, leaf = key.removeprefix("layers.").partition(".")
        if key.startswith("layers."):
            key = f"{prefixes[int(at)]}.{leaf}"
            if any(leaf.startswith(word) for word in drop):
                state[f"layers.{at}.{leaf}"] = value * 0
                continue
        tensors[key] = value
    model.load_state_dict({key: torch.from_numpy(value).double() for key, value in state.items()})
    save_file(tensors, FOLDER / f"{name}.safetensors")
    give(name, model)


def stable(archive):
    """The archive with the same times in all members, uncompressed as before."""
    to = io.BytesIO()
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(to, "w", zipfile.ZIP_STORED) as new:
        for member in old.infolist():
            new.writestr(zipfile.ZipInfo(member.filename), old.read(member))
    return to.getvalue()


def small():
    """Files to damage."""
    state = torch.nn.LSTM(1, 2, proj_size=1).state_dict()
    storage = torch.from_numpy(uniform([sum(value.numel() for value in state.values())], 0.6, "small")).float()
    pieces = storage.split([value.numel() for value in state.values()])
    state = {key: piece.reshape(value.shape) for (key, value), piece in zip(state.items(), pieces)}
    for name, zipped in (("zipped", True), ("stream", False)):
        to = io.BytesIO()
        torch.save({"epoch": 3, "model": state}, to, _use_new_zipfile_serialization=zipped)
        data = stable(to) if zipped else to.getvalue()
        # The one storage is called after its place in memory.
        place = str(storage.untyped_storage()._cdata).encode()
        (FOLDER / f"{name}.pt").write_bytes(data.replace(place, b"1" * len(place)))
    weights = [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 0.5, 0.25, 1, 2]
    config = {"input_size": 1, "hidden_size": 1, "num_layers": 1}
    (FOLDER / "small.nam").write_text(json.dumps({"architecture": "LSTM", "config": config, "weights": weights}))
    dense = [{"type": "dense", "activation": "tanh", "shape": [None, None, 2], "weights": [[[0.5, 1.5]], [1, 2]]},
             {"type": "gru", "activation": "", "shape": [None, None, 1],
              "weights": [[[1, 2, 3], [4, 5, 6]], [[1, 2, 3]], [[1, 2, 3], [4, 5, 6]]]}]
    (FOLDER / "small.json").write_text(json.dumps({"in_shape": [None, None, 1], "layers": dense}))
    layers = b""
    for inputs, recurrent in ((1, False), (1, True), (3, True), (3, True), (1, False), (1, False)):
        columns = 3 if recurrent else 1
        layers += bytes([inputs, 1, 1]) + bytes(range(inputs * columns + columns + (columns if recurrent else 0)))
    (FOLDER / "small.rnn").write_bytes(layers)
    np.save(FOLDER / "small.npy", np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    burn("burn_lstm", "lstm")
    burn("burn_bilstm", "lstm", both=True)
    burn("burn_coupled", "lstm", coupled=True)
    burn("burn_gru", "gru")
    burn("burn_bigru", "gru", both=True, bias=False)
    burn("burn_rnn", "rnn")
    candle("candle_lstm", [torch.nn.LSTM(INPUT, HIDDEN), torch.nn.LSTM(HIDDEN, 6)], ["first", "second"])
    candle("candle_gru", [torch.nn.GRU(INPUT, HIDDEN)], ["gru"], drop=["bias_hh"])
    candle("candle_gru_hidden_bias", [torch.nn.GRU(INPUT, HIDDEN)], ["gru"], drop=["bias_ih"])
    candle("candle_bilstm", [torch.nn.LSTM(INPUT, HIDDEN, bidirectional=True)], ["lstm"], drop=["bias_hh"])
    small()
