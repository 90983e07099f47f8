"""What the golden generators share: seeded numbers, gradients by name, files with stable bytes.

Every array is drawn from its own PCG64 stream, keyed by the names of the case and of the array, so
that adding a case changes no other. Numbers are drawn on a grid that float32 holds exactly; the
float32 and the float64 file of a case therefore start from the same values.
"""
import json
import pathlib
import zlib

import numpy as np
import torch
from safetensors.numpy import save_file

GOLDEN = pathlib.Path(__file__).resolve().parent.parent
DTYPES = {"f32": torch.float32, "f64": torch.float64}

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


def stream(*names):
    """A generator of random numbers of its own for these names."""
    return np.random.default_rng([1997, zlib.crc32("/".join(names).encode())])


def uniform(shape, bound, *names):
    """Float64 values between -bound and bound, each exactly a float32."""
    return stream(*names).uniform(-bound, bound, shape).astype(np.float32).astype(np.float64)


def tensors(arrays, dtype):
    """The float arrays as leaves that collect gradients, by name."""
    return {name: torch.tensor(a, dtype=dtype, requires_grad=True) for name, a in arrays.items()}


def gradients(loss, leaves):
    """`grad.<name>` of every leaf, zero where the loss does not depend on it."""
    found = torch.autograd.grad(loss, list(leaves.values()), materialize_grads=True)
    return {f"grad.{name}": g for name, g in zip(leaves, found)}


def save(path, arrays):
    """Writes a safetensors file; the bytes depend only on the arrays."""
    plain = {}
    for name, a in arrays.items():
        a = a.detach().numpy() if isinstance(a, torch.Tensor) else a
        if a.dtype.kind == "f" and not np.isfinite(a).all():
            raise ValueError(f"{path}: {name} has a value that is not finite")
        plain[name] = np.ascontiguousarray(a).reshape(a.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(plain, path)


def save_index(path, about, cases):
    """Writes the list of cases as JSON, one case a line."""
    lines = ",\n".join("  " + json.dumps(case) for case in cases)
    head = "".join(f' {json.dumps(k)}: {json.dumps(v)},\n' for k, v in about.items())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{{\n{head} "cases": [\n{lines}\n ]\n}}\n')


def torch_version():
    """The release of torch without its build tag."""
    return torch.__version__.split("+")[0]
