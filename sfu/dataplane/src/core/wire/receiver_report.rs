//! What receivers report of what they are sent (RFC 3550 section 6.4).

use crate::core::wire::rtp::{be16, be32};

const HEADER_SIZE: usize = 4;
const BLOCK_SIZE: usize = 24;
const SENDER_INFO: usize = 20;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const EXTENDED_REPORT: u8 = 207; // RFC 3611
const PAYLOAD_FEEDBACK: u8 = 206; // RFC 4585 section 6.3
const APPLICATION: u8 = 15;

/// One block of a report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReportBlock {
    pub ssrc: u32,
    pub fraction_lost: u8,
    pub lost: i32,
    pub jitter: u32,
    /// The middle of the NTP time of the report that it answers.
    pub last_report: u32,
    /// Since that came, in 1/65,536 s.
    pub delay: u32,
}

impl ReportBlock {
    fn read(bytes: &[u8]) -> Self {
        Self {
            ssrc: be32(bytes, 0),
            fraction_lost: bytes[4],
            lost: (be32(bytes, 4) << 8) as i32 >> 8,
            jitter: be32(bytes, 12),
            last_report: be32(bytes, 16),
            delay: be32(bytes, 20),
        }
    }
}

/// Whether a compound packet is well-formed and holds nothing but what receivers report; hands out its blocks.
///
/// What is not may still have handed out some: it is the slow path's, whose blocks these are as well.
pub fn only_reports_untrusted(packet: &[u8], mut take: impl FnMut(ReportBlock)) -> bool {
    let (mut rest, mut only) = (packet, !packet.is_empty());
    while !rest.is_empty() {
        if rest.len() < HEADER_SIZE || rest[0] >> 6 != 2 {
            return false;
        }
        let size = HEADER_SIZE + 4 * usize::from(be16(rest, 2));
        let Some((part, behind)) = rest.split_at_checked(size) else { return false };
        let padded = part[0] & 0x20 != 0;
        let first_block = match part[1] {
            SENDER_REPORT => HEADER_SIZE + 4 + SENDER_INFO,
            _ => HEADER_SIZE + 4,
        };
        match part[1] {
            SENDER_REPORT | RECEIVER_REPORT => {
                let blocks = usize::from(part[0] & 0x1F);
                let Some(blocks) = part.get(first_block..first_block + blocks * BLOCK_SIZE) else { return false };
                blocks.chunks_exact(BLOCK_SIZE).map(ReportBlock::read).for_each(&mut take);
                only &= part[1] == RECEIVER_REPORT && !padded;
            }
            SOURCE_DESCRIPTION | EXTENDED_REPORT => only &= !padded,
            // How much the receiver thinks it could take (REMB), of which nothing is made.
            PAYLOAD_FEEDBACK if part[0] & 0x1F == APPLICATION => only &= !padded,
            _ => only = false,
        }
        rest = behind;
    }
    only
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::hex::hex;

    const BLOCK: &str = "0000000a 40fffffe 00010002 00000003 00000004 00010000";

    fn read(packet: &[u8]) -> (bool, Vec<ReportBlock>) {
        let mut blocks = Vec::new();
        (only_reports_untrusted(packet, |block| blocks.push(block)), blocks)
    }

    #[test]
    fn reports_of_receivers_need_nobody_else() {
        let block = ReportBlock { ssrc: 10, fraction_lost: 64, lost: -2, jitter: 3, last_report: 4, delay: 65536 };
        let report = hex(&format!("82c9000d 00000001 {BLOCK}{BLOCK}"));
        assert_eq!(read(&report), (true, vec![block; 2]));
        let described = [
            report.clone(),
            hex("81ca0002 00000001 01016100"),
            hex("80cf0001 00000001"),
            hex("8fce0002 00000001 00000000"),
        ]
        .concat();
        assert_eq!(read(&described), (true, vec![block; 2]));
        assert_eq!(read(&hex("80c90001 00000001")), (true, vec![]));
    }

    #[test]
    fn everything_else_is_for_the_slow_path_too() {
        let report = format!("81c90007 00000001 {BLOCK}");
        for also in
            ["81ce0002 00000001 0000000a", "80cb0000", "80cc0002 00000001 61626364", "a0c90002 00000001 00000004"]
        {
            assert!(!read(&hex(&[&report, also].concat())).0, "{also}");
        }
        let of_sender = hex(&format!("81c8000c 00000001 {} {BLOCK}", "00".repeat(20)));
        let (only, blocks) = read(&of_sender);
        assert_eq!((only, blocks.len()), (false, 1));
    }

    #[test]
    fn what_is_cut_off_or_counts_wrong_is_for_the_slow_path_to_count() {
        let report = hex(&format!("81c90007 00000001 {BLOCK}"));
        for size in 0..report.len() {
            assert_eq!(read(&report[..size]), (false, vec![]), "{size} bytes");
        }
        assert!(!read(&hex("9fc90001 00000001")).0);
        assert!(!read(&hex("40c90001 00000001")).0);
    }
}
