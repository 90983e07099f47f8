//! The table of `docs/cells.md`, what works with what: each of its answers is asked of the library itself.
//!
//! Three answers: *yes*, the option is honoured; *no*, it is refused with words that name it; *f32*, in few bits,
//! what is accepted gives the bits of full precision; a dash stands where there is nothing to save. What gives none is a gap that nobody speaks of.

use recurve_interop::export::{Target, export};
use recurve_interop::{Imported, Options, open_bytes};
use recurve_nn::{
    Activation, Activations, Attention, Batch, Bias, CellKind, Connection, Description, Engine,
    Initial, Input, InputKind, Memory, Merge, Mode, Model, Network, Noise, Pooling, Precision,
    Recurrent, Session, Tcn, Transformer,
};
use std::collections::BTreeMap;

const WIDTH: usize = 8;
const STEPS: usize = 6;
const HEAD: &str = "| cell or option | training | gaps, resets | streaming | `bf16` training | `bf16` | `int8` | low memory | ONNX | PyTorch | Keras |";

/// Every cell, every option of a recurrent layer and every layer, each alone.
fn rows() -> Vec<(String, Description)> {
    let values = || Description::values(WIDTH);
    let stack = |stack: Recurrent| values().recurrent(stack).linear(3);
    let of = |cell| Recurrent::new(cell, WIDTH);
    let lstm = || of(CellKind::Lstm);
    let both = || lstm().bidirectional();
    let mut rows: Vec<(String, Description)> = CellKind::ALL
        .into_iter()
        .map(|cell| (format!("`{}`", cell.name()), stack(of(cell))))
        .collect();
    let softsign = Activations { candidate: Activation::Softsign, ..Activations::default() };
    let connected = |connection| lstm().layers(2).connection(connection);
    let options = [
        ("one bias", lstm().bias(Bias::One)),
        ("two biases", lstm().bias(Bias::Two)),
        ("no bias", lstm().bias(Bias::None)),
        ("other functions (`activations`)", lstm().activations(softsign)),
        ("`clip_sums`", lstm().clip_sums(0.2)),
        ("`clip_state`", lstm().clip_state(0.1)),
        ("`projection`", lstm().projection(4)),
        ("`projection_clip`", Recurrent { projection_clip: Some(0.05), ..lstm().projection(4) }),
        ("`layer_norm` in the steps", Recurrent { layer_norm: true, ..lstm() }),
        ("`gate_recurrence`", Recurrent { gate_recurrence: true, ..lstm() }),
        ("`zoneout`", Recurrent { zoneout: 0.2, ..lstm() }),
        ("`zoneout_cell`", Recurrent { zoneout_cell: 0.2, ..lstm() }),
        ("`recurrent_dropout`", Recurrent { recurrent_dropout: 0.2, ..lstm() }),
        ("`candidate_dropout`", Recurrent { candidate_dropout: 0.2, ..lstm() }),
        ("`weight_dropout`", lstm().weight_dropout(0.2)),
        ("`dropout` between layers", lstm().layers(2).dropout(0.2)),
        ("`locked_dropout` between layers", lstm().layers(2).locked_dropout(0.2)),
        ("several layers", lstm().layers(3)),
        ("`heads` of an mLSTM", of(CellKind::Mlstm).heads(2)),
        ("both directions, side by side", both()),
        ("both directions, sum", both().merge(Merge::Sum)),
        ("both directions, mean", both().merge(Merge::Mean)),
        ("both directions, product", both().merge(Merge::Product)),
        ("residual connections", connected(Connection::Residual)),
        ("highway connections", connected(Connection::Highway)),
        ("skip connections", connected(Connection::Skip)),
        ("dense connections", connected(Connection::Dense)),
        ("learned initial states", lstm().initial(Initial::Learned)),
    ];
    rows.extend(options.map(|(name, option)| (name.to_owned(), stack(option))));
    let sizes = values().recurrent(Recurrent::new(CellKind::Lstm, 5)).recurrent(lstm());
    let pooled = |by| values().recurrent(lstm()).pool(by).linear(3);
    let attention = |causal, context| Attention { heads: 2, causal, context };
    let layers = [
        ("layers of different sizes", sizes),
        ("embedding", Description::tokens(9).embedding(WIDTH).recurrent(lstm())),
        (
            "embedding with letters",
            Description::words(9, 7).word_vectors(6, 4, 3).recurrent(lstm()),
        ),
        ("layer normalisation after a layer", values().recurrent(lstm()).layer_norm()),
        ("dropout after a layer", values().recurrent(lstm()).dropout(0.2)),
        ("labels of a random field", values().recurrent(lstm()).linear(3).transitions()),
        ("last step", pooled(Pooling::Last)),
        ("mean of the steps", pooled(Pooling::Mean)),
        ("maximum of the steps", pooled(Pooling::Max)),
        ("attention over the steps", pooled(Pooling::Attention)),
        ("TCN", values().tcn(Tcn::new(6, 2)).linear(3)),
        ("causal Transformer", values().transformer(Transformer::causal(1, 2, 12, 5)).linear(3)),
        ("Transformer over all steps", values().transformer(Transformer::encoder(1, 2, 12))),
        ("causal self-attention", values().attention(attention(true, 5)).linear(3)),
        ("self-attention over all steps", values().attention(attention(false, 0)).linear(3)),
    ];
    rows.extend(layers.map(|(name, description)| (name.to_owned(), description)));
    rows
}

