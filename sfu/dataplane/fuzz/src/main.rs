//! One program for all targets.  `FUZZ_TARGET` names the target; the arguments are those of libFuzzer.
//!
//! With `FUZZ_DESCRIBE` it prints what the crate reads in each input, and ends: see [`fuzzing::describe`].

#![no_main]

use std::sync::LazyLock;

use _dataplane::core::fuzzing;
use libfuzzer_sys::{Corpus, fuzz_target};

static TARGET: LazyLock<fuzzing::Target> = LazyLock::new(|| {
    let wanted = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let found = fuzzing::TARGETS.into_iter().find(|(name, _)| *name == wanted);
    found.unwrap_or_else(|| panic!("FUZZ_TARGET={wanted} is none of {:?}", fuzzing::TARGETS.map(|(name, _)| name)))
});
static DESCRIBES: LazyLock<bool> = LazyLock::new(|| std::env::var_os("FUZZ_DESCRIBE").is_some());

fuzz_target!(|input: &[u8]| -> Corpus {
    let (name, try_untrusted) = *TARGET;
    if *DESCRIBES {
        let digits: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        println!("{digits} {}", fuzzing::describe(name, input).unwrap_or_default());
    } else {
        try_untrusted(input);
    }
    Corpus::Keep
});
