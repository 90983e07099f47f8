//! What the page is told is what the engine computes.

mod support;

use recurve_nn::{Engine, Session};
use recurve_train::data::{Table, Vocabulary};
use recurve_train::model_file::ModelFile;
use recurve_train::task::{Forecaster, GenerateOptions, LanguageModel};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use support::{Served, floats, serve, stores_run, table_run, text_run};

const TEXT: &str = "KING:\nWhat (say you) is \"study\"?";

fn tokens(model: &LanguageModel) -> Vec<u32> {
    let vocabulary: &Vocabulary = model.vocabulary();
    vocabulary.encode("", TEXT).unwrap()
}

fn plane(server: &Served, trace: &Value, part: usize, plane: &str) -> Vec<f32> {
    let question = json!({"trace": trace["id"], "part": part, "plane": plane});
    let (status, bytes) = server.numbers("plane", &question);
    assert_eq!(status, 200);
    floats(&bytes)
}

#[test]
fn states_outputs_and_surprise_are_those_of_a_session() {
    let server = serve(text_run());
    let trace = server.asked("trace", &json!({"text": TEXT}));
    let model = LanguageModel::load(text_run()).unwrap();
    let tokens = tokens(&model);
    let engine = Engine::detect().unwrap();
    let mut session = Session::new(model.file().model(), engine, 1).unwrap();
    let planes: Vec<Vec<f32>> = (0..2).map(|part| plane(&server, &trace, part, "h")).collect();
    let cells: Vec<Vec<f32>> = (0..2).map(|part| plane(&server, &trace, part, "c")).collect();
    let mut stream = model.stream().unwrap();
    for (t, token) in tokens.iter().enumerate() {
        session.step_tokens(&[*token]);
        for (part, state) in session.state().parts().iter().enumerate() {
            assert_eq!(state.h, planes[part][t * 24..][..24], "h of layer {part} at step {t}");
            for (own, found) in state.c.iter().zip(&cells[part][t * 24..]) {
                assert!((own - found).abs() < 1e-5, "c of layer {part} at step {t}: {own} {found}");
            }
        }
        stream.push(*token).unwrap();
        let probabilities = stream.probabilities();
        if let Some(next) = tokens.get(t + 1) {
            let bits = trace["bits"][t + 1].as_f64().unwrap();
            assert!((bits + probabilities[*next as usize].log2()).abs() < 1e-9);
        }
        let best = probabilities.iter().copied().fold(0.0, f64::max);
        assert!((trace["top"][t][0][1].as_f64().unwrap() - best).abs() < 1e-5);
    }
    assert_eq!(trace["bits"][0], Value::Null);
    assert_eq!(trace["labels"].as_array().unwrap().len(), tokens.len());
}

#[test]
fn a_window_and_its_forecast_are_those_of_the_program() {
    let server = serve(table_run());
    let trace = server.asked("trace", &json!({}));
    let mut model = Forecaster::load(table_run()).unwrap();
    let table: Table = model.own_table(None).unwrap();
    let forecast = model.forecast(&table).unwrap();
    let told: Vec<f64> = serde_json::from_value(trace["channels"][0]["forecast"].clone()).unwrap();
    assert_eq!(told, forecast.values);
    assert_eq!(trace["ahead"], json!(forecast.times));
    assert_eq!(trace["channels"][0]["actual"][0], Value::Null);
    // Earlier windows are those of the rolling evaluation, and what came is known.
    let backtest = server.asked("backtest", &json!({}));
    let rows = backtest["held_out"].as_array().unwrap();
    let from = 144 - rows.len();
    let earlier = server.asked("trace", &json!({"from": from}));
    for step in 0..6 {
        assert_eq!(earlier["channels"][0]["forecast"][step], rows[step]["forecast"]);
        assert_eq!(earlier["channels"][0]["actual"][step], rows[step]["actual"]);
    }
    for body in [json!({"from": 3}), json!({"from": 200}), json!({"text": "a"})] {
        assert_eq!(server.ask("trace", &body).0, 400, "{body}");
    }
}

