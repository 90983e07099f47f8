//! The instruction sets to test.

use recurve_nn::Isa;
use std::io::Write;

/// Every instruction set of the machine. What is missing is said aloud, and is a failure where
/// `RECURVE_REQUIRE_ISA` names it.
pub(crate) fn isas() -> Vec<Isa> {
    let found = Isa::available();
    let required = std::env::var("RECURVE_REQUIRE_ISA").unwrap_or_default();
    for name in ["avx512", "avx2", "portable"] {
        if found.iter().all(|isa| isa.name() != name) {
            let is_required = required.split(',').any(|wanted| wanted.trim() == name);
            assert!(!is_required, "RECURVE_REQUIRE_ISA={required}: this machine lacks {name}");
            // Past the capture of the harness, which would hide it.
            let _ = writeln!(std::io::stderr(), "not run: {name}, which this machine lacks");
        }
    }
    found
}
