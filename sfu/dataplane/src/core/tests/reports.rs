//! RTCP of a whole core: reports and requests to publishers, and the effect of the clients' packets.

use super::*;
use crate::core::rtcp::{
    FullIntraEntry, FullIntraRequest, Nack, PictureLoss, ReceiverReport, ReportBlock, RtcpPacket, SourceDescription,
    read_untrusted,
};
use crate::core::{Event, ReceptionReport};

const OURS: u32 = 99;
const CNAME: &str = "router";

/// A publisher of audio and video that gets reports every second from second 2 on, and a receiver.
fn call() -> (Core, Client, Client) {
    let mut core = Core::new(0.0);
    core.set_rtcp_source(OURS, CNAME);
    let sender = Client::connect(&mut core, 1, PROFILES[0]);
    let receiver = Client::connect(&mut core, 2, PROFILES[0]);
    core.start_reports(1, 2.0, 1.0).unwrap();
    core.add_producer(1, 10, audio()).unwrap();
    core.add_producer(1, 11, video()).unwrap();
    core.add_consumer(2, 20, 10, &consumer(7000), 1).unwrap();
    core.add_consumer(2, 21, 11, &consumer(7001), 1).unwrap();
    (core, sender, receiver)
}

/// Let time pass.  Gives the compound packets that the client gets.
fn reports(core: &mut Core, client: &mut Client, now: f64) -> Vec<Vec<u8>> {
    core.pass_time(now);
    let sent = leaving(core, now).into_iter().filter(|(to, _)| *to == path(client.transport));
    sent.map(|(_, mut datagram)| {
        let size = client.srtp.open_rtcp(&mut datagram, |_| false).unwrap();
        datagram[..size].to_vec()
    })
    .collect()
}

/// Their report blocks.  Checks that each report has our SSRC, and our name behind it.
fn blocks(compounds: &[Vec<u8>]) -> Vec<ReportBlock> {
    let packets = compounds.iter().flat_map(|compound| read_untrusted(compound).map(Result::unwrap));
    let report = |packet| match packet {
        RtcpPacket::ReceiverReport(report) => {
            assert_eq!(report.ssrc, OURS);
            report.blocks.iter().collect()
        }
        RtcpPacket::SourceDescription(name) => {
            assert_eq!(name.cnames().collect::<Vec<_>>(), [(OURS, CNAME)]);
            vec![]
        }
        other => panic!("{other:?}"),
    };
    packets.flat_map(report).collect()
}

#[test]
fn a_publisher_gets_reports_about_its_streams_at_regular_intervals() {
    let (mut core, mut sender, _) = call();
    sender.send(&mut core, AUDIO, 111, 1, b"voice");
    sender.send(&mut core, AUDIO, 111, 4, b"voice");
    sender.report(&mut core, SenderInfo { ssrc: AUDIO, ntp: 7 << 32, ..SenderInfo::default() }, 1.5);
    leaving(&mut core, 1.5);
    assert_eq!(reports(&mut core, &mut sender, 1.9), Vec::<Vec<u8>>::new());
    let first = reports(&mut core, &mut sender, 2.0);
    let expected = ReportBlock {
        ssrc: AUDIO,
        fraction_lost: 128,
        lost: 2,
        highest_sequence: 4,
        jitter: 0,
        last_report: 7 << 16,
        delay: 32_768,
    };
    // No video packet came yet.
    assert_eq!(blocks(&first), [ReportBlock { jitter: blocks(&first)[0].jitter, ..expected }]);
    sender.send(&mut core, VIDEO, 96, 1, VP8_KEY);
    leaving(&mut core, 2.5);
    assert_eq!(core.next_due(), Some(3.0));
    let second = blocks(&reports(&mut core, &mut sender, 3.1));
    assert_eq!(
        second.iter().map(|one| (one.ssrc, one.fraction_lost, one.lost)).collect::<Vec<_>>(),
        [(AUDIO, 0, 2), (VIDEO, 0, 0)]
    );
    assert_eq!(core.next_due(), Some(4.1));
}

