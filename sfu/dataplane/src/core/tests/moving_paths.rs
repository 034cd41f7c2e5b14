//! Clients whose address changes in mid-call, in a whole core under virtual time.

use super::*;
use crate::core::Event;
use crate::core::wire::rtcp::SenderInfo;
use crate::core::wire::stun::{Binding, success};

const HOME: Id = 30;
const AWAY: Id = 31;
const CHECK: [u8; 2] = [0, 1];

/// A publisher of video on path 1, and a receiver that was last heard on `HOME` at second 1.
fn call() -> (Core, Client, Client) {
    let mut core = Core::new(0.0);
    let sender = Client::connect(&mut core, 1, PROFILES[0]);
    let receiver = Client::connect(&mut core, 2, PROFILES[0]);
    core.stream_closed(path(2), 0.0);
    core.add_producer(1, 10, ProducerSpec { nack: true, ..video() }).unwrap();
    core.add_producer(1, 11, audio()).unwrap();
    core.add_consumer(2, 20, 10, &consumer(7000), 1).unwrap();
    core.add_consumer(2, 21, 11, &consumer(7001), 1).unwrap();
    let checks = request(&mut core, true, HOME, 1.0);
    core.receive(&mut answer(&checks[0].1), path(HOME), 1.0);
    core.take_events(usize::MAX);
    (core, sender, receiver)
}

/// Let a request arrive from this path.  Gives the checks that it causes.
fn request(core: &mut Core, nominate: bool, from: Id, now: f64) -> Vec<(Path, Vec<u8>)> {
    repeat(core, &credentials(2).request(nominate), from, now)
}

fn repeat(core: &mut Core, message: &[u8], from: Id, now: f64) -> Vec<(Path, Vec<u8>)> {
    core.receive(&mut message.to_vec(), path(from), now);
    let (answers, checks): (Vec<_>, Vec<_>) =
        leaving(core, now).into_iter().partition(|(_, datagram)| datagram[..2] == [1, 1]);
    assert_eq!(answers.iter().map(|(to, _)| *to).collect::<Vec<_>>(), [path(from)], "{:?}", dropped(core));
    checks
}

/// The client's own credentials.
fn theirs() -> Credentials {
    Credentials::new("theirs", "a password of more than 22 letters")
}

/// The client tells its credentials.
fn tell_credentials(core: &mut Core) {
    core.set_client_credentials(2, Some(("theirs", "a password of more than 22 letters"))).unwrap();
}

/// The answer of a client that knows the password for the check.
fn authentic(check: &[u8]) -> Vec<u8> {
    success(&check[8..20].try_into().unwrap(), path(1).remote, &theirs())
}

/// The answer of a client that knows no password for the check: the error 400.
fn answer(check: &[u8]) -> Vec<u8> {
    [b"\x01\x11\x00\x08\x21\x12\xa4\x42", &check[8..20], b"\x00\x09\x00\x04\x00\x00\x04\x00"].concat()
}

fn selected(core: &mut Core) -> Vec<Path> {
    let events = core.take_events(usize::MAX).into_iter();
    events.filter_map(|event| if let Event::PathSelected { path, .. } = event { Some(path) } else { None }).collect()
}

/// Where a frame of the publisher goes at `now`.
fn media_goes(core: &mut Core, sender: &mut Client, number: u16, now: f64) -> Path {
    let mut frame = sender.seal(VIDEO, 96 | 0x80, number, VP8_KEY);
    core.receive(&mut frame, path(1), now);
    let [(to, _)] = leaving(core, now)[..] else { panic!("not one packet") };
    to
}

/// Let the timers fire until `end`.  Gives the checks.
fn wait(core: &mut Core, end: f64) -> Vec<Path> {
    let mut checked = Vec::new();
    while let Some(now) = core.next_due().filter(|&due| due <= end) {
        core.pass_time(now);
        checked.extend(leaving(core, now).into_iter().filter(|(_, one)| one[..2] == CHECK).map(|(to, _)| to));
    }
    checked
}

