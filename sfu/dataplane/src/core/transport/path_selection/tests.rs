//! Clients whose paths come and go, under virtual time.

use super::*;

const UDP: u64 = 1;
const TCP: u64 = 2;
const NAT: u64 = 3;

fn path(number: u64) -> Path {
    Path { remote: std::net::SocketAddr::from(([192, 0, 2, 1], 1000 + number as u16)), local: 0 }
}

/// A client, and the checks that it got: each path with the identifier.
#[derive(Default)]
struct Client {
    paths: PathSelection,
    checks: Vec<(Path, TransactionId)>,
    ids: u8,
}

impl Client {
    /// A client that sends on this path since second 0.
    fn on(number: u64) -> Self {
        let mut client = Self::default();
        client.request(number, false, 0.0);
        client
    }

    fn request(&mut self, number: u64, nominates: bool, now: f64) {
        self.ask(PathRequest { path: path(number), nominates, newest: true, size: 100 }, now);
    }

    fn ask(&mut self, request: PathRequest, now: f64) {
        self.paths.on_request(request, now);
        let (ids, before) = (&mut self.ids, self.checks.len());
        if let Some(id) = self.paths.take_check(request.path, now, || next(ids)) {
            self.checks.push((request.path, id));
        }
        assert!(self.checks.len() <= before + 1);
    }

    /// Answer the newest check on this path.
    fn answer(&mut self, number: u64, now: f64) {
        let (_, id) = *self.checks.iter().rev().find(|(to, _)| *to == path(number)).expect("no check was sent");
        assert!(self.paths.on_answer(path(number), &id, now));
    }

    /// Let time pass; the client answers on the paths that are `alive`, after `round_trip` seconds.
    fn until(&mut self, end: f64, alive: &[u64], round_trip: f64) {
        let mut due_answers: Vec<(f64, u64)> = Vec::new();
        loop {
            let answer_at = due_answers.first().map_or(f64::INFINITY, |(at, _)| *at);
            let now = self.paths.due().unwrap_or(f64::INFINITY).min(answer_at);
            if now > end {
                return;
            }
            if answer_at <= now {
                let (_, number) = due_answers.remove(0);
                self.answer(number, now);
                continue;
            }
            let ids = &mut self.ids;
            if let Some(check) = self.paths.pass_time(now, || next(ids)) {
                self.checks.push(check);
                let answering = alive.iter().find(|number| path(**number) == check.0);
                due_answers.extend(answering.map(|&number| (now + round_trip, number)));
            }
        }
    }

    fn sends_on(&self, number: u64) -> bool {
        self.paths.send_path() == Some(path(number))
    }

    fn checked(&self) -> Vec<Path> {
        self.checks.iter().map(|(path, _)| *path).collect()
    }
}

fn next(ids: &mut u8) -> TransactionId {
    *ids += 1;
    [*ids; 12]
}

#[test]
fn the_first_path_is_taken_at_once_and_not_checked() {
    let client = Client::on(UDP);
    assert!(client.sends_on(UDP));
    assert_eq!((client.checked(), client.paths.due()), (vec![], None));
}

/// Whether so many bytes may leave on the send path at `now`, in a batch.
fn fits(client: &mut Client, size: usize, now: f64) -> bool {
    client.paths.on_batch(now).is_none_or(|allowance| allowance.take(size))
}

#[test]
fn the_first_path_gets_everything() {
    let mut client = Client::on(UDP);
    assert!(fits(&mut client, 1 << 20, 0.0) && client.paths.may_send(path(UDP), 1 << 20, 0.0));
}

#[test]
fn a_later_path_gets_three_times_what_came_from_it_until_it_answers() {
    let mut client = Client::on(UDP);
    client.paths.use_secure_checks(true);
    client.request(TCP, true, 9.0);
    assert!(client.sends_on(TCP), "UDP was silent for long");
    assert_eq!([250, 51, 50, 1].map(|size| fits(&mut client, size, 9.0)), [true, false, true, false]);
    client.paths.on_media(path(TCP), 20, 9.1);
    client.paths.on_received(path(TCP), 5);
    client.paths.on_received(path(UDP), 500);
    assert_eq!([76, 75].map(|size| client.paths.may_send(path(TCP), size, 9.1)), [false, true]);
    assert!(client.paths.may_send(path(UDP), 1000, 9.1), "an answer there is as large as its request");
    assert_eq!(client.paths.starved_since(), Some(9.0));
    client.answer(TCP, 9.2);
    assert!(fits(&mut client, 1 << 20, 9.2));
    assert_eq!(client.paths.starved_since(), None);
    client.request(UDP, true, 30.0);
    assert!(client.sends_on(UDP) && fits(&mut client, 1 << 20, 30.0), "it is proven for good");
}

