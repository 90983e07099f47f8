//! The mLSTM of xLSTM (Beck et al. 2024, equations 19 to 27): a memory that is a matrix.
//!
//! ```text
//! q = w_q x + b_q      k = w_k x / √d + b_k      v = w_v x + b_v      per head, of d = H / heads values
//! i = exp(w_i x + b_i)                           the input gate, one number per head
//! f = σ(w_f x + b_f) or exp(w_f x + b_f)         the forget gate, one number per head
//! C = f C' + i v kᵀ        n = f n' + i k        the memory and its normaliser
//! h = σ(w_o x + b_o) ∘ C q / max(|nᵀq|, 1)       the output
//! ```
//!
//! Exponentials overflow, so what is stored is `C e⁻ᵐ` and `n e⁻ᵐ` with the stabiliser
//! `m = max(ln f + m', ln i)` (equation 15); the 1 of the last line becomes `e⁻ᵐ`, and no output changes.
//!
//! No gate sees `h'`, so nothing forces one step after the other. There are two ways to compute the
//! same numbers, equal up to rounding. [`step`] keeps C and goes on by one step, which reads and writes all
//! of C: streams go so. [`chunk`] takes [`Shape::chunk`] steps at a time: inside a chunk the outputs are a
//! masked product of all queries with all keys, and only its end is a memory. So goes all training, which
//! keeps the memories between chunks and computes the rest again, and every pass of [`MANY`] steps or more.
//!
//! Products with `w` are those of the engine, in its precision; those of the memory are of full precision.
//! Work is shared out by sequences, that of a single one inside its products: threads change no bit.

mod chunk;
mod step;

use super::Flow;
use crate::parameters::Entries;
use chunk::Room;
use recurve_kernels::{
    Buffer, Element, Engine, Errors, Matrix, Packed, Precision, Rows, RowsMut, Sequences, Start,
    Steps, each, product,
};
use std::ops::Range;
use step::Step;

/// Steps from which on a pass goes by chunks.
const MANY: usize = 16;

/// The sizes of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) input: usize,
    pub(crate) hidden: usize,
    pub(crate) heads: usize,
    /// Whether the forget gate is an exponential, not a logistic function.
    pub(crate) exponential: bool,
}

impl Shape {
    /// Values of a head: `d`.
    fn size(&self) -> usize {
        self.hidden / self.heads
    }
    /// What the products give a step: q k v o, then i and f of each head.
    pub(crate) fn columns(&self) -> usize {
        4 * self.hidden + 2 * self.heads
    }
    /// Numbers of the memory of a head: `C [d, d]` (a row for each value of `v`), `n [d]`, `m`.
    fn head(&self) -> usize {
        self.size() * self.size() + self.size() + 1
    }
    /// Steps that are taken together: products inside a chunk cost as much more with its length as those with
    /// the memory cost less.
    fn chunk(&self) -> usize {
        (self.size() / 2).clamp(32, 128)
    }
    /// Numbers of the memory of a sequence: those of each head.
    pub(crate) fn memory(&self) -> usize {
        self.heads * self.head()
    }
    /// Where keys stand among the columns.
    fn keys(&self) -> Range<usize> {
        self.hidden..2 * self.hidden
    }
}

/// The layer in one direction.
pub(crate) struct MatrixLstm<E: Element> {
    engine: Engine,
    shape: Shape,
    /// `[I, N]` and `[N, I]`, the rows of the keys divided by `√d`.
    w: Packed<E>,
    w_back: Packed<E>,
    b: Buffer<E>,
    /// Rows of `w`, `w_gates` and of `b`, `b_gates` among those of the model.
    ranges: [[Range<usize>; 2]; 2],
    /// All rows one after the other, those of the keys divided by `√d`; their gradients.
    rows: Buffer<E>,
    /// In training, rows of `x`, of the columns and of their gradients, sequence by sequence; else in the
    /// order of the steps.
    x: Flow<E>,
    x_packed: Packed<E>,
    columns: Flow<E>,
    d_columns: Flow<E>,
    by_sequence: Flow<E>,
    /// The output, in the order of the steps.
    y: Flow<E>,
    /// Where each sequence begins, in the order by sequence; and where it all ends.
    starts: Vec<usize>,
    /// Of each sequence, its chunks, and the memories before each and after the last.
    chunks: Vec<Vec<Chunk>>,
    memories: Buffer<E>,
    memory: Buffer<E>,
    kept: bool,
    rooms: Vec<Room<E>>,
}

