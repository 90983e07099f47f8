#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| recurve_fuzz::model("stream.pt", data));
