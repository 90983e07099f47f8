"""Files that recurve wrote, run by the frameworks they are for; called by tests/frameworks.rs.

    python frameworks.py FOLDER

Every folder in FOLDER holds `model.onnx`, `input.npz` (`x` [batch, time, ...] and `y`, what recurve computed)
and, where PyTorch has the cell, `model.safetensors` with `model.py`. Then modules of PyTorch are drawn and saved
in FOLDER/theirs, with what they compute, for recurve to read.
"""
import importlib.util
import pathlib
import random
import sys

import numpy as np
import onnxruntime
import torch
from safetensors.torch import save_file

worst = 0.0
count = {"onnxruntime": 0, "torch": 0}
for folder in sorted(path.parent for path in pathlib.Path(sys.argv[1]).glob("*/input.npz")):
    given = np.load(folder / "input.npz")
    x, y = given["x"], given["y"]
    largest = np.abs(y).max()

    def check(name, found):
        global worst
        assert found.shape == y.shape, (folder, name, found.shape, y.shape)
        error = float(np.abs(found - y).max() / largest)
        assert error < 1e-5, (folder, name, error)
        worst = max(worst, error)
        count[name] += 1

    if (folder / "model.onnx").exists():
        session = onnxruntime.InferenceSession(folder / "model.onnx")
        ports = session.get_inputs()
        inputs = {ports[0].name: x}
        for port in ports[1:]:
            inputs[port.name] = np.zeros([port.shape[0], x.shape[0], port.shape[2]], np.float32)
        check("onnxruntime", session.run(None, inputs)[0])
        # In two pieces, the states handed over: only where no layer reads from the end and nothing is pooled.
        one_way = b'"bidirectional":true' not in (folder / "model.onnx").read_bytes()
        if one_way and y.ndim == 3:
            pieces, names = [], [port.name for port in session.get_outputs()]
            for part in (x[:, :3], x[:, 3:]):
                out = dict(zip(names, session.run(None, inputs | {ports[0].name: part})))
                pieces.append(out["y"])
                inputs |= {port.name: out[f"{port.name}_out"] for port in ports[1:]}
            check("onnxruntime", np.concatenate(pieces, 1))
    if (folder / "model.py").exists():
        spec = importlib.util.spec_from_file_location("model", folder / "model.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        with torch.no_grad():
            check("torch", module.load()(torch.from_numpy(x))[0].numpy())
torch.manual_seed(1997)
draw = random.Random(1997)
theirs = pathlib.Path(sys.argv[1]) / "theirs"
theirs.mkdir()
for number in range(32):
    kind, hidden, more, name = draw.choice(["RNN", "LSTM", "GRU"]), draw.randint(1, 20), {}, str(number)
    if kind == "RNN" and draw.random() < 0.5:
        more, name = {"nonlinearity": "relu"}, f"{number}-relu"
    if kind == "LSTM" and hidden > 1 and draw.random() < 0.5:
        more = {"proj_size": draw.randint(1, hidden - 1)}
    inputs, layers = draw.randint(1, 9), draw.randint(1, 3)
    options = {"bias": draw.random() < 0.7, "bidirectional": draw.random() < 0.5}
    module = getattr(torch.nn, kind)(inputs, hidden, layers, **options, **more)
    x = torch.randn(draw.randint(1, 9), draw.randint(1, 4), inputs)
    with torch.no_grad():
        y = module(x)[0].contiguous()
    save_file({"x": x, "y": y}, theirs / f"{name}.io.safetensors")
    save_file(module.state_dict(), theirs / f"{name}.safetensors")
    torch.save(module.state_dict(), theirs / f"{name}.pt")
print(f"{count}, at most {worst:.1e} of the largest value")
