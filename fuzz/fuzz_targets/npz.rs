#![no_main]

use libfuzzer_sys::fuzz_target;
use recurve_fuzz::{ARRAYS, model, npz, pieces};

fuzz_target!(|data: &[u8]| {
    model("small.npz", &npz(&pieces(data, ARRAYS.len())));
});
