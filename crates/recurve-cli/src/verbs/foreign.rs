//! What is in a model of another program, in words.

use crate::console;
use recurve_interop::graph::{Node, Op, Port, Size};
use recurve_interop::{Foreign, Imported};
use recurve_train::error::Result;
use serde_json::{Value, json};

/// What a model is, and its parts one per line.
pub(super) fn parts(model: &Imported<f32>) -> (&'static str, Vec<String>) {
    match model {
        Imported::Layers(layers) => {
            let description = layers.model.description();
            let widths = description.widths().unwrap_or_default();
            let all = description.layers.iter().enumerate().map(|(at, layer)| {
                let width = |at: usize| widths.get(at).map_or(String::new(), usize::to_string);
                format!("{at} {}: {} to {}", words(layer), width(at), width(at + 1))
            });
            ("a model of layers", all.collect())
        }
        Imported::Graph(graph) => {
            let mut all = vec![];
            for (at, port) in graph.inputs.iter().enumerate() {
                let state = graph.states.iter().find(|(input, _)| *input == at);
                let next = state
                    .map(|(_, output)| format!(", state: next is {}", graph.outputs[*output].name));
                all.push(format!("input {}{}", port_text(port), next.unwrap_or_default()));
            }
            all.extend(graph.outputs.iter().map(|port| format!("output {}", port_text(port))));
            let mut recurrent = vec![];
            let count = operators(graph.nodes(), &mut recurrent);
            all.push(format!("{count} operators, recurrent among them: {}", listed(&recurrent)));
            ("a graph of operators", all)
        }
    }
}

/// How many operators there are, branches included; adds the names of the recurrent ones.
fn operators<'a>(nodes: &'a [Node], recurrent: &mut Vec<&'a str>) -> usize {
    let mut count = nodes.len();
    for node in nodes {
        match &node.op {
            Op::Recurrent(_) => recurrent.push(&node.name),
            Op::If { then, otherwise } => {
                count += operators(&then.nodes, recurrent) + operators(&otherwise.nodes, recurrent);
            }
            _ => {}
        }
    }
    count
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn port_text(port: &Port) -> String {
    let size = |size: &Size| match size {
        Size::Fixed(size) => size.to_string(),
        Size::Named(name) if name.starts_with('?') => "?".to_owned(),
        Size::Named(name) => name.clone(),
    };
    let shape =
        port.shape.as_ref().map(|shape| shape.iter().map(size).collect::<Vec<_>>().join(", "));
    format!("{} [{}]", port.name, shape.unwrap_or_else(|| "any".to_owned()))
}

fn words(layer: &recurve_nn::Layer) -> String {
    match layer {
        recurve_nn::Layer::Recurrent(stack) => format!(
            "{}, {} layers{}{}",
            stack.cell.name(),
            stack.layers,
            if stack.bidirectional { ", both directions" } else { "" },
            match stack.bias {
                recurve_nn::Bias::None => ", no bias",
                recurve_nn::Bias::One => "",
                recurve_nn::Bias::Two => ", two biases",
            }
        ),
        other => other.name().to_owned(),
    }
}

/// The layers that were recognised and what was refused, as rows of a table.
fn rows(foreign: &Foreign) -> Vec<Vec<String>> {
    let mut rows = vec![["layer", "what", "reads", "gives"].map(str::to_owned).to_vec()];
    rows.extend(foreign.contents.found.iter().map(|found| {
        let name = if found.name.is_empty() { "(top)".to_owned() } else { found.name.clone() };
        vec![name, words(&found.layer), found.inputs.to_string(), found.outputs().to_string()]
    }));
    rows
}

/// What import would give, or why it would not.
fn verdict(foreign: &Foreign) -> (Vec<String>, Option<String>) {
    match foreign.import::<f32>() {
        Ok(model) => {
            let (kind, parts) = parts(&model);
            (std::iter::once(kind.to_owned()).chain(parts).collect(), None)
        }
        Err(error) => (vec![], Some(error.to_string())),
    }
}

/// Tells all about a file but its tensors, where it holds more than tensors.
pub(super) fn tell(foreign: &Foreign) -> Result<()> {
    let contents = &foreign.contents;
    if !contents.found.is_empty() {
        console::line("")?;
        console::columns(&rows(foreign)).iter().try_for_each(console::line)?;
    }
    for refusal in &contents.refused {
        console::line(format!("refused: {}: {}", refusal.name, refusal.why))?;
    }
    console::line("")?;
    match verdict(foreign) {
        (parts, None) => {
            console::line("import gives:")?;
            parts.iter().try_for_each(|part| console::line(format!("  {part}")))
        }
        (_, Some(why)) => console::line(format!("import would be refused: {why}")),
    }
}

/// The same with the tensors.
pub(super) fn tell_all(foreign: &Foreign) -> Result<()> {
    let contents = &foreign.contents;
    console::line(format!(
        "{}: {}, {} bytes, {} tensors",
        foreign.name,
        contents.format.name(),
        console::thousands(foreign.bytes),
        contents.tensors.len()
    ))?;
    for (key, text) in &contents.texts {
        let line: String = text.replace('\n', " ").chars().take(200).collect();
        console::line(format!("{key:12} {line}"))?;
    }
    console::line("")?;
    let mut rows = vec![["tensor", "type", "shape"].map(str::to_owned).to_vec()];
    rows.extend(contents.tensors.iter().map(|tensor| {
        vec![tensor.name.clone(), tensor.dtype.name().to_owned(), format!("{:?}", tensor.shape)]
    }));
    console::columns(&rows).iter().try_for_each(console::line)?;
    tell(foreign)
}

/// All of it as JSON.
pub(super) fn to_json(foreign: &Foreign) -> Value {
    let contents = &foreign.contents;
    let tensors = contents.tensors.iter().map(|tensor| {
        json!({ "name": tensor.name, "dtype": tensor.dtype.name(), "shape": tensor.shape })
    });
    let layers = contents.found.iter().map(|found| {
        json!({
            "name": found.name, "what": words(&found.layer),
            "reads": found.inputs, "gives": found.outputs(), "assumed": found.assumed,
        })
    });
    let refused =
        contents.refused.iter().map(|refusal| json!({ "name": refusal.name, "why": refusal.why }));
    let (gives, why) = verdict(foreign);
    json!({
        "path": foreign.name, "kind": contents.format.name(), "bytes": foreign.bytes, "texts": contents.texts,
        "tensors": tensors.collect::<Vec<_>>(), "layers": layers.collect::<Vec<_>>(),
        "refused": refused.collect::<Vec<_>>(), "import": gives, "import_refused": why,
    })
}
