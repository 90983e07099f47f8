//! From operators of ONNX to those of a graph. An operator or an attribute that is not known is refused by
//! name; none is read and ignored.

use super::proto::{Attribute, Node};
use super::tensor;
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::graph::{
    Array, Binary, Comparison, Conv, Directions, Family, Filling, Function, Gemm, Kind, Op,
    Padding, RecurrentOp, Reduction, Value,
};
use crate::tensors::Tensor;

/// The attributes of a node; those that were asked for are gone.
pub(super) struct Attributes {
    left: Vec<(String, Attribute)>,
}

impl Attributes {
    pub(super) fn of(node: &Node) -> Result<Self> {
        let mut names: Vec<&str> = node.attributes.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::damaged(format!("the attribute `{}` is there twice", pair[0])));
        }
        Ok(Self { left: node.attributes.clone() })
    }
    pub(super) fn take(&mut self, name: &str) -> Option<Attribute> {
        let at = self.left.iter().position(|(own, _)| own == name)?;
        Some(self.left.swap_remove(at).1)
    }
    fn wrong(name: &str, expected: &str) -> Error {
        Error::damaged(format!("the attribute `{name}` is no {expected}"))
    }
    fn int(&mut self, name: &str) -> Result<Option<i64>> {
        match self.take(name) {
            None => Ok(None),
            Some(Attribute::Int(value)) => Ok(Some(value)),
            Some(_) => Err(Self::wrong(name, "integer")),
        }
    }
    fn int_or(&mut self, name: &str, default: i64) -> Result<i64> {
        Ok(self.int(name)?.unwrap_or(default))
    }
    fn flag(&mut self, name: &str, default: bool) -> Result<bool> {
        match self.int(name)? {
            None => Ok(default),
            Some(value @ (0 | 1)) => Ok(value == 1),
            Some(other) => {
                Err(Error::refused(format!("the attribute `{name}` is {other}; expected 0 or 1")))
            }
        }
    }
    fn float(&mut self, name: &str) -> Result<Option<f64>> {
        match self.take(name) {
            None => Ok(None),
            Some(Attribute::Float(value)) => Ok(Some(f64::from(value))),
            Some(_) => Err(Self::wrong(name, "number")),
        }
    }
    fn float_or(&mut self, name: &str, default: f64) -> Result<f64> {
        Ok(self.float(name)?.unwrap_or(default))
    }
    fn text(&mut self, name: &str) -> Result<Option<String>> {
        match self.take(name) {
            None => Ok(None),
            Some(Attribute::Text(value)) => Ok(Some(value)),
            Some(_) => Err(Self::wrong(name, "text")),
        }
    }
    fn ints(&mut self, name: &str) -> Result<Option<Vec<i64>>> {
        match self.take(name) {
            None => Ok(None),
            Some(Attribute::Ints(values)) => Ok(Some(values)),
            Some(_) => Err(Self::wrong(name, "list of integers")),
        }
    }
    fn sizes(&mut self, name: &str) -> Result<Vec<usize>> {
        let values = self.ints(name)?.unwrap_or_default();
        let sizes: std::result::Result<_, _> = values.into_iter().map(usize::try_from).collect();
        sizes.map_err(|_| Error::refused(format!("a negative size in `{name}`")))
    }
    fn floats(&mut self, name: &str) -> Result<Vec<f64>> {
        match self.take(name) {
            None => Ok(vec![]),
            Some(Attribute::Floats(values)) => Ok(values),
            Some(_) => Err(Self::wrong(name, "list of numbers")),
        }
    }
    fn texts(&mut self, name: &str) -> Result<Vec<String>> {
        match self.take(name) {
            None => Ok(vec![]),
            Some(Attribute::Texts(values)) => Ok(values),
            Some(_) => Err(Self::wrong(name, "list of texts")),
        }
    }
    /// Refuses what was not asked for.
    pub(super) fn finish(self) -> Result<()> {
        match self.left.first() {
            None => Ok(()),
            Some((name, _)) => Err(Error::refused(format!("the attribute `{name}` is not known"))),
        }
    }
}

/// The values of a tensor.
pub(super) fn value(tensor: &Tensor) -> Result<Value<f64>> {
    let shape = tensor.shape.clone();
    Ok(match tensor.dtype {
        Dtype::Bool => {
            let truths = tensor.bytes()?.iter().map(|byte| *byte != 0).collect();
            Value::Truths(Array::new(shape, truths)?)
        }
        dtype if dtype.is_real() => Value::Reals(Array::new(shape, tensor.reals()?)?),
        _ => Value::Integers(Array::new(shape, tensor.integers()?)?),
    })
}

/// What kind of values ONNX numbers so.
pub(super) fn kind(number: i64) -> Result<Kind> {
    Ok(match tensor::dtype(number)? {
        Dtype::Bool => Kind::Truths,
        dtype if dtype.is_real() => Kind::Reals,
        _ => Kind::Integers,
    })
}