#[test]
fn media_follows_a_nomination_within_a_round_trip() {
    let (mut core, mut sender, _) = call();
    let checks = request(&mut core, true, AWAY, 1.2);
    assert_eq!(media_goes(&mut core, &mut sender, 1, 1.21), path(HOME));
    let [(to, check)] = &checks[..] else { panic!("not one check") };
    assert_eq!((*to, &check[..2]), (path(AWAY), &CHECK[..]));
    core.receive(&mut answer(check), path(AWAY), 1.25);
    assert_eq!(selected(&mut core), [path(AWAY)]);
    assert_eq!(media_goes(&mut core, &mut sender, 2, 1.25), path(AWAY));
    assert_eq!(dropped(&core), []);
}

#[test]
fn media_follows_a_nomination_without_an_answer_within_a_second() {
    let (mut core, mut sender, _) = call();
    request(&mut core, true, AWAY, 1.2);
    wait(&mut core, 1.99);
    assert_eq!(media_goes(&mut core, &mut sender, 1, 1.99), path(HOME));
    wait(&mut core, 2.0);
    assert_eq!(media_goes(&mut core, &mut sender, 2, 2.0), path(AWAY));
}

#[test]
fn a_receiver_that_only_listens_keeps_its_path_while_it_answers() {
    let (mut core, ..) = call();
    let [(_, check)] = &request(&mut core, false, AWAY, 9.0)[..] else { panic!("not one check") };
    core.receive(&mut answer(check), path(AWAY), 9.05);
    core.pass_time(9.3);
    let [(to, probe)] = &leaving(&mut core, 9.3)[..] else { panic!("not one check") };
    assert_eq!(*to, path(HOME));
    assert_ne!(probe[8..20], check[8..20]);
    core.receive(&mut answer(probe), path(HOME), 9.35);
    assert_eq!((wait(&mut core, 99.0), selected(&mut core)), (vec![], vec![]));
    // The next time it does not answer: it has moved.
    request(&mut core, false, AWAY, 100.0);
    assert_eq!(wait(&mut core, 100.99), [path(HOME), path(HOME)]);
    assert_eq!(selected(&mut core), []);
    wait(&mut core, 101.0);
    assert_eq!(selected(&mut core), [path(AWAY)]);
}

/// An eavesdropper sends a recorded request of the receiver again, from an address of its own.
#[test]
fn a_request_that_somebody_repeats_from_elsewhere_is_refused_however_late() {
    for later in [0, 1, 127, 128, 500] {
        let (mut core, mut sender, _) = call();
        core.watch(2, 1.0, 7.0, 5000.0).unwrap();
        let recorded = credentials(2).request(true);
        repeat(&mut core, &recorded, HOME, 2.0);
        let mut now = 2.0;
        for _ in 0..later {
            now += 2.5;
            request(&mut core, true, HOME, now);
        }
        let before = (core.totals().paths, core.heard_at(2, false));
        core.take_events(usize::MAX);
        for silence in [0.1, 0.9, 4.0] {
            core.receive(&mut recorded.clone(), path(AWAY), now + silence);
            assert_eq!(leaving(&mut core, now + silence), [], "neither an answer nor a check");
        }
        assert_eq!(dropped(&core), [(DropReason::ReplayedBinding, 3)], "{later}");
        assert_eq!((core.totals().paths, core.heard_at(2, false)), before, "{later}");
        wait(&mut core, now + 6.0);
        assert_eq!((selected(&mut core), media_goes(&mut core, &mut sender, 1, now + 6.0)), (vec![], path(HOME)));
    }
}

#[test]
fn a_client_that_repeats_a_request_gets_another_answer() {
    let (mut core, ..) = call();
    let message = credentials(2).request(true);
    assert_eq!(repeat(&mut core, &message, AWAY, 2.0).len(), 1);
    assert_eq!(repeat(&mut core, &message, AWAY, 2.5), []);
    assert_eq!(dropped(&core), []);
}

/// Somebody on the way holds a request back, sends it from another address, and reads the check.
#[test]
fn a_stranger_cannot_answer_a_check_with_the_credentials_of_the_client() {
    let (mut core, mut sender, _) = call();
    tell_credentials(&mut core);
    let [(_, check)] = &request(&mut core, true, AWAY, 1.2)[..] else { panic!("not one check") };
    let stranger = Credentials::new("theirs", "a guess");
    for answer in [answer(check), success(&check[8..20].try_into().unwrap(), path(1).remote, &stranger)] {
        core.receive(&mut answer.clone(), path(AWAY), 1.25);
    }
    assert_eq!(dropped(&core), [(DropReason::WrongPassword, 2)]);
    assert_eq!((selected(&mut core), media_goes(&mut core, &mut sender, 1, 1.3)), (vec![], path(HOME)));
    core.receive(&mut authentic(check), path(AWAY), 1.4);
    assert_eq!((selected(&mut core), media_goes(&mut core, &mut sender, 2, 1.4)), (vec![path(AWAY)], path(AWAY)));
}

