//! The page in a real browser: every view opened, operated and checked. Without a browser nothing here
//! runs, which is said; `RECURVE_REQUIRE_BROWSER` makes that a failure.

mod devtools;
#[path = "../support/mod.rs"]
mod support;

use devtools::Browser;
use serde_json::json;
use support::{
    classifier_run, copy_of, detector_run, floats, regressor_run, serve, stores_run, table_run,
    tagger_run, text_run, transcriber_run, translator_run,
};

const LEGENDS_AND_LINES: &str = "document.querySelectorAll('.uplot').length";

#[test]
fn a_text_model_is_explored() {
    let Some(mut page) = Browser::start("a_text_model_is_explored") else { return };
    let server = serve(text_run());
    let home = format!("http://{}/", server.address);
    page.open(&home);
    page.wait("document.querySelectorAll('.ranks button').length > 10");
    let paint = page.eval("performance.getEntriesByName('first-contentful-paint')[0]?.startTime");
    println!("first paint after {paint} ms");

    // Units: the keyboard moves the cursor, the value shown is the engine's, ranks choose units.
    assert_eq!(page.eval("document.querySelectorAll('.text span').length"), 288);
    for _ in 0..5 {
        page.key("ArrowRight", false);
    }
    page.key("ArrowRight", true);
    assert!(page.text("#where").starts_with("step 16 of 288"), "{}", page.text("#where"));
    page.click(".ranks button:nth-child(3)");
    let unit = page.eval("+document.querySelector('.ranks button:nth-child(3)').dataset.unit");
    page.wait("document.querySelector('.readout b').textContent.startsWith('h[')");
    let trace = server.asked("trace", &json!({}));
    let (_, bytes) =
        server.numbers("plane", &json!({"trace": trace["id"], "part": 0, "plane": "h"}));
    let value = floats(&bytes)[15 * 24 + unit.as_u64().unwrap() as usize];
    let shown = page.text(".readout b").replace('−', "-");
    let number: f32 = shown.split(" = ").nth(1).unwrap().trim_start_matches('+').parse().unwrap();
    assert!((number - value).abs() <= 6e-4, "{shown}, {value}");
    page.set("select[aria-label='rank units by']", "brackets");
    page.wait("document.querySelector('.ranks .score').textContent.match(/^[+−]0/)");
    page.set("select[aria-label='colour by']", "surprise");
    page.wait("document.querySelector('.legend').textContent.startsWith('bits')");
    page.wait("location.hash.includes('rank=brackets') && location.hash.includes('t=15')");
    page.fine();
    page.picture("text-units");

    // The address brings it all back.
    let kept = page.eval("location.href").as_str().unwrap().to_owned();
    page.open(&kept);
    page.wait("document.querySelectorAll('.ranks button').length > 10");
    assert!(page.text("#where").starts_with("step 16 of 288"));
    assert_eq!(
        page.eval("document.querySelector('select[aria-label=\"colour by\"]').value"),
        "surprise"
    );

    // One's own text, and one that the model cannot read.
    page.set("select[aria-label='Where the text comes from']", "typed");
    page.set("textarea", "KING: (what) is this?");
    page.click(".typed button");
    page.wait("document.querySelectorAll('.text span').length === 21");
    page.fine();
    page.set("textarea", "Ж");
    page.click(".typed button");
    page.wait("!document.getElementById('banner').hidden");
    assert!(page.text("#banner").contains("not among"), "{}", page.text("#banner"));
    page.errors.clear(); // The browser reports the refusal too.
    page.set("textarea", "Why");
    page.click(".typed button");
    page.wait("document.querySelectorAll('.text span').length === 3");
    page.fine();

    // Gates: every plane is drawn, a click chooses unit and step, sorting changes the order.
    page.open(&format!("{home}#view=gates&part=1&t=40"));
    page.wait("document.querySelectorAll('.heat > canvas').length === 6");
    page.click(".heat > canvas");
    page.wait("location.hash.includes('unit=')");
    assert!(page.text(".readout").contains(" f "), "{}", page.text(".readout"));
    for sort in ["mean", "peak", "cluster"] {
        page.set("select[aria-label='order of the units']", sort);
    }
    page.wait("document.querySelector('.readout').textContent.includes('group')");
    let shares = page.eval("[...document.querySelectorAll('.sat')].map((bar) => [...bar.children].reduce((sum, part) => sum + part.getBoundingClientRect().width, 0) / bar.clientWidth)");
    assert!(shares.as_array().unwrap().iter().all(|s| s.as_f64().unwrap() > 0.98), "{shares}");
    page.fine();
    page.picture("text-gates");

    // Cell: the numbers on the wires, a gate's sentence, a change and what follows.
    page.open(&format!("{home}#view=cell&part=1&unit=5&t=30"));
    page.wait("document.querySelectorAll('.cells .gate').length === 4");
    page.click(".cells .gate[data-gate='f']");
    page.wait(
        "document.querySelector('.readout').textContent.includes('how much of the old cell state')",
    );
    page.wait("document.querySelectorAll('table.numbers').length === 3");
    page.set("#edit-value", "2.5");
    page.click("#edit-add");
    page.wait("document.querySelectorAll('.cells .changed').length > 0");
    page.wait(&format!("{LEGENDS_AND_LINES} === 1"));
    page.key("ArrowRight", false);
    page.fine();
    page.picture("text-cell");
    page.click("#play");
    page.wait("document.getElementById('where').textContent.startsWith('step 33')");
    page.click("#play");

    // Gradient: three figures and the matrix; the slider changes the fresh cells.
    page.open(&format!("{home}#view=gradient&t=100"));
    page.wait(&format!("{LEGENDS_AND_LINES} === 3"));
    page.wait("document.querySelectorAll('.heat > canvas').length === 1");
    let before = page.text(".readout");
    page.set("#radius", "0.3");
    page.wait(&format!("document.querySelector('.readout').innerText.length > 60 && document.querySelector('.readout').innerText !== {before:?}"));
    page.point(".heat > canvas");
    page.wait("[...document.querySelectorAll('.readout')].some((p) => p.textContent.includes('with respect to'))");
    page.fine();
    page.picture("text-gradient");

    // Match: a brushed span, units that stay on, places in all of the data.
    page.open(&format!("{home}#view=match&part=1"));
    page.wait("document.querySelectorAll('.text span').length === 288");
    page.wait("document.querySelector('#threshold')");
    page.drag(".text span[data-t='10']", ".text span[data-t='13']");
    page.wait("location.hash.includes('a=10') && location.hash.includes('b=14')");
    page.set("#threshold", "0.1");
    page.wait("document.querySelectorAll('.ranks button').length > 0");
    page.click("#search");
    page.wait("[...document.querySelectorAll('.note')].some((p) => / places/.test(p.textContent))");
    assert!(page.eval("document.querySelectorAll('.found button').length").as_u64().unwrap() > 0);
    page.fine();
    page.picture("text-match");

    // Ablation: a unit off costs something, all units are ranked, the change shows everywhere.
    page.open(&format!("{home}#view=ablation&part=1&unit=4"));
    page.click("#off");
    page.wait("document.querySelector('.readout').textContent.includes('bits per character')");
    page.click("#rank-units");
    page.wait(&format!("{LEGENDS_AND_LINES} === 1"));
    page.picture("text-ablation");
    page.click("#everywhere");
    page.wait("document.getElementById('controls').textContent.includes('1 change applied')");
    page.fine();

    // Sample: a text, its alternatives, another way on.
    page.open(&format!("{home}#view=sample"));
    page.set("#prompt", "KING");
    page.click("#write");
    page.wait("document.querySelectorAll('.branch').length === 1");
    page.click(".branch .text span:nth-child(9)");
    page.click("#alternatives button:nth-child(2)");
    page.wait("document.querySelectorAll('.branch').length === 2");
    page.fine();
    page.picture("text-sample");

    // Training, by its digit; tabs by arrow keys.
    page.open(&home);
    page.key("8", false);
    page.wait(&format!("{LEGENDS_AND_LINES} >= 3"));
    assert!(page.text("#view").contains("finished"));
    page.fine();
    page.picture("text-training");
    page.eval("document.querySelector('[role=tab][aria-selected=true]').focus()");
    page.key("ArrowLeft", false);
    page.wait("document.activeElement.id === 'tab-sample'");
    assert_eq!(page.eval("document.querySelectorAll('[role=tab][tabindex=\"0\"]').length"), 1);
}

