#![no_main]

use libfuzzer_sys::fuzz_target;
use recurve_fuzz::bounded;
use recurve_train::data::Table;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    bounded(|| Table::parse("data.csv", text).map(|_| ()).map_err(|error| error.to_string()))
        .unwrap_or_else(|error| assert!(error.contains("data.csv"), "{error}"));
});
