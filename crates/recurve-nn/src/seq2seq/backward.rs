//! Back through a decoder: from the logits' gradients, step by step to the first, and into the encoder.

use super::attend::{DLook, Look};
use super::dense::matrix;
use super::flows::{States, padded, part};
use super::{Seq2Seq, context};
use crate::error::Result;
use crate::layers::{Back, Flow, Mode, Node, Signal};
use recurve_kernels::{Element, Errors, Rows, RowsMut, Sequences, Steps};

impl<E: Element> Seq2Seq<E> {
    /// The gradients of all weights but the output's, whose layer holds that of what it read.
    pub(super) fn backward(&mut self, mode: Mode, gradients: &mut [E]) -> Result<()> {
        let context = context(&self.order, mode);
        let (steps, sequences) = (self.order.steps(), self.order.sequences());
        let rows = self.order.rows();
        let d = self.description.decoder.clone();
        let flows = &self.flows;
        if let Some([_, drop]) = &mut self.drops {
            let dy = self.head.d_input();
            let back =
                Back { dy, d_states: &mut [], input_wanted: true, gradients: &mut *gradients };
            drop.backward(&context, Signal::Rows(flows.vector.rows()), back);
        }
        let d_vectors = match &self.drops {
            Some([_, drop]) => drop.d_input(),
            None => self.head.d_input(),
        };
        let flow = |width| {
            let mut flow = Flow::<E>::tight(width);
            flow.resize(rows);
            flow
        };
        let widths = self.widths;
        // Of the sum before the tanh of the vector, of what attention gives, and of the query.
        let mut d_sum = flow(widths.vector);
        let mut d_attended = flow(widths.context);
        let mut d_query = flow(widths.query);
        let mut d_token = flow(d.embedding);
        let memory = &self.encoded.memory;
        let mut d_keys = vec![E::default(); memory.keys.len()];
        let mut d_values = vec![E::default(); memory.values.len()];
        self.attend.begin();
        for ranges in &self.ranges {
            gradients[ranges.whole()].fill(E::default());
        }
        // What comes back from the step after: of the vectors, the states, and the weights of attention.
        let mut d_fed: Vec<E> = vec![];
        let mut d_states: Vec<States<E>> = vec![Default::default(); d.layers];
        let mut d_seen: Vec<Vec<E>> = vec![vec![]; sequences.len()];
        let others = self.before.first().map_or(0, |before| before[0][1].len());
        let others = others / (steps.active(0) * d.hidden).max(1);
        for t in (0..steps.count()).rev() {
            let (start, count) = (steps.first_row(t), steps.active(t));
            let after = steps.active(t + 1);
            for at in 0..count {
                let row = start + at;
                let v = flows.vector.rows();
                let fed = d_fed.get(at * widths.vector..(at + 1) * widths.vector);
                let to = d_sum.row_mut(row).iter_mut();
                for (unit, (to, (d, v))) in
                    to.zip(d_vectors.row(row).iter().zip(v.row(row))).enumerate()
                {
                    let fed = fed.map_or(E::default(), |fed| fed[unit]);
                    *to = (*d + fed) * (v.like(1.0) - *v * *v);
                }
            }
            let joined = widths.context + widths.hidden;
            let mut d_joined = vec![E::default(); count * joined];
            let d = matrix(d_sum.rows(), start..start + count);
            self.combine.backward(d, &mut RowsMut::new(&mut d_joined, joined, joined));
            let mut d_top = padded::<E>(self.engine, widths.hidden, count);
            for (at, d) in d_joined.chunks_exact(joined).enumerate() {
                let (attended, top) = d.split_at(widths.context);
                d_attended.row_mut(start + at).copy_from_slice(attended);
                d_top.row_mut(at).copy_from_slice(top);
            }
            let mut d_context = vec![E::default(); count * widths.value];
            match &self.attend.output {
                Some(dense) => {
                    let d = matrix(d_attended.rows(), start..start + count);
                    let mut to = RowsMut::new(&mut d_context, widths.value, widths.value);
                    dense.backward(d, &mut to);
                }
                None => {
                    let d = part(d_attended.rows(), start..start + count);
                    d_context.copy_from_slice(&d.data()[..count * widths.value]);
                }
            }
            for at in 0..count {
                let (row, b) = (start + at, sequences[at]);
                let before = t
                    .checked_sub(1)
                    .map_or(0..0, |t| flows.places[steps.first_row(t) + at].clone());
                let query = flows.query.rows();
                let before = &flows.weights[before];
                let look = Look { query: query.row(row), memory, b, before };
                let mut d_before = vec![E::default(); before.len()];
                let d = DLook {
                    query: d_query.row_mut(row),
                    keys: &mut d_keys,
                    values: &mut d_values,
                    before: &mut d_before,
                };
                let weights = &flows.weights[flows.places[row].clone()];
                let given = (&d_context[at * widths.value..][..widths.value], &d_seen[at][..]);
                self.attend.backward(&look, weights, given, d);
                d_seen[at] = d_before;
            }
            let mut through = vec![E::default(); count * widths.hidden];
            match &self.attend.query {
                Some(dense) => {
                    let d = matrix(d_query.rows(), start..start + count);
                    dense
                        .backward(d, &mut RowsMut::new(&mut through, widths.hidden, widths.hidden));
                }
                None => {
                    let d = part(d_query.rows(), start..start + count);
                    through.copy_from_slice(&d.data()[..count * widths.hidden]);
                }
            }
            for (at, through) in through.chunks_exact(widths.hidden).enumerate() {
                d_top.row_mut(at).iter_mut().zip(through).for_each(|(to, d)| *to = *to + *d);
            }
            let one = Steps::uniform(1, count);
            let mut dy = d_top;
            for at in (0..self.layers.len()).rev() {
                let d_last = grown(&d_states[at], (widths.hidden, others), after, count);
                let input = if at == 0 { widths.input } else { widths.hidden };
                let mut dx = padded::<E>(self.engine, input, count);
                let (below, rest) = self.tapes[t].split_at_mut(at);
                let own = part(flows.x.rows(), start..start + count);
                let x = below.last().map_or(own, |below| below.output());
                let [h, c] = &self.before[t][at];
                let batch = Sequences { steps: &one, x, initial: [h, c], resets: &[] };
                let mut d_before = [d_last[0].clone(), d_last[1].clone()];
                let [d_h, d_c] = &mut d_before;
                let errors = Errors {
                    dy: dy.rows(),
                    d_last: [&d_last[0], &d_last[1]],
                    dx: Some(dx.rows_mut()),
                    d_initial: [d_h, d_c],
                };
                let (places, whole) =
                    (self.ranges[at].counted_from_first(), self.ranges[at].whole());
                let mut added = vec![E::default(); whole.len()];
                self.layers[at].backward(&batch, &mut rest[0], errors, places.write(&mut added));
                let sums = gradients[whole].iter_mut().zip(&added);
                sums.for_each(|(sum, added)| *sum = *sum + *added);
                d_states[at] = d_before;
                dy = dx;
            }
            d_fed.clear();
            for at in 0..count {
                let (token, fed) = dy.rows().row(at).split_at(d_token.rows().width());
                d_token.row_mut(start + at).copy_from_slice(token);
                d_fed.extend_from_slice(fed);
            }
            if widths.input == d_token.rows().width() {
                d_fed.clear();
            }
        }
        self.combine.learn(flows.joined.rows(), d_sum.rows(), gradients);
        if let Some(dense) = &mut self.attend.query {
            dense.learn(flows.top.rows(), d_query.rows(), gradients);
        }
        if let Some(dense) = &mut self.attend.output {
            dense.learn(flows.context.rows(), d_attended.rows(), gradients);
        }
        self.attend.learn(gradients);
        if let Some([drop, _]) = &mut self.drops {
            let back = Back {
                dy: d_token.rows(),
                d_states: &mut [],
                input_wanted: true,
                gradients: &mut *gradients,
            };
            drop.backward(&context, Signal::Rows(self.embedding.output()), back);
        }
        let dy = match &self.drops {
            Some([drop, _]) => drop.d_input(),
            None => d_token.rows(),
        };
        let back = Back { dy, d_states: &mut [], input_wanted: false, gradients: &mut *gradients };
        self.embedding.backward(&context, Signal::Tokens(&self.tokens), back);
        self.read_backward((&d_states, &d_keys, &d_values), gradients)
    }