#[test]
fn a_forecaster_is_explored() {
    let Some(mut page) = Browser::start("a_forecaster_is_explored") else { return };
    let server = serve(table_run());
    let home = format!("http://{}/", server.address);
    page.scheme("dark");
    page.open(&home);
    page.wait(&format!(
        "{LEGENDS_AND_LINES} === 1 && document.querySelectorAll('.ranks button').length === 12"
    ));
    page.fine();
    page.picture("table-units-dark");
    for (view, ready) in [
        ("gates", "document.querySelectorAll('.heat > canvas').length === 6"),
        ("cell", "document.querySelectorAll('.cells .gate').length === 4"),
        ("gradient", "document.querySelectorAll('.uplot').length === 3"),
        ("match", "document.querySelector('.readout b')"),
        ("ablation", "document.querySelector('#off')"),
        ("forecast", "document.querySelectorAll('.uplot').length === 3"),
        ("training", "document.querySelectorAll('.uplot').length >= 3"),
    ] {
        page.open(&format!("{home}#view={view}&t=10&unit=3"));
        page.wait(ready);
        page.fine();
        page.picture(&format!("table-{view}-dark"));
    }
    // The forecast is the program's, and another row gives another.
    page.open(&format!("{home}#view=forecast"));
    page.wait(&format!("{LEGENDS_AND_LINES} === 3"));
    let trace = server.asked("trace", &json!({}));
    let first = trace["channels"][0]["forecast"][0].as_f64().unwrap();
    let shown = page.text(".readout b");
    let shown: f64 = shown.split(' ').next().unwrap().parse().unwrap();
    assert!((shown - first).abs() <= 0.06 * 1.0_f64.max(first / 1000.0), "{shown} {first}");
    page.set("input[aria-label='row after the window']", "100");
    page.wait("document.querySelector('.readout').textContent.includes('mean absolute error')");
    page.wait("location.hash.includes('from=100')");
    // A change of the cell of a pooled model: the forecast with and without.
    page.open(&format!("{home}#view=cell&t=10&unit=3"));
    page.wait("document.querySelector('#edit-add')");
    page.set("#edit-value", "3");
    page.click("#edit-add");
    page.wait(&format!("{LEGENDS_AND_LINES} === 1"));
    page.fine();
}