#[test]
fn no_timer_runs_for_a_transport_without_producers() {
    let mut core = Core::new(0.0);
    let mut client = Client::connect(&mut core, 1, PROFILES[0]);
    core.start_reports(1, 2.0, 1.0).unwrap();
    assert_eq!(core.next_due(), None);
    core.add_producer(1, 10, audio()).unwrap();
    assert_eq!(core.next_due(), Some(2.0));
    core.remove_producer(10);
    assert_eq!(reports(&mut core, &mut client, 50.0), Vec::<Vec<u8>>::new());
    assert_eq!(core.next_due(), None);
    core.add_producer(1, 11, audio()).unwrap();
    assert_eq!(core.next_due(), Some(51.0));
    assert!(core.start_reports(1, 0.0, 0.0).is_err());
    core.remove_transport(1);
    assert_eq!(core.next_due(), None);
}

#[test]
fn reports_about_many_streams_are_split_to_fit_every_path() {
    let mut core = Core::new(0.0);
    let mut client = Client::connect(&mut core, 1, PROFILES[0]);
    core.set_rtcp_source(OURS, CNAME);
    for ssrc in 1..=60 {
        let encodings = vec![EncodingSpec { ssrc: Some(ssrc), ..EncodingSpec::default() }];
        core.add_producer(1, Id::from(ssrc), ProducerSpec { encodings, ..audio() }).unwrap();
        client.send(&mut core, ssrc, 111, 1, b"voice");
    }
    core.start_reports(1, 2.0, 1.0).unwrap();
    let compounds = reports(&mut core, &mut client, 2.0);
    assert!(compounds.len() == 2 && compounds.iter().all(|compound| compound.len() <= 1200));
    assert_eq!(blocks(&compounds).iter().map(|block| block.ssrc).collect::<Vec<_>>(), (1..=60).collect::<Vec<_>>());
}

#[test]
fn an_encoding_that_begins_anew_is_reported_from_zero() {
    let mut core = Core::new(0.0);
    let mut client = Client::connect(&mut core, 1, PROFILES[0]);
    core.set_rtcp_source(OURS, CNAME);
    let encodings = vec![EncodingSpec::default()];
    core.add_producer(1, 10, ProducerSpec { encodings, mid: Some("0".into()), mid_id: Some(1), ..audio() }).unwrap();
    core.start_reports(1, 2.0, 1.0).unwrap();
    for (ssrc, number, due) in [(5u32, 9u8, 2.0), (6, 200, 3.0)] {
        let mut packet = vec![0x90, 111, 0, number, 0, 0, 0, 0];
        packet.extend(ssrc.to_be_bytes());
        packet.extend(b"\xbe\xde\x00\x01\x100\x00\x00voice");
        core.receive(&mut client.seal_whole(packet), path(1), 1.0);
        if ssrc == 5 {
            client.report(&mut core, SenderInfo { ssrc, ntp: 1 << 40, ..SenderInfo::default() }, 1.0);
        }
        let block = blocks(&reports(&mut core, &mut client, due))[0];
        assert_eq!((block.ssrc, block.lost, block.highest_sequence), (ssrc, 0, u32::from(number)));
        assert_eq!(block.last_report != 0, ssrc == 5);
    }
}

#[test]
fn a_publisher_is_asked_for_a_key_frame_in_the_form_that_it_supports() {
    let (mut core, mut sender, _) = call();
    for full_intra in [false, true, true] {
        let (to, mut datagram) = core.request_key_frame(11, 0, full_intra).unwrap().unwrap();
        let size = sender.srtp.open_rtcp(&mut datagram, |_| false).unwrap();
        let packets: Vec<_> = read_untrusted(&datagram[..size]).map(Result::unwrap).collect();
        let [RtcpPacket::ReceiverReport(report), RtcpPacket::SourceDescription(name), request] = packets[..] else {
            panic!("{packets:?}")
        };
        assert_eq!((to, report.ssrc, report.blocks.iter().len()), (path(1), OURS, 0));
        assert_eq!(name.cnames().collect::<Vec<_>>(), [(OURS, CNAME)]);
        assert_eq!(matches!(request, RtcpPacket::PictureLoss(_)), !full_intra);
        if let RtcpPacket::FullIntraRequest(request) = request {
            let sequence = core.producers[core.producers.key(11).unwrap()].full_intra_sequence - 1;
            assert_eq!(request.entries.iter().collect::<Vec<_>>(), [FullIntraEntry { ssrc: VIDEO, sequence }]);
        }
    }
    assert!(core.request_key_frame(11, 1, false).is_err());
    assert!(core.request_key_frame(12, 0, false).is_err());
}

