"""Files that recurve wrote, run by the frameworks they are for; called by tests/frameworks.rs.

    python frameworks.py FOLDER

Every folder in FOLDER holds `model.onnx`, `input.npz` (`x` [batch, time, ...] and `y`, what recurve computed)
and, where PyTorch has the cell, `model.safetensors` with `model.py`.
"""
import importlib.util
import pathlib
import sys

import numpy as np
import onnxruntime
import torch

worst = 0.0
count = {"onnxruntime": 0, "torch": 0}
for folder in sorted(pathlib.Path(sys.argv[1]).iterdir()):
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
print(f"{count}, at most {worst:.1e} of the largest value")