#[test]
fn a_client_that_told_its_credentials_gets_full_checks_and_everything_after_a_round_trip() {
    let (mut core, mut sender, _) = call();
    tell_credentials(&mut core);
    // Its path has been dead for long, so it moves at once.  The check is answered a round trip later.
    let [(_, check)] = &request(&mut core, true, AWAY, 9.0)[..] else { panic!("not one check") };
    let binding = Binding::read_untrusted(check).unwrap();
    assert!(binding.is_authentic(&theirs()) && binding.controlled);
    for number in 0..20 {
        core.receive(&mut sender.seal(VIDEO, 96 | 0x80, number, VP8_KEY), path(1), 9.1);
    }
    assert!(leaving(&mut core, 9.1).len() < 19);
    core.take_events(usize::MAX);
    core.receive(&mut authentic(check), path(AWAY), 9.2);
    assert_eq!(core.take_events(usize::MAX), [Event::KeyFrameRequested { consumer: 20 }]);
    for number in 20..80 {
        assert_eq!(media_goes(&mut core, &mut sender, number, 9.2 + f64::from(number) * 0.01), path(AWAY));
    }
}

/// Somebody who knows the password forges the address of a victim.
#[test]
fn a_path_that_never_answers_gets_at_most_three_times_what_came_from_it() {
    for told in [true, false] {
        let (mut core, mut sender, _) = call();
        if told {
            tell_credentials(&mut core);
        }
        let deliver = |core: &mut Core, message: &[u8], from: Id, now: f64| {
            core.receive(&mut message.to_vec(), path(from), now);
            let leaving = leaving(core, now).into_iter().filter(|(to, _)| *to == path(AWAY));
            leaving.map(|(_, datagram)| datagram.len()).sum::<usize>()
        };
        let nomination = credentials(2).request(true);
        let (mut received, mut sent) = (nomination.len(), 0);
        sent += deliver(&mut core, &nomination, AWAY, 9.0);
        for number in 0..1000 {
            let now = 9.0 + f64::from(number) * 0.02;
            if number % 100 == 50 {
                let request = credentials(2).request(true);
                received += request.len();
                sent += deliver(&mut core, &request, AWAY, now);
            }
            let frame = sender.seal(VIDEO, 96 | 0x80, number as u16, &[VP8_KEY, &[7; 900]].concat());
            let media = deliver(&mut core, &frame, 1, now);
            // A client without credentials may be one that answers no checks.
            sent += if told || now > 14.1 { media } else { 0 };
            assert!(sent <= 3 * received, "{sent} bytes after {received}");
        }
        assert!(sent > received, "{sent} bytes after {received}");
        let reasons: Vec<DropReason> = dropped(&core).iter().map(|(reason, _)| *reason).collect();
        assert_eq!(reasons, [DropReason::UnprovenPath]);
    }
}

/// Some clients answer no checks.  Their reports name the sender reports that they got.
#[test]
fn a_report_about_a_sender_report_shows_that_the_client_receives_on_its_path() {
    for (guesses, shown) in [(0, true), (15, true), (16, false)] {
        let (mut core, mut sender, mut receiver) = call();
        core.remove_consumer(21);
        let format = ConsumerFormat { report_interval: 5.0, ..format() };
        core.add_consumer(2, 22, 11, &ConsumerSpec::new(&format, 7002), 1).unwrap();
        sender.report(&mut core, SenderInfo { ssrc: AUDIO, ntp: 7 << 48, ..SenderInfo::default() }, 1.0);
        request(&mut core, true, AWAY, 9.0);
        core.receive(&mut sender.seal(AUDIO, 111, 1, &[7; 60]), path(1), 9.1);
        let report = leaving(&mut core, 9.1).into_iter().find(|(_, one)| one[1] == 200).expect("a sender report");
        let mut opened = report.1;
        receiver.srtp.open_rtcp(&mut opened, |_| false).unwrap();
        let name = u32::from_be_bytes(opened[10..14].try_into().unwrap());
        for guess in (0..guesses).map(|number: u32| number + 1).chain([name]) {
            let block = [&7002u32.to_be_bytes()[..], &[0; 12], &guess.to_be_bytes(), &[0; 4]].concat();
            let mut report = [b"\x81\xc9\x00\x07".as_slice(), &1u32.to_be_bytes(), &block].concat();
            receiver.srtp.seal_rtcp(&mut report).unwrap();
            core.receive(&mut report, path(AWAY), 9.3);
        }
        let key = core.transports.key(2).unwrap();
        assert_eq!(core.transports[key].paths.is_unproven(), !shown, "{guesses}");
    }
}

