//! Key frames of which a part was lost and came again.

use super::*;

#[test]
fn a_key_frame_ends_the_requests_for_the_frames_before_it_alone() {
    let mut call = Call::new(repaired_video());
    let mut key = media(7);
    key.splice(12.., VP8_KEY.iter().copied());
    call.arrive_all([0, 2, 4], 1.0);
    call.arrive(key, 1.0);
    // Packets 5 and 6 may belong to the key frame.
    assert_eq!(call.asked(1.010), [(VIDEO, vec![5, 6])]);
    assert_eq!(call.stats().given_up, 2);
}

#[test]
fn a_key_frame_that_begins_late_counts_only_if_nobody_waits_for_it() {
    for waits in [false, true] {
        let mut call = Call::new(repaired_video());
        call.arrive_all([0], 1.0);
        if waits {
            call.core.set_consumer_paused(20, true).unwrap();
            call.core.set_consumer_paused(20, false).unwrap();
        }
        call.arrive_all([1, 3], 1.0);
        let mut key = media(2);
        key.splice(12.., VP8_KEY.iter().copied());
        call.arrive(rtx(RTX, 1, &key), 1.1);
        assert_eq!(call.stats().key_frames, if waits { 1 } else { 2 });
    }
}

/// A call in which the first packet of the key frame `key` comes when `behind` have come.  Gives what the receiver gets.
fn begin_late(retransmits: bool, behind: &[u16], missing: &[u16]) -> (Call, Vec<(u16, u32)>) {
    let mut call = Call::new(repaired_video());
    call.core.remove_consumer(20);
    let format = ConsumerFormat { rtx_payload_types: [(101, 102)].into(), ..format() };
    let spec = ConsumerSpec { rtx_ssrc: retransmits.then_some(7002), ..ConsumerSpec::new(&format, 7001) };
    call.core.add_consumer(2, 21, 10, &spec, 1).unwrap();
    call.arrive_all([99], 1.0);
    call.arrive_all(behind.iter().copied(), 1.01);
    call.asked(1.05);
    let mut key = media(100);
    key.splice(12.., VP8_KEY.iter().copied());
    call.arrive(rtx(RTX, 1, &key), 1.2);
    for (number, &repaired) in (2..).zip(missing) {
        call.arrive(rtx(RTX, number, &media(repaired)), 1.3);
    }
    let sent = leaving(&mut call.core, f64::MAX);
    let opened = sent.iter().map(|(_, datagram)| call.receiver.open(datagram).unwrap().0);
    let got = opened.map(|header| (header.sequence_number, header.timestamp / 3000)).collect();
    (call, got)
}

#[test]
fn consumers_begin_at_a_key_frame_that_begins_late_with_everything_behind_it() {
    let (mut call, got) = begin_late(true, &[101, 102, 104, 105], &[103]);
    assert_eq!(got, [(1, 100), (2, 101), (3, 102), (5, 104), (6, 105), (4, 103)]);
    assert_eq!(call.stats().key_frames, 1, "it answers the request of the consumer");
    call.arrive_all([106], 1.4);
    assert_eq!(call.got(), [7]);
}

/// A key frame of one packet.
fn key(number: u16) -> Vec<u8> {
    let mut packet = media(number);
    packet.splice(12.., VP8_KEY.iter().copied());
    packet
}

#[test]
fn a_late_key_frame_counts_although_a_client_that_is_not_connected_waits() {
    let mut call = Call::new(repaired_video());
    call.arrive_all([0, 1], 1.0);
    call.core.add_transport(3).unwrap();
    call.core.add_consumer(3, 30, 10, &consumer(7000), 1).unwrap();
    call.arrive_all([3], 1.0);
    call.asked(1.02);
    call.arrive(rtx(RTX, 1, &key(2)), 1.05);
    assert_eq!((call.got().last(), call.stats().key_frames), (Some(&3), 2));
}

