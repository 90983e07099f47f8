//! What the page is told about separate sequences is what the engine and the program say.

mod support;

use recurve_nn::{Batch, Engine, Input, Mode, Network};
use recurve_train::data::Part;
use recurve_train::model_file::ModelFile;
use recurve_train::task::{Classifier, Evaluation, Search, Tagger, Trained, Translator};
use serde_json::{Value, json};
use support::{
    Served, classifier_run, floats, regressor_run, serve, tagger_run, transcriber_run,
    translator_run,
};

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn plane(server: &Served, trace: &Value, part: usize, plane: &str) -> Vec<f32> {
    let question = json!({"trace": trace["id"], "part": part, "plane": plane});
    floats(&server.numbers("plane", &question).1)
}

fn said(server: &Served, piece: &Value) -> (Value, Value) {
    let trace = server.asked("trace", piece);
    let said = server.asked("answer", &json!({"trace": trace["id"]}));
    (trace, said)
}

#[test]
fn what_is_written_is_what_the_program_translates_and_the_tree_leads_there() {
    let server = serve(translator_run());
    let (trace, told) = said(&server, &json!({"text": "bagi"}));
    assert_eq!(trace["labels"], json!(["b", "a", "g", "i"]));
    let search = Search { best: 5, ..Search::default() };
    let mut translator = Translator::load(translator_run()).unwrap().with_search(search);
    let expected = translator.translate(&["bagi".to_owned()]).unwrap().remove(0);
    let found = told["translations"].as_array().unwrap();
    assert_eq!(found.len(), expected.len());
    let tree = told["tree"].as_array().unwrap();
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found["text"], json!(expected.predicted));
        assert_eq!(found["log_probability"], json!(expected.log_probability));
        let rows = found["attention"].as_array().unwrap();
        assert_eq!(rows.len(), found["symbols"].as_array().unwrap().len());
        for row in rows {
            let sum: f64 = row.as_array().unwrap().iter().map(number).sum();
            assert!(row.as_array().unwrap().len() == 4 && (sum - 1.0).abs() < 1e-5, "{row}");
        }
        // Its end stands in the tree, and the way there spells it.
        let end = tree.iter().find(|node| {
            node["ends"] == true && node["log_probability"] == found["log_probability"]
        });
        let (mut node, mut symbols) = (end.unwrap(), vec![]);
        loop {
            symbols.push(node["symbol"].as_str().unwrap());
            let Some(from) = node["from"].as_u64() else { break };
            let before = &tree[from as usize];
            assert!(number(&before["log_probability"]) >= number(&node["log_probability"]));
            node = before;
        }
        symbols.reverse();
        let spelled: Vec<&str> = symbols.into_iter().filter(|symbol| !symbol.is_empty()).collect();
        assert_eq!(spelled.join(" "), expected.predicted);
    }
}

#[test]
fn the_encoder_of_a_translator_is_traced_as_the_decoder_sees_it() {
    let server = serve(translator_run());
    let trace = server.asked("trace", &json!({"text": "bagi"}));
    let file = ModelFile::load(translator_run()).unwrap();
    let pair = file.model().description().seq2seq().unwrap();
    let mut network = Network::new(&pair.encoder, Engine::detect().unwrap()).unwrap();
    let count = recurve_nn::Entries::of(&pair.encoder).unwrap().len();
    network.load(&file.model().values()[..count], false);
    let run = server.asked("run", &json!({}));
    assert_eq!(run["parts"].as_array().unwrap().len(), 2);
    let example = recurve_train::task::examples::Examples::of(&file, None).unwrap();
    let read = example.read(recurve_train::task::examples::Which::Typed("bagi")).unwrap();
    let Input::Tokens(tokens) = read.batch().input else { panic!("letters") };
    let batch = Batch::new(4, 1, Input::Tokens(tokens));
    let outputs = network.forward(&batch, None, Mode::Infer).unwrap().to_vec();
    let (forward, reverse) = (plane(&server, &trace, 0, "h"), plane(&server, &trace, 1, "h"));
    for t in 0..4 {
        assert_eq!(outputs[t * 48..][..24], forward[t * 24..][..24]);
        assert_eq!(outputs[t * 48 + 24..][..24], reverse[t * 24..][..24]);
    }
    // Without its only layer the decoder sees nothing, which costs.
    let all: Vec<usize> = (0..24).collect();
    let off = |part| json!({"do": "off", "part": part, "units": all});
    let told = server.asked("loss", &json!({"edits": [off(0), off(1)]}));
    assert!(number(&told["changed"]) > number(&told["whole"]) + 0.1, "{told}");
    assert_eq!(told["unit"], "symbol error rate");
    // What is changed is changed in what is written, too.
    let (_, whole) = said(&server, &json!({"text": "bagi"}));
    let (_, changed) = said(&server, &json!({"text": "bagi", "edits": [off(0), off(1)]}));
    assert_ne!(whole["translations"], changed["translations"]);
}

