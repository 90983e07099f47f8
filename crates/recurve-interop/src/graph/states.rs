//! Which output of a graph is the state that goes in again.
//!
//! A state comes in, is moved, cut or scaled, becomes the initial state of a recurrent node or is updated in
//! place (`f ∘ c + i ∘ g`), and goes out in the same shape. What goes through a product or a function is
//! no state any more. Where that leaves more than one output, names decide: `h0` and `hn`, `state` and
//! `stateN`.

use super::op::Op;
use super::{Binary, Family, Graph, Node, Port, Size, Slot, Subgraph};
use std::collections::{HashMap, HashSet};

/// Pairs of inputs and outputs, by their places.
pub(super) fn recognise(graph: &Graph) -> Vec<(usize, usize)> {
    let mut pairs = vec![];
    let mut taken = HashSet::new();
    let ways = |port: &Port| {
        let mut slots = HashMap::from([(port.slot, Way::Moved)]);
        follow(&graph.body, &mut slots);
        slots
    };
    let reached: Vec<HashMap<Slot, Way>> = graph.inputs.iter().map(ways).collect();
    for (input, port) in graph.inputs.iter().enumerate() {
        let fits = |output: &usize| {
            let other = &graph.outputs[*output];
            other.kind == port.kind && same_shape(&port.shape, &other.shape)
        };
        let all = (0..graph.outputs.len()).filter(fits);
        let paths: Vec<usize> = all
            .clone()
            .filter(|at| reached[input].get(&graph.outputs[*at].slot) == Some(&Way::Updated))
            .collect();
        let named = |at: &usize| is_next(&port.name, &graph.outputs[*at].name);
        let chosen = match &paths[..] {
            [only] => Some(*only),
            [] => all.clone().find(named),
            several => several.iter().copied().find(named),
        };
        if let Some(output) = chosen
            && taken.insert(output)
        {
            pairs.push((input, output));
        }
    }
    pairs
}

fn same_shape(a: &Option<Vec<Size>>, b: &Option<Vec<Size>>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return false };
    let same = |(a, b): (&Size, &Size)| match (a, b) {
        (Size::Fixed(a), Size::Fixed(b)) => a == b,
        _ => true,
    };
    a.len() == b.len() && a.iter().zip(b).all(same)
}

/// Whether one name is that of the next state of the other.
fn is_next(input: &str, output: &str) -> bool {
    let stem = |name: &str| {
        let mut stem = name.to_lowercase();
        for affix in ["_in", "_out", "_next", "_new", "_prev", "_0", "_n", "0", "n"] {
            if let Some(rest) = stem.strip_suffix(affix).filter(|rest| !rest.is_empty()) {
                stem = rest.to_owned();
                break;
            }
        }
        for affix in ["new_", "next_", "prev_", "old_", "out_", "in_"] {
            if let Some(rest) = stem.strip_prefix(affix) {
                stem = rest.to_owned();
            }
        }
        stem
    };
    input != output && stem(input) == stem(output)
}

/// How far the way of a state is certain: it was only moved, was multiplied, or was taken on by a recurrent
/// node or added to after it was multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Moved,
    Multiplied,
    Updated,
}

/// Adds the edges that a state reaches.
fn follow(body: &Subgraph, slots: &mut HashMap<Slot, Way>) {
    for node in &body.nodes {
        if let Op::If { then, otherwise } = &node.op {
            for branch in [then, otherwise] {
                follow(branch, slots);
                for (inner, outer) in branch.outputs.iter().zip(&node.outputs) {
                    if let (Some(way), Some(outer)) = (slots.get(inner).copied(), outer) {
                        slots.insert(*outer, way);
                    }
                }
            }
            continue;
        }
        for (at, way) in reached(node, slots) {
            if let Some(slot) = node.outputs.get(at).copied().flatten() {
                slots.insert(slot, way);
            }
        }
    }
}

/// The outputs of a node that a state reaches.
fn reached(node: &Node, slots: &HashMap<Slot, Way>) -> Vec<(usize, Way)> {
    let way = |at: usize| slots.get(&node.inputs.get(at).copied().flatten()?).copied();
    let all = |way: Way| (0..node.outputs.len()).map(move |at| (at, way)).collect();
    let any = (0..node.inputs.len()).filter_map(way).max();
    match (&node.op, any, way(0)) {
        (Op::Recurrent(op), Some(_), _) => {
            let h = way(5).map(|_| (1, Way::Updated));
            let c = way(6).filter(|_| op.family == Family::Lstm).map(|_| (2, Way::Updated));
            h.into_iter().chain(c).collect()
        }
        (Op::Binary(Binary::Mul), Some(way), _) => all(way.max(Way::Multiplied)),
        (Op::Binary(Binary::Add | Binary::Sub), Some(way), _) => {
            all(if way == Way::Multiplied { Way::Updated } else { way })
        }
        (Op::Concat(_) | Op::Where, Some(way), _) => all(way),
        (
            Op::Identity
            | Op::Transpose(_)
            | Op::Reshape { .. }
            | Op::Squeeze(_)
            | Op::Unsqueeze(_)
            | Op::Slice(_)
            | Op::Split { .. }
            | Op::Gather(_)
            | Op::Expand
            | Op::Cast(_)
            | Op::Pad { .. },
            _,
            Some(way),
        ) => all(way),
        _ => vec![],
    }
}
