//! A removal is complete when it returns, and leaves nothing behind.

use super::*;
use crate::core::rtcp::PictureLoss;

/// A core in which a packet waits to leave to transport 2, and one to transport 3.
fn waiting() -> Core {
    let mut core = Core::new(1.0);
    let mut sender = Client::connect(&mut core, 1, Profile::AeadAes128Gcm);
    core.add_producer(1, 10, video()).unwrap();
    for transport in [2, 3] {
        Client::connect(&mut core, transport, Profile::AeadAes128Gcm);
        core.add_consumer(transport, 20 + transport, 10, &consumer(7000), 1).unwrap();
    }
    sender.send(&mut core, VIDEO, 96, 0, VP8_KEY);
    core
}

fn receivers(core: &mut Core) -> Vec<Path> {
    leaving(core, 9.0).into_iter().map(|(path, _)| path).collect()
}

#[test]
fn packets_queued_for_a_removed_consumer_are_discarded() {
    let mut core = waiting();
    core.remove_consumer(22);
    assert_eq!(receivers(&mut core), [path(3)]);
}

#[test]
fn packets_queued_for_a_removed_transport_are_discarded() {
    let mut core = waiting();
    core.remove_transport(3);
    assert_eq!(receivers(&mut core), [path(2)]);
}

#[test]
fn a_removed_transport_answers_no_request() {
    let mut core = Core::new(0.0);
    for transport in [1, 2] {
        Client::connect(&mut core, transport, Profile::AeadAes128Gcm);
        core.receive(&mut credentials(transport).request(false), path(transport), 1.0);
    }
    core.remove_transport(1);
    assert_eq!(receivers(&mut core), [path(2)]);
}

#[test]
fn packets_of_a_removed_producer_are_discarded() {
    for remove in [|core: &mut Core| core.remove_producer(10), |core: &mut Core| core.remove_transport(1)] {
        let mut core = waiting();
        remove(&mut core);
        assert_eq!(receivers(&mut core), []);
        assert_eq!(core.consumer_stats(22).unwrap().packets, 0);
    }
}

#[test]
fn a_removed_consumer_gets_no_sender_report_and_the_others_do() {
    let mut core = Core::new(1.0);
    let mut sender = Client::connect(&mut core, 1, Profile::AeadAes128Gcm);
    Client::connect(&mut core, 2, Profile::AeadAes128Gcm);
    core.add_producer(1, 10, video()).unwrap();
    for number in 0..3 {
        core.add_consumer(2, 20 + number, 10, &consumer(7000 + number as u32), 1).unwrap();
    }
    sender.report(&mut core, SenderInfo { ssrc: VIDEO, ntp: 1, ..SenderInfo::default() }, 1.0);
    sender.send(&mut core, VIDEO, 96, 0, VP8_KEY);
    core.remove_consumer(20);
    let sent = leaving(&mut core, 9.0);
    assert_eq!(sent.iter().map(|(_, datagram)| datagram[1]).collect::<Vec<_>>(), [101, 101, 200, 200]);
}

#[test]
fn a_datagram_that_leaves_after_its_consumer_was_removed_counts_in_the_totals() {
    let mut core = waiting();
    let sent = core.drain(9.0);
    core.remove_consumer(22);
    for one in &sent {
        core.record_outcome(one, None);
    }
    assert_eq!(core.totals().packets_out, 2);
    assert_eq!(core.consumer_stats(23).unwrap().packets, 1);
}

fn remains(core: &Core) -> Vec<usize> {
    let totals = core.totals();
    let tables = [totals.transports, totals.producers, core.consumers.len(), totals.routes, totals.paths];
    [&tables[..], &[totals.usernames, core.events.len(), core.changed.len()]].concat()
}

#[test]
fn nothing_is_left_after_everything_was_removed_in_any_order() {
    let orders: [fn(&mut Core); 3] = [
        |core| (1..4).for_each(|transport| core.remove_transport(transport)),
        |core| {
            (20..40).for_each(|consumer| core.remove_consumer(consumer));
            (10..20).for_each(|producer| core.remove_producer(producer));
            (1..4).for_each(|transport| core.remove_transport(transport));
        },
        |core| {
            (10..20).for_each(|producer| core.remove_producer(producer));
            (20..40).for_each(|consumer| core.remove_consumer(consumer));
            (1..4).for_each(|transport| core.remove_transport(transport));
        },
    ];
    for remove in orders {
        let mut core = Core::new(1.0);
        let mut clients: Vec<_> = (1..4).map(|number| Client::connect(&mut core, number, PROFILES[0])).collect();
        for number in 1..4 {
            core.add_producer(number, 10 + 2 * number, audio()).unwrap();
            core.add_producer(number, 11 + 2 * number, video()).unwrap();
        }
        for (number, producer) in (12..18).flat_map(|producer| (1..4).map(move |number| (number, producer))) {
            let id = 20 + 3 * (producer - 12) + number - 1;
            core.add_consumer(number, id, producer, &consumer(7000 + id as u32), 1).unwrap();
        }
        for client in &mut clients {
            client.send(&mut core, AUDIO, 111, 1, b"voice");
            client.send(&mut core, VIDEO, 96, 1, VP8_KEY);
            let (mut loss, ssrc) = (Vec::new(), 7019 + client.transport as u32);
            PictureLoss { sender_ssrc: AUDIO, media_ssrc: ssrc }.write(&mut loss);
            client.send_rtcp(&mut core, loss, 1.0);
        }
        assert_eq!(remains(&core), [3, 6, 18, 18, 3, 3, 6, 18]);
        remove(&mut core);
        assert_eq!(remains(&core), [0; 8]);
        assert_eq!(leaving(&mut core, 9.0), []);
        assert_eq!(core.dirty, []);
    }
}

#[test]
fn a_rewriter_is_removed_with_the_last_consumer_that_shares_it() {
    let mut core = waiting();
    let rewriters = |core: &Core| core.producers[core.producers.key(10).unwrap()].rewriters.len();
    assert_eq!(rewriters(&core), 1);
    core.add_consumer(2, 30, 10, &ConsumerSpec { format: &with_mid(4), mid: Some("0"), ..consumer(7009) }, 1).unwrap();
    assert_eq!(rewriters(&core), 2);
    core.remove_consumer(30);
    core.remove_consumer(22);
    assert_eq!(rewriters(&core), 1);
    core.remove_consumer(23);
    assert_eq!(rewriters(&core), 0);
}