#[test]
fn a_path_keeps_its_allowance_when_the_client_goes_and_comes_back() {
    let mut client = Client::on(UDP);
    client.paths.use_secure_checks(true);
    client.request(TCP, true, 9.0);
    assert!(fits(&mut client, 300, 9.0));
    client.request(UDP, true, 18.0);
    client.request(TCP, true, 27.0);
    assert!(client.sends_on(TCP) && fits(&mut client, 300, 27.0) && !fits(&mut client, 1, 27.0));
}

#[test]
fn a_path_after_the_loss_of_all_others_is_not_the_first_one() {
    let mut client = Client::on(UDP);
    client.paths.use_secure_checks(true);
    client.paths.forget(path(UDP));
    client.request(TCP, true, 9.0);
    assert_eq!(client.checked(), [path(TCP)]);
    assert!(client.sends_on(TCP) && fits(&mut client, 300, 9.0) && !fits(&mut client, 1, 9.0));
}

#[test]
fn without_secure_checks_a_path_gets_everything_for_some_seconds_once_a_minute() {
    let mut client = Client::on(UDP);
    client.request(TCP, true, 9.0);
    assert!(fits(&mut client, 1 << 20, 9.0) && fits(&mut client, 1 << 20, 13.9));
    assert!(fits(&mut client, 300, 14.0) && !fits(&mut client, 1, 14.0));
    client.request(NAT, true, 20.0);
    assert!(client.sends_on(NAT) && !fits(&mut client, 301, 20.0), "the next one comes after a minute");
    client.request(4, true, 70.0);
    assert!(client.sends_on(4) && fits(&mut client, 1 << 20, 70.0));
}

#[test]
fn with_secure_checks_a_restart_moves_with_the_answer_and_no_sooner() {
    let mut client = Client::on(UDP);
    client.paths.restart();
    client.paths.use_secure_checks(true);
    client.paths.on_sign(path(UDP), 1.0);
    client.request(NAT, true, 1.0);
    assert!(client.sends_on(UDP) && fits(&mut client, 1 << 20, 1.0));
    client.answer(NAT, 1.05);
    assert!(client.sends_on(NAT) && fits(&mut client, 1 << 20, 1.05));
}

#[test]
fn a_secure_check_that_is_lost_is_sent_again_without_another_request() {
    let mut client = Client::on(UDP);
    client.paths.use_secure_checks(true);
    client.paths.on_sign(path(UDP), 0.9);
    client.request(TCP, true, 1.0);
    client.until(99.0, &[], 0.0);
    assert!(client.sends_on(TCP), "UDP fell silent");
    let (_, first) = client.checks[0];
    assert_eq!(client.checks, [(path(TCP), first); 5]);
    client.answer(TCP, 99.0);
    assert!(fits(&mut client, 1 << 20, 99.0));
    assert_eq!(client.paths.due(), None);
}

#[test]
fn answers_to_checks_before_the_credentials_were_known_prove_nothing() {
    let mut client = Client::on(UDP);
    client.request(TCP, true, 0.1);
    client.paths.use_secure_checks(true);
    let (_, id) = client.checks[0];
    assert!(!client.paths.on_answer(path(TCP), &id, 0.2));
    client.request(TCP, true, 0.3);
    client.answer(TCP, 0.4);
    assert!(client.sends_on(TCP));
}

#[test]
fn a_nominated_path_is_taken_when_it_answers() {
    let mut client = Client::on(UDP);
    client.paths.on_sign(path(UDP), 5.0);
    client.request(TCP, true, 5.0);
    assert!(client.sends_on(UDP));
    assert_eq!(client.checked(), [path(TCP)]);
    client.answer(TCP, 5.03);
    assert!(client.sends_on(TCP));
    assert_eq!(client.paths.due(), None);
}

#[test]
fn a_path_that_answered_before_is_taken_at_its_nomination() {
    let mut client = Client::on(UDP);
    client.request(TCP, false, 0.1);
    client.answer(TCP, 0.15);
    client.paths.on_sign(path(UDP), 9.0);
    client.request(TCP, true, 9.0);
    assert!(client.sends_on(TCP));
    // UDP is back: it was never checked before.
    client.request(UDP, true, 20.0);
    assert!(client.sends_on(UDP), "TCP has been silent for long");
}

#[test]
fn a_nominated_path_without_an_answer_is_taken_once_the_send_path_is_silent() {
    let mut client = Client::on(UDP);
    client.request(TCP, true, 0.4);
    client.paths.on_sign(path(UDP), 0.6);
    client.until(1.59, &[], 0.0);
    assert!(client.sends_on(UDP));
    client.until(1.6, &[], 0.0);
    assert!(client.sends_on(TCP));
    client.request(NAT, true, 9.0);
    assert!(client.sends_on(NAT), "at once, because it was silent for long");
}