#[test]
fn series_of_a_table_are_forecast_as_in_the_test_and_a_known_price_moves_them() {
    let server = serve(stores_run());
    let run = server.asked("run", &json!({}));
    let series = run["data"]["series"].as_array().unwrap();
    assert_eq!((series.len(), &run["data"]["known"]), (6, &json!(["price"])));
    let backtest = server.asked("backtest", &json!({}));
    let name = series[2]["name"].clone();
    let rows = backtest["held_out"].as_array().unwrap().iter();
    let rows: Vec<&Value> = rows.filter(|row| row["series"] == name).collect();
    let from = series[2]["rows"].as_u64().unwrap() - rows.len() as u64;
    let trace = server.asked("trace", &json!({"series": 2, "from": from}));
    let channel = &trace["channels"][0];
    for step in 0..7 {
        assert_eq!(channel["forecast"][step], rows[step]["forecast"], "step {step}");
        assert_eq!(channel["actual"][step], rows[step]["actual"]);
        assert_eq!(channel["lower"][step], rows[step]["lower"]);
        assert_eq!(trace["ahead"][step], rows[step]["time"]);
    }
    let levels = trace["levels"].as_array().unwrap().len();
    assert_eq!(channel["quantiles"][0].as_array().unwrap().len(), levels);
    // The same price gives the same forecast, another one another; nothing else is known ahead.
    let price = trace["known"][0]["cells"][3].as_str().unwrap().to_owned();
    let ask = |column: &str, value: &str| {
        let changes = json!([{"column": column, "step": 3, "value": value}]);
        server.ask("whatif", &json!({"trace": trace["id"], "changes": changes}))
    };
    let (_, same) = ask("price", &price);
    for (found, expected) in same["channels"][0]["forecast"]
        .as_array()
        .unwrap()
        .iter()
        .zip(channel["forecast"].as_array().unwrap())
    {
        let (found, expected) = (found.as_f64().unwrap(), expected.as_f64().unwrap());
        assert!((found - expected).abs() < 1e-4 * expected.abs(), "{found} {expected}");
    }
    let (_, other) = ask("price", "2.5");
    assert_ne!(other["channels"][0]["forecast"], channel["forecast"]);
    for (column, value) in [("units", "3"), ("price", "dear"), ("kind", "village")] {
        assert_eq!(ask(column, value).0, 400, "{column} {value}");
    }
    for body in [json!({"series": 6}), json!({"series": 1, "from": 3})] {
        assert_eq!(server.ask("trace", &body).0, 400, "{body}");
    }
}

#[test]
fn weights_of_epochs_are_kept_within_a_bound_and_looked_into() {
    let server = serve(stores_run());
    let run = server.asked("run", &json!({}));
    assert_eq!(run["epochs"], json!([0, 1, 2]));
    let best = server.asked("trace", &json!({"series": 1}));
    let first = server.asked("trace", &json!({"series": 1, "epoch": 0}));
    assert_ne!(plane(&server, &best, 0, "h"), plane(&server, &first, 0, "h"));
    let f = plane(&server, &first, 0, "f");
    let open = f.iter().filter(|gate| **gate > 0.9).count() as f64 / f.len() as f64;
    let told = server.asked("saturation", &json!({"trace": best["id"], "epoch": 0}));
    let own = told["parts"][0].as_array().unwrap().iter().find(|own| own[0] == "f").unwrap();
    assert!((own[2].as_f64().unwrap() - open).abs() < 1e-12, "{own} {open}");
    assert_eq!(server.ask("trace", &json!({"epoch": 7})).0, 400);
    let log = server.asked("log", &json!({"after": 0}));
    let epoch = log["entries"].as_array().unwrap().iter().find(|entry| entry["event"] == "epoch");
    let norms = epoch.unwrap()["layer_norms"].as_array().unwrap();
    assert!(norms.iter().any(|own| own[0] == "0.recurrent.0"), "{norms:?}");
}

#[test]
fn the_numbers_on_the_wires_are_those_of_the_planes() {
    let server = serve(text_run());
    let trace = server.asked("trace", &json!({"text": TEXT}));
    let (part, unit, step) = (1, 5, 9);
    let question = json!({"trace": trace["id"], "part": part, "unit": unit, "step": step});
    let told = server.asked("cell", &question)["unit"].clone();
    let at = |name: &str, t: usize| f64::from(plane(&server, &trace, part, name)[t * 24 + unit]);
    let close = |found: &Value, expected: f64, name: &str| {
        let found = found.as_f64().unwrap();
        assert!((found - expected).abs() < 2e-6, "{name}: {found} {expected}");
    };
    for (k, gate) in ["i", "f", "g", "o"].iter().enumerate() {
        let own = &told["gates"][k];
        close(&own["value"], at(gate, step), gate);
        let number = |name: &str| own[name].as_f64().unwrap();
        let sum = number("input") + number("recurrent") + number("bias") + number("bias_r");
        let squashed = if *gate == "g" { sum.tanh() } else { 1.0 / (1.0 + (-sum).exp()) };
        close(&own["value"], squashed, gate);
    }
    close(&told["c"], at("c", step), "c");
    close(&told["h"], at("h", step), "h");
    close(&told["c_before"], at("c", step - 1), "c'");
    close(&told["h_before"], at("h", step - 1), "h'");
}

