//! The files of the page, within the program.

/// A file of the page.
pub(crate) struct Asset {
    /// Its name below `/assets/`.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) kind: &'static str,
    /// What is in it.
    pub(crate) text: &'static str,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// The page itself.
pub(crate) const PAGE: &str = include_str!("../assets/index.html");

macro_rules! asset {
    ($name:literal, $kind:expr) => {
        Asset { name: $name, kind: $kind, text: include_str!(concat!("../assets/", $name)) }
    };
}

/// Every file that the page loads.
pub(crate) const ASSETS: &[Asset] = &[
    asset!("style.css", STYLE),
    asset!("vendor/uplot/uPlot.min.css", STYLE),
    asset!("vendor/uplot/uPlot.iife.min.js", SCRIPT),
    asset!("vendor/uplot/LICENSE", "text/plain; charset=utf-8"),
    asset!("main.js", SCRIPT),
    asset!("api.js", SCRIPT),
    asset!("store.js", SCRIPT),
    asset!("dom.js", SCRIPT),
    asset!("scales.js", SCRIPT),
    asset!("plot.js", SCRIPT),
    asset!("rank.js", SCRIPT),
    asset!("controls.js", SCRIPT),
    asset!("units.js", SCRIPT),
    asset!("gates.js", SCRIPT),
    asset!("cell.js", SCRIPT),
    asset!("diagram.js", SCRIPT),
    asset!("gradient.js", SCRIPT),
    asset!("match.js", SCRIPT),
    asset!("training.js", SCRIPT),
    asset!("ablation.js", SCRIPT),
    asset!("sampling.js", SCRIPT),
    asset!("forecast.js", SCRIPT),
    asset!("results.js", SCRIPT),
    asset!("answer.js", SCRIPT),
];

/// The file of this name.
pub(crate) fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}
