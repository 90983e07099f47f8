//! The keys of a configuration: what each expects and what it means.
//!
//! One table serves the check of what a person sets, the nearest key for a misspelt one and the
//! comments of a written configuration.

use super::{AttentionKind, Task};
use recurve_nn::{Connection, Initial, Merge};

/// A key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its full name, `section.name`.
    pub name: &'static str,
    /// What its value must be.
    pub expects: Expects,
    /// The tasks it belongs to; none for all.
    pub tasks: &'static [Task],
    /// What it means.
    pub about: &'static str,
}

impl Key {
    /// Whether it has a meaning for a task.
    pub fn is_for(&self, task: Task) -> bool {
        self.tasks.is_empty() || self.tasks.contains(&task)
    }
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expects {
    /// A whole number, at least 0.
    Whole,
    /// A number.
    Number,
    /// `true` or `false`.
    Flag,
    /// A text.
    Text,
    /// `"all"`, a column name or a list of column names.
    Columns,
    /// A number of rows, or a fraction of them.
    Size,
    /// A list of numbers.
    Numbers,
    /// One of these words.
    Choice(&'static [&'static str]),
}

use Expects::{Choice, Columns, Flag, Number, Numbers, Size, Text, Whole};

const STARTS: Expects = Choice(&["constant", "uniform", "normal", "xavier-uniform", "orthogonal"]);

const fn key(name: &'static str, expects: Expects, about: &'static str) -> Key {
    Key { name, expects, tasks: &[], about }
}

const fn table(name: &'static str, expects: Expects, about: &'static str) -> Key {
    Key { name, expects, tasks: &[Task::Forecast], about }
}

const fn text(name: &'static str, expects: Expects, about: &'static str) -> Key {
    Key { name, expects, tasks: &[Task::Language, Task::Fill], about }
}

const SEQUENCES: &[Task] = &[Task::Classify, Task::Regress, Task::Transcribe, Task::Translate];
const TEXTS: &[Task] = &[Task::Classify, Task::Regress, Task::Translate];
const FOLDED: &[Task] =
    &[Task::Classify, Task::Regress, Task::Tag, Task::Transcribe, Task::Translate, Task::Music];
const WRITES: &[Task] = &[Task::Translate];
const WATCHES: &[Task] = &[Task::Detect];

const fn of(
    tasks: &'static [Task],
    name: &'static str,
    expects: Expects,
    about: &'static str,
) -> Key {
    Key { name, expects, tasks, about }
}