/// A state that is changed at a step, run on by a session, gives what the page shows to follow.
#[test]
fn what_follows_a_change_is_what_a_session_gives() {
    let server = serve(text_run());
    let trace = server.asked("trace", &json!({"text": TEXT}));
    let model = LanguageModel::load(text_run()).unwrap();
    let tokens = tokens(&model);
    for part in 0..2 {
        let (unit, step, value) = (7, 11, 2.5);
        let question = json!({
            "trace": trace["id"], "part": part, "unit": unit, "step": step, "c": [[unit, value]],
        });
        let told = server.asked("cell", &question);
        let mut stream = model.stream().unwrap();
        for token in &tokens[..step] {
            stream.push(*token).unwrap();
        }
        stream.state_mut().parts_mut()[part].c[unit] = value as f32;
        let rows = told["after"]["bits"].as_array().unwrap();
        for (at, row) in rows.iter().enumerate() {
            stream.push(tokens[step + at]).unwrap();
            assert_eq!(row[0], json!(step + at));
            let Some(next) = tokens.get(step + at + 1) else { continue };
            let bits = -stream.probabilities()[*next as usize].log2();
            let found = row[2].as_f64().unwrap();
            assert!((found - bits).abs() < 1e-4, "layer {part}, step {at}: {found} {bits}");
        }
        assert_eq!(rows.len(), tokens.len() - step);
        assert!(rows[0][1] != rows[0][2], "the change changes something");
    }
}

#[test]
fn text_that_the_page_writes_is_that_of_the_program() {
    let server = serve(text_run());
    let question = json!({"prompt": "KING", "length": 60, "temperature": 0.7, "seed": 3});
    let told = server.asked("sample", &question);
    let model = LanguageModel::load(text_run()).unwrap();
    let options =
        GenerateOptions { length: 60, temperature: 0.7, seed: 3, ..GenerateOptions::default() };
    let mut bytes = vec![];
    let mut take = |own: &[u8]| {
        bytes.extend_from_slice(own);
        ControlFlow::Continue(())
    };
    model.generate("KING", &options, &mut take).unwrap();
    assert_eq!(told["text"].as_str().unwrap().as_bytes(), bytes);
    assert_eq!(told["labels"].as_array().unwrap().len(), 64);
}

#[test]
fn gates_are_held_and_units_are_off_and_it_costs() {
    let server = serve(text_run());
    let held = json!({"do": "clamp", "part": 0, "gate": "f", "unit": 3, "value": 0.25});
    let off = json!({"do": "off", "part": 1, "units": [4]});
    let edits = json!([held, off]);
    let trace = server.asked("trace", &json!({"text": TEXT, "edits": edits}));
    let steps = trace["steps"].as_u64().unwrap() as usize;
    let (f, h, c) = (
        plane(&server, &trace, 0, "f"),
        plane(&server, &trace, 1, "h"),
        plane(&server, &trace, 1, "c"),
    );
    for t in 0..steps {
        assert!((f[t * 24 + 3] - 0.25).abs() < 1e-6);
        assert_eq!((h[t * 24 + 4], c[t * 24 + 4]), (0.0, 0.0));
    }
    let told = server.asked("loss", &json!({"edits": edits}));
    let number = |name: &str| told[name].as_f64().unwrap();
    assert!(number("changed") != number("whole") && number("whole") > 0.0, "{told}");
    assert_eq!(told["unit"], "bits per character");
    let units = server.asked("units", &json!({"part": 1, "first": 4, "count": 2}));
    let one = server.asked("loss", &json!({"edits": [off]}));
    assert_eq!(units["losses"][0], one["changed"]);
    assert_eq!(units["losses"].as_array().unwrap().len(), 2);
    // Everything off: the loss is that of a model without memory, and much larger.
    let all: Vec<usize> = (0..24).collect();
    let off = server.asked("loss", &json!({"edits": [{"do": "off", "part": 1, "units": all}]}));
    assert!(off["changed"].as_f64().unwrap() > number("whole") + 0.5, "{off}");
}

