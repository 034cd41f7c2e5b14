//! Retransmissions from publishers (RFC 4588): the encoding that each repeats.

use super::*;

const MID: u8 = 1;
const RID: u8 = 2;
const REPAIRED_RID: u8 = 3;

/// Two encodings, `l` and `h`, whose SSRCs are not announced.
fn simulcast() -> ProducerSpec {
    let named = |rid: &str| EncodingSpec { rid: Some(rid.into()), ..EncodingSpec::default() };
    ProducerSpec {
        mid: Some("0".into()),
        mid_id: Some(MID),
        rid_id: Some(RID),
        repaired_rid_id: Some(REPAIRED_RID),
        extension_ids: [(MID, 1), (RID, 2), (REPAIRED_RID, 3)].into(),
        encodings: vec![named("l"), named("h")],
        ..repaired_video()
    }
}

#[test]
fn retransmissions_are_found_by_mid_and_repaired_rid_and_then_by_their_ssrc() {
    let mut call = Call::new(simulcast());
    let named = |ssrc, rid: u8, number, payload| packet(ssrc, 96, number, &[(MID, b'0'), (RID, rid)], payload);
    for number in [0, 2, 4] {
        call.arrive(named(500, b'l', number, if number == 0 { VP8_KEY } else { VP8 }), 1.0);
        call.arrive(named(600, b'h', number, VP8), 1.0);
    }
    assert_eq!(call.asked(1.010), [(500, vec![1, 3])], "nobody gets the other encoding");
    let osn = |number: u8| [&[0, number], VP8].concat();
    call.arrive(packet(501, 97, 1, &[], &osn(1)), 1.060);
    assert_eq!(dropped(&call.core), [(DropReason::UnknownStream, 1)]);
    call.arrive(packet(501, 97, 2, &[(MID, b'0'), (REPAIRED_RID, b'l')], &osn(1)), 1.060);
    call.arrive(packet(501, 97, 3, &[], &osn(3)), 1.060);
    assert_eq!(call.got(), [2, 4]);
    // Another SSRC is followed, at a price, and the one before belongs to nobody.
    for ssrc in 1000..1150 {
        call.arrive(packet(ssrc, 97, 4, &[(MID, b'0'), (REPAIRED_RID, b'l')], &osn(3)), 1.070);
    }
    assert_eq!(dropped(&call.core), [(DropReason::UnknownStream, 51), (DropReason::RepairNotNeeded, 100)]);
    let transport = &call.core.transports[call.core.transports.key(1).unwrap()];
    assert_eq!((transport.rtx_ssrcs.len(), transport.ssrcs.len()), (1, 2));
    call.core.remove_producer(10);
    assert!(call.core.transports[call.core.transports.key(1).unwrap()].rtx_ssrcs.is_empty());
}

#[test]
fn an_ssrc_of_media_is_never_taken_for_retransmissions() {
    let mut call = Call::new(simulcast());
    let mut number = 0;
    let mut named = |ssrc, payload_type, id, rid: u8| {
        number += 1;
        packet(ssrc, payload_type, number, &[(MID, b'0'), (id, rid)], b"\0\x00x")
    };
    call.arrive(named(500, 96, RID, b'l'), 1.0);
    call.arrive(named(600, 96, RID, b'h'), 1.0);
    call.arrive(named(600, 97, REPAIRED_RID, b'l'), 1.0);
    call.arrive(named(700, 97, REPAIRED_RID, b'l'), 1.0);
    let rtx_ssrcs = |call: &Call| call.core.transports[call.core.transports.key(1).unwrap()].rtx_ssrcs.clone();
    assert_eq!(rtx_ssrcs(&call).into_keys().collect::<Vec<_>>(), [700]);
    // An SSRC that turns out to be media is one of retransmissions no more.
    call.arrive(named(700, 96, RID, b'h'), 3.0);
    assert!(rtx_ssrcs(&call).is_empty());
    call.arrive(named(701, 97, REPAIRED_RID, b'l'), 3.0);
    let encodings = vec![EncodingSpec { ssrc: Some(701), rtx_ssrc: Some(500), ..EncodingSpec::default() }];
    call.core.add_producer(1, 11, ProducerSpec { encodings, ..repaired_video() }).unwrap();
    assert!(rtx_ssrcs(&call).is_empty());
}

#[test]
fn a_stream_that_moves_to_another_ssrc_forgets_its_retransmissions() {
    let mut call = Call::new(simulcast());
    let named = |ssrc, payload_type, id| packet(ssrc, payload_type, 1, &[(MID, b'0'), (id, b'l')], b"\0\x00x");
    let known = |call: &Call| call.core.transports[call.core.transports.key(1).unwrap()].rtx_ssrcs.len();
    call.arrive(named(501, 97, REPAIRED_RID), 1.0);
    call.arrive(named(500, 96, RID), 1.0);
    assert_eq!(known(&call), 1, "retransmissions may come first");
    call.arrive(named(510, 96, RID), 2.0);
    assert_eq!(known(&call), 0);
}

#[test]
fn retransmissions_that_repeat_nothing_are_counted_by_their_reasons() {
    let mut call = Call::new(repaired_video());
    call.arrive_all([100, 104], 1.0);
    call.got();
    let padding_alone = [packet(RTX, 97, 1, &[], &[]), packet(RTX, 97, 2, &[], &[0, 0, 3])];
    for mut packet in padding_alone {
        packet[0] |= if packet.len() > 12 { 0x20 } else { 0 };
        call.arrive(packet, 1.0);
    }
    call.arrive(packet(RTX, 97, 3, &[], &[1]), 1.0);
    call.arrive(packet(RTX, 98, 4, &[], &[0, 101, 1]), 1.0);
    for (number, osn) in [(5, 99u16), (6, 100), (7, 104), (8, 105), (9, 40_000)] {
        call.arrive(rtx(RTX, number, &media(osn)), 1.0);
    }
    let expected = [
        (DropReason::MalformedRtp, 1),
        (DropReason::UnknownPayloadType, 1),
        (DropReason::PaddingOnly, 2),
        (DropReason::RepairNotNeeded, 5),
    ];
    assert_eq!((dropped(&call.core), call.got()), (expected.into(), vec![]));
    // The number of an empty packet is filled, so that no receiver misses it.
    call.arrive(packet(RTX, 97, 10, &[], &[0, 101]), 1.0);
    assert_eq!(call.stats().repaired, 1);
}

#[test]
fn retransmissions_with_a_thousand_ssrcs_leave_nothing_behind() {
    let mut call = Call::new(simulcast());
    call.arrive(packet(500, 96, 0, &[(MID, b'0'), (RID, b'l')], VP8_KEY), 1.0);
    for ssrc in 0..1000 {
        let rid = [b'l', b'h'][ssrc as usize % 2];
        call.arrive(packet(10_000 + ssrc, 97, 0, &[(MID, b'0'), (REPAIRED_RID, rid)], b"\0\x07xx"), 1.0);
    }
    let transport = &call.core.transports[call.core.transports.key(1).unwrap()];
    assert_eq!((transport.rtx_ssrcs.len(), transport.ssrcs.len()), (2, 1));
    assert_eq!(call.got(), [1]);
}