/// Some steps of a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) steps: Range<usize>,
    /// Whether a new sequence starts here, from a memory of zeros.
    pub(crate) fresh: bool,
}

/// Cuts a sequence at its resets and else after `most` steps.
fn chunks(length: usize, most: usize, reset: impl Fn(usize) -> bool) -> Vec<Chunk> {
    let mut chunks = vec![];
    let mut start = 0;
    for t in 0..=length {
        if t > start && (t == length || t - start == most || reset(t)) {
            chunks.push(Chunk { steps: start..t, fresh: reset(start) });
            start = t;
        }
    }
    chunks
}

impl<E: Element> MatrixLstm<E> {
    pub(crate) fn new(engine: Engine, shape: Shape, (entries, prefix): (&Entries, &str)) -> Self {
        let n = shape.columns();
        let range = |name: &str| {
            entries.get(&format!("{prefix}.{name}")).map_or(0..0, |entry| entry.range.clone())
        };
        Self {
            engine,
            shape,
            w: Packed::default(),
            w_back: Packed::default(),
            b: Buffer::zeros(n),
            ranges: [["w", "w_gates"].map(range), ["b", "b_gates"].map(range)],
            rows: Buffer::new(),
            x: Flow::tight(shape.input),
            x_packed: Packed::default(),
            columns: Flow::tight(n),
            d_columns: Flow::tight(n),
            by_sequence: Flow::tight(shape.hidden),
            y: Flow::padded(engine, shape.hidden),
            starts: vec![],
            chunks: vec![],
            memories: Buffer::new(),
            memory: Buffer::new(),
            kept: false,
            rooms: vec![],
        }
    }

    /// `1/√d`.
    fn key_scale(&self) -> E {
        E::from_f64(1.0 / (self.shape.size() as f64).sqrt())
    }

    /// Takes over the weights of the model.
    pub(crate) fn load(&mut self, values: &[E], backward: bool) {
        let (n, input, scale) = (self.shape.columns(), self.shape.input, self.key_scale());
        let [w, b] = &self.ranges;
        self.rows.resize(n * input);
        let (first, second) = self.rows.split_at_mut(w[0].len());
        first.copy_from_slice(&values[w[0].clone()]);
        second.copy_from_slice(&values[w[1].clone()]);
        let keys = self.shape.keys();
        for value in &mut self.rows[keys.start * input..keys.end * input] {
            *value = *value * scale;
        }
        let matrix = Matrix::new(&self.rows, n, input, input);
        self.w.pack(self.engine, matrix.transposed());
        if backward {
            self.w_back.pack(self.engine, matrix);
        }
        if !b[0].is_empty() {
            let (first, second) = self.b.split_at_mut(b[0].len());
            first.copy_from_slice(&values[b[0].clone()]);
            second.copy_from_slice(&values[b[1].clone()]);
        }
        self.kept = false;
    }