#[test]
fn a_forecaster_of_many_series_is_explored() {
    let Some(mut page) = Browser::start("a_forecaster_of_many_series_is_explored") else { return };
    let server = serve(stores_run());
    let home = format!("http://{}/", server.address);
    page.open(&format!("{home}#view=forecast"));
    page.wait(&format!("{LEGENDS_AND_LINES} === 3"));
    page.set("select[aria-label='series']", "3");
    page.wait("location.hash.includes('series=3')");
    page.wait("document.querySelector('.readout').textContent.startsWith('s3')");
    page.fine();
    // Another price over the whole horizon: the forecast moves, and goes back.
    page.set("#whatif-all", "3.5");
    page.wait("document.getElementById('view').innerText.includes('7 cells changed')");
    page.wait("document.querySelector('.uplot').innerText.includes('with the change')");
    page.fine();
    page.picture("stores-forecast");
    // The weights of an epoch, in the views and in the monitor.
    page.open(&format!("{home}#view=units&series=1"));
    page.wait("document.querySelectorAll('.ranks button').length === 10");
    page.set("#epoch", "0");
    page.wait("location.hash.includes('epoch=0')");
    page.wait("document.querySelectorAll('.ranks button').length === 10");
    page.fine();
    page.picture("stores-epoch");
    page.open(&format!("{home}#view=training"));
    page.wait(
        "[...document.querySelectorAll('.note')].some((p) => p.textContent.includes('3 epochs'))",
    );
    page.fine();
    page.picture("stores-training");
    for (view, ready) in [
        ("gates", "document.querySelectorAll('.heat > canvas').length === 6"),
        ("cell", "document.querySelectorAll('.cells .gate').length === 4"),
        ("gradient", "document.querySelectorAll('.uplot').length >= 2"),
        ("ablation", "document.querySelector('#off')"),
    ] {
        page.open(&format!("{home}#view={view}&series=2&t=4&unit=3"));
        page.wait(ready);
        page.fine();
    }
}