#[test]
fn a_nominated_path_without_an_answer_waits_as_long_as_the_send_path_is_alive() {
    let mut client = Client::on(UDP);
    client.request(TCP, true, 0.1);
    for tenth in 1..100 {
        client.paths.on_sign(path(UDP), f64::from(tenth) * 0.1);
        client.until(f64::from(tenth) * 0.1, &[], 0.0);
        assert!(client.sends_on(UDP));
    }
    client.until(11.0, &[], 0.0);
    assert!(client.sends_on(TCP));
}

#[test]
fn a_client_whose_nat_moves_is_followed_without_a_nomination() {
    let mut client = Client::on(UDP);
    client.request(NAT, false, 5.0);
    client.answer(NAT, 5.1);
    client.until(5.999, &[], 0.0);
    assert!(client.sends_on(UDP));
    client.until(6.0, &[], 0.0);
    assert!(client.sends_on(NAT));
    assert_eq!(client.checked(), [path(NAT), path(UDP), path(UDP)]);
}

#[test]
fn a_path_that_is_only_checked_replaces_no_path_that_answers() {
    let mut client = Client::on(UDP);
    for second in (5..100).step_by(5) {
        client.request(TCP, false, f64::from(second));
        if second == 5 {
            client.answer(TCP, 5.1);
        }
        client.until(f64::from(second) + 4.9, &[UDP], 0.3);
        assert!(client.sends_on(UDP), "{second}");
    }
    assert!(client.paths.due().is_none());
}

#[test]
fn a_path_that_is_only_checked_replaces_no_path_with_media() {
    let mut client = Client::on(UDP);
    for second in 5..20 {
        client.request(TCP, false, f64::from(second));
        client.paths.on_sign(path(UDP), f64::from(second) + 0.1);
        client.until(f64::from(second) + 0.9, &[], 0.0);
        assert!(client.sends_on(UDP));
    }
    assert!(client.checked().iter().all(|checked| *checked == path(TCP)), "a living path is not asked");
}

#[test]
fn a_path_that_does_not_answer_replaces_nothing_without_a_nomination() {
    let mut client = Client::on(UDP);
    client.request(TCP, false, 5.0);
    client.until(99.0, &[], 0.0);
    assert!(client.sends_on(UDP));
    client.request(TCP, false, 100.0);
    client.answer(TCP, 100.2);
    client.until(101.0, &[], 0.0);
    assert!(client.sends_on(TCP));
}

#[test]
fn media_alone_moves_nothing() {
    let mut client = Client::on(UDP);
    client.request(TCP, false, 1.0);
    client.answer(TCP, 1.1);
    client.until(3.0, &[UDP], 0.1);
    (30..90).for_each(|tenth| client.paths.on_sign(path(TCP), f64::from(tenth) * 0.1));
    client.until(99.0, &[], 0.0);
    assert!(client.sends_on(UDP));
}

#[test]
fn two_living_paths_do_not_flap() {
    let mut client = Client::on(UDP);
    client.request(UDP, true, 0.1);
    let mut moves = 0;
    for step in 0..600 {
        let now = 1.0 + f64::from(step) * 0.1;
        client.request(TCP, false, now);
        if step == 0 {
            client.answer(TCP, now);
        }
        if step % 25 == 0 {
            client.request(UDP, true, now);
        }
        client.until(now + 0.09, &[UDP], 0.04);
        moves += u8::from(!client.sends_on(UDP));
    }
    assert_eq!(moves, 0);
}

#[test]
fn the_newest_nomination_counts() {
    let mut client = Client::on(UDP);
    client.request(TCP, true, 0.2);
    client.request(NAT, true, 0.3);
    client.answer(TCP, 0.4);
    assert!(client.sends_on(UDP));
    client.answer(NAT, 0.5);
    assert!(client.sends_on(NAT));
    // A client that goes back to its send path takes the nomination back.
    client.request(TCP, false, 0.6);
    client.request(UDP, true, 0.7);
    client.request(NAT, true, 0.8);
    client.answer(UDP, 0.9);
    client.until(99.0, &[NAT], 0.1);
    assert!(client.sends_on(NAT));
}