fn model(description: &Description) -> Model<f32> {
    let mut model = Model::new(description.clone()).unwrap();
    for (at, value) in model.values_mut().iter_mut().enumerate() {
        *value = ((at as f32 + 1.0) * 0.7391).sin() * 0.4;
    }
    model
}

/// What a model reads.
struct Data {
    values: Vec<f32>,
    tokens: Vec<u32>,
    letters: Vec<u32>,
    forms: Vec<u32>,
    lengths: Vec<usize>,
    count: usize,
}

impl Data {
    fn new(count: usize) -> Self {
        let places = STEPS * count;
        Self {
            values: (0..places * WIDTH).map(|at| (at as f32 * 0.37).cos()).collect(),
            tokens: (0..places as u32).map(|at| at * 5 % 9).collect(),
            letters: (0..2 * places as u32).map(|at| at % 7).collect(),
            forms: (0..places as u32).collect(),
            lengths: vec![2; places],
            count,
        }
    }

    fn batch(&self, kind: InputKind) -> Batch<'_, f32> {
        let input = match kind {
            InputKind::Values { .. } => Input::Values(&self.values),
            InputKind::Tokens { .. } => Input::Tokens(&self.tokens),
            InputKind::Words { .. } => Input::Words(recurve_nn::Words {
                tokens: &self.tokens,
                forms: &self.forms,
                letters: &self.letters,
                lengths: &self.lengths,
            }),
        };
        Batch::new(STEPS, self.count, input)
    }
}

type Asked<T> = Result<T, String>;

fn engine(precision: Precision) -> Engine {
    Engine::detect().unwrap().with_precision(precision)
}

/// The outputs, and the gradients where it is trained.
fn pass(
    model: &Model<f32>,
    precision: Precision,
    train: Option<Memory>,
) -> Asked<(Vec<f32>, Vec<f32>)> {
    let data = Data::new(1);
    let batch = data.batch(model.description().input);
    let text = |error: recurve_nn::Error| error.to_string();
    let mut network = Network::new(model.description(), engine(precision)).map_err(text)?;
    network.load(model.values(), train.is_some());
    let Some(memory) = train else {
        return Ok((network.forward(&batch, None, Mode::Infer).map_err(text)?.to_vec(), vec![]));
    };
    network.set_memory(memory);
    let noise = Mode::Train(Noise { seed: 1, step: 0 });
    let y = network.forward(&batch, None, noise).map_err(text)?.to_vec();
    let dy: Vec<f32> = (0..y.len()).map(|at| (at as f32 * 0.7).sin()).collect();
    let mut gradients = vec![0.0; model.values().len()];
    network.backward(&dy, &mut gradients, None).map_err(text)?;
    Ok((y, gradients))
}

fn trained(model: &Model<f32>) -> Asked<bool> {
    let (_, gradients) = pass(model, Precision::Full, Some(Memory::Full))?;
    Ok(gradients.iter().all(|d| d.is_finite()) && gradients.iter().any(|d| *d != 0.0))
}

/// Whether sequences of different lengths, one of them empty, with steps that are not there and with new
/// beginnings are read as what is there, to the bit, whatever stands in the gaps.
fn with_gaps(model: &Model<f32>) -> Asked<bool> {
    const BATCH: usize = 3;
    let mut data = Data::new(BATCH);
    let mask: Vec<bool> = (0..STEPS * BATCH).map(|at| at % 4 != 1).collect();
    let resets: Vec<bool> = (0..STEPS * BATCH).map(|at| at % 5 == 3).collect();
    let run = |data: &Data| -> recurve_nn::Result<(Vec<f32>, Vec<f32>)> {
        let batch = data.batch(model.description().input);
        let batch = batch.lengths(&[STEPS, 0, STEPS - 2]).mask(&mask).resets(&resets);
        let mut network = Network::new(model.description(), engine(Precision::Full))?;
        network.load(model.values(), true);
        let noise = Mode::Train(Noise { seed: 1, step: 0 });
        let y = network.forward(&batch, None, noise)?.to_vec();
        let mut gradients = vec![0.0; model.values().len()];
        network.backward(&vec![1.0; y.len()], &mut gradients, None)?;
        Ok((y, gradients))
    };
    let first = run(&data).map_err(|error| error.to_string())?;
    for (value, there) in data.values.chunks_exact_mut(WIDTH).zip(&mask) {
        if !there {
            value.fill(f32::NAN);
        }
    }
    let again = run(&data).map_err(|error| error.to_string())?;
    Ok(first == again && first.1.iter().any(|d| *d != 0.0))
}

