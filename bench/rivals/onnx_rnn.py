"""Times ONNX Runtime's LSTM in inference, a graph with one LSTM node per layer."""
import contract
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


def graph(a):
    """`x` and the initial states of each layer in; the output and the last states out."""
    directions = 2 if a.bidirectional else 1
    rng = np.random.default_rng(0)
    nodes, weights = [], []
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [a.steps, a.batch, a.input])]
    states = []
    y, width = "x", a.input
    for layer in range(a.layers):
        shapes = {"w": [directions, 4 * a.hidden, width], "r": [directions, 4 * a.hidden, a.hidden],
                  "b": [directions, 8 * a.hidden]}
        for name, shape in shapes.items():
            values = (0.05 * rng.standard_normal(shape)).astype(np.float32)
            weights.append(numpy_helper.from_array(values, f"{name}{layer}"))
        of_state = [directions, a.batch, a.hidden]
        for name in ["h", "c"]:
            inputs.append(helper.make_tensor_value_info(f"{name}{layer}", TensorProto.FLOAT, of_state))
            states.append(helper.make_tensor_value_info(f"{name}_out{layer}", TensorProto.FLOAT, of_state))
        nodes.append(helper.make_node(
            "LSTM", [y, f"w{layer}", f"r{layer}", f"b{layer}", "", f"h{layer}", f"c{layer}"],
            [f"apart{layer}", f"h_out{layer}", f"c_out{layer}"], hidden_size=a.hidden,
            direction="bidirectional" if a.bidirectional else "forward"))
        # [T, D, B, H] to [T, B, D*H]
        width = directions * a.hidden
        nodes.append(helper.make_node("Transpose", [f"apart{layer}"], [f"turned{layer}"], perm=[0, 2, 1, 3]))
        nodes.append(helper.make_node("Reshape", [f"turned{layer}", f"shape{layer}"], [f"y{layer}"]))
        shape = np.array([a.steps, a.batch, width], dtype=np.int64)
        weights.append(numpy_helper.from_array(shape, f"shape{layer}"))
        y = f"y{layer}"
    output = helper.make_tensor_value_info(y, TensorProto.FLOAT, [a.steps, a.batch, width])
    made = helper.make_graph(nodes, "layers", inputs, [output, *states], weights)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 14)], ir_version=9)


def main():
    a = contract.arguments()
    if a.mode not in ("infer", "step"):
        contract.refuse("ONNX Runtime is timed in inference")
    if a.cell != "lstm":
        contract.refuse("only its LSTM is timed here")
    if a.dtype != "f32" or a.lengths:
        contract.refuse("only f32 over full sequences is timed here")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = a.threads, 1
    session = onnxruntime.InferenceSession(
        graph(a).SerializeToString(), options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    feed = {"x": rng.standard_normal((a.steps, a.batch, a.input)).astype(np.float32)}
    carried = [name.name for name in session.get_inputs()][1:]
    directions = 2 if a.bidirectional else 1
    for name in carried:
        feed[name] = np.zeros((directions, a.batch, a.hidden), np.float32)

    def run():
        after = session.run(None, feed)
        if a.mode == "step":
            feed.update(zip(carried, after[1:]))

    times = contract.seconds_of(run, a.seconds, warm=5)
    contract.answer("onnxruntime", onnxruntime.__version__, a, times)


main()
