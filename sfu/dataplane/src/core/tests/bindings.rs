//! STUN in a whole core: which requests are answered, and which path is selected.

use super::*;
use crate::core::Event;
use crate::core::wire::hex::hex;
use crate::core::wire::stun::{CONTROLLED, UNHEARD_OF};

/// A transport with credentials and without a path.
fn unreached() -> Core {
    let mut core = Core::new(0.0);
    core.add_transport(1).unwrap();
    core.set_credentials(1, &username(1), PASSWORD).unwrap();
    core
}

/// Let a message arrive from this path.  Gives the first bytes of each answer, and where it goes.
fn arrive(core: &mut Core, mut message: Vec<u8>, from: Id) -> Vec<(Path, [u8; 2])> {
    core.receive(&mut message, path(from), 1.0);
    let sent = leaving(core, 1.0).into_iter().map(|(path, answer)| (path, [answer[0], answer[1]]));
    sent.filter(|(_, kind)| *kind != CHECK).collect()
}

fn selected(core: &mut Core) -> Vec<Path> {
    let events = core.take_events(usize::MAX).into_iter();
    events.map(|event| if let Event::PathSelected { path, .. } = event { path } else { panic!("{event:?}") }).collect()
}

const CHECK: [u8; 2] = [0, 1];
const SUCCESS: [u8; 2] = [1, 1];
const ERROR: [u8; 2] = [1, 0x11];

#[test]
fn the_first_path_is_selected_and_no_other_without_an_answer() {
    let mut core = unreached();
    for (from, nominate, expected) in
        [(5, false, vec![path(5)]), (6, false, vec![]), (7, true, vec![]), (7, true, vec![]), (5, true, vec![])]
    {
        assert_eq!(arrive(&mut core, credentials(1).request(nominate), from), [(path(from), SUCCESS)]);
        assert_eq!(selected(&mut core), expected);
    }
    assert_eq!((core.totals().paths, core.totals().packets_in, core.totals().packets_out), (3, 5, 7));
}

#[test]
fn a_request_without_the_right_password_is_counted_and_not_answered() {
    let other_password = Credentials::new(&username(1), "another").request(true);
    let mut answer = credentials(1).request(true);
    answer[0] = 1;
    for (reason, message) in [
        (DropReason::WrongPassword, other_password),
        (DropReason::UnknownUsername, Credentials::new("nobody", PASSWORD).request(true)),
        (DropReason::MalformedStun, credentials(1).request(true)[..40].to_vec()),
        (DropReason::MalformedStun, vec![0; 60]),
        (DropReason::UnexpectedStun, answer),
        (DropReason::UnexpectedStun, credentials(1).indication()),
    ] {
        let mut core = unreached();
        assert_eq!(arrive(&mut core, message, 5), []);
        assert_eq!((dropped(&core), selected(&mut core)), (vec![(reason, 1)], vec![]));
        assert_eq!((core.totals().paths, core.heard_at(1, false)), (0, Ok(None)), "{reason:?}");
    }
}

#[test]
fn a_refused_request_is_a_sign_of_life_and_adds_no_path() {
    for attribute in [CONTROLLED, UNHEARD_OF] {
        let mut core = unreached();
        assert_eq!(arrive(&mut core, credentials(1).request_with(&[attribute]), 5), [(path(5), ERROR)]);
        assert_eq!((core.totals().paths, selected(&mut core)), (0, vec![]));
        assert_eq!(core.heard_at(1, false), Ok(Some(1.0)));
    }
}

#[test]
fn a_silent_path_moves_to_the_transport_that_authenticated_on_it_last() {
    let mut core = Core::new(0.0);
    Client::connect(&mut core, 1, PROFILES[0]);
    Client::connect(&mut core, 2, PROFILES[0]);
    arrive(&mut core, credentials(1).request(false), 9);
    arrive(&mut core, credentials(2).request(false), 1);
    // The first transport sends on the path that it has left.
    assert_eq!(core.take_events(usize::MAX), [Event::PathSelected { transport: 1, path: path(9) }]);
    assert_eq!(core.totals().paths, 3);
    // The second one was never heard on its own path.
    core.receive(&mut credentials(2).request(true), path(9), 8.0);
    assert_eq!(core.take_events(usize::MAX), [Event::PathSelected { transport: 2, path: path(9) }]);
}

#[test]
fn nobody_takes_a_path_that_is_alive() {
    let mut core = Core::new(0.0);
    let mut victim = Client::connect(&mut core, 1, PROFILES[0]);
    Client::connect(&mut core, 2, PROFILES[0]);
    core.add_producer(1, 10, audio()).unwrap();
    arrive(&mut core, credentials(1).request(true), 1);
    for number in 0..100 {
        let now = 1.0 + f64::from(number);
        core.receive(&mut victim.seal(AUDIO, 111, number, b"voice"), path(1), now);
        core.receive(&mut credentials(2).request(true), path(1), now + 0.9);
    }
    assert_eq!((core.producer_stats(10).unwrap().encodings[0].packets, core.totals().paths), (100, 2));
}

#[test]
fn a_restart_keeps_the_old_credentials_until_the_new_ones_are_used() {
    let mut core = unreached();
    let new = Credentials::new("new", PASSWORD);
    arrive(&mut core, credentials(1).request(true), 5);
    core.set_credentials(1, "new", PASSWORD).unwrap();
    assert_eq!(core.totals().usernames, 2);
    assert_eq!(arrive(&mut core, credentials(1).request(true), 5), [(path(5), SUCCESS)]);
    assert_eq!(arrive(&mut core, new.request(true), 6), [(path(6), SUCCESS)]);
    assert_eq!(core.totals().usernames, 1);
    assert_eq!(arrive(&mut core, credentials(1).request(true), 5), []);
    assert_eq!(dropped(&core), [(DropReason::UnknownUsername, 1)]);
    for number in 0..9 {
        core.set_credentials(1, &format!("unused{number}"), PASSWORD).unwrap();
        assert_eq!(core.totals().usernames, 2);
    }
    core.remove_transport(1);
    assert_eq!(core.totals().usernames, 0);
}

#[test]
fn a_username_fragment_belongs_to_one_transport() {
    let mut core = unreached();
    core.add_transport(2).unwrap();
    assert!(core.set_credentials(2, &username(1), PASSWORD).is_err());
    assert!(core.set_credentials(1, &username(1), "another").is_err());
    assert!(core.set_credentials(3, "new", PASSWORD).is_err());
    assert_eq!(arrive(&mut core, credentials(1).request(true), 5), [(path(5), SUCCESS)]);
}

#[test]
fn the_answer_has_the_address_that_the_request_came_from() {
    let mut core = unreached();
    core.receive(
        &mut credentials(1).request(false),
        Path { remote: "192.0.2.1:32853".parse().unwrap(), local: 3 },
        1.0,
    );
    let [(to, answer)] = &leaving(&mut core, 1.0)[..] else { panic!("no answer") };
    // The attribute of RFC 5769 section 2.2, whose address and port are the same.
    assert_eq!((to.local, &answer[20..32]), (3, &hex("002000080001a147e112a643")[..]));
}