/// Whether a stream gives the bits of the batch.
fn streamed(model: &Model<f32>) -> Asked<bool> {
    let mut session =
        Session::new(model, engine(Precision::Full), 1).map_err(|error| error.to_string())?;
    let (batch, _) = pass(model, Precision::Full, None)?;
    let data = Data::new(1);
    let mut steps = vec![];
    for t in 0..STEPS {
        steps.extend_from_slice(match model.description().input {
            InputKind::Values { .. } => session.step(&data.values[t * WIDTH..][..WIDTH]),
            _ => session.step_tokens(&data.tokens[t..=t]),
        });
    }
    // Where the steps become one vector, a stream has that of the steps so far.
    Ok(steps[steps.len() - batch.len()..] == batch)
}

/// Whether fewer bits are used, and not much is lost by it.
fn narrowed(model: &Model<f32>, precision: Precision, train: bool) -> Asked<String> {
    let memory = train.then_some(Memory::Full);
    let (narrow, narrow_d) = pass(model, precision, memory)?;
    let (full, full_d) = pass(model, Precision::Full, memory)?;
    let far = narrow.iter().zip(&full).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(far < 0.1, "{:?} in {precision:?} is {far} off", model.description());
    let same = narrow == full && narrow_d == full_d;
    Ok(if same { "f32" } else { "yes" }.to_owned())
}

/// Whether what is written comes back as a model with the same outputs.
fn written(model: &Model<f32>, target: Target) -> Asked<bool> {
    let files = export(model, target, "model").map_err(|error| error.to_string())?;
    let bytes = files[0].bytes.clone();
    let opened = open_bytes("model", bytes, &Options::default()).unwrap();
    let Imported::Layers(back) = opened.import::<f32>().unwrap() else { return Ok(false) };
    let outputs = |model: &Model<f32>| pass(model, Precision::Full, None).map(|(y, _)| y);
    let (ours, theirs) = (outputs(model)?, outputs(&back.model)?);
    Ok(ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-6))
}

/// The words of an answer; a refusal must say something.
fn word(what: &str, asked: Asked<bool>, refusals: &mut Vec<String>) -> String {
    match asked {
        Ok(holds) => {
            assert!(holds, "{what}: accepted, and not honoured");
            "yes".to_owned()
        }
        Err(text) => {
            assert!(text.len() > 20, "{what}: {text}");
            refusals.push(format!("{what}: {text}"));
            "no".to_owned()
        }
    }
}

/// The answers of the library to a row.
fn answers(name: &str, model: &Model<f32>, refusals: &mut Vec<String>) -> Vec<String> {
    let mut say = |what: &str, asked| word(&format!("{name}, {what}"), asked, refusals);
    let low = || {
        let full = pass(model, Precision::Full, Some(Memory::Full))?;
        Ok(pass(model, Precision::Full, Some(Memory::Low))? == full)
    };
    let mut of = vec![
        say("training", trained(model)),
        say("gaps, resets", with_gaps(model)),
        say("streaming", streamed(model)),
    ];
    let narrow = [
        ("bf16 training", Precision::Bf16, true),
        ("bf16", Precision::Bf16, false),
        ("int8", Precision::Int8, false),
    ];
    for (what, precision, train) in narrow {
        of.push(match narrowed(model, precision, train) {
            Ok(word) => word,
            Err(text) => say(what, Err(text)),
        });
    }
    let bytes = |memory: Memory| memory.bytes(model.description(), STEPS).unwrap();
    let low = say("low memory", low());
    let nothing = low == "yes" && bytes(Memory::Low) == bytes(Memory::Full);
    of.push(if nothing { "–".to_owned() } else { low });
    for (what, target) in
        [("ONNX", Target::Onnx), ("PyTorch", Target::Torch), ("Keras", Target::Keras)]
    {
        of.push(say(what, written(model, target)));
    }
    of
}

/// The rows of the table of the document: what stands before the first blank of a cell counts.
fn documented() -> BTreeMap<String, Vec<String>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cells.md");
    let text = std::fs::read_to_string(path).unwrap();
    let after = text.split_once(HEAD).unwrap_or_else(|| panic!("no table with the head {HEAD}")).1;
    let lines = after.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
    };
    lines
        .map(|line| {
            let mut cells = cells(line);
            let name = cells.remove(0);
            (name, cells)
        })
        .collect()
}

#[test]
fn the_table_of_what_works_with_what_is_true() {
    let mut documented = documented();
    let (mut wrong, mut refusals) = (vec![], vec![]);
    for (name, description) in rows() {
        let found = answers(&name, &model(&description), &mut refusals);
        let row = format!("| {name} | {} |", found.join(" | "));
        println!("{row}");
        if documented.remove(&name) != Some(found) {
            wrong.push(row);
        }
    }
    for refusal in refusals {
        println!("{refusal}");
    }
    assert!(wrong.is_empty(), "docs/cells.md should have\n{}", wrong.join("\n"));
    assert!(documented.is_empty(), "docs/cells.md has rows that nobody asks for: {documented:?}");
}
