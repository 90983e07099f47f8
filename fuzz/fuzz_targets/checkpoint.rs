#![no_main]

use libfuzzer_sys::fuzz_target;
use recurve_fuzz::bounded;
use recurve_train::checkpoint::Checkpoint;

fuzz_target!(|data: &[u8]| {
    // What is whole can be written, and read again.
    let Ok(read) = bounded(|| Checkpoint::from_bytes(data)) else { return };
    let written = read.to_bytes().expect("what was read is written");
    Checkpoint::from_bytes(&written).expect("what was written is read");
});