const KEYS: &[Key] = &[
    key(
        "data.task",
        Choice(&[
            "forecast",
            "language",
            "classify",
            "regress",
            "tag",
            "transcribe",
            "translate",
            "detect",
            "music",
            "fill",
        ]),
        "what is learned: what comes next in a table, a text or music, or an answer to each sequence",
    ),
    of(
        SEQUENCES,
        "data.layout",
        Choice(&["long", "wide", "text", "ts", "audio", "features"]),
        "a row per step, a row per sequence, texts, a UCR/UEA file, WAV files, .npy files",
    ),
    of(SEQUENCES, "data.id", Text, "the column that names the sequence of a row"),
    of(
        &[
            Task::Forecast,
            Task::Classify,
            Task::Regress,
            Task::Transcribe,
            Task::Translate,
            Task::Detect,
        ],
        "data.time",
        Text,
        "the time column; in a forecast \"none\" takes every row as one step",
    ),
    of(
        SEQUENCES,
        "data.inputs",
        Columns,
        "the columns that are read; [] is every numeric one left",
    ),
    of(TEXTS, "data.text", Text, "the column of the text that is read"),
    of(
        &[Task::Classify, Task::Transcribe, Task::Translate],
        "data.label",
        Text,
        "the column of the class or text; of a folder of sound \"folder\" or \"name\" (up to the first _)",
    ),
    of(
        &[Task::Forecast, Task::Regress, Task::Detect],
        "data.targets",
        Columns,
        "what is learned; [] of a forecast is the last numeric column, of a detector all",
    ),
    of(WATCHES, "data.train", Size, "the first rows, which are taken as usual and train"),
    of(WATCHES, "data.clock", Flag, "read the time of day"),
    of(WATCHES, "data.smoothing", Whole, "errors of which the mean is taken"),
    of(
        WATCHES,
        "data.quiet",
        Whole,
        "rows after a surprise in which only a greater one is an alarm",
    ),
    of(
        WATCHES,
        "data.threshold",
        Number,
        "standard deviations above the usual error that make an alarm",
    ),
    of(WATCHES, "data.anomalies", Text, "a file with start,end of what was wrong, to measure by"),
    of(&[Task::Tag], "data.word", Whole, "the column of the word, from 1"),
    of(&[Task::Tag], "data.tag", Whole, "the column of the tag, from 1"),
    of(
        &[Task::Transcribe, Task::Translate],
        "data.symbols",
        Choice(&["characters", "words", "spaced"]),
        "what a symbol of the text is",
    ),
    of(&[Task::Regress], "data.remaining", Flag, "learn how many steps of a sequence are left"),
    of(&[Task::Regress], "data.cap", Number, "targets above this count as this"),
    of(&[Task::Regress], "data.per_step", Flag, "whether every step has a target of its own"),
    of(SEQUENCES, "data.group", Text, "sequences that agree in this column stay in one part"),
    of(SEQUENCES, "data.split", Text, "the column that says train, validation or test"),
    of(
        TEXTS,
        "data.tokens",
        Choice(&["words", "characters", "spaced"]),
        "what a token of a text is; spaced is what stands between blanks, as it is",
    ),
    of(
        &[Task::Classify, Task::Regress, Task::Tag, Task::Translate],
        "data.min_count",
        Whole,
        "rarer tokens are all the same unknown one",
    ),
    of(
        &[Task::Classify, Task::Regress, Task::Tag, Task::Translate],
        "data.vectors",
        Text,
        "a file of word vectors to begin with (GloVe, word2vec text)",
    ),
    of(
        &[Task::Classify],
        "data.class_weights",
        Choice(&["none", "balanced"]),
        "balanced counts every class the same",
    ),
    of(SEQUENCES, "data.features", Choice(&["log-mel", "mfcc"]), "what is taken from sound"),
    of(SEQUENCES, "data.bands", Whole, "bands of the mel scale"),
    of(SEQUENCES, "data.window_ms", Number, "milliseconds that one frame of sound sees"),
    of(SEQUENCES, "data.hop_ms", Number, "milliseconds between frames"),
    of(SEQUENCES, "data.deltas", Flag, "read the change from frame to frame too"),
    table(
        "data.covariates",
        Columns,
        "columns read beside the targets; [] is none, \"all\" every other",
    ),
    table(
        "data.series",
        Text,
        "the column that names the series of a row; without it, there is one",
    ),
    table("data.known", Columns, "columns that are known ahead, to the end of the horizon"),
    table("data.static", Columns, "columns that are the same in all rows of a series"),
    table(
        "data.calendar",
        Columns,
        "what is told of time: hour, weekday, monthday, month, yearday",
    ),
    table(
        "data.missing",
        Choice(&["refuse", "mask"]),
        "what an empty cell is: a mistake, or a value that was not measured (mask)",
    ),
    table("data.log", Flag, "take the logarithm of the targets"),
    table("data.difference", Flag, "learn the change from row to row"),
    table("data.seasonal_difference", Flag, "learn the change from season to season"),
    of(
        &[Task::Forecast, Task::Classify, Task::Regress, Task::Transcribe, Task::Translate],
        "data.scaler",
        Choice(&["standard", "min-max", "mean", "none"]),
        "how columns are scaled, fitted on the training part",
    ),
    table("data.season", Whole, "rows in a season; 1 for none"),
    table("data.input", Whole, "rows read before a forecast"),
    table("data.horizon", Whole, "rows forecast at once"),
    table("data.patch", Whole, "rows read as one step"),
    table(
        "data.decoding",
        Choice(&["direct", "steps", "recursive"]),
        "the horizon at once, step by step with what is known ahead, or on own forecasts (recursive)",
    ),
    table("data.stride", Whole, "rows between the origins that measure; a horizon if absent"),
    of(
        &[
            Task::Forecast,
            Task::Classify,
            Task::Regress,
            Task::Tag,
            Task::Transcribe,
            Task::Translate,
            Task::Music,
            Task::Language,
            Task::Fill,
        ],
        "data.test",
        Size,
        "the part looked at once: rows or sequences (24) or a fraction (0.15); of a table or text the last",
    ),
    of(
        FOLDED,
        "data.fold",
        Text,
        "the test part as one of several that take turns: 2/5 is the second of five (train --folds 5)",
    ),
    of(
        &[Task::Classify, Task::Regress, Task::Tag, Task::Transcribe, Task::Translate],
        "data.test_file",
        Text,
        "a file that is the test part",
    ),
    of(
        &[Task::Classify, Task::Regress, Task::Tag, Task::Transcribe, Task::Translate],
        "data.validation_file",
        Text,
        "a file that is the validation part",
    ),
    of(
        &[Task::Regress],
        "data.test_answers",
        Text,
        "a file with the steps left after each sequence of the test file",
    ),
    text(
        "data.vocabulary",
        Choice(&["characters", "bytes", "words", "subwords"]),
        "what a token is",
    ),
    of(&[Task::Fill], "data.mask", Number, "the share of the tokens that is hidden in training"),
    text("data.pieces", Whole, "tokens of words or subwords, the 256 bytes among them"),
    key(
        "data.validation",
        Size,
        "the part that chooses the epoch: a fraction, or rows or sequences",
    ),
    key(
        "model.cell",
        Choice(&[
            "rnn-tanh",
            "rnn-relu",
            "lstm",
            "lstm-peephole",
            "lstm-coupled",
            "lstm-coupled-peephole",
            "lstm-nig",
            "lstm-nfg",
            "lstm-nog",
            "lstm-niaf",
            "lstm-noaf",
            "gru",
            "gru-reset-before",
            "minimal-gated",
            "ind-rnn",
            "slstm",
            "slstm-exponential",
            "qrnn",
            "sru",
            "sru-projected",
            "min-gru",
            "min-lstm",
            "mlstm",
            "mlstm-exponential",
        ]),
        "the recurrent cell",
    ),
    key("model.hidden", Whole, "units of each layer"),
    key("model.heads", Whole, "parts of the memory of an mlstm; they share out the units"),
    key("model.layers", Whole, "layers of the stack"),
    key("model.sizes", Numbers, "units of each layer from the lowest, where they differ"),
    key(
        "model.bidirectional",
        Flag,
        "read the window or sequence from its end too; not for language",
    ),
    key(
        "model.merge",
        Choice(Merge::NAMES),
        "how two directions become one: side by side (concat), or value by value",
    ),
    key(
        "model.connection",
        Choice(Connection::NAMES),
        "what layers pass on: residual adds what they read, highway blends it, skip and dense give all",
    ),
    key("model.initial", Choice(Initial::NAMES), "the states before the first step"),
    key(
        "model.bias",
        Choice(&["none", "one", "two"]),
        "the biases of the cell; two as PyTorch has them",
    ),
    key("model.dropout", Number, "probability of dropout between layers and before the output"),
    key("model.locked", Flag, "drop the same values at all steps of a sequence"),
    key("model.weight_dropout", Number, "probability of dropout of recurrent weights"),
    key("model.projection", Whole, "values that the output of an LSTM is projected to; 0 for none"),
    key("model.clip_state", Number, "largest size of a cell state; 0 for any"),
    key("model.projection_clip", Number, "largest size of a projected output; 0 for any"),
    key("model.recurrent_norm", Flag, "layer normalisation inside the steps"),
    key("model.gate_recurrence", Flag, "the gates of a step reach those of the next"),
    key("model.zoneout", Number, "probability that a unit keeps its output of the step before"),
    key("model.zoneout_cell", Number, "probability that a unit keeps its cell state"),
    key(
        "model.recurrent_dropout",
        Number,
        "probability of dropout of outputs in the recurrent product, the same units at all steps",
    ),
    key("model.candidate_dropout", Number, "probability of dropout of candidates, step by step"),
    of(&[Task::Music], "model.input_dropout", Number, "probability of dropout of what is read"),
    text("model.tied", Flag, "the output takes the vectors of the tokens as its weights"),
    text("model.embedding_dropout", Number, "probability that a token has no vector for a batch"),
    key("model.layer_norm", Flag, "layer normalisation before the output"),
    of(
        &[Task::Forecast, Task::Classify, Task::Regress],
        "model.pooling",
        Choice(&["last", "mean", "max", "attention"]),
        "how the steps of a window or sequence become one vector",
    ),
    table(
        "model.relative",
        Whole,
        "forecast the change from so many rows before (1: the last row, 24: the last day); 0 for none",
    ),
    table("model.rescale", Flag, "divide each window by its own spread"),
    table("model.paths", Whole, "paths that are drawn where a forecast feeds on itself"),
    of(
        &[Task::Language, Task::Fill, Task::Classify, Task::Regress, Task::Tag, Task::Translate],
        "model.embedding",
        Whole,
        "width of the token vectors",
    ),
    of(
        &[Task::Tag],
        "model.letters",
        Whole,
        "units of each direction over the letters of a word; 0 leaves the letters out",
    ),
    of(
        WRITES,
        "model.attention",
        Choice(AttentionKind::NAMES),
        "how the decoder scores the steps of the source",
    ),
    of(WRITES, "model.input_feeding", Flag, "the decoder reads what it looked at a step before"),
    of(
        WRITES,
        "train.scheduled_sampling",
        Number,
        "share of symbols that the decoder reads as it wrote them, reached at the last epoch",
    ),
    of(
        &[Task::Music],
        "train.transpose",
        Whole,
        "the most semitones by which a piece is shifted, anew in every epoch; 0 never",
    ),
    key("train.seed", Whole, "seed of weights, order and dropout"),
    key("train.epochs", Whole, "the most epochs"),
    key("train.batch", Whole, "windows, sequences, or lanes of text, in a batch"),
    of(
        &[Task::Language, Task::Fill, Task::Detect],
        "train.steps",
        Whole,
        "steps of truncated backpropagation through time; rows of a piece of a stream",
    ),
    key("train.accumulate", Whole, "batches whose gradients make one step"),
    key("train.threads", Whole, "0 takes all; changes no bit of a result"),
    key(
        "train.precision",
        Choice(&["f32", "bf16"]),
        "numbers that products multiply; bf16 is faster where the processor has it, and rounder",
    ),
    key(
        "train.memory",
        Choice(&["auto", "full", "low"]),
        "low computes gates again instead of keeping them: less memory, more time, the same bits",
    ),
    key(
        "train.checkpoint_seconds",
        Number,
        "seconds between checkpoints within an epoch; 0 for none",
    ),
    key("train.checkpoint_steps", Whole, "steps between checkpoints within an epoch; 0 for none"),
    key("train.log_steps", Whole, "steps between lines of log.jsonl; 0 for epochs only"),
    key("train.tensorboard", Flag, "write the curves of the log for TensorBoard too"),
    key(
        "train.snapshots",
        Whole,
        "epochs whose weights are kept for `recurve explore`, at most, evenly spread; 0 for none",
    ),
    key(
        "optimiser.kind",
        Choice(&["sgd", "rmsprop", "adam", "adamw"]),
        "sgd, rmsprop, adam or adamw",
    ),
    key("optimiser.learning_rate", Number, "the base rate; the schedule multiplies it"),
    key("optimiser.momentum", Number, "of sgd and rmsprop"),
    key("optimiser.nesterov", Flag, "look ahead along the momentum"),
    key("optimiser.alpha", Number, "how much of the running square rmsprop keeps"),
    key("optimiser.beta1", Number, "how much of the running gradient is kept"),
    key("optimiser.beta2", Number, "how much of the running square is kept"),
    key("optimiser.eps", Number, "keeps the divisor from 0"),
    key("optimiser.weight_decay", Number, "pulls weights (not biases) to 0"),
    key(
        "schedule.kind",
        Choice(&["constant", "cosine", "step", "plateau", "one-cycle"]),
        "constant, cosine, step, plateau or one-cycle",
    ),
    key("schedule.warmup_steps", Whole, "steps of the linear rise"),
    key("schedule.warmup_fraction", Number, "share of all steps spent rising"),
    key("schedule.start_factor", Number, "the first rate, as a multiple of the base rate"),
    key("schedule.final_factor", Number, "the last (lowest) rate, as a multiple of the base rate"),
    key("schedule.every_epochs", Whole, "epochs between two reductions"),
    key("schedule.factor", Number, "the rate is multiplied by this"),
    key("schedule.patience", Whole, "epochs without a better metric before a reduction"),
    key("schedule.threshold", Number, "the share that counts as better"),
    key("schedule.cooldown", Whole, "epochs not counted after a reduction"),
    key("clip.kind", Choice(&["none", "norm", "value"]), "none, norm or value"),
    key("clip.limit", Number, "the largest norm, or the largest value"),
    key("stopping.patience", Whole, "epochs without a better metric that end the run; 0 never"),
    key("stopping.min_epochs", Whole, "no early end before these"),
    key("stopping.min_delta", Number, "what counts as better"),
    key(
        "nan.kind",
        Choice(&["stop", "skip-step"]),
        "a step that is no number stops the run, or is left out (skip-step)",
    ),
    key("nan.max_consecutive", Whole, "more in a row end the run"),
    key(
        "loss.kind",
        Choice(&[
            "cross-entropy",
            "mse",
            "mae",
            "huber",
            "quantile",
            "normal",
            "student-t",
            "negative-binomial",
            "mixture",
            "crf",
            "ctc",
            "binary-cross-entropy",
        ]),
        "mse, mae or huber for numbers; quantile or a distribution for forecasts; cross-entropy for language, classes, tags or translations, crf for tags, ctc for texts, binary-cross-entropy for music",
    ),
    key("loss.label_smoothing", Number, "probability spread over all tokens"),
    table("loss.levels", Numbers, "levels of the quantiles, with 0.5 among them"),
    table("loss.components", Whole, "normal distributions in a mixture"),
    key("loss.delta", Number, "where the parabola becomes a line"),
    key("initialise.forget_bias", Number, "bias of the forget gate of an LSTM"),
    key("initialise.input.kind", STARTS, "input weights of the cells"),
    key("initialise.input.value", Number, "of constant"),
    key("initialise.input.bound", Number, "of uniform"),
    key("initialise.input.std", Number, "of normal"),
    key("initialise.recurrent.kind", STARTS, "recurrent weights of the cells"),
    key("initialise.recurrent.value", Number, "of constant"),
    key("initialise.recurrent.bound", Number, "of uniform"),
    key("initialise.recurrent.std", Number, "of normal"),
    key("initialise.embedding.kind", STARTS, "token vectors"),
    key("initialise.embedding.value", Number, "of constant"),
    key("initialise.embedding.bound", Number, "of uniform"),
    key("initialise.embedding.std", Number, "of normal"),
    key("initialise.output.kind", STARTS, "weights of the output layer"),
    key("initialise.output.value", Number, "of constant"),
    key("initialise.output.bound", Number, "of uniform"),
    key("initialise.output.std", Number, "of normal"),
];