#[test]
fn gradients_fall_off_and_pairs_agree_with_single_losses() {
    let server = serve(text_run());
    let trace = server.asked("trace", &json!({"text": TEXT}));
    let ask = |step: usize, radius: f64| {
        server.asked(
            "gradient",
            &json!({"trace": trace["id"], "step": step, "back": 30, "forget_bias": 1.0, "radius": radius}),
        )
    };
    let told = ask(29, 1.0);
    let own: Vec<f64> = serde_json::from_value(told["own"]["x"].clone()).unwrap();
    let pairs = server.asked("pairs", &json!({"trace": trace["id"], "step": 29, "back": 30}));
    let pairs: Vec<Vec<f64>> = serde_json::from_value(pairs["pairs"].clone()).unwrap();
    assert_eq!((own.len(), pairs.len()), (30, 30));
    for (t, (single, both)) in own.iter().zip(&pairs[29]).enumerate() {
        assert!((single - both).abs() <= 1e-4 * single.max(1e-6), "step {t}: {single} {both}");
    }
    // Nothing comes back from an output to an input after it.
    assert!(pairs[4][5..].iter().all(|d| *d == 0.0) && pairs[4][4] > 0.0);
    let earlier = ask(12, 1.0);
    let own: Vec<f64> = serde_json::from_value(earlier["own"]["x"].clone()).unwrap();
    for (single, both) in own.iter().zip(&pairs[12]) {
        assert!((single - both).abs() <= 1e-4 * single.max(1e-6), "{single} {both}");
    }
    // A plain RNN forgets with a small radius; an LSTM that cannot forget does not.
    let told = ask(29, 0.5);
    let left = |at: usize| {
        let h: Vec<f64> =
            serde_json::from_value(told["fresh"][at]["reach"]["h"][0].clone()).unwrap();
        h[19] / h[0]
    };
    assert_eq!(told["fresh"][0]["name"], "RNN (tanh)");
    assert!(left(0) < 1e-4, "{}", left(0));
    assert!(left(3) > 0.05, "{}", left(3));
}

#[test]
fn places_with_the_same_pattern_are_found_where_the_pattern_came_from() {
    let server = serve(text_run());
    let trace = server.asked("trace", &json!({"from": 0, "count": 300}));
    let h = plane(&server, &trace, 1, "h");
    let (from, to) = (40, 44);
    let sign = |unit: usize| if h[from * 24 + unit] < 0.0 { -1.0 } else { 1.0 };
    let on = |t: usize, unit: usize| h[t * 24 + unit] * sign(unit) >= 0.2;
    let units: Vec<(usize, f32)> = (0..24)
        .filter(|unit| (from..to).all(|t| on(t, *unit)))
        .map(|unit| (unit, sign(unit)))
        .collect();
    assert!(!units.is_empty());
    let told = server.asked(
        "match",
        &json!({"part": 1, "plane": "h", "units": units, "threshold": 0.2, "share": 1.0,
                "length": 4, "from": 0, "count": 300}),
    );
    let covers = |place: &Value| {
        place[0].as_u64().unwrap() <= from as u64 && place[1].as_u64().unwrap() >= to as u64
    };
    assert!(told["places"].as_array().unwrap().iter().any(covers), "{told}");
}

#[test]
fn the_run_is_told_as_it_is() {
    let server = serve(text_run());
    let run = server.asked("run", &json!({}));
    let file = ModelFile::load(text_run()).unwrap();
    assert_eq!(run["parameters"], json!(file.model().values().len()));
    assert_eq!(run["parts"].as_array().unwrap().len(), 2);
    assert_eq!(run["parts"][0]["planes"], json!(["i", "f", "g", "o", "c", "h"]));
    assert_eq!(run["data"]["kind"], "text");
    let log = server.asked("log", &json!({"after": 0}));
    let entries = log["entries"].as_array().unwrap();
    assert_eq!(entries.iter().filter(|entry| entry["event"] == "epoch").count(), 12);
    let rest = server.asked("log", &json!({"after": log["next"]}));
    assert_eq!(rest["entries"], json!([]));
}

#[test]
fn an_exported_page_holds_all_it_needs_and_asks_for_nothing() {
    for run in [text_run(), table_run()] {
        let subject = recurve_web::Subject { run, data: None, threads: 2 };
        let page = recurve_web::export(subject).unwrap();
        assert!(page.contains("default-src 'none'; script-src 'unsafe-inline' data:"));
        assert!(!page.contains("src=\"/") && !page.contains("href=\"/assets"));
        let data = page.split("id=\"embedded\">").nth(1).unwrap();
        let data: Value = serde_json::from_str(data.split("</script>").next().unwrap()).unwrap();
        let planes = data["planes"].as_object().unwrap();
        let (steps, hidden) = (&data["trace"]["steps"], &data["run"]["parts"][0]["hidden"]);
        let count = steps.as_u64().unwrap() * hidden.as_u64().unwrap();
        let encoded = planes["0/c"].as_str().unwrap().len() as u64;
        assert!(encoded.abs_diff(count * 16 / 3) < 4, "{encoded} {count}");
        assert!(data["gradient"]["own"]["x"].is_array() && data["log"]["entries"].is_array());
    }
}