#[test]
fn a_class_is_that_of_the_program_and_the_loss_that_of_the_training() {
    let server = serve(classifier_run());
    let mut classifier = Classifier::load(classifier_run()).unwrap();
    let report = classifier.evaluate(Some(Part::Test), None).unwrap();
    let Evaluation::Classify(report) = report else { panic!("a classifier") };
    let one = &report.predictions[3];
    let at = server.asked("named", &json!({"id": one.id}))["from"].clone();
    let (trace, told) = said(&server, &json!({"from": at}));
    assert_eq!(trace["example"]["id"], json!(one.id));
    assert_eq!(trace["example"]["part"], "test");
    assert_eq!(trace["example"]["actual"], json!(one.actual));
    assert_eq!(told["probabilities"], json!(one.probabilities));
    let whole = server.asked("loss", &json!({"edits": []}))["whole"].clone();
    let best = server.asked("run", &json!({}))["best"]["metric"].clone();
    assert!((number(&whole) - number(&best)).abs() < 1e-9, "{whole} {best}");
    // Places are found within sequences, and numbered by them.
    let question = json!({"part": 0, "plane": "h", "units": [[0, 1.0]], "threshold": -2.0,
                          "share": 1.0, "length": 5, "from": 2, "count": 3});
    let found = server.asked("match", &question);
    let sequences: Vec<u64> = found["sequences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|own| own["sequence"].as_u64().unwrap())
        .collect();
    assert_eq!((sequences, &found["next"]), (vec![2, 3, 4], &json!(5)));
    assert_eq!(found["sequences"][0]["places"][0][0], 0);
    for body in [json!({"from": 100_000}), json!({"text": "a"})] {
        assert_eq!(server.ask("trace", &body).0, 400, "{body}");
    }
}

/// What follows from a change in a model of both directions that pools, against the whole model with a weight
/// changed from the first step on.
#[test]
fn what_follows_a_changed_weight_in_both_directions_is_what_the_whole_model_gives() {
    let server = serve(classifier_run());
    let file = ModelFile::load(classifier_run()).unwrap();
    let trace = server.asked("trace", &json!({"from": 5}));
    let steps = trace["steps"].as_u64().unwrap();
    for (part, step) in [(0, 0), (1, steps - 1)] {
        let direction = ["forward", "reverse"][part];
        let question = json!({"trace": trace["id"], "part": part, "unit": 2, "step": step,
                              "weights": [["b", 5, 1.5]]});
        let told = server.asked("cell", &question);
        let mut changed = file.model().clone();
        changed.get_mut(&format!("0.recurrent.0.{direction}.b")).unwrap()[5] = 1.5;
        let examples = recurve_train::task::examples::Examples::of(&file, None).unwrap();
        let read = examples.read(recurve_train::task::examples::Which::Own(5)).unwrap();
        let mut network = Network::new(changed.description(), Engine::detect().unwrap()).unwrap();
        network.load(changed.values(), false);
        let expected = network.forward(&read.batch(), None, Mode::Infer).unwrap();
        let found = told["after"]["now"].as_array().unwrap();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((number(found) - f64::from(*expected)).abs() < 1e-5, "{found} {expected}");
        }
        assert_ne!(told["after"]["now"], told["after"]["was"]);
    }
}

#[test]
fn tags_are_those_of_the_program_with_probabilities_of_all() {
    let server = serve(tagger_run());
    let words = "Anna met Peter in Oslo";
    let (trace, told) = said(&server, &json!({"text": words}));
    let cut: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let expected = Tagger::load(tagger_run()).unwrap().tag(std::slice::from_ref(&cut)).unwrap();
    let tags = told["tags"].as_array().unwrap();
    let chosen = told["chosen"].as_array().unwrap().iter();
    let chosen: Vec<&str> =
        chosen.map(|at| tags[at.as_u64().unwrap() as usize].as_str().unwrap()).collect();
    assert_eq!(chosen, expected[0]);
    for row in told["probabilities"].as_array().unwrap() {
        let sum: f64 = row.as_array().unwrap().iter().map(number).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{row}");
    }
    assert_eq!(trace["labels"], json!(cut));
    let pairs = server.asked(
        "gradient",
        &json!({"trace": trace["id"], "step": 2, "back": 5, "forget_bias": 1.0, "radius": 1.0}),
    );
    assert!(pairs["own"]["whole"] == true && number(&pairs["own"]["x"][0]) > 0.0, "{pairs}");
}

#[test]
fn what_is_heard_and_counted_is_told_at_every_frame() {
    let server = serve(transcriber_run());
    let (trace, told) = said(&server, &json!({}));
    let steps = trace["steps"].as_u64().unwrap() as usize;
    let posteriors = told["posteriors"].as_array().unwrap();
    assert_eq!(posteriors.len(), steps);
    assert_eq!(posteriors[0].as_array().unwrap().len(), told["symbols"].as_array().unwrap().len());
    // The gradient at a frame, of a model of both directions, reaches inputs on both sides.
    let server = serve(regressor_run());
    let (trace, told) = said(&server, &json!({"from": 2}));
    assert_eq!(
        told["predicted"].as_array().unwrap().len(),
        trace["steps"].as_u64().unwrap() as usize
    );
    // A change of a state at a step: nothing before it moves.
    let question = json!({"trace": trace["id"], "part": 0, "unit": 1, "step": 9, "c": [[1, 4.0]]});
    let after = server.asked("cell", &question)["after"].clone();
    assert_eq!(after["first"], 9);
    assert!(number(&after["far"][0]) > 0.0, "{after}");
}
