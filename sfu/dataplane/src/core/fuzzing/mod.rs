//! What must hold for every input: `make fuzz` tries new inputs, and a test tries those that are kept.
//!
//! Each file is a target.  A target takes any bytes, and panics if a promise of the code under test does not hold.

mod conversation;
mod dependency_descriptor;
mod framing;
mod payload;
mod rtcp;
mod rtp;
mod stun;
#[cfg(test)]
mod tests;

/// A target: its name, and the function that takes an input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.  The corpus of each has its name.
pub const TARGETS: [Target; 7] = [
    ("conversation", conversation::try_untrusted),
    ("dependency_descriptor", dependency_descriptor::try_untrusted),
    ("framing", framing::try_untrusted),
    ("payload", payload::try_untrusted),
    ("rtcp", rtcp::try_untrusted),
    ("rtp", rtp::try_untrusted),
    ("stun", stun::try_untrusted),
];

/// What the crate reads in an RTP packet or a compound RTCP packet, in words.
///
/// The synthetic clients have a reader of their own (`tools/light/wire`), which must find the same.
pub fn describe(target: &str, input: &[u8]) -> Option<String> {
    match target {
        "rtp" => Some(rtp::describe(input)),
        "rtcp" => Some(rtcp::describe(input)),
        _ => None,
    }
}
