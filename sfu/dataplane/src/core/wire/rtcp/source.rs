//! Compound packets of a participant that sends no media (RFC 3550 section 6.1, RFC 4585 section 3.1).

use super::raw_packet::MAX_COUNT;
use super::receiver_report::ReceiverReport;
use super::report_block::ReportBlock;
use super::source_description::SourceDescription;

/// The largest compound packet with reports, in bytes before encryption.  It fits every path that carries WebRTC.
const MAX_COMPOUND: usize = 1200;

/// Our identity in RTCP.
#[derive(Clone, Debug, Default)]
pub struct RtcpSource {
    /// Our SSRC.
    pub ssrc: u32,
    /// Our canonical name.
    pub cname: String,
}

impl RtcpSource {
    /// A compound packet with the feedback that `write` appends, behind an empty report and our name.
    pub fn feedback(&self, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut compound = self.report(&[]);
        write(&mut compound);
        compound
    }

    /// As few compound packets as can hold these blocks; none without blocks.
    pub fn receiver_reports(&self, blocks: &[ReportBlock]) -> Vec<Vec<u8>> {
        let mut compounds: Vec<Vec<u8>> = Vec::new();
        for blocks in blocks.chunks(MAX_COUNT) {
            let report = self.report(blocks);
            match compounds.last_mut() {
                Some(last) if last.len() + report.len() <= MAX_COMPOUND => last.extend(report),
                _ => compounds.push(report),
            }
        }
        compounds
    }

    /// One report with our name behind it.  A compound packet may hold several of these.
    fn report(&self, blocks: &[ReportBlock]) -> Vec<u8> {
        let mut packet = Vec::new();
        ReceiverReport::write(self.ssrc, blocks, &mut packet);
        SourceDescription::write(self.ssrc, &self.cname, &mut packet);
        packet
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PictureLoss, RtcpPacket, read_untrusted};
    use super::*;
    use crate::core::wire::hex::hex;

    fn source() -> RtcpSource {
        RtcpSource { ssrc: 9, cname: "router".into() }
    }

    fn block(ssrc: u32) -> ReportBlock {
        ReportBlock { ssrc, ..ReportBlock::default() }
    }

    /// The number of blocks in each report of a compound packet; our name follows each report.
    fn block_counts(compound: &[u8]) -> Vec<usize> {
        let packets: Vec<_> = read_untrusted(compound).map(Result::unwrap).collect();
        let reports = packets.chunks(2).map(|pair| match pair {
            [RtcpPacket::ReceiverReport(report), RtcpPacket::SourceDescription(name)] => {
                assert_eq!((report.ssrc, name.cnames().collect::<Vec<_>>()), (9, vec![(9, "router")]));
                report.blocks.iter().len()
            }
            other => panic!("{other:?}"),
        });
        reports.collect()
    }

    #[test]
    fn feedback_goes_behind_an_empty_report_and_a_name() {
        let loss = PictureLoss { sender_ssrc: 9, media_ssrc: 1 };
        let compound = source().feedback(|out| loss.write(out));
        let expected = "80c90001 00000009 81ca0004 00000009 0106 726f75746572 00000000 81ce0002 00000009 00000001";
        assert_eq!(compound, hex(expected));
    }

    #[test]
    fn reports_share_packets_that_pass_every_path() {
        let blocks: Vec<_> = (0..100).map(block).collect();
        assert_eq!(source().receiver_reports(&[]), Vec::<Vec<u8>>::new());
        for (count, expected) in [
            (1, vec![vec![1]]),
            (31, vec![vec![31]]),
            (45, vec![vec![31, 14]]),
            (60, vec![vec![31], vec![29]]),
            (100, vec![vec![31], vec![31], vec![31, 7]]),
        ] {
            let compounds = source().receiver_reports(&blocks[..count]);
            assert!(compounds.iter().all(|compound| compound.len() <= MAX_COMPOUND));
            assert_eq!(compounds.iter().map(|one| block_counts(one)).collect::<Vec<_>>(), expected);
        }
    }
}
