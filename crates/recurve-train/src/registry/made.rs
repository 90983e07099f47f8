//! Small data sets that are generated: one for each task, to try it in seconds.

use crate::generate::Adding;
use crate::initialise::generator;
use hound::{SampleFormat, WavSpec, WavWriter};
use rand::RngExt;
use rand_distr::{Distribution, Normal};
use std::f64::consts::TAU;
use std::fmt::Write;
use std::io::Cursor;

/// Files with their names.
type Files = Vec<(String, Vec<u8>)>;

/// Name, what it is, and what makes it.
type Made = (&'static str, &'static str, fn() -> Files);

pub(super) const MADE: &[Made] = &[
    ("adding", "two marked numbers among fifty are to be added: regress", adding),
    ("chords", "pieces of four chords in many keys, as piano rolls: music", chords),
    (
        "clauses",
        "sentences whose verb agrees with a subject some words before: fill, language",
        clauses,
    ),
    ("gestures", "movements of a sensor in two directions, four kinds: classify", gestures),
    ("machines", "two sensors of machines that wear out: regress", machines),
    ("pump", "pressure of a pump in the course of days, with three faults: detect", pump),
    ("spelling", "made-up words and how they sound: translate", spelling),
    ("talk", "sentences with names of persons and places: tag", talk),
    ("stores", "sales of six stores by day, with prices known ahead: forecast many series", stores),
    ("whistles", "words whistled in three tones: transcribe", whistles),
];

fn noise() -> Normal<f64> {
    Normal::new(0.0, 1.0).expect("a normal distribution")
}

/// Long table: the adding problem, whose answer needs two numbers that are far apart.
fn adding() -> Files {
    const SEQUENCES: usize = 3000;
    const STEPS: usize = 50;
    let made = Adding { steps: STEPS, seed: 1 }.batch(0, SEQUENCES);
    let mut text = "id,step,number,mark,target\n".to_owned();
    for id in 0..SEQUENCES {
        let pair = |step: usize| &made.x[(step * SEQUENCES + id) * 2..][..2];
        // In ten thousandths, as they are written, so that the sums are those of the file.
        let number = |step: usize| (1e4 * pair(step)[0]).floor() as u32;
        let marked = |step: &usize| pair(*step)[1] != 0.0;
        let sum: u32 = (0..STEPS).filter(marked).map(number).sum();
        let target = f64::from(sum) / 1e4;
        for step in 0..STEPS {
            let (number, mark) = (f64::from(number(step)) / 1e4, u8::from(marked(&step)));
            let _ = writeln!(text, "{id},{step},{number:.4},{mark},{target:.4}");
        }
    }
    vec![("adding.csv".to_owned(), text.into_bytes())]
}

/// Piano rolls: a cadence of four chords with a bass, over and over, in any of twelve keys; each chord may be
/// held for a second frame and loses its middle note at times.
fn chords() -> Files {
    let mut rng = generator(1, "chords");
    let mut pick = |count: u64| rng.random_range(0..count);
    let mut lists = vec![];
    for (part, count) in [("train", 120), ("valid", 20), ("test", 20)] {
        let mut pieces = vec![];
        for _ in 0..count {
            let (key, minor) = (pick(12), pick(2));
            let mut frames: Vec<Vec<u64>> = vec![];
            while frames.len() < 32 {
                for (root, third) in [(0, 4 - minor), (5, 4 - minor), (7, 4), (0, 4 - minor)] {
                    let low = 60 + (key + root) % 12;
                    let mut notes = vec![low - 24, low, low + third, low + 7];
                    if pick(6) == 0 {
                        notes.remove(2);
                    }
                    let held = 1 + usize::from(pick(2) == 0);
                    frames.extend(vec![notes; held]);
                }
            }
            pieces.push(frames);
        }
        lists.push((part.to_owned(), serde_json::json!(pieces)));
    }
    let text = serde_json::Value::Object(lists.into_iter().collect()).to_string();
    vec![("chords.json".to_owned(), text.into_bytes())]
}

