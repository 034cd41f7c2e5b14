//! The kept inputs: those that once found a fault, and those that reach much of the code.

use std::path::PathBuf;

use super::*;
use crate::core::wire::hex::hex;

/// A line of a corpus is an input in hexadecimal digits, and perhaps what both readers find in it.
fn lines(target: &str) -> Vec<(Vec<u8>, Option<String>)> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target).with_extension("txt");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| match line.split_once(' ') {
            Some((input, found)) => (hex(input), Some(found.to_string())),
            None => (hex(line), None),
        })
        .collect()
}

#[test]
fn every_promise_holds_for_the_kept_inputs() {
    for (target, try_untrusted) in TARGETS {
        let lines = lines(target);
        assert!(lines.len() > 3, "{target}: {} inputs", lines.len());
        for (input, _) in lines {
            try_untrusted(&input);
        }
    }
}

#[test]
fn the_kept_inputs_are_read_as_the_synthetic_clients_read_them() {
    for target in ["rtp", "rtcp"] {
        for (input, found) in lines(target) {
            assert_eq!(describe(target, &input).unwrap(), found.unwrap_or_default(), "{target} {input:02x?}");
        }
    }
}

#[test]
fn no_promise_is_broken_by_short_inputs() {
    for (_, try_untrusted) in TARGETS {
        try_untrusted(&[]);
        (0..=255).for_each(|first| try_untrusted(&[first]));
        (0..=255).for_each(|first| try_untrusted(&[first, 255, 0, 0, 33, 18, 164, 66]));
    }
}
