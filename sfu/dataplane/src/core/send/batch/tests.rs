use super::*;
use crate::core::Profile;
use slotmap::SlotMap;

fn batch_of(sizes: &[u16], padding: u8) -> (SendBatch, Vec<ConsumerKey>) {
    let mut consumers: SlotMap<ConsumerKey, ()> = SlotMap::with_key();
    let mut batch = SendBatch::default();
    let mut keys = Vec::new();
    for &size in sizes {
        let consumer = consumers.insert(());
        keys.push(consumer);
        batch.bytes.extend(std::iter::repeat_n(keys.len() as u8, usize::from(size)));
        let plain = QueuedPacket { consumer, size, plain: 0, payload: 0, padding, number_at: 0, seal: None };
        batch.push(plain, 1.0);
    }
    (batch, keys)
}

fn sizes(batch: &mut SendBatch, max_segments: usize, wanted: impl Fn(&QueuedPacket) -> bool) -> Vec<Vec<u16>> {
    let mut runs = Vec::new();
    batch.runs(max_segments, wanted, |run| {
        assert_eq!(run.bytes.len(), run.packets.iter().map(|packet| usize::from(packet.size)).sum::<usize>());
        assert_eq!(run.sizes().count(), run.packets.len());
        runs.push(run.sizes().map(|(_, size)| size as u16).collect());
    });
    runs
}

#[test]
fn a_run_has_one_size_but_for_its_last_packet() {
    let (mut batch, _) = batch_of(&[9, 9, 9, 4, 4, 7, 7, 8], 0);
    assert_eq!(sizes(&mut batch, 64, |_| true), [vec![9, 9, 9, 4], vec![4], vec![7, 7], vec![8]]);
}

#[test]
fn sizes_that_differ_a_little_are_padded_to_one() {
    let (mut batch, _) = batch_of(&[99, 99, 100, 101, 100, 60, 99, 104], 3);
    assert_eq!(sizes(&mut batch, 64, |_| true), [vec![101, 101, 101, 101, 101, 60], vec![99], vec![104]]);
    assert_eq!(sizes(&mut batch, 1, |_| true).concat(), [99, 99, 100, 101, 100, 60, 99, 104]);
}

#[test]
fn a_run_has_no_more_segments_than_one_send_may_have() {
    let (mut few, _) = batch_of(&[9; 5], 0);
    assert_eq!(sizes(&mut few, 2, |_| true), [vec![9, 9], vec![9, 9], vec![9]]);
    assert_eq!(sizes(&mut few, 1, |_| true).len(), 5);
    let (mut large, _) = batch_of(&[1400; 100], 0);
    assert_eq!(sizes(&mut large, 64, |_| true), [vec![1400; 46], vec![1400; 46], vec![1400; 8]]);
}

#[test]
fn an_unwanted_packet_is_discarded_and_divides_a_run() {
    let (mut batch, keys) = batch_of(&[9, 9, 9, 9], 0);
    let gone = keys[1];
    let mut first = Vec::new();
    batch.runs(64, |packet| packet.consumer != gone, |run| first.push(run.bytes.to_vec()));
    assert_eq!(first, [vec![1; 9], [vec![3; 9], vec![4; 9]].concat()]);
}

#[test]
fn a_batch_is_due_with_its_first_packet_and_empty_once_cleared() {
    let (mut batch, keys) = batch_of(&[9], 0);
    batch.push_report(keys[0], &[]);
    assert_eq!((batch.due(), batch.is_empty()), (1.0, false));
    batch.clear();
    assert_eq!((batch.due(), batch.is_empty()), (f64::INFINITY, true));
}

/// Let a batch of packets that came with this size leave.  Gives the bytes of memory that the batch keeps.
fn pass(batch: &mut SendBatch, packets: usize, size: usize) -> usize {
    for _ in 0..packets {
        batch.make_room(size);
        batch.bytes.resize(batch.bytes.len() + size, 0);
    }
    batch.clear();
    batch.bytes.capacity()
}

#[test]
fn the_memory_is_little_more_than_the_largest_batch() {
    let mut batch = SendBatch::default();
    for (packets, size) in [(1, 140), (5, 1128), (10, 1128), (25, 1128)] {
        let kept = pass(&mut batch, packets, size);
        let most = packets * size;
        assert!((most..most + most / 8 + STEP + SLACK).contains(&kept), "{kept} for {most}");
    }
}

#[test]
fn the_memory_of_a_key_frame_is_given_back() {
    let mut batch = SendBatch::default();
    assert!(pass(&mut batch, 100, 1128) <= MAX_BYTES_KEPT);
    let kept: Vec<usize> = (0..1000).map(|_| pass(&mut batch, 5, 1128)).collect();
    assert!(kept[0] >= MAX_BYTES_KEPT && kept[999] < 6000, "{} {}", kept[0], kept[999]);
    assert_eq!(kept[999], kept[600], "it does not change any more");
}

#[test]
fn padding_is_authenticated_and_ends_with_its_size() {
    let key = [3; 28];
    let mut srtp = Srtp::new(Profile::AeadAes128Gcm, &key, &key).unwrap();
    let mut consumers: SlotMap<ConsumerKey, ()> = SlotMap::with_key();
    let consumer = consumers.insert(());
    let mut batch = SendBatch::default();
    for (index, payload) in [&b"short"[..], b"somewhat longer"].into_iter().enumerate() {
        let header = [0x80, 96, 0, index as u8, 0, 0, 0, 0, 0, 0, 0, 5];
        batch.bytes.extend_from_slice(&header);
        batch.bytes.extend_from_slice(payload);
        batch.bytes.extend([0; 16]);
        let (plain, payload) = (12 + payload.len() as u16, payload.len() as u16);
        let seal = Some(Seal { header: 12, delivery: Delivery::Once, video: true, ssrc: 5, index: index as u64 });
        batch.push(QueuedPacket { consumer, size: plain + 16, plain, payload, padding: 10, number_at: 0, seal }, 0.0);
    }
    let mut sent = Vec::new();
    batch.runs(
        64,
        |_| true,
        |mut run| {
            let segment = run.segment;
            sent.extend(run.seal(&srtp, None, &mut Vec::new()).chunks(segment).map(<[u8]>::to_vec));
        },
    );
    assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [43, 43]);
    let mut opened = Vec::new();
    for packet in &mut sent {
        let header = crate::core::wire::rtp::parse_header_untrusted(packet, &mut Vec::new()).unwrap();
        let size = srtp.open_rtp(packet, &header, |_| false).unwrap();
        opened.push(packet[..size].to_vec());
    }
    assert_eq!(opened[0][12..], *b"short\0\0\0\0\0\0\0\0\0\x0a");
    assert_eq!((opened[0][0], opened[1][0]), (0xA0, 0x80));
    assert_eq!(opened[1][12..], *b"somewhat longer");
}