#[test]
fn no_key_frame_is_requested_without_an_ssrc_or_a_path() {
    let mut core = Core::new(0.0);
    Client::connect(&mut core, 1, PROFILES[0]);
    let encodings = vec![EncodingSpec { rid: Some("h".into()), ..EncodingSpec::default() }];
    core.add_producer(1, 10, ProducerSpec { encodings, rid_id: Some(1), ..video() }).unwrap();
    assert_eq!(core.request_key_frame(10, 0, false), Ok(None));
    core.add_transport(2).unwrap();
    core.add_producer(2, 11, video()).unwrap();
    assert_eq!(core.request_key_frame(11, 0, false), Ok(None));
}

#[test]
fn a_key_frame_request_is_queued_once_until_the_slow_path_takes_it() {
    let (mut core, _, mut receiver) = call();
    let mut compound = Vec::new();
    ReceiverReport::write(1, &[], &mut compound);
    let entries: Vec<_> = (0..100).map(|sequence| FullIntraEntry { ssrc: 7001, sequence }).collect();
    FullIntraRequest::write(1, &entries, &mut compound);
    for media_ssrc in [7001, 7000, 7001, 4711] {
        PictureLoss { sender_ssrc: 1, media_ssrc }.write(&mut compound);
    }
    let request = |consumer| Event::KeyFrameRequested { consumer };
    for _ in 0..3 {
        receiver.send_rtcp(&mut core, compound.clone(), 1.0);
        receiver.send_rtcp(&mut core, compound.clone(), 1.0);
        assert_eq!(core.take_events(usize::MAX), [request(21), request(20)]);
    }
    assert_eq!(dropped(&core), []);
}

#[test]
fn a_receiver_can_request_key_frames_of_its_own_consumers_alone() {
    let (mut core, mut sender, mut receiver) = call();
    let mut compound = Vec::new();
    PictureLoss { sender_ssrc: 1, media_ssrc: 7000 }.write(&mut compound);
    ReceiverReport::write(1, &[ReportBlock { ssrc: 7000, lost: 3, ..ReportBlock::default() }], &mut compound);
    sender.send_rtcp(&mut core, compound.clone(), 1.0);
    assert_eq!((core.take_events(usize::MAX), core.consumer_stats(20).unwrap().reception_report), (vec![], None));
    core.remove_consumer(20);
    receiver.send_rtcp(&mut core, compound, 1.0);
    assert_eq!((core.take_events(usize::MAX), dropped(&core)), (vec![], vec![]));
}

#[test]
fn a_malformed_packet_is_counted_once_and_the_rest_of_its_compound_counts() {
    let (mut core, _, mut receiver) = call();
    let mut compound = Vec::new();
    ReceiverReport::write(1, &[], &mut compound);
    compound.extend(b"\x82\xcb\x00\x01\x00\x00\x00\x01"); // fewer sources than counted
    Nack::write(1, 7000, &[1, 2], &mut compound);
    SourceDescription::write(1, "them", &mut compound);
    ReceiverReport::write(1, &[ReportBlock { ssrc: 7001, lost: 3, ..ReportBlock::default() }], &mut compound);
    PictureLoss { sender_ssrc: 1, media_ssrc: 7001 }.write(&mut compound);
    compound.extend(b"\x81\xc9\x00\x09"); // cut off
    receiver.send_rtcp(&mut core, compound, 1.0);
    assert_eq!(dropped(&core), [(DropReason::MalformedRtcp, 1)]);
    assert_eq!(core.take_events(usize::MAX), [Event::KeyFrameRequested { consumer: 21 }]);
    let reported = core.consumer_stats(21).unwrap().reception_report;
    assert_eq!(reported, Some(ReceptionReport { lost: 3, ..ReceptionReport::default() }));
}