/// Sentences, one on each line: what stands between subject and verb says nothing of their number.
fn clauses() -> Files {
    const LINES: usize = 2000;
    let mut rng = generator(1, "clauses");
    let mut text = String::new();
    for _ in 0..LINES {
        let many = rng.random_range(0..2);
        let mut pick = |words: &[&'static str]| words[rng.random_range(0..words.len())];
        let noun = match many {
            0 => pick(&["cat", "dog", "child", "horse", "friend"]),
            _ => pick(&["cats", "dogs", "children", "horses", "friends"]),
        };
        let (who, met) = (pick(&["we", "you", "they"]), pick(&["saw", "met", "fed", "heard"]));
        let when = pick(&["at noon", "last night", "today", "in the garden"]);
        let (verb, how) = (["was", "were"][many], pick(&["hungry", "tired", "happy", "late"]));
        let _ = writeln!(text, "The {noun} {who} {met} {verb} {how} {when}.");
    }
    vec![("clauses.txt".to_owned(), text.into_bytes())]
}

/// Long table: circles in both directions, and zigzags along two axes, of 15 to 40 steps.
fn gestures() -> Files {
    let mut rng = generator(1, "gestures");
    let noise = noise();
    let mut text = "id,step,person,x,y,label\n".to_owned();
    for id in 0..240 {
        let kind = id % 4;
        let (steps, phase) =
            (15 + rng.random_range(0..26_u64) as usize, rng.random_range(0.0..TAU));
        for step in 0..steps {
            let turn = TAU * step as f64 / 15.0;
            let zigzag = ((step + id) % 8) as f64 / 4.0 - 1.0;
            let (x, y) = match kind {
                0 => ((turn + phase).cos(), (turn + phase).sin()),
                1 => ((turn + phase).cos(), -(turn + phase).sin()),
                2 => (zigzag, 0.1 * turn),
                _ => (0.1 * turn, zigzag),
            };
            let (x, y) = (x + 0.4 * noise.sample(&mut rng), y + 0.4 * noise.sample(&mut rng));
            let label = ["left", "right", "wave", "nod"][kind];
            let _ = writeln!(text, "g{id},{step},p{},{x:.3},{y:.3},{label}", id / 24);
        }
    }
    vec![("gestures.csv".to_owned(), text.into_bytes())]
}

/// Sales by day: a week, a price that is lowered at times, and two kinds of store; and the same with what
/// is known of the two weeks after.
fn stores() -> Files {
    let mut rng = generator(1, "stores");
    let noise = noise();
    let mut text = "store,date,kind,price,units\n".to_owned();
    let mut more = text.clone();
    for store in 0..6 {
        let (base, kind) = [(20.0, "village"), (60.0, "city")][store % 2];
        let base = base * (1.0 + 0.3 * store as f64);
        for day in 0..294_u64 {
            let date = jiff::civil::date(2024, 1, 1) + jiff::Span::new().days(day as i64);
            let low = ((day + 5 * store as u64) / 7).is_multiple_of(4);
            let week = 1.0 + 0.3 * (TAU * day as f64 / 7.0).sin();
            let units =
                base * week * if low { 1.5 } else { 1.0 } * (1.0 + 0.06 * noise.sample(&mut rng));
            let price = if low { "7.90" } else { "9.90" };
            let known = format!("s{store},{date},{kind},{price},");
            if day < 280 {
                let _ = writeln!(text, "{known}{units:.1}");
                let _ = writeln!(more, "{known}{units:.1}");
            } else {
                let _ = writeln!(more, "{known}");
            }
        }
    }
    let named = |name: &str, text: String| (name.to_owned(), text.into_bytes());
    vec![named("stores.csv", text), named("next.csv", more)]
}

/// Long table: wear grows faster and faster until the machine stands still.
fn machines() -> Files {
    let mut rng = generator(1, "machines");
    let noise = noise();
    let mut text = "machine,hour,heat,shake\n".to_owned();
    for machine in 0..60 {
        let life = 40 + rng.random_range(0..80_u64) as usize;
        let start = rng.random_range(0.0..0.3);
        for hour in 0..life {
            let wear = start + (-((life - hour) as f64) / 25.0).exp();
            let heat = 60.0 + 15.0 * wear + 1.0 * noise.sample(&mut rng);
            let shake = 0.5 + wear * wear + 0.08 * noise.sample(&mut rng);
            let _ = writeln!(text, "m{machine},{hour},{heat:.2},{shake:.3}");
        }
    }
    vec![("machines.csv".to_owned(), text.into_bytes())]
}

/// Columns of words and tags: who goes where, with names made of syllables.
fn talk() -> Files {
    let mut rng = generator(1, "talk");
    let mut pick = |count: usize| rng.random_range(0..count as u64) as usize;
    let mut text = String::new();
    for _ in 0..500 {
        let syllable = |at: usize| ["mar", "lo", "tin", "be", "ka", "ro", "sil", "ne"][at];
        let mut name = |ending: &str| {
            let name = format!("{}{}{ending}", syllable(pick(8)), syllable(pick(8)));
            name[..1].to_uppercase() + &name[1..]
        };
        let (person, family, place) = (name("a"), name("son"), name("burg"));
        let (long, south) = (pick(2) == 0, pick(3) == 0);
        let verb = ["lives in", "went to", "writes from", "never saw"][pick(4)];
        let _ = writeln!(text, "{person}\tB-PER");
        if long {
            let _ = writeln!(text, "{family}\tI-PER");
        }
        for word in verb.split(' ') {
            let _ = writeln!(text, "{word}\tO");
        }
        if south {
            let _ = writeln!(text, "South\tB-LOC\n{place}\tI-LOC");
        } else {
            let _ = writeln!(text, "{place}\tB-LOC");
        }
        text += ".\tO\n\n";
    }
    vec![("talk.conll".to_owned(), text.into_bytes())]
}

/// A table with a row for every ten minutes, and the times of its faults: a rhythm of half an hour on that of
/// the day, which is lost, then doubled, then broken by spikes.
fn pump() -> Files {
    let mut rng = generator(1, "pump");
    let noise = noise();
    let time = |row: usize| {
        let (day, minute) = (row / 144, row % 144 * 10);
        format!("2024-05-{:02} {:02}:{:02}:00", 1 + day, minute / 60, minute % 60)
    };
    let faults = [(1400, 1430), (1800, 1830), (2300, 2310)];
    let mut text = "time,pressure\n".to_owned();
    for row in 0..2600 {
        let day = (TAU * row as f64 / 144.0).sin();
        let stroke = (TAU * row as f64 / 9.0).sin();
        let fault = faults.iter().position(|(first, last)| (*first..*last).contains(&row));
        let stroke = match fault {
            Some(0) => 0.0,
            Some(1) => 2.5 * stroke,
            Some(_) if row % 3 == 0 => 4.0,
            _ => stroke,
        };
        let pressure = 20.0 + 3.0 * day + 2.0 * stroke + 0.15 * noise.sample(&mut rng);
        let _ = writeln!(text, "{},{pressure:.3}", time(row));
    }
    let mut table = "start,end\n".to_owned();
    for (first, last) in faults {
        let _ = writeln!(table, "{},{}", time(first), time(last));
    }
    vec![("pump.csv".to_owned(), text.into_bytes()), ("faults.csv".to_owned(), table.into_bytes())]
}

/// Pairs between a tab: words of an invented language, and their sounds between blanks. Some letters sound by
/// what stands beside them, two may be one sound, and the last e is not heard.
fn spelling() -> Files {
    let mut rng = generator(1, "spelling");
    let mut pick = |count: usize| rng.random_range(0..count as u64) as usize;
    let (mut words, mut text) = (std::collections::BTreeSet::new(), "word\tsounds\n".to_owned());
    while words.len() < 600 {
        let mut word = String::new();
        for _ in 0..2 + pick(3) {
            word += ["b", "c", "d", "g", "l", "m", "sh", "s", "t", "th"][pick(10)];
            word += ["a", "e", "i", "o", "u", "aa", "oo"][pick(7)];
        }
        word += ["", "", "n", "t", "re"][pick(5)];
        if words.insert(word.clone()) {
            let _ = writeln!(text, "{word}\t{}", sounds(&word).join(" "));
        }
    }
    vec![("spelling.tsv".to_owned(), text.into_bytes())]
}

fn sounds(word: &str) -> Vec<&str> {
    let (mut rest, mut found) = (word, vec![]);
    while let Some(first) = rest.get(..1) {
        let two = rest.get(..2).unwrap_or("");
        let soft = rest[1..].starts_with(['e', 'i']);
        let (sound, length) = match (two, first) {
            ("sh", _) => ("ʃ", 2),
            ("th", _) => ("θ", 2),
            ("aa", _) => ("aː", 2),
            ("oo", _) => ("uː", 2),
            (_, "c") => (if soft { "s" } else { "k" }, 1),
            (_, "g") => (if soft { "ʒ" } else { "g" }, 1),
            ("e", _) => ("", 1),
            (_, other) => (other, 1),
        };
        if !sound.is_empty() {
            found.push(sound);
        }
        rest = &rest[length..];
    }
    found
}

/// WAV files and a table of them: each letter is a tone of its own, of unequal length.
fn whistles() -> Files {
    let mut rng = generator(1, "whistles");
    let noise = noise();
    let (mut files, mut table) = (vec![], "file,text\n".to_owned());
    for at in 0..150 {
        let letters = 1 + rng.random_range(0..5_u64) as usize;
        let word: String =
            (0..letters).map(|_| ["a", "b", "c"][rng.random_range(0..3_u64) as usize]).collect();
        let mut samples: Vec<f64> = vec![0.0; 400];
        for letter in word.chars() {
            let hertz = match letter {
                'a' => 400.0,
                'b' => 900.0,
                _ => 1800.0,
            };
            let long = 500 + rng.random_range(0..700_u64) as usize;
            samples.extend((0..long).map(|t| 0.3 * (TAU * hertz * t as f64 / 8000.0).sin()));
            samples.extend(vec![0.0; 160 + rng.random_range(0..300_u64) as usize]);
        }
        let samples: Vec<f64> =
            samples.iter().map(|sample| sample + 0.02 * noise.sample(&mut rng)).collect();
        files.push((format!("whistle-{at}.wav"), wav(&samples)));
        let _ = writeln!(table, "whistle-{at}.wav,{word}");
    }
    files.push(("whistles.csv".to_owned(), table.into_bytes()));
    files
}

/// A WAV file of 16 bits at 8 kHz.
pub(super) fn wav(samples: &[f64]) -> Vec<u8> {
    let spec = WavSpec {
        channels: 1,
        sample_rate: 8000,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut bytes = Cursor::new(vec![]);
    let mut write = || -> hound::Result<()> {
        let mut writer = WavWriter::new(&mut bytes, spec)?;
        for sample in samples {
            writer.write_sample((sample.clamp(-1.0, 1.0) * 32_767.0).round() as i16)?;
        }
        writer.finalize()
    };
    write().expect("memory can be written");
    bytes.into_inner()
}
