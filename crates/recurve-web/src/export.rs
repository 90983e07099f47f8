//! The page as one file that opens from disk and asks nobody for anything.
//!
//! Its scripts and styles are written into it, and the answers that the page asks for when it opens. What
//! would have to be computed anew is absent, and the page says so.

use crate::assets::{ASSETS, PAGE};
use crate::explorer::{Answer, Explorer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use recurve_train::error::{Error, Result};
use serde_json::{Value, json};

/// Steps of the piece that is written.
const STEPS: usize = 300;
/// Bytes of numbers that are written, at most: fewer steps where there are many units.
const NUMBERS: usize = 24 << 20;
/// Steps that errors go back.
const BACK: usize = 60;

const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline' data:; \
                      style-src 'unsafe-inline'; img-src data:";

/// Writes the page with a piece of the data in it.
///
/// # Errors
/// The data of the run is not there, or a piece of it cannot be read.
pub(crate) fn page(explorer: &mut Explorer) -> Result<String> {
    let mut run = ask(explorer, "run", &json!({}))?;
    let parts = run["parts"].as_array().cloned().unwrap_or_default();
    let per_step: u64 = parts
        .iter()
        .map(|part| {
            let planes = part["planes"].as_array().map_or(0, Vec::len) as u64;
            4 * planes * part["hidden"].as_u64().unwrap_or(0)
        })
        .sum();
    let steps = STEPS.min(NUMBERS / per_step.max(1) as usize).max(20);
    let piece = match run["data"]["kind"].as_str() {
        Some("text") => json!({"count": steps}),
        _ => json!({}),
    };
    let gone = run["data"]["kind"] == "examples" && run["data"]["total"] == 0;
    if run["data"]["kind"] == "other" || gone {
        // There is nothing to look into.
        run["parts"] = json!([]);
        let none = json!({});
        return assemble(&json!({
            "run": run,
            "status": {"version": run["version"], "problem": null},
            "log": ask(explorer, "log", &json!({"after": 0}))?,
            "predictions": ask(explorer, "predictions", &none)?,
        }));
    }
    let trace = ask(explorer, "trace", &piece)?;
    let id = trace["id"].clone();
    let mut planes = serde_json::Map::new();
    for (part, facts) in parts.iter().enumerate() {
        for plane in facts["planes"].as_array().into_iter().flatten() {
            let question = json!({"trace": id, "part": part, "plane": plane});
            let Answer::Numbers(bytes) =
                explorer.answer("plane", question.to_string().as_bytes())?
            else {
                return Err(Error::failed("a plane is not numbers"));
            };
            let name = format!("{part}/{}", plane.as_str().unwrap_or_default());
            planes.insert(name, json!(STANDARD.encode(bytes)));
        }
    }
    let last = trace["steps"].as_u64().unwrap_or(1) - 1;
    let gradient = json!({
        "trace": id, "step": last, "back": BACK, "forget_bias": 1.0, "radius": 1.0,
    });
    let mut embedded = json!({
        "run": run,
        "status": {"version": run["version"], "problem": null},
        "trace": trace,
        "planes": planes,
        "gradient": ask(explorer, "gradient", &gradient)?,
        "log": ask(explorer, "log", &json!({"after": 0}))?,
        "predictions": ask(explorer, "predictions", &json!({}))?,
    });
    let pairs = json!({"trace": id, "step": last, "back": BACK});
    // A model that gives one output has no pairs.
    if let Ok(pairs) = ask(explorer, "pairs", &pairs) {
        embedded["pairs"] = pairs;
    }
    if run["data"]["kind"] == "examples" {
        embedded["answer"] = ask(explorer, "answer", &json!({"trace": trace["id"]}))?;
    }
    if run["data"]["kind"] == "table" {
        embedded["backtest"] = ask(explorer, "backtest", &json!({}))?;
    }
    assemble(&embedded)
}

fn ask(explorer: &mut Explorer, name: &str, body: &Value) -> Result<Value> {
    match explorer.answer(name, body.to_string().as_bytes())? {
        Answer::Json(value) => Ok(value),
        Answer::Numbers(_) => Err(Error::failed(format!("`{name}` answers with numbers"))),
    }
}

/// Writes everything into the page. Scripts import each other by name; a map leads each name to the
/// script itself.
fn assemble(embedded: &Value) -> Result<String> {
    let mut imports = serde_json::Map::new();
    let (mut styles, mut charts) = (String::new(), "");
    for asset in ASSETS {
        if asset.name.ends_with(".css") {
            styles += asset.text;
        } else if asset.name.starts_with("vendor/") && asset.name.ends_with(".js") {
            charts = asset.text;
        } else if asset.name.ends_with(".js") {
            let text = asset.text.replace("from \"./", "from \"recurve/");
            let address = format!("data:text/javascript;base64,{}", STANDARD.encode(text));
            imports.insert(format!("recurve/{}", asset.name), json!(address));
        }
    }
    let map = json!({"imports": imports});
    // `<` as an escape: no text of the data can end the script that holds it.
    let data = embedded.to_string().replace('<', "\\u003c");
    let head = format!(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <style>{styles}</style>\n<script type=\"importmap\">{map}</script>\n\
         <script>{charts}</script>\n\
         <script type=\"application/json\" id=\"embedded\">{data}</script>\n\
         <script type=\"module\">import \"recurve/main.js\";</script>\n"
    );
    let (before, rest) = PAGE.split_once("<!-- files -->").ok_or_else(mistake)?;
    let (_, after) = rest.split_once("<!-- end of files -->").ok_or_else(mistake)?;
    Ok(format!("{before}{head}{after}"))
}

fn mistake() -> Error {
    Error::failed("the page has no place for its files")
}
