#![no_main]

use libfuzzer_sys::fuzz_target;
use recurve_fuzz::{keras, model, pieces};

fuzz_target!(|data: &[u8]| {
    if let [config, weights] = pieces(data, 2)[..] {
        model("small.keras", &keras(config, weights));
    }
});
