//! Which instructions this machine has, and which are used.
//!
//! An [`Isa`] is evidence: only detection makes one, so holding it proves that its instructions run
//! here. `RECURVE_ISA=avx512|avx2|portable` forces a choice; forcing what is absent is an error.

use std::fmt;
use std::sync::OnceLock;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// A set of vector instructions that this machine was seen to have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct Isa(pub(crate) Kind);

impl Isa {
    /// Every set this machine has, the widest first.
    pub fn available() -> Vec<Isa> {
        let mut found = vec![Isa(Kind::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                found.push(Isa(Kind::Avx2));
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                {
                    found.push(Isa(Kind::Avx512));
                }
            }
        }
        found.reverse();
        found
    }

    /// The set to use: the widest there is, or the one `RECURVE_ISA` names.
    ///
    /// # Errors
    /// Where `RECURVE_ISA` names a set that is unknown or that this machine lacks.
    pub fn chosen() -> Result<Isa, UnknownIsa> {
        static CHOSEN: OnceLock<Result<Isa, UnknownIsa>> = OnceLock::new();
        CHOSEN
            .get_or_init(|| match std::env::var("RECURVE_ISA") {
                Ok(name) => Isa::named(&name),
                Err(_) => Ok(Isa::available()[0]),
            })
            .clone()
    }

    /// The set called `name`, if this machine has it.
    ///
    /// # Errors
    /// Where it has not.
    pub fn named(name: &str) -> Result<Isa, UnknownIsa> {
        Isa::available()
            .into_iter()
            .find(|isa| isa.name() == name)
            .ok_or_else(|| UnknownIsa { name: name.to_owned() })
    }

    /// `avx512`, `avx2` or `portable`.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `RECURVE_ISA` names instructions that are not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownIsa {
    name: String,
}

impl fmt::Display for UnknownIsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Isa::available().into_iter().map(Isa::name).collect();
        write!(
            f,
            "RECURVE_ISA={}: this machine has {}; unset it, or choose one of these",
            self.name,
            names.join(", ")
        )
    }
}

impl std::error::Error for UnknownIsa {}