#[test]
fn a_report_that_answers_nothing_keeps_the_newest_round_trip_of_its_transport() {
    let (mut core, mut sender, mut receiver) = call();
    let mut answers = Vec::new();
    for (ssrc, payload_type, payload) in [(AUDIO, 111, &b"voice"[..]), (VIDEO, 96, VP8_KEY)] {
        sender.report(&mut core, SenderInfo { ssrc, ntp: 1 << 40, ..SenderInfo::default() }, 1.0);
        sender.send(&mut core, ssrc, payload_type, 1, payload);
        for (_, mut datagram) in leaving(&mut core, 1.0).into_iter().filter(|(_, datagram)| datagram[1] == 200) {
            let size = receiver.srtp.open_rtcp(&mut datagram, |_| false).unwrap();
            let Some(Ok(RtcpPacket::SenderReport(report))) = read_untrusted(&datagram[..size]).next() else { panic!() };
            answers.push(ReportBlock {
                ssrc: report.info.ssrc,
                last_report: (report.info.ntp >> 16) as u32,
                ..ReportBlock::default()
            });
        }
    }
    let [audio, video] = answers[..] else { panic!("{answers:?}") };
    let mut report = |block: ReportBlock, now: f64| {
        let mut compound = Vec::new();
        ReceiverReport::write(1, &[block], &mut compound);
        receiver.send_rtcp(&mut core, compound, now);
        let trip = core.transports[core.transports.key(2).unwrap()].round_trip;
        trip.map(|seconds| (1000.0 * seconds).round())
    };
    assert_eq!(report(audio, 1.3), Some(300.0));
    assert_eq!(report(video, 1.05), Some(50.0), "the newest");
    assert_eq!(report(ReportBlock { last_report: 0, ..audio }, 2.0), Some(50.0));
    let trip = core.transport_stats(&[2])[0].clone().unwrap().round_trip;
    assert_eq!(trip.map(|seconds| (1000.0 * seconds).round()), Some(50.0));
}

#[test]
fn the_losses_of_a_sender_and_of_its_receiver_are_told_apart() {
    let (mut core, mut sender, mut receiver) = call();
    for number in [1, 2, 3, 6, 7, 8, 9, 10] {
        sender.send(&mut core, AUDIO, 111, number, b"voice");
    }
    leaving(&mut core, 1.0);
    let mut report = |core: &mut Core, lost: i32| {
        let mut compound = Vec::new();
        ReceiverReport::write(
            1,
            &[ReportBlock { ssrc: 7000, fraction_lost: 77, lost, ..ReportBlock::default() }],
            &mut compound,
        );
        receiver.send_rtcp(core, compound, 1.0);
        let stats = core.transport_stats(&[2])[0].clone().unwrap();
        (stats.reported, stats.reported_lost)
    };
    assert_eq!(report(&mut core, 3), (8, 1), "two of the three never came to us");
    assert_eq!(report(&mut core, i32::MAX), (8, 1), "nothing left since then");
    let [Some(stats), None] = &core.transport_stats(&[1, 3])[..] else { panic!() };
    assert_eq!((stats.expected, stats.missing, stats.reported, stats.round_trip), (10, 2, 0, None));
    core.remove_producer(10);
    assert_eq!(core.transport_stats(&[1])[0].as_ref().unwrap().expected, 0);
}

#[test]
fn a_sender_report_without_ntp_time_gives_no_clock() {
    let (mut core, mut sender, _) = call();
    for (ntp, expected) in [(0, 0), (1 << 40, 1)] {
        sender.report(&mut core, SenderInfo { ssrc: AUDIO, ntp, ..SenderInfo::default() }, 1.0);
        sender.send(&mut core, AUDIO, 111, 1 + expected as u16, b"voice");
        let reports = leaving(&mut core, 1.0).into_iter().filter(|(_, datagram)| datagram[1] == 200).count();
        assert_eq!(reports, expected);
    }
}