#[test]
fn a_translator_is_explored() {
    let Some(mut page) = Browser::start("a_translator_is_explored") else { return };
    let server = serve(translator_run());
    let home = format!("http://{}/", server.address);
    // Attention and search of a word of the data, and of one that is typed.
    page.open(&format!("{home}#view=answer"));
    page.wait("document.querySelectorAll('table.attention td').length > 8");
    let trace = server.asked("trace", &json!({}));
    let said = server.asked("answer", &json!({"trace": trace["id"]}));
    let best = said["translations"][0]["text"].as_str().unwrap();
    assert!(page.text("#view").contains(&format!("the model writes {best}")), "{best}");
    assert!(page.text("#controls").contains("test part"), "{}", page.text("#controls"));
    page.fine();
    page.picture("translate-answer");
    page.set("select[aria-label='Where the text comes from']", "typed");
    page.set("textarea", "bagi");
    page.click(".typed button");
    page.wait("document.querySelectorAll('table.attention thead th').length === 5");
    page.click("table.attention tbody tr:nth-child(2) td:nth-of-type(3)");
    page.wait("location.hash.includes('t=2')");
    page.wait("document.querySelectorAll('table.attention td.at').length > 0");
    assert!(page.eval("document.querySelectorAll('svg.beam text').length").as_u64().unwrap() > 5);
    // Another text of the search has a way of its own.
    let way =
        "[...document.querySelectorAll('svg.beam text.on')].map((t) => t.textContent).join('')";
    let first = page.eval(way);
    page.click(".found button:nth-child(2)");
    page.wait(&format!("{way} !== {first}"));
    page.fine();
    page.picture("translate-typed");
    // The encoder is looked into like any other model.
    for (view, ready) in [
        (
            "units",
            "document.querySelectorAll('.text span').length === 4 && document.querySelectorAll('.ranks button').length === 24",
        ),
        ("gates", "document.querySelectorAll('.heat > canvas').length === 6"),
        ("cell", "document.querySelectorAll('.cells .gate').length === 4"),
        ("gradient", "document.querySelectorAll('.uplot').length >= 2"),
        ("match", "document.querySelector('.readout b')"),
        ("ablation", "document.querySelector('#off')"),
        ("results", "document.querySelectorAll('table.numbers tbody tr').length > 20"),
        ("training", "document.querySelectorAll('.uplot').length >= 3"),
    ] {
        page.open(&format!("{home}#view={view}&text=bagi&t=2&unit=3"));
        page.wait(ready);
        page.fine();
        page.picture(&format!("translate-{view}"));
    }
    // What a unit of the encoder costs is the error rate of the training.
    page.open(&format!("{home}#view=ablation&unit=3"));
    page.click("#off");
    page.wait("document.querySelector('.readout').textContent.includes('symbol error rate')");
    // A word of the results leads to what the model looked at.
    page.open(&format!("{home}#view=results"));
    page.wait("document.querySelector('table.numbers tbody button')");
    page.click("table.numbers tbody button");
    page.wait("document.querySelectorAll('table.attention td').length > 8");
    page.key("ArrowRight", false);
    page.fine();
    // A cell of both directions: what follows from a change, in the layers above too.
    page.open(&format!("{home}#view=cell&part=1&t=2&unit=3"));
    page.wait("document.querySelector('#edit-add')");
    page.set("#edit-value", "3");
    page.click("#edit-add");
    page.wait("document.getElementById('view').innerText.includes('how far the outputs')");
    page.fine();
}

