"""Runs every .keras file of a folder in Keras, and saves what it gives.

    python run_keras.py FOLDER

For N.keras: N.io.safetensors with the input and the output, N.again.keras and N.again.h5 as Keras saves the model
after loading N.weights.h5 into it. Outputs of the weights and of the archive must be the same.
"""
import pathlib
import sys

import absl.logging
import keras
import numpy as np
from safetensors.numpy import save_file

absl.logging.set_verbosity(absl.logging.ERROR)  # .h5 files are old on purpose
STEPS, BATCH = 7, 3
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.keras")):
    model = keras.saving.load_model(path, compile=False)
    shape = model.input_shape
    counted = np.arange(BATCH * STEPS * (shape[2] if len(shape) == 3 else 1))
    if len(shape) == 3:
        name, x = "x", (counted * 29 % 97 / 97.0 - 0.5).astype(np.float32).reshape(BATCH, STEPS, shape[2])
    else:
        name, x = "tokens", (counted % model.layers[0].input_dim).astype(np.int32).reshape(BATCH, STEPS)
    y = keras.ops.convert_to_numpy(model(x))
    for weight in model.weights:
        weight.assign(keras.ops.zeros_like(weight))
    model.load_weights(path.with_suffix(".weights.h5"))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model(x)), y)
    model.save(path.with_suffix(".again.keras"))
    model.save(path.with_suffix(".again.h5"))
    save_file({name: x, "y": np.ascontiguousarray(y)}, path.with_suffix(".io.safetensors"))
