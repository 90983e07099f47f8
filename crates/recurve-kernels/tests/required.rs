//! `RECURVE_REQUIRE_ISA=avx512,amx` makes the absence of an instruction set a failure.

use recurve_kernels::{HalfIsa, Isa};
use std::io::Write;

#[test]
fn required_instruction_sets_are_here() {
    let halves = HalfIsa::available(Isa::available()[0]).into_iter().map(HalfIsa::name);
    let here: Vec<_> = Isa::available().into_iter().map(Isa::name).chain(halves).collect();
    let Ok(required) = std::env::var("RECURVE_REQUIRE_ISA") else {
        for isa in ["avx512", "avx2", "avx512-bf16", "amx"].iter().filter(|isa| !here.contains(isa))
        {
            // Past the capture of the harness, which would hide it.
            let _ =
                writeln!(std::io::stderr(), "not run: tests on {isa}, which this machine lacks");
        }
        return;
    };
    for isa in required.split(',').filter(|isa| !isa.is_empty()) {
        assert!(here.contains(&isa), "{isa} is required, and this machine has {here:?}");
    }
}

#[test]
fn a_set_that_is_not_here_is_refused_by_name() {
    let error = Isa::named("avx1024").unwrap_err().to_string();
    assert!(error.contains("avx1024") && error.contains("portable"), "{error}");
}
