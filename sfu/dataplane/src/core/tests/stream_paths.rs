//! Streams as paths: whose they are, and what leaves on them.

use super::*;
use crate::core::FIRST_STREAM;

fn stream(number: u32) -> Path {
    Path { local: FIRST_STREAM + number, ..path(1) }
}

fn unreached() -> Core {
    let mut core = Core::new(0.0);
    core.add_transport(1).unwrap();
    core.set_credentials(1, &username(1), PASSWORD).unwrap();
    core
}

#[test]
fn only_a_request_with_the_right_password_is_recognised_and_it_changes_nothing() {
    let mut core = unreached();
    let before = core.totals();
    assert_eq!(core.recognise_untrusted(&credentials(1).request(true)), Ok(1));
    for (reason, message) in [
        (DropReason::WrongPassword, Credentials::new(&username(1), "another").request(true)),
        (DropReason::UnknownUsername, Credentials::new("nobody", PASSWORD).request(true)),
        (DropReason::MalformedStun, credentials(1).request(true)[..40].to_vec()),
        (DropReason::MalformedStun, vec![]),
        (DropReason::UnexpectedStun, credentials(1).indication()),
    ] {
        assert_eq!(core.recognise_untrusted(&message), Err(reason));
    }
    assert_eq!((core.totals(), core.take_events(9)), (before, vec![]));
}

#[test]
fn a_stream_gets_packets_one_by_one_and_knows_which_are_video() {
    let mut core = Core::new(0.0);
    let mut sender = Client::connect(&mut core, 1, PROFILES[0]);
    Client::connect(&mut core, 2, PROFILES[0]);
    core.receive(&mut credentials(2).request(true), stream(1), 0.0);
    core.add_producer(1, 1, video()).unwrap();
    core.add_producer(1, 2, audio()).unwrap();
    core.add_consumer(2, 1, 1, &consumer(7), 1).unwrap();
    core.add_consumer(2, 2, 2, &consumer(8), 1).unwrap();
    leaving(&mut core, 0.0);
    for number in 0..3 {
        sender.send(&mut core, VIDEO, 96, number, VP8_KEY);
    }
    sender.send(&mut core, AUDIO, 111, 0, b"sound");
    let mut left = Vec::new();
    core.flush_departures(
        9.0,
        64,
        || 9.0,
        |one| {
            left.push((one.path, one.bytes.len() == one.segment, one.video));
            Ok(())
        },
    );
    let packet = |video| (stream(1), true, video);
    assert_eq!(left, [packet(true), packet(true), packet(true), packet(false)]);
}