/// The value of a Constant.
pub(super) fn constant(a: &mut Attributes) -> Result<Value<f64>> {
    let list = |values: Vec<f64>| Array::new(vec![values.len()], values).map(Value::Reals);
    if let Some(found) = a.take("value") {
        return match found {
            Attribute::Tensor(tensor) => value(&tensor),
            _ => Err(Attributes::wrong("value", "tensor")),
        };
    }
    if let Some(found) = a.float("value_float")? {
        return Ok(Value::Reals(Array::single(found)));
    }
    if let Some(found) = a.int("value_int")? {
        return Ok(Value::Integers(Array::single(found)));
    }
    if let Some(found) = a.ints("value_ints")? {
        return Array::new(vec![found.len()], found).map(Value::Integers);
    }
    list(a.floats("value_floats")?)
}

/// The operator of a node, but for Constant and If.
pub(super) fn operator(node: &Node, a: &mut Attributes, opset: i64) -> Result<Op> {
    if let Some(function) = function(&node.op, a)? {
        return Ok(Op::Function(function));
    }
    let axes_attribute = |a: &mut Attributes, since: i64| -> Result<Option<Vec<i64>>> {
        if opset < since { a.ints("axes") } else { Ok(None) }
    };
    let axis = |a: &mut Attributes, default: i64| a.int_or("axis", default);
    Ok(match node.op.as_str() {
        "Identity" => Op::Identity,
        "Dropout" => {
            // For inference: nothing is dropped. Where it can be told to train, it must not be.
            a.float("ratio")?;
            a.int("seed")?;
            a.int("is_test")?;
            if node.inputs.get(2).is_some_and(|name| !name.is_empty()) || node.outputs.len() > 1 {
                return Err(Error::refused("a dropout with a training mode or a mask"));
            }
            Op::Identity
        }
        "Transpose" => Op::Transpose(a.ints("perm")?),
        "Reshape" => Op::Reshape { zero: a.flag("allowzero", false)? },
        "Flatten" => Op::Flatten(axis(a, 1)?),
        "Squeeze" if node.inputs.len() < 2 => match axes_attribute(a, 13)? {
            Some(axes) => Op::Squeeze(Some(axes)),
            None => Op::Squeeze(None),
        },
        "Squeeze" => Op::Squeeze(None),
        "Unsqueeze" => Op::Unsqueeze(axes_attribute(a, 13)?),
        "Concat" => Op::Concat(axis(a, 1)?),
        "Slice" if opset < 10 => {
            let (starts, ends) =
                (a.ints("starts")?.unwrap_or_default(), a.ints("ends")?.unwrap_or_default());
            let axes = a.ints("axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
            let all = axes.iter().zip(&starts).zip(&ends);
            Op::Slice(Some(all.map(|((axis, start), end)| [*axis, *start, *end]).collect()))
        }
        "Slice" => Op::Slice(None),
        "Split" => {
            let sizes = if opset < 13 { a.ints("split")? } else { None };
            a.int("num_outputs")?;
            Op::Split { axis: axis(a, 0)?, sizes, parts: node.outputs.len() }
        }
        "Gather" => Op::Gather(axis(a, 0)?),
        "Expand" => Op::Expand,
        "Tile" => Op::Tile,
        "Pad" => {
            let filling = match a.text("mode")?.as_deref() {
                None | Some("constant") => Filling::Constant,
                Some("reflect") => Filling::Reflect,
                Some("edge") => Filling::Edge,
                Some(other) => return Err(Error::refused(format!("the mode `{other}`"))),
            };
            if opset < 11 {
                Op::Pad { filling, pads: a.ints("pads")?, with: Some(a.float_or("value", 0.0)?) }
            } else {
                Op::Pad { filling, pads: None, with: None }
            }
        }
        "Shape" => Op::Shape { start: a.int_or("start", 0)?, end: a.int("end")? },
        "Size" => Op::Size,
        "ConstantOfShape" => Op::ConstantOfShape(match a.take("value") {
            None => Value::Reals(Array::single(0.0)),
            Some(Attribute::Tensor(tensor)) => value(&tensor)?,
            Some(_) => return Err(Attributes::wrong("value", "tensor")),
        }),
        "Range" => Op::Range,
        "Cast" => {
            let to = a.int("to")?.ok_or_else(|| Error::damaged("the attribute `to` is missing"))?;
            a.int("saturate")?;
            if matches!(tensor::dtype(to)?, Dtype::F16 | Dtype::Bf16) {
                return Err(Error::refused(
                    "a cast to numbers of 16 bits, which rounds in the middle",
                ));
            }
            Op::Cast(kind(to)?)
        }
        "Clip" if opset < 11 => Op::Clip { min: a.float("min")?, max: a.float("max")? },
        "Clip" => Op::Clip { min: None, max: None },
        "Add" => Op::Binary(Binary::Add),
        "Sub" => Op::Binary(Binary::Sub),
        "Mul" => Op::Binary(Binary::Mul),
        "Div" => Op::Binary(Binary::Div),
        "Pow" => Op::Binary(Binary::Pow),
        "Min" => Op::Binary(Binary::Min),
        "Max" => Op::Binary(Binary::Max),
        "Sum" => Op::Binary(Binary::Add),
        "Equal" => Op::Compare(Comparison::Equal),
        "Less" => Op::Compare(Comparison::Less),
        "LessOrEqual" => Op::Compare(Comparison::LessOrEqual),
        "Greater" => Op::Compare(Comparison::Greater),
        "GreaterOrEqual" => Op::Compare(Comparison::GreaterOrEqual),
        "And" => Op::And,
        "Or" => Op::Or,
        "Not" => Op::Not,
        "Where" => Op::Where,
        "Softmax" | "LogSoftmax" => Op::Softmax {
            axis: axis(a, if opset < 13 { 1 } else { -1 })?,
            joined: opset < 13,
            logarithm: node.op == "LogSoftmax",
        },
        "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceL2" => {
            reduce(node, a, opset)?
        }
        "ArgMax" => {
            if a.flag("select_last_index", false)? {
                return Err(Error::refused("the last of equal largest values"));
            }
            Op::ArgMax { axis: axis(a, 0)?, keep: a.flag("keepdims", true)? }
        }
        "LayerNormalization" => {
            a.int("stash_type")?;
            if node.outputs.iter().skip(1).any(|name| !name.is_empty()) {
                return Err(Error::refused("mean and deviation as outputs"));
            }
            Op::LayerNorm { axis: axis(a, -1)?, epsilon: a.float_or("epsilon", 1e-5)? }
        }
        "MatMul" => Op::MatMul,
        "Gemm" => Op::Gemm(Gemm {
            alpha: a.float_or("alpha", 1.0)?,
            beta: a.float_or("beta", 1.0)?,
            transpose_a: a.flag("transA", false)?,
            transpose_b: a.flag("transB", false)?,
        }),
        "Conv" => conv(a)?,
        "RNN" | "LSTM" | "GRU" => Op::Recurrent(recurrent(node, a)?),
        other => return Err(Error::refused(format!("the operator {other} is not known"))),
    })
}

fn function(op: &str, a: &mut Attributes) -> Result<Option<Function>> {
    Ok(Some(match op {
        "Sigmoid" => Function::Sigmoid,
        "Tanh" => Function::Tanh,
        "Relu" => Function::Relu,
        "Softplus" => Function::Softplus,
        "Softsign" => Function::Softsign,
        "Exp" => Function::Exp,
        "Log" => Function::Log,
        "Sqrt" => Function::Sqrt,
        "Neg" => Function::Neg,
        "Abs" => Function::Abs,
        "Reciprocal" => Function::Reciprocal,
        "Erf" => Function::Erf,
        "Floor" => Function::Floor,
        "Ceil" => Function::Ceil,
        "Sin" => Function::Sin,
        "Cos" => Function::Cos,
        "LeakyRelu" => Function::LeakyRelu(a.float_or("alpha", 0.01)?),
        "ThresholdedRelu" => Function::ThresholdedRelu(a.float_or("alpha", 1.0)?),
        "Elu" => Function::Elu(a.float_or("alpha", 1.0)?),
        "Selu" => Function::Selu(
            a.float_or("alpha", f64::from(1.673_263_2_f32))?,
            a.float_or("gamma", f64::from(1.050_701_f32))?,
        ),
        "HardSigmoid" => Function::HardSigmoid(
            a.float_or("alpha", f64::from(0.2_f32))?,
            a.float_or("beta", 0.5)?,
        ),
        _ => return Ok(None),
    }))
}

fn reduce(node: &Node, a: &mut Attributes, opset: i64) -> Result<Op> {
    let how = match node.op.as_str() {
        "ReduceMean" => Reduction::Mean,
        "ReduceSum" => Reduction::Sum,
        "ReduceMax" => Reduction::Max,
        "ReduceMin" => Reduction::Min,
        _ => Reduction::L2,
    };
    let since = if how == Reduction::Sum { 13 } else { 18 };
    let axes = if opset < since { a.ints("axes")? } else { None };
    let given = node.inputs.get(1).is_some_and(|name| !name.is_empty());
    if a.flag("noop_with_empty_axes", false)? && !given {
        return Ok(Op::Identity);
    }
    let axes = if given { None } else { Some(axes.unwrap_or_default()) };
    Ok(Op::Reduce { how, axes, keep: a.flag("keepdims", true)? })
}

fn conv(a: &mut Attributes) -> Result<Op> {
    // The filters say it too; what differs is found when they meet.
    a.ints("kernel_shape")?;
    let pads = a.sizes("pads")?;
    let padding = match a.text("auto_pad")?.as_deref() {
        None | Some("NOTSET") => Padding::Given(pads),
        Some("VALID") => Padding::Given(vec![]),
        Some("SAME_UPPER") => Padding::SameUpper,
        Some("SAME_LOWER") => Padding::SameLower,
        Some(other) => return Err(Error::refused(format!("the auto_pad `{other}`"))),
    };
    let groups = usize::try_from(a.int_or("group", 1)?).unwrap_or(0).max(1);
    Ok(Op::Conv(Conv {
        strides: a.sizes("strides")?,
        dilations: a.sizes("dilations")?,
        padding,
        groups,
    }))
}

/// A recurrent operator with all its attributes.
fn recurrent(node: &Node, a: &mut Attributes) -> Result<RecurrentOp> {
    let family = match node.op.as_str() {
        "RNN" => Family::Rnn,
        "LSTM" => Family::Lstm,
        _ => Family::Gru { reset_after: a.flag("linear_before_reset", false)? },
    };
    let directions = match a.text("direction")?.as_deref() {
        None | Some("forward") => Directions::Forward,
        Some("reverse") => Directions::Reverse,
        Some("bidirectional") => Directions::Both,
        Some(other) => return Err(Error::refused(format!("the direction `{other}`"))),
    };
    // The weights say it too.
    a.int("hidden_size")?;
    // Of opset 1 to 6: which outputs are wanted.
    a.int("output_sequence")?;
    let clip = a.float("clip")?.filter(|clip| *clip > 0.0);
    let coupled = family == Family::Lstm && a.flag("input_forget", false)?;
    let batch_first = a.flag("layout", false)?;
    let count = if directions == Directions::Both { 2 } else { 1 } * family.functions();
    let names = a.texts("activations")?;
    let (alpha, beta) = (a.floats("activation_alpha")?, a.floats("activation_beta")?);
    let defaults: &[&str] = match family {
        Family::Rnn => &["Tanh"],
        Family::Lstm => &["Sigmoid", "Tanh", "Tanh"],
        Family::Gru { .. } => &["Sigmoid", "Tanh"],
    };
    let names: Vec<&str> = if names.is_empty() {
        defaults.iter().copied().cycle().take(count).collect()
    } else {
        names.iter().map(String::as_str).collect()
    };
    if names.len() != count {
        let text = format!("{} activations, expected {count}", names.len());
        return Err(Error::damaged(text));
    }
    let (mut alpha, mut beta) = (alpha.into_iter(), beta.into_iter());
    let functions: Result<Vec<Function>> =
        names.iter().map(|name| activation(name, &mut alpha, &mut beta)).collect();
    let functions = functions?;
    if alpha.next().is_some() || beta.next().is_some() {
        return Err(Error::refused(
            "more activation_alpha or activation_beta than the activations have",
        ));
    }
    Ok(RecurrentOp {
        family,
        directions,
        functions,
        clip,
        coupled,
        batch_first,
        order: family.onnx_order().to_vec(),
        peepholes: [0, 2, 1],
    })
}

/// An activation. Values of `activation_alpha` and `activation_beta` go to the activations that have such
/// a parameter, in their order.
fn activation(
    name: &str,
    alpha: &mut impl Iterator<Item = f64>,
    beta: &mut impl Iterator<Item = f64>,
) -> Result<Function> {
    let explicit = |value: Option<f64>| {
        value.ok_or_else(|| {
            Error::refused(format!(
                "the activation {name} without its activation_alpha or activation_beta, which engines \
                 take for different values; say them"
            ))
        })
    };
    let lower = name.to_lowercase();
    Ok(match lower.as_str() {
        "sigmoid" => Function::Sigmoid,
        "tanh" => Function::Tanh,
        "relu" => Function::Relu,
        "softsign" => Function::Softsign,
        "softplus" => Function::Softplus,
        "affine" => Function::Affine(explicit(alpha.next())?, explicit(beta.next())?),
        "leakyrelu" => Function::LeakyRelu(alpha.next().unwrap_or(f64::from(0.01_f32))),
        "thresholdedrelu" => Function::ThresholdedRelu(explicit(alpha.next())?),
        "scaledtanh" => Function::ScaledTanh(explicit(alpha.next())?, explicit(beta.next())?),
        "hardsigmoid" => Function::HardSigmoid(
            alpha.next().unwrap_or(f64::from(0.2_f32)),
            beta.next().unwrap_or(0.5),
        ),
        "elu" => Function::Elu(alpha.next().unwrap_or(1.0)),
        _ => return Err(Error::refused(format!("the activation `{name}`"))),
    })
}