    /// Back through the bridge and the projections of the source, and through the encoder.
    fn read_backward(
        &mut self,
        (d_states, d_keys, d_values): (&[States<E>], &[E], &[E]),
        gradients: &mut [E],
    ) -> Result<()> {
        let d = &self.description.decoder;
        let (hidden, bridged) = (d.hidden, d.bridged());
        let (first, sequences) = (self.order.steps().active(0), self.order.sequences());
        let row = d.layers * bridged * hidden;
        let mut d_bridged = vec![E::default(); sequences.len() * row];
        for (place, b) in sequences.iter().enumerate().take(first) {
            for (layer, states) in d_states.iter().enumerate() {
                for (state, d) in states.iter().enumerate().take(bridged) {
                    let to =
                        &mut d_bridged[b * row + (layer * bridged + state) * hidden..][..hidden];
                    to.copy_from_slice(&d[place * hidden..][..hidden]);
                }
            }
        }
        for (d, value) in d_bridged.iter_mut().zip(&self.encoded.bridged) {
            *d = *d * (value.like(1.0) - *value * *value);
        }
        let d_bridged = Rows::new(&d_bridged, row, row);
        self.bridge.learn(self.mean.rows(), d_bridged, gradients);
        let width = self.raw.rows().width();
        let mut d_mean = vec![E::default(); sequences.len() * width];
        let d = matrix(d_bridged, 0..sequences.len());
        self.bridge.backward(d, &mut RowsMut::new(&mut d_mean, width, width));

        let memory = &self.encoded.memory;
        let rows = memory.starts[sequences.len()];
        let mut d_raw = vec![E::default(); rows * width];
        let parts = [
            (&mut self.attend.key, d_keys, memory.key_width),
            (&mut self.attend.value, d_values, memory.value_width),
        ];
        for (dense, d, own) in parts {
            let Some(dense) = dense else {
                d_raw.iter_mut().zip(d).for_each(|(to, d)| *to = *to + *d);
                continue;
            };
            let d = Rows::new(d, own, own);
            dense.learn(self.raw.rows(), d, gradients);
            let mut back = vec![E::default(); rows * width];
            dense.backward(matrix(d, 0..rows), &mut RowsMut::new(&mut back, width, width));
            d_raw.iter_mut().zip(&back).for_each(|(to, d)| *to = *to + *d);
        }
        let order = self.encoder.order();
        let mut d_output = vec![E::default(); rows * width];
        for (at, to) in d_output.chunks_exact_mut(width).enumerate() {
            let (t, place) = order.inner_place(at);
            let b = order.sequences()[place];
            let share = E::from_f64(1.0 / memory.steps(b).len() as f64);
            let from = &d_raw[(memory.starts[b] + t) * width..][..width];
            let mean = &d_mean[b * width..][..width];
            for ((to, from), mean) in to.iter_mut().zip(from).zip(mean) {
                *to = *from + *mean * share;
            }
        }
        self.encoder.backward(&d_output, &mut gradients[..self.encoder_size], None)
    }
}

/// The gradients of the states of `few` rows as those of `count`: the others end here, and nothing comes
/// back to them.
fn grown<E: Element>(
    states: &States<E>,
    (hidden, others): (usize, usize),
    few: usize,
    count: usize,
) -> States<E> {
    let part = |values: &Vec<E>, number: usize| {
        let mut to = vec![E::default(); number * count * hidden];
        let from = values.chunks_exact((few * hidden).max(1));
        for (to, from) in to.chunks_exact_mut((count * hidden).max(1)).zip(from) {
            to[..from.len()].copy_from_slice(from);
        }
        to
    };
    [part(&states[0], 1), part(&states[1], others)]
}