#[test]
fn models_of_other_sequences_are_explored() {
    let Some(mut page) = Browser::start("models_of_other_sequences_are_explored") else { return };
    let views = [
        ("units", "document.querySelectorAll('.ranks button').length >= 12"),
        ("gates", "document.querySelectorAll('.heat > canvas').length === 6"),
        ("cell", "document.querySelectorAll('.cells .gate').length === 4"),
        ("gradient", "document.querySelectorAll('.uplot').length >= 2"),
        ("match", "document.querySelector('.readout b')"),
        ("ablation", "document.querySelector('#off')"),
        ("training", "document.querySelectorAll('.uplot').length >= 3"),
    ];
    for (name, run, answer, results) in [
        (
            "classify",
            classifier_run(),
            "document.querySelectorAll('.odd').length === 4",
            "document.querySelectorAll('.matrix tbody tr').length === 4",
        ),
        (
            "tag",
            tagger_run(),
            "document.querySelectorAll('.tagged .word').length > 3 && document.querySelectorAll('.odd').length > 2",
            "document.querySelectorAll('.tagged .word').length > 50",
        ),
        (
            "transcribe",
            transcriber_run(),
            "document.querySelector('.heard canvas') && document.querySelectorAll('.odd').length > 2",
            "document.querySelectorAll('.track').length > 3",
        ),
        (
            "regress",
            regressor_run(),
            "document.querySelectorAll('.uplot').length === 1",
            "document.querySelectorAll('.uplot').length === 1",
        ),
    ] {
        let server = serve(run);
        let home = format!("http://{}/", server.address);
        page.scheme(if name == "tag" { "dark" } else { "light" });
        for (view, ready) in views.iter().chain(&[("answer", answer), ("results", results)]) {
            page.open(&format!("{home}#view={view}&t=3&unit=5"));
            page.wait(ready);
            page.fine();
            page.picture(&format!("{name}-{view}"));
        }
        // Another sequence, by the keyboard and by its number.
        page.open(&format!("{home}#view=answer&from=1"));
        page.wait(answer);
        page.key("ArrowRight", false);
        page.wait("location.hash.includes('t=1')");
        page.set("input[aria-label^='number of the']", "4");
        page.wait("location.hash.includes('from=3')");
        page.wait(answer);
        // A unit switched off costs something in the measure of the training.
        page.open(&format!("{home}#view=ablation&unit=2"));
        page.click("#off");
        page.wait("document.querySelector('.readout').textContent.includes('the validation part')");
        page.fine();
    }
    let server = serve(detector_run());
    page.open(&format!("http://{}/#view=results", server.address));
    page.wait("document.querySelectorAll('.uplot').length === 2");
    let before = page.text(".readout b");
    page.set("#alarm-threshold", "2");
    page.wait(&format!("document.querySelector('.readout b').innerText !== {before:?}"));
    assert!(page.text("#banner").contains("not traced"), "{}", page.text("#banner"));
    assert!(page.errors.is_empty(), "{:#?}", page.errors);
    page.picture("detect-results");
}