#[test]
fn answers_that_nobody_asked_for_are_counted_and_have_no_effect() {
    let (mut core, ..) = call();
    let [(_, check)] = &request(&mut core, true, AWAY, 1.2)[..] else { panic!("not one check") };
    let mut guessed = answer(check);
    guessed[19] ^= 1;
    for (datagram, from) in [(guessed, AWAY), (answer(check), HOME), (answer(check), 77), (answer(check), 1)] {
        core.receive(&mut datagram.clone(), path(from), 1.3);
    }
    assert_eq!(dropped(&core), [(DropReason::UnexpectedStun, 4)]);
    assert_eq!((selected(&mut core), core.heard_at(2, false)), (vec![], Ok(Some(1.2))));
    // The right answer is no sign of life either, since it is not authentic.
    core.receive(&mut answer(check), path(AWAY), 1.4);
    assert_eq!((selected(&mut core), core.heard_at(2, false)), (vec![path(AWAY)], Ok(Some(1.2))));
}

#[test]
fn requests_with_the_credentials_before_a_restart_move_nothing() {
    let (mut core, mut sender, _) = call();
    core.set_credentials(2, "new", PASSWORD).unwrap();
    assert_eq!(request(&mut core, true, AWAY, 20.0), []);
    wait(&mut core, 90.0);
    assert_eq!((selected(&mut core), media_goes(&mut core, &mut sender, 1, 90.0)), (vec![], path(HOME)));
    // Nor do they later: nobody knows them any more.
    repeat(&mut core, &Credentials::new("new", PASSWORD).request(true), HOME, 91.0);
    core.receive(&mut credentials(2).request(true), path(AWAY), 99.0);
    assert_eq!(leaving(&mut core, 99.0), []);
}

#[test]
fn a_restart_during_a_gap_moves_media_with_the_first_answer_and_asks_for_pictures() {
    let (mut core, mut sender, _) = call();
    for number in 0..8 {
        assert_eq!(media_goes(&mut core, &mut sender, number, 2.0 + f64::from(number)), path(HOME));
    }
    core.set_credentials(2, "new", PASSWORD).unwrap();
    core.take_events(usize::MAX);
    let checks = repeat(&mut core, &Credentials::new("new", PASSWORD).request(false), AWAY, 9.5);
    assert_eq!(core.take_events(usize::MAX), []);
    core.receive(&mut answer(&checks[0].1), path(AWAY), 9.6);
    assert_eq!(
        core.take_events(usize::MAX),
        [Event::PathSelected { transport: 2, path: path(AWAY) }, Event::KeyFrameRequested { consumer: 20 }]
    );
    assert_eq!(media_goes(&mut core, &mut sender, 8, 9.6), path(AWAY));
}

#[test]
fn a_client_that_moves_without_a_silence_needs_no_picture() {
    let (mut core, mut sender, _) = call();
    media_goes(&mut core, &mut sender, 1, 1.1);
    let checks = request(&mut core, true, AWAY, 1.15);
    core.take_events(usize::MAX);
    core.receive(&mut answer(&checks[0].1), path(AWAY), 1.2);
    assert_eq!(core.take_events(usize::MAX), [Event::PathSelected { transport: 2, path: path(AWAY) }]);
}