#[test]
fn one_request_causes_one_check_and_repeated_ones_fewer_and_fewer() {
    let mut client = Client::on(UDP);
    for hundredth in 0..3000 {
        client.paths.on_sign(path(UDP), f64::from(hundredth) * 0.01);
        client.request(TCP, true, f64::from(hundredth) * 0.01);
    }
    assert_eq!(client.checks.len(), 8, "at 0, 0.2, 0.6, 1.4, 3, 6.2, 12.6 and 25.4 s");
    assert!(client.checks.iter().all(|check| *check == client.checks[0]), "any answer counts");
    client.answer(TCP, 30.0);
    client.request(UDP, false, 30.1);
    client.answer(UDP, 30.2);
    client.request(TCP, false, 30.3);
    assert_eq!(client.checks.len(), 9, "no path that answered is checked again");
}

#[test]
fn a_wrong_answer_changes_nothing() {
    let mut client = Client::on(UDP);
    client.request(TCP, true, 0.1);
    let (_, id) = client.checks[0];
    assert!(!client.paths.on_answer(path(TCP), &[99; 12], 0.2));
    assert!(!client.paths.on_answer(path(NAT), &id, 0.2));
    assert!(!client.paths.on_answer(path(UDP), &id, 0.2));
    assert!(client.sends_on(UDP));
}

#[test]
fn a_restart_keeps_the_send_path_until_a_new_path_answers() {
    let mut client = Client::on(UDP);
    client.request(TCP, false, 1.0);
    client.answer(TCP, 1.1);
    assert_eq!(client.paths.restart(), []);
    assert!(client.sends_on(UDP));
    // Answers from before count no more.
    client.request(UDP, false, 2.0);
    client.request(TCP, true, 2.0);
    assert!(client.sends_on(UDP));
    client.answer(TCP, 2.1);
    assert!(client.sends_on(TCP));
    client.paths.restart();
    client.request(TCP, true, 3.0);
    // The next restart forgets the path that was not used since this one.
    assert_eq!(client.paths.restart(), [path(UDP)]);
    assert_eq!(client.paths.all().collect::<Vec<_>>(), [path(TCP)]);
}

#[test]
fn after_a_restart_the_first_answer_moves_a_client_that_left_its_path() {
    let mut client = Client::on(UDP);
    client.paths.restart();
    client.request(NAT, false, 8.0);
    assert!(client.sends_on(UDP));
    client.answer(NAT, 8.05);
    assert!(client.sends_on(NAT));
    client.request(TCP, false, 8.1);
    client.answer(TCP, 8.15);
    assert!(client.sends_on(NAT), "only the first one");
}

#[test]
fn after_a_restart_a_nomination_moves_a_client_that_left_its_path() {
    let mut client = Client::on(UDP);
    client.paths.restart();
    client.paths.on_sign(path(UDP), 1.0);
    client.request(NAT, true, 1.0);
    assert!(client.sends_on(NAT));
    client.paths.on_sign(path(NAT), 1.1);
    client.request(TCP, true, 1.1);
    assert!(client.sends_on(NAT), "only the first one");
}

#[test]
fn a_restart_on_the_same_path_moves_nothing() {
    let mut client = Client::on(UDP);
    client.paths.restart();
    client.request(UDP, false, 1.0);
    client.request(TCP, false, 1.1);
    client.answer(TCP, 1.2);
    client.until(9.0, &[UDP], 0.1);
    assert!(client.sends_on(UDP));
}

#[test]
fn a_request_with_old_credentials_moves_nothing() {
    let mut client = Client::on(UDP);
    client.ask(PathRequest { path: path(TCP), nominates: true, newest: false, size: 100 }, 20.0);
    client.until(99.0, &[], 0.0);
    assert!(client.sends_on(UDP));
    assert_eq!((client.checked(), client.paths.all().count()), (vec![], 2));
}

#[test]
fn the_path_that_was_heard_last_takes_over_from_one_that_is_gone() {
    let mut client = Client::on(UDP);
    client.request(TCP, false, 2.0);
    client.request(NAT, false, 1.0);
    client.paths.forget(path(UDP));
    assert!(client.sends_on(TCP));
    client.paths.forget(path(NAT));
    client.paths.forget(path(TCP));
    assert_eq!((client.paths.send_path(), client.paths.all().count()), (None, 0));
    client.request(NAT, false, 9.0);
    assert!(client.sends_on(NAT));
}

#[test]
fn the_newest_paths_are_kept_and_the_one_in_use() {
    let mut client = Client::on(100);
    let forgotten: Vec<Path> = (0..20)
        .filter_map(|number| {
            let request = PathRequest { path: path(number), nominates: false, newest: true, size: 100 };
            client.paths.on_request(request, 1.0)
        })
        .collect();
    assert_eq!(forgotten, (0..5).map(path).collect::<Vec<_>>());
    assert_eq!(client.paths.all().count(), MAX_PATHS);
    assert!(client.paths.all().any(|known| known == path(100)));
}
