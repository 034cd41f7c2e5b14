//! Sealed packets: the receiver can open them, and no packet index is sealed twice.

use super::*;

#[test]
fn packets_pass_from_every_profile_to_every_other() {
    for (from, to) in PROFILES.into_iter().flat_map(|from| PROFILES.map(|to| (from, to))) {
        let mut core = Core::new(0.0);
        let mut sender = Client::connect(&mut core, 1, from);
        let mut receiver = Client::connect(&mut core, 2, to);
        core.add_producer(1, 10, audio()).unwrap();
        core.add_consumer(2, 20, 10, &consumer(7000), 65000).unwrap();
        for step in 0..2000u32 {
            sender.send(&mut core, AUDIO, 111, (64000 + step) as u16, b"voice");
            let sent = leaving(&mut core, 1.0);
            let (header, payload) = receiver.open(&sent[0].1).unwrap();
            assert_eq!((header.ssrc, header.payload_type, &payload[..]), (7000, 100, &b"voice"[..]));
            assert_eq!(header.sequence_number, (65000 + step) as u16);
        }
        assert_eq!(dropped(&core), []);
    }
}

#[test]
fn an_index_is_sealed_once_even_if_the_sequence_numbers_had_a_bug() {
    let mut core = Core::new(0.0);
    let mut sender = Client::connect(&mut core, 1, Profile::AeadAes128Gcm);
    Client::connect(&mut core, 2, Profile::AeadAes128Gcm);
    core.add_producer(1, 10, audio()).unwrap();
    core.add_consumer(2, 20, 10, &consumer(7000), 5).unwrap();
    let key = core.consumers.key(20).unwrap();
    core.consumers[key].sealed.add(5);
    sender.send(&mut core, AUDIO, 111, 1, b"voice");
    assert_eq!(dropped(&core), [(DropReason::SendFailed, 1)]);
    assert_eq!(leaving(&mut core, 9.0), []);
    sender.send(&mut core, AUDIO, 111, 2, b"voice");
    assert_eq!(leaving(&mut core, 9.0).len(), 1);
    assert!(!core.consumers[key].sealed.accepts(6));
}

#[test]
fn a_replayed_and_a_changed_packet_are_refused() {
    for profile in PROFILES {
        let mut core = Core::new(0.0);
        let mut sender = Client::connect(&mut core, 1, profile);
        core.add_producer(1, 10, audio()).unwrap();
        let packet = sender.seal(AUDIO, 111, 7, b"voice");
        for place in 1..packet.len() {
            let mut changed = packet.clone();
            changed[place] ^= 1;
            core.receive(&mut changed, path(1), 1.0);
        }
        assert_eq!(core.producer_stats(10).unwrap().encodings[0].packets, 0);
        core.receive(&mut packet.clone(), path(1), 1.0);
        core.receive(&mut packet.clone(), path(1), 1.0);
        assert_eq!(core.producer_stats(10).unwrap().encodings[0].packets, 1);
        assert!(dropped(&core).contains(&(DropReason::Replayed, 1)));
    }
}

#[test]
fn keys_of_a_wrong_size_are_refused() {
    let mut core = Core::new(0.0);
    core.add_transport(1).unwrap();
    for size in [0, 27, 29, 44] {
        assert!(core.set_keys(1, Profile::AeadAes128Gcm, &vec![0; size], &[0; 28]).is_err());
        assert!(core.set_keys(1, Profile::AeadAes128Gcm, &[0; 28], &vec![0; size]).is_err());
    }
    assert!(core.set_keys(1, Profile::AeadAes128Gcm, &[0; 28], &[0; 28]).is_ok());
}