/// A page that misses media restarts ICE within a second, and its browser nominates the new path only seconds later.
#[test]
fn a_restart_after_a_short_silence_asks_for_pictures() {
    let (mut core, mut sender, _) = call();
    media_goes(&mut core, &mut sender, 1, 1.1);
    core.set_credentials(2, "new", PASSWORD).unwrap();
    let checks = repeat(&mut core, &Credentials::new("new", PASSWORD).request(false), AWAY, 1.4);
    core.take_events(usize::MAX);
    core.receive(&mut answer(&checks[0].1), path(AWAY), 1.5);
    assert_eq!(
        core.take_events(usize::MAX),
        [Event::PathSelected { transport: 2, path: path(AWAY) }, Event::KeyFrameRequested { consumer: 20 }]
    );
}

#[test]
fn a_client_that_was_sent_nothing_during_a_silence_needs_no_picture() {
    let (mut core, ..) = call();
    request(&mut core, true, AWAY, 50.0);
    assert_eq!(core.take_events(usize::MAX), [Event::PathSelected { transport: 2, path: path(AWAY) }]);
}

#[test]
fn a_client_that_comes_back_on_its_path_after_a_long_gap_gets_a_picture() {
    let (mut core, mut sender, mut receiver) = call();
    core.watch(2, 1.0, 7.0, 30.0).unwrap();
    for number in 0..9 {
        media_goes(&mut core, &mut sender, number, 1.5 + f64::from(number));
    }
    core.pass_time(8.5);
    core.take_events(usize::MAX);
    let mut report = [b"\x80\xc9\x00\x01".as_slice(), &1u32.to_be_bytes()].concat();
    receiver.srtp.seal_rtcp(&mut report).unwrap();
    core.receive(&mut report, path(HOME), 9.6);
    assert_eq!(
        core.take_events(usize::MAX),
        [Event::CameBack { transport: 2 }, Event::KeyFrameRequested { consumer: 20 }]
    );
}

#[test]
fn a_closed_stream_leaves_the_path_that_was_heard_last() {
    let (mut core, mut sender, _) = call();
    request(&mut core, false, AWAY, 1.5);
    core.stream_closed(path(77), 2.0);
    core.stream_closed(path(HOME), 2.0);
    assert_eq!((selected(&mut core), core.totals().paths), (vec![path(AWAY)], 2));
    assert_eq!(media_goes(&mut core, &mut sender, 1, 2.0), path(AWAY));
    core.stream_closed(path(AWAY), 3.0);
    core.receive(&mut sender.seal(VIDEO, 96, 2, VP8_KEY), path(1), 3.0);
    assert_eq!((leaving(&mut core, 3.0), core.totals().paths), (vec![], 1));
    request(&mut core, false, AWAY, 4.0);
    assert_eq!(media_goes(&mut core, &mut sender, 3, 4.0), path(AWAY));
}

#[test]
fn a_client_with_two_living_paths_moves_only_as_it_nominates() {
    let (mut core, mut sender, _) = call();
    let checks = request(&mut core, false, AWAY, 1.1);
    core.receive(&mut answer(&checks[0].1), path(AWAY), 1.15);
    let mut number = 0;
    for (second, nominated) in [(2, HOME), (3, AWAY), (4, AWAY), (5, HOME), (6, HOME), (7, AWAY)] {
        for tenth in 0..10u8 {
            let now = f64::from(second) + f64::from(tenth) / 10.0;
            for on in [HOME, AWAY] {
                let checks = request(&mut core, on == nominated, on, now);
                checks.iter().for_each(|(to, check)| core.receive(&mut answer(check), *to, now + 0.01));
            }
            wait(&mut core, now + 0.05);
            number += 1;
            assert_eq!(media_goes(&mut core, &mut sender, number, now + 0.06), path(nominated), "{now}");
        }
    }
    let key_frames = |event: &Event| matches!(event, Event::KeyFrameRequested { .. });
    assert!(!core.take_events(usize::MAX).iter().any(key_frames));
}

#[test]
fn requests_from_everywhere_cause_one_small_check_each() {
    let (mut core, ..) = call();
    let mut before = core.totals();
    for number in 0..1000 {
        let checks = request(&mut core, number % 2 == 0, 100 + number % 300, 2.0 + number as f64 * 0.01);
        assert!(
            checks.len() <= 1 && checks.iter().all(|(to, check)| *to == path(100 + number % 300) && check.len() == 28)
        );
        let after = core.totals();
        assert!(after.packets_out - before.packets_out <= 2 && after.paths <= 17);
        before = after;
    }
}