/// All keys, in the order in which they are written.
pub fn keys() -> &'static [Key] {
    KEYS
}

/// The key of this name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The key that was most likely meant, by its full name or by its last part alone; none where no key is
/// like it.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    let whole = |key: &Key| strsim::jaro_winkler(key.name, name);
    let part = |key: &Key| strsim::jaro_winkler(&last(key.name), &last(name));
    let likeness = |key: &Key| 0.4 * whole(key) + 0.6 * part(key);
    let best = KEYS.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    best.filter(|key| whole(key).max(part(key)) > 0.75).map(|key| key.name)
}

impl Expects {
    /// What is expected, in words.
    pub fn words(self) -> String {
        match self {
            Whole => "a whole number from 0".to_owned(),
            Number => "a number".to_owned(),
            Numbers => "a list of numbers".to_owned(),
            Flag => "true or false".to_owned(),
            Text => "a text".to_owned(),
            Columns => "\"all\", a column name or a list of column names".to_owned(),
            Size => "a number of rows (24) or a fraction of them (0.15)".to_owned(),
            Choice(words) => format!("one of {}", words.join(", ")),
        }
    }

    /// Whether a value is of this type.
    pub(super) fn fits(self, value: &toml::Value) -> bool {
        use toml::Value;
        match (self, value) {
            (Whole, Value::Integer(number)) => *number >= 0,
            (Number, Value::Integer(_) | Value::Float(_)) => true,
            (Flag, Value::Boolean(_)) => true,
            (Text | Columns, Value::String(_)) => true,
            (Columns, Value::Array(names)) => names.iter().all(toml::Value::is_str),
            (Size, Value::Integer(number)) => *number >= 0,
            (Size, Value::Float(_)) => true,
            (Numbers, Value::Array(numbers)) => numbers.iter().all(|number| Number.fits(number)),
            (Choice(words), Value::String(word)) => words.contains(&word.as_str()),
            _ => false,
        }
    }
}