#[test]
fn it_fits_a_phone_and_does_not_jump() {
    let Some(mut page) = Browser::start("it_fits_a_phone_and_does_not_jump") else { return };
    let server = serve(text_run());
    page.size(390, 844, true);
    let text = ["units", "gates", "cell", "gradient", "match", "ablation", "sample", "training"];
    let all: [(&str, &std::path::Path, &[&str]); 6] = [
        ("text", text_run(), &text),
        ("translate", translator_run(), &["answer", "results"]),
        ("stores", stores_run(), &["forecast", "training"]),
        ("tag", tagger_run(), &["answer", "results"]),
        ("transcribe", transcriber_run(), &["answer", "results"]),
        ("classify", classifier_run(), &["answer", "results"]),
    ];
    for (name, run, views) in all {
        let server = serve(run);
        for view in views {
            page.open(&format!("http://{}/#view={view}&t=3", server.address));
            page.wait("document.querySelector('#view .panel')");
            page.wait("document.querySelector('.legend, .cells, .uplot, #off, #prompt, .ranks, .odd, .numbers, .tagged, .track')");
            // No sideways scrolling of the page; what is wide scrolls within itself.
            let wide =
                "document.documentElement.scrollWidth - document.documentElement.clientWidth";
            let out = "[...document.querySelectorAll('#view *, #controls *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.strip, .scroll, .u-over, svg, .uplot')).map((e) => e.outerHTML.slice(0, 90)).slice(0, 3)";
            assert_eq!(page.eval(wide), 0, "{name} {view}: {}", page.eval(out));
            page.fine();
            page.picture(&format!("phone-{name}-{view}"));
        }
    }
    page.size(1280, 800, false);
    page.open(&format!("http://{}/", server.address));
    page.wait("document.querySelectorAll('.ranks button').length > 10");
    let shifts = "new Promise((done) => { let sum = 0; new PerformanceObserver((list) => { for (const one of list.getEntries()) if (!one.hadRecentInput) sum += one.value; }).observe({type: 'layout-shift', buffered: true}); setTimeout(() => done(sum), 500); })";
    let shift = page.eval(shifts).as_f64().unwrap();
    println!("layout shift {shift}");
    assert!(shift < 0.1, "the page jumps: {shift}");
    for _ in 0..4 {
        page.key("Tab", false);
    }
    let outline = page.eval("getComputedStyle(document.activeElement).outlineStyle");
    assert_eq!(outline, "solid", "the focus can be seen");
    let unnamed = "[...document.querySelectorAll('button, input, select, textarea')].filter((e) => !e.closest('[hidden]') && !e.innerText && !e.ariaLabel && !e.labels?.length).map((e) => e.outerHTML)";
    assert_eq!(page.eval(unnamed), json!([]));
}

#[test]
fn a_run_that_goes_away_is_told_on_the_page() {
    let Some(mut page) = Browser::start("a_run_that_goes_away_is_told_on_the_page") else { return };
    let run = copy_of(text_run());
    let mut server = serve(run.path());
    page.open(&format!("http://{}/", server.address));
    page.wait("document.querySelectorAll('.ranks button').length > 10");
    std::fs::remove_dir_all(run.path()).unwrap();
    page.wait("document.getElementById('banner').innerText.includes('not there any more')");
    page.key("ArrowRight", false);
    assert!(page.text("#where").starts_with("step 2 "));
    server.end();
    page.wait("document.getElementById('banner').innerText.includes('does not answer')");
}

#[test]
fn an_exported_page_opens_from_disk_and_asks_nobody() {
    let Some(mut page) = Browser::start("an_exported_page_opens_from_disk_and_asks_nobody") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for (name, run) in [("text", text_run()), ("table", table_run())] {
        let subject = recurve_web::Subject { run, data: None, threads: 2 };
        let file = folder.path().join(format!("{name}.html"));
        std::fs::write(&file, recurve_web::export(subject).unwrap()).unwrap();
        let views: &[(&str, &str)] = &[
            ("units", "document.querySelectorAll('.ranks button').length >= 12"),
            ("gates", "document.querySelectorAll('.heat > canvas').length === 6"),
            ("cell", "document.querySelectorAll('.cells .gate').length === 4"),
            ("gradient", "document.querySelectorAll('.uplot').length >= 3"),
            ("match", "document.querySelector('.readout b')"),
            ("training", "document.querySelectorAll('.uplot').length >= 3"),
        ];
        for (view, ready) in views {
            page.requests.clear();
            page.open(&format!("file://{}#view={view}", file.display()));
            page.wait(ready);
            page.fine();
            let away = page.requests.iter().find(|url| {
                !["file:", "data:", "about:", "blob:"].iter().any(|own| url.starts_with(own))
            });
            assert_eq!(away, None);
        }
        page.picture(&format!("export-{name}"));
        let tabs = page.text("#tabs");
        assert!(!tabs.contains("Ablation") && !tabs.contains("Sample"), "{tabs}");
    }
}