#[test]
fn a_late_key_frame_does_not_count_behind_a_newer_one() {
    let mut call = Call::new(repaired_video());
    call.arrive_all([0, 1], 1.0);
    call.arrive(key(3), 1.01);
    call.arrive(rtx(RTX, 1, &key(2)), 1.05);
    assert_eq!(call.stats().key_frames, 2);
}

#[test]
fn late_packets_cause_few_looks_at_the_packet_store() {
    for (pause, begins) in [(0.01, false), (0.06, true)] {
        let (mut call, _) = begin_late(true, &[101, 103, 105], &[]);
        call.core.set_consumer_paused(21, true).unwrap();
        call.core.set_consumer_paused(21, false).unwrap();
        call.core.set_rtcp_source(OURS, "router");
        call.arrive_all([107, 109], 2.0);
        call.got();
        // Something behind the first key frame is not stored, and the second one is complete.
        call.arrive(rtx(RTX, 50, &key(104)), 2.1);
        assert_eq!(call.got(), []);
        call.arrive(rtx(RTX, 51, &key(108)), 2.1 + pause);
        assert_eq!(call.got().len(), if begins { 2 } else { 0 });
    }
}

#[test]
fn the_first_key_frame_is_repaired_behind_the_packet_that_comes_first() {
    let mut call = Call::new(repaired_video());
    let format = ConsumerFormat { rtx_payload_types: [(101, 102)].into(), ..format() };
    call.core.remove_consumer(20);
    let spec = ConsumerSpec { rtx_ssrc: Some(7002), ..ConsumerSpec::new(&format, 7001) };
    call.core.add_consumer(2, 21, 10, &spec, 1).unwrap();
    call.arrive_all([3], 1.0); // it overtakes the beginning of the key frame
    call.arrive_all([0], 1.002);
    assert_eq!(call.got(), [1, 4]);
    assert_eq!(call.asked(1.050), [(VIDEO, vec![1, 2])]);
    for number in [1, 2] {
        call.arrive(rtx(RTX, number, &media(number)), 1.1);
    }
    assert_eq!(call.got(), [2, 3]);
    let stats = call.stats();
    assert_eq!((stats.expected, stats.lost, stats.repaired), (4, 2, 2));
}

#[test]
fn packets_that_were_overtaken_before_all_consumers_began_are_not_asked_for() {
    let mut call = Call::new(ProducerSpec { nack: true, ..audio() });
    for number in [13, 10, 14] {
        call.arrive(packet(AUDIO, 111, number, &[], b"voice"), 1.0);
    }
    assert_eq!((call.asked(1.050), call.stats().lost), (vec![], 2));
}

#[test]
fn consumers_wait_on_where_packets_behind_a_late_key_frame_are_gone() {
    let (mut call, got) = begin_late(false, &[101, 102], &[]);
    assert_eq!((got, call.stats().key_frames), (vec![], 0));
    call.arrive_all([0], 1.4);
    let many: Vec<u16> = (101..101 + 600).collect();
    let (call, got) = begin_late(true, &many, &[]);
    assert_eq!((got, call.stats().key_frames), (vec![], 0));
}

#[test]
fn a_late_frame_changes_no_layer() {
    let mut call = Call::new(repaired_video());
    let layered = |number: u16, temporal: u8, key: u8| {
        let mut packet = media(number);
        packet.splice(12.., [0x90, 0x20, temporal << 6 | 0x20, 1 - key, 9]);
        packet
    };
    call.core.set_layers(20, Some(0), Some(0), None).unwrap();
    call.arrive(layered(0, 0, 1), 1.0);
    call.core.set_layers(20, Some(0), Some(1), None).unwrap();
    call.arrive(layered(3, 0, 0), 1.0);
    // The frames behind this one have been forwarded without its layer.
    call.arrive(rtx(RTX, 1, &layered(2, 1, 0)), 1.1);
    assert_eq!(call.core.consumer_stats(20).unwrap().temporal, Some(0));
    call.arrive(layered(4, 1, 0), 1.1);
    assert_eq!(call.core.consumer_stats(20).unwrap().temporal, Some(1));
}
