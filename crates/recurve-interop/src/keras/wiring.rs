//! What reads what in a functional model, as Keras 2 and 3 write it.

use crate::error::{Error, Result};
use serde_json::Value;

/// `["x", 0, 0]`, or a list of such: names of layers and the number of their output.
pub(super) fn ends(value: Option<&Value>) -> Vec<(String, usize)> {
    let one = |value: &Value| {
        let list = value.as_array()?;
        Some((list.first()?.as_str()?.to_owned(), list.get(2)?.as_u64()? as usize))
    };
    let Some(value) = value else { return vec![] };
    match one(value) {
        Some(end) => vec![end],
        None => value.as_array().into_iter().flatten().filter_map(one).collect(),
    }
}

/// What a layer reads: the layers, and the numbers of their outputs.
pub(super) fn sources(nodes: Option<&Value>) -> Result<Vec<(String, usize)>> {
    let nodes = nodes.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let [node] = nodes else {
        return Err(Error::refused(format!(
            "it is used {} times; layers that are shared are not read",
            nodes.len()
        )));
    };
    let mut found = vec![];
    if let Some(arguments) = node.get("args") {
        tensors(arguments, &mut found, 0)?;
        for (key, value) in node.get("kwargs").and_then(Value::as_object).into_iter().flatten() {
            let plain = matches!(value, Value::Null | Value::Bool(false));
            match key.as_str() {
                "initial_state" => tensors(value, &mut found, 0)?,
                "mask" | "training" if plain => {}
                _ => return Err(Error::refused(format!("the argument `{key}` = {value}"))),
            }
        }
        return Ok(found);
    }
    // Keras 2: `[name, node, output, arguments]` for each.
    for source in node.as_array().into_iter().flatten() {
        let place = |at: usize| source.get(at);
        let name = place(0).and_then(Value::as_str);
        let output = place(2).and_then(Value::as_u64);
        let (Some(name), Some(output)) = (name, output) else {
            return Err(Error::damaged(format!("it reads {source}")));
        };
        if place(3).and_then(Value::as_object).is_some_and(|arguments| !arguments.is_empty()) {
            return Err(Error::refused("it is called with arguments"));
        }
        found.push((name.to_owned(), output as usize));
    }
    Ok(found)
}

/// Tensors in an argument: one, or lists of them.
fn tensors(value: &Value, to: &mut Vec<(String, usize)>, depth: usize) -> Result<()> {
    if let Some(list) = value.as_array().filter(|_| depth < 3) {
        return list.iter().try_for_each(|value| tensors(value, to, depth + 1));
    }
    if value.is_null() {
        return Ok(());
    }
    let history = value.get("config").and_then(|config| config.get("keras_history"));
    match ends(history).pop() {
        Some(end) => {
            to.push(end);
            Ok(())
        }
        None => Err(Error::refused(format!("the argument {value}"))),
    }
}
