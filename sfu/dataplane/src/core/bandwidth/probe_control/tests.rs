use super::*;

const CALM: View =
    View { estimate: 0.3e6, calm_from: 0.0, congested: false, competes: false, loss: 0.0, round_trip: 0.05 };

/// Play a control's clusters until a time.  `path` gives the time until each packet arrives; `None` loses it.
/// Returns when each cluster began, and its rate.
fn play(control: &mut ProbeControl, view: &View, until: f64, path: impl Fn(f64) -> Option<f64>) -> Vec<(f64, f64)> {
    let mut began = Vec::new();
    let mut now: f64 = 0.0;
    loop {
        now = control.due(view).max(now + 1e-6);
        if now > until {
            return began;
        }
        let before = control.last_id;
        control.advance(view, now);
        if control.last_id != before {
            began.extend(control.current.as_ref().map(|(cluster, _)| (now, cluster.rate)));
        }
        if let Some(size) = control.padding(view.estimate, now) {
            let cluster = control.on_sent(size);
            let packet = SentPacket { sent_at: now, size, cluster, was_lost: false, was_unreported: false };
            match path(now) {
                Some(delay) => control.on_arrived(&packet, now + delay),
                None => control.on_lost(&packet),
            }
        }
    }
}

#[test]
fn the_first_probes_are_three_and_six_times_the_first_estimate() {
    let mut control = ProbeControl::default();
    assert_eq!(control.due(&CALM), f64::INFINITY);
    control.aim(0.15e6, Some(0.2e6), 2.5e6, 0.0);
    let began = play(&mut control, &CALM, 1.0, |_| Some(0.02));
    assert_eq!(began.iter().map(|(_, rate)| *rate).take(2).collect::<Vec<_>>(), [0.9e6, 1.8e6]);
}

#[test]
fn a_step_that_the_estimate_allows_is_held() {
    let mut control = ProbeControl { first: Some(0), ..ProbeControl::default() };
    control.aim(0.15e6, Some(0.2e6), 0.2e6, 1.0);
    let began = play(&mut control, &CALM, 2.0, |_| Some(0.02));
    assert_eq!(began, [(1.0, MEDIA_SHARE * 0.2e6)]);
    assert!((1.4..2.0).contains(&(control.hold_at - REPEAT)), "it waits for the allocator now");
}

#[test]
fn failed_holds_are_further_and_further_apart() {
    let mut control = ProbeControl { first: Some(0), ..ProbeControl::default() };
    control.aim(0.15e6, Some(0.2e6), 0.2e6, 0.0);
    let began = play(&mut control, &CALM, 100.0, |_| None);
    let pauses: Vec<f64> = began.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(pauses[0] >= HOLD_INTERVAL && pauses[0] < HOLD_INTERVAL + 0.5, "{pauses:?}");
    assert!(pauses.windows(2).all(|pair| pair[1] > 1.4 * pair[0]), "{pauses:?}");
}

#[test]
fn a_path_that_does_not_answer_is_asked_less_and_less() {
    let mut control = ProbeControl { first: Some(0), ..ProbeControl::default() };
    control.aim(0.0, Some(1e6), 1e6, 0.0);
    let began = play(&mut control, &CALM, 60.0, |_| None);
    let pauses: Vec<f64> = began.windows(2).map(|pair| (pair[1].0 - pair[0].0).round()).collect();
    assert_eq!(pauses[..4], [5.0, 10.0, 20.0, 20.0]);
}

#[test]
fn a_probe_waits_until_the_path_is_calm() {
    let mut control = ProbeControl { first: Some(0), ..ProbeControl::default() };
    control.aim(0.15e6, Some(1e6), 1e6, 0.0);
    assert_eq!(control.due(&View { calm_from: 7.0, ..CALM }), 7.0);
}

#[test]
fn the_trickle_takes_at_most_half_of_the_estimate() {
    let mut control = ProbeControl { first: Some(0), probe_at: 99.0, ..ProbeControl::default() };
    control.aim = Aim { used: 0.0, next: Some(1e6), wanted: 1e6 };
    assert_eq!(control.padding(10e6, 1.0), Some(625));
    assert_eq!(control.padding(10e6, 1.05), None);
    assert_eq!(control.padding(60_000.0, 1.1), Some(375));
}

#[test]
fn a_probe_for_which_there_was_nothing_to_send_keeps_the_back_off_of_holds() {
    let mut control = ProbeControl { first: Some(0), ..ProbeControl::default() };
    control.aim(0.15e6, Some(1e6), 1e6, 0.0);
    control.hold_at = 50.0;
    let mut now = 0.0;
    while now < 10.0 {
        now = control.due(&CALM).max(now + 1e-6);
        control.advance(&CALM, now);
        control.padding(CALM.estimate, now);
    }
    assert_eq!(control.hold_at, 50.0);
    assert!(control.last_id > 5, "it tries again soon");
}

#[test]
fn only_a_step_that_is_taken_ends_the_back_off_of_holds() {
    let view = View { estimate: 5e6, ..CALM };
    let mut control = ProbeControl { first: Some(0), ..ProbeControl::default() };
    control.aim(0.5e6, Some(2.8e6), 2.5e6, 0.0);
    play(&mut control, &view, 30.0, |_| None);
    let hold_at = control.hold_at;
    assert!(hold_at > 35.0 && control.failed_holds > 2);
    control.aim(0.57e6, Some(3.2e6), 2.9e6, 30.0); // all cameras move, so their rates rise
    assert_eq!(control.hold_at, hold_at);
    control.aim(2.8e6, Some(9e6), 8e6, 31.0);
    assert_eq!((control.hold_at, control.failed_holds), (31.0, 0));
}

#[test]
fn another_aim_does_not_shorten_the_pauses_of_a_path_that_does_not_answer() {
    let mut control = ProbeControl { first: Some(0), ..ProbeControl::default() };
    control.aim(0.0, Some(1e6), 1e6, 0.0);
    play(&mut control, &CALM, 36.0, |_| None);
    let probe_at = control.probe_at;
    assert!(probe_at > 45.0);
    control.aim(0.0, Some(2e6), 2e6, 36.0);
    assert_eq!(control.probe_at, probe_at);
}

#[test]
fn a_hold_bears_a_packet_that_is_lost_by_chance() {
    let view = View { estimate: 3e6, loss: 0.05, ..CALM };
    let mut control = ProbeControl { first: Some(0), ..ProbeControl::default() };
    control.aim(0.5e6, Some(2.5e6), 2.5e6, 0.0);
    // Every twentieth packet is lost, the third one first.
    let sent = std::cell::Cell::new(0);
    play(&mut control, &view, 1.0, |_| {
        sent.set(sent.get() + 1);
        (sent.get() % 20 != 3).then_some(0.02)
    });
    assert!(control.hold_at > REPEAT, "{control:?}");
}
