"""The node tests of ONNX for RNN, GRU and LSTM, taken from the package `onnx`: models, inputs, outputs.

One folder for each test, with `model.onnx` and `io.safetensors` (`input.*`, `output.*`).
"""
import pathlib
import shutil
import warnings

from safetensors.numpy import save_file

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "onnx_nodes"
FAMILIES = ("test_rnn_", "test_simple_rnn_", "test_gru_", "test_lstm_")


def main():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        cases = [c for c in collect_testcases(None) if c.name.startswith(FAMILIES)]
    shutil.rmtree(GOLDEN, ignore_errors=True)
    for case in cases:
        folder = GOLDEN / case.name
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(case.model.SerializeToString(deterministic=True))
        (inputs, outputs), = case.data_sets
        graph = case.model.graph
        arrays = {f"input.{p.name}": a for p, a in zip(graph.input, inputs)}
        arrays |= {f"output.{p.name}": a for p, a in zip(graph.output, outputs)}
        save_file(arrays, folder / "io.safetensors")
    print(f"{len(cases)} node tests in {GOLDEN}")


if __name__ == "__main__":
    main()
