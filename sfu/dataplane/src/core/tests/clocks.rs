//! The clock in sender reports agrees with the packets that the receiver gets.

use super::*;

const SECOND: u32 = 48_000;

struct Voice {
    core: Core,
    sender: Client,
    receiver: Client,
    number: u16,
}

impl Voice {
    fn new() -> Self {
        let mut core = Core::new(0.0);
        let sender = Client::connect(&mut core, 1, Profile::AeadAes128Gcm);
        let receiver = Client::connect(&mut core, 2, Profile::AeadAes128Gcm);
        core.add_producer(1, 10, audio()).unwrap();
        core.add_consumer(2, 20, 10, &ConsumerSpec::new(&ConsumerFormat { report_interval: 5.0, ..format() }, 7000), 1)
            .unwrap();
        Self { core, sender, receiver, number: 0 }
    }

    fn report(&mut self, timestamp: u32, at: f64) {
        let ntp = ((100.0 + at) * 4_294_967_296.0) as u64;
        let info = SenderInfo { ssrc: AUDIO, ntp, timestamp, ..SenderInfo::default() };
        self.sender.report(&mut self.core, info, at);
    }

    /// Let a packet come.  If a report leaves with it, gives how many seconds its clock is ahead of the packet.
    fn send(&mut self, timestamp: u32, now: f64) -> Option<f64> {
        let mut packet = vec![0x80, 111];
        packet.extend(self.number.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(AUDIO.to_be_bytes());
        packet.extend(b"voice");
        self.number += 1;
        let mut sealed = self.sender.seal_whole(packet);
        self.core.receive(&mut sealed, path(1), now);
        let sent = leaving(&mut self.core, now);
        let mut report = sent.into_iter().map(|(_, datagram)| datagram).find(|datagram| datagram[1] == 200)?;
        self.receiver.srtp.open_rtcp(&mut report, |_| false).unwrap();
        let reported = u32::from_be_bytes(report[16..20].try_into().unwrap());
        Some(f64::from(reported.wrapping_sub(timestamp) as i32) / f64::from(SECOND))
    }
}

#[test]
fn a_clock_that_stopped_during_a_mute_is_reported_at_once_as_it_is() {
    for reports_go_on in [true, false] {
        let mut voice = Voice::new();
        voice.report(0, 0.0);
        for packet in 0..250u32 {
            if let Some(ahead) = voice.send(960 * packet, 0.02 * f64::from(packet)) {
                assert!(ahead.abs() < 0.03, "{ahead}");
            }
        }
        if reports_go_on {
            voice.report(10 * SECOND, 10.0);
        }
        let ahead = voice.send(960 * 250, 13.0).expect("a report with the first packet");
        assert!(ahead.abs() < 0.03, "{ahead} s ahead");
    }
}

#[test]
fn a_stall_of_the_network_does_not_move_the_clock() {
    for stall in [1.5, 3.0, 8.0] {
        let mut voice = Voice::new();
        voice.report(0, 0.0);
        let mut leads = Vec::new();
        for packet in 0..1000u32 {
            let due = 0.02 * f64::from(packet);
            let held = due > 5.0 && due < 5.0 + stall;
            let now = if held { 5.0 + stall } else { due };
            leads.extend(voice.send(960 * packet, now).filter(|_| now > 5.5 + stall));
        }
        assert!(!leads.is_empty() && leads.iter().all(|ahead| ahead.abs() < 0.03), "{stall} s: {leads:?}");
    }
}

#[test]
fn timestamps_that_jump_with_every_packet_cause_one_report_a_second() {
    let mut voice = Voice::new();
    voice.report(0, 0.0);
    let jump = |packet: u32| 960 * packet + if packet.is_multiple_of(2) { 0 } else { 2 * SECOND };
    let reports = (0..500u32).filter_map(|packet| voice.send(jump(packet), 0.02 * f64::from(packet)));
    assert!((2..=11).contains(&reports.count()));
}