/// The results of tasks whose answers are labels, tags or texts, as their runs write them.
#[test]
fn results_of_other_tasks_are_shown() {
    let Some(mut page) = Browser::start("results_of_other_tasks_are_shown") else { return };
    let subject = recurve_web::Subject { run: text_run(), data: None, threads: 2 };
    let whole = recurve_web::export(subject).unwrap();
    let (before, rest) = whole.split_once("id=\"embedded\">").unwrap();
    let (data, after) = rest.split_once("</script>").unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let open = |page: &mut Browser, task: &str, evaluation: serde_json::Value, columns, rows| {
        let mut data = data.clone();
        data["run"]["task"] = json!(task);
        data["run"]["parts"] = json!([]);
        data["run"]["data"] = json!({"kind": "other", "total": 0, "unit": "step"});
        data["log"]["entries"] = json!([evaluation]);
        data["predictions"] = json!({"columns": columns, "rows": rows, "more": false});
        let data = data.to_string().replace('<', "\\u003c");
        let file = folder.path().join(format!("{task}.html"));
        std::fs::write(&file, format!("{before}id=\"embedded\">{data}</script>{after}")).unwrap();
        page.open(&format!("file://{}#view=results", file.display()));
    };
    let class = |name, recall| json!({"class": name, "sequences": 3, "recall": recall});
    open(
        &mut page,
        "classify",
        json!({"event": "evaluation", "sequences": 6, "accuracy": 0.83, "majority": "cat",
               "majority_accuracy": 0.5, "confusion": [[3, 0], [1, 2]],
               "classes": [class("cat", 1.0), class("dog", 0.67)]}),
        json!(["id", "actual", "predicted", "p(cat)", "p(dog)"]),
        json!([["a7", "dog", "cat", "0.6", "0.4"], ["b1", "dog", "dog", "0.1", "0.9"]]),
    );
    page.wait("document.querySelectorAll('.matrix td').length === 6");
    page.click(".matrix tbody tr:nth-child(2) td:nth-of-type(1)");
    page.wait("document.querySelector('.found').innerText.includes('a7')");
    page.fine();
    page.picture("results-classify");
    open(
        &mut page,
        "tag",
        json!({"event": "evaluation", "words": 3, "accuracy": 0.67, "unknown_accuracy": null,
               "tags": [{"tag": "NOUN", "words": 1, "precision": 1.0, "recall": 0.5}]}),
        json!(["sentence", "word", "actual", "predicted"]),
        json!([
            ["1", "the", "DET", "DET"],
            ["1", "cat", "NOUN", "VERB"],
            ["2", "so", "ADV", "ADV"]
        ]),
    );
    page.wait("document.querySelectorAll('.tagged .word').length === 3");
    assert_eq!(page.text(".tagged .miss small"), "VERB (NOUN)");
    page.fine();
    page.picture("results-tag");
    open(
        &mut page,
        "transcribe",
        json!({"event": "evaluation", "symbol_error_rate": 0.1, "right": 0.5, "unit": "character",
               "alignments": [{"id": "one.wav", "frames": 20,
                               "symbols": [["o", 2, 5], ["n", 8, 9], ["e", 14, 18]]}]}),
        json!(["id", "actual", "predicted", "log_probability"]),
        json!([["one.wav", "one", "one", "-0.1"], ["two.wav", "two", "to", "-2"]]),
    );
    page.wait("document.querySelectorAll('.frames i').length === 3");
    assert!(page.text("#view table").lines().nth(1).unwrap().starts_with("two.wav"));
    page.fine();
    page.picture("results-transcribe");
    open(
        &mut page,
        "regress",
        json!({"event": "evaluation", "targets": [{"target": "life",
               "model": {"rmse": 1.0, "mae": 0.8}, "mean": {"rmse": 3.0, "mae": 2.0}}]}),
        json!(["id", "target", "actual", "predicted"]),
        json!([["a", "life", "3", "3.5"], ["b", "life", "1", "1.25"], ["c", "life", "9", "7"]]),
    );
    page.wait(&format!("{LEGENDS_AND_LINES} === 1"));
    page.fine();
    page.picture("results-regress");
}