    /// The output of the last pass, one row per row of its steps.
    pub(crate) fn output(&self) -> Rows<'_, E> {
        self.y.rows()
    }

    /// Runs all steps. The memories after the last step of each sequence replace `memory [B, M]`, its last
    /// outputs `h [B, H]`.
    pub(crate) fn forward(
        &mut self,
        batch: &Sequences<'_, E>,
        train: bool,
        memory: &mut [E],
        h: &mut [E],
    ) {
        self.kept = train;
        self.y.resize(batch.steps.rows());
        if train || batch.steps.count() >= MANY {
            self.forward_in_chunks(batch, memory);
        } else {
            self.forward_step_by_step(batch, memory);
        }
        for (b, (h, &length)) in
            h.chunks_exact_mut(self.shape.hidden).zip(batch.steps.lengths()).enumerate()
        {
            if let Some(t) = length.checked_sub(1) {
                h.copy_from_slice(self.y.rows().row(batch.steps.first_row(t) + b));
            }
        }
    }

    fn forward_step_by_step(&mut self, batch: &Sequences<'_, E>, memory: &mut [E]) {
        let (steps, shape, isa) = (batch.steps, self.shape, self.engine.isa());
        self.columns.resize(steps.rows());
        self.multiply(matrix(batch.x, steps.rows()));
        let stride = self.y.rows().stride();
        for t in 0..steps.count() {
            let (first, alive) = (steps.first_row(t), steps.active(t));
            let threads = self.engine.threads_over(alive * shape.memory());
            let columns = self.columns.rows();
            let y = &mut self.y.data_mut()[first * stride..][..alive * stride];
            let pieces = memory.chunks_exact_mut(shape.memory()).zip(y.chunks_exact_mut(stride));
            each(threads, pieces.enumerate(), |(b, (memory, y))| {
                if batch.resets.get(first + b) == Some(&true) {
                    memory.fill(E::default());
                }
                isa.run(Step { shape, columns: columns.row(first + b), memory, y });
            });
        }
    }

    /// `columns = x w + b`.
    fn multiply(&mut self, x: Matrix<'_, E>) {
        product(self.engine, x, &self.w, Start::Bias(&self.b), &mut self.columns.rows_mut());
    }

    fn forward_in_chunks(&mut self, batch: &Sequences<'_, E>, memory: &mut [E]) {
        let (steps, shape) = (batch.steps, self.shape);
        self.arrange(batch);
        self.make_rooms(steps);
        let starts = &self.starts;
        let of = |row: usize| place(steps, starts, row);
        self.x.resize(steps.rows());
        self.x.fill_rows(self.engine, |row, to| to.copy_from_slice(batch.x.row(of(row))));
        self.columns.resize(steps.rows());
        let x = self.x.rows();
        product(
            self.engine,
            matrix(x, steps.rows()),
            &self.w,
            Start::Bias(&self.b),
            &mut self.columns.rows_mut(),
        );
        // Only backward goes back to the memories between chunks.
        let kept = if self.kept { shape.memory() } else { 0 };
        let borders: usize = self.chunks.iter().map(Vec::len).sum();
        self.memories.resize(borders * kept);
        self.by_sequence.resize(steps.rows());
        let rooms = self.rooms.len();
        let parts = parts(steps, rooms);
        let (n, columns) = (shape.columns(), self.columns.rows().data());
        let mut y = &mut *self.by_sequence.data_mut();
        let mut memories = &mut self.memories[..];
        let mut rest = &mut *memory;
        let pieces = parts.into_iter().zip(&mut self.rooms).map(|(part, room)| {
            let rows = starts[part.start]..starts[part.end];
            let count: usize = self.chunks[part.clone()].iter().map(Vec::len).sum();
            let y = split(&mut y, rows.len() * shape.hidden);
            let borders = split(&mut memories, count * kept);
            (part.clone(), room, y, borders, split(&mut rest, part.len() * shape.memory()))
        });
        let pieces: Vec<_> = pieces.collect();
        each(rooms, pieces.into_iter(), |(part, room, y, borders, memory)| {
            let mut borders = borders.chunks_exact_mut(shape.memory());
            let (first, sequences) =
                (starts[part.start], part.zip(memory.chunks_exact_mut(shape.memory())));
            for (b, memory) in sequences {
                for chunk in &self.chunks[b] {
                    if chunk.fresh {
                        memory.fill(E::default());
                    }
                    if let Some(border) = borders.next() {
                        border.copy_from_slice(memory);
                    }
                    let row = starts[b] + chunk.steps.start;
                    let columns = &columns[row * n..][..chunk.steps.len() * n];
                    let y =
                        &mut y[(row - first) * shape.hidden..][..chunk.steps.len() * shape.hidden];
                    room.forward(columns, memory, y);
                }
            }
        });
        if self.kept {
            self.memory.resize(memory.len());
            self.memory.copy_from_slice(memory);
        }
        let rows = self.by_sequence.rows();
        let stride = self.y.rows().stride();
        let y = self.y.data_mut();
        for t in 0..steps.count() {
            for b in 0..steps.active(t) {
                let to = &mut y[(steps.first_row(t) + b) * stride..][..shape.hidden];
                to.copy_from_slice(rows.row(starts[b] + t));
            }
        }
    }

    /// Reverses the last forward pass, which was for training, over the same batch. `d_memory [B, M]` and
    /// `errors.d_last[0]` hold the gradients of what it left; the former is replaced by that of the memories
    /// before the batch. Overwrites the gradients of the weights.
    ///
    /// # Panics
    /// Where the last pass was not for training.
    pub(crate) fn backward(
        &mut self,
        batch: &Sequences<'_, E>,
        errors: Errors<'_, E>,
        d_memory: &mut [E],
        gradients: &mut [E],
    ) {
        assert!(self.kept, "backward follows a forward pass for training");
        let (steps, shape) = (batch.steps, self.shape);
        let rows = steps.rows();
        self.gather_errors(steps, &errors);
        self.d_columns.resize(rows);
        let rooms = self.rooms.len();
        let parts = parts(steps, rooms);
        let (starts, n, columns) = (&self.starts, shape.columns(), self.columns.rows().data());
        let dy = self.by_sequence.rows().data();
        let mut d_columns = &mut *self.d_columns.data_mut();
        let mut rest = &mut *d_memory;
        let mut border = 0;
        let pieces = parts.into_iter().zip(&mut self.rooms).map(|(part, room)| {
            let rows = starts[part.start]..starts[part.end];
            let count: usize = self.chunks[part.clone()].iter().map(Vec::len).sum();
            let d_columns = split(&mut d_columns, rows.len() * n);
            border += count;
            let borders =
                &self.memories[(border - count) * shape.memory()..border * shape.memory()];
            (part.clone(), room, d_columns, borders, split(&mut rest, part.len() * shape.memory()))
        });
        let pieces: Vec<_> = pieces.collect();
        each(rooms, pieces.into_iter(), |(part, room, d_columns, borders, d_memory)| {
            let mut borders = borders.chunks_exact(shape.memory());
            let first = starts[part.start];
            for (b, d_memory) in part.zip(d_memory.chunks_exact_mut(shape.memory())) {
                let after = &self.memory[b * shape.memory()..][..shape.memory()];
                let own: Vec<&[E]> = borders.by_ref().take(self.chunks[b].len()).collect();
                room.start_backward(after, d_memory);
                for (chunk, before) in self.chunks[b].iter().zip(&own).rev() {
                    let (row, len) = (starts[b] + chunk.steps.start, chunk.steps.len());
                    room.backward(
                        &columns[row * n..][..len * n],
                        before,
                        &dy[row * shape.hidden..][..len * shape.hidden],
                        d_memory,
                        &mut d_columns[(row - first) * n..][..len * n],
                    );
                    if chunk.fresh {
                        d_memory.fill(E::default());
                        room.forget();
                    }
                }
                room.end_backward(own.first().unwrap_or(&after), d_memory);
            }
        });
        self.weights_and_input(batch, errors, gradients);
    }

    fn weights_and_input(
        &mut self,
        batch: &Sequences<'_, E>,
        errors: Errors<'_, E>,
        gradients: &mut [E],
    ) {
        let (steps, shape) = (batch.steps, self.shape);
        let (rows, input, keys) = (steps.rows(), shape.input, shape.keys());
        let ([w, w_gates], [b, b_gates]) = (&self.ranges[0], &self.ranges[1]);
        for range in [w, w_gates, b, b_gates] {
            gradients[range.clone()].fill(E::default());
        }
        if rows == 0 {
            return;
        }
        let d = self.d_columns.rows();
        for (range, first) in [(b, 0), (b_gates, b.len())] {
            let sums = &mut gradients[range.clone()];
            for row in 0..if sums.is_empty() { 0 } else { rows } {
                for (sum, d) in sums.iter_mut().zip(&d.row(row)[first..]) {
                    *sum = *sum + *d;
                }
            }
        }
        let d = matrix(d, rows);
        self.x_packed.pack(self.engine, matrix(self.x.rows(), rows));
        let mut to = RowsMut::new(&mut self.rows, input, input);
        product(self.engine, d.transposed(), &self.x_packed, Start::Zero, &mut to);
        let scale = self.key_scale();
        for value in &mut self.rows[keys.start * input..keys.end * input] {
            *value = *value * scale;
        }
        gradients[w.clone()].copy_from_slice(&self.rows[..w.len()]);
        gradients[w_gates.clone()].copy_from_slice(&self.rows[w.len()..]);
        if let Some(mut dx) = errors.dx {
            product(self.engine, d, &self.w_back, Start::Zero, &mut self.x.rows_mut());
            let from = self.x.rows();
            for t in 0..steps.count() {
                for b in 0..steps.active(t) {
                    let row = from.row(self.starts[b] + t);
                    dx.row_mut(steps.first_row(t) + b).copy_from_slice(row);
                }
            }
        }
        self.kept = false;
    }

    /// Where the sequences stand when they come one after the other, and their chunks.
    fn arrange(&mut self, batch: &Sequences<'_, E>) {
        let (steps, resets) = (batch.steps, batch.resets);
        let mut end = 0;
        self.starts.clear();
        self.starts.push(0);
        self.starts.extend(steps.lengths().iter().map(|length| {
            end += length;
            end
        }));
        let of = |(b, &length): (usize, &usize)| {
            chunks(length, self.shape.chunk(), |t| {
                resets.get(steps.first_row(t) + b) == Some(&true)
            })
        };
        self.chunks = steps.lengths().iter().enumerate().map(of).collect();
    }

    /// The gradients of the outputs, sequence by sequence, those of the last outputs added.
    fn gather_errors(&mut self, steps: &Steps, errors: &Errors<'_, E>) {
        let (starts, hidden) = (&self.starts, self.shape.hidden);
        self.by_sequence.resize(steps.rows());
        self.by_sequence.fill_rows(self.engine, |row, to| {
            to.copy_from_slice(errors.dy.row(place(steps, starts, row)));
        });
        for (b, d) in errors.d_last[0].chunks_exact(hidden).enumerate() {
            if let Some(t) = steps.lengths()[b].checked_sub(1) {
                for (to, d) in self.by_sequence.row_mut(starts[b] + t).iter_mut().zip(d) {
                    *to = *to + *d;
                }
            }
        }
    }

    fn make_rooms(&mut self, steps: &Steps) {
        let threads = self.engine.threads_over(steps.rows() * self.shape.columns());
        let count = threads.min(steps.batch()).max(1);
        if self.rooms.len() != count {
            let threads = if count == 1 { self.engine.threads() } else { 1 };
            let engine = self.engine.with_threads(threads).with_precision(Precision::Full);
            self.rooms = (0..count).map(|_| Room::new(engine, self.shape)).collect();
        }
    }
}

/// The first `len` elements, which are taken away.
fn split<'a, E>(from: &mut &'a mut [E], len: usize) -> &'a mut [E] {
    let (head, tail) = std::mem::take(from).split_at_mut(len);
    *from = tail;
    head
}

/// Sequences in `count` runs of nearly equal work.
fn parts(steps: &Steps, count: usize) -> Vec<Range<usize>> {
    let (mut parts, mut begin, mut done) = (vec![], 0, 0);
    for at in 1..=count {
        let mut end = begin;
        while end < steps.batch() && (at == count || done * count < steps.rows() * at) {
            done += steps.lengths()[end];
            end += 1;
        }
        parts.push(begin..end);
        begin = end;
    }
    parts
}

/// The row, in the order of the steps, of a row in the order by sequence.
fn place(steps: &Steps, starts: &[usize], row: usize) -> usize {
    let b = starts.partition_point(|start| *start <= row) - 1;
    steps.first_row(row - starts[b]) + b
}

fn matrix<E: Element>(rows: Rows<'_, E>, count: usize) -> Matrix<'_, E> {
    Matrix::new(rows.data(), count, rows.width(), rows.stride())
}
