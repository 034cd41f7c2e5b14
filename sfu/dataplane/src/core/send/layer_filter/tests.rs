use super::*;

fn ids(spatial: u8, temporal: u8) -> LayerIds {
    LayerIds { spatial, temporal }
}

/// The next packet in order, which is alone in its picture.
fn takes(layers: &mut LayerFilter, frame: Frame, temporal: u8) -> bool {
    layers.takes(&frame, ids(0, temporal), 0, true, true)
}

/// The next frame in order, of one packet, with frames of higher layers behind it.
fn takes_spatial(layers: &mut LayerFilter, frame: Frame, layer: LayerIds) -> bool {
    layers.takes(&Frame { begins: layer.spatial == 0, ends: true, ..frame }, layer, 0, true, false)
}

fn started(temporal: Option<u8>) -> LayerFilter {
    started_with(None, temporal)
}

fn started_with(spatial: Option<u8>, temporal: Option<u8>) -> LayerFilter {
    let mut layers = LayerFilter::new(spatial, temporal);
    layers.begin();
    layers
}

const BEGINS: Frame = Frame {
    begins: true,
    ends: false,
    key: false,
    slice: false,
    parameters: false,
    layer: None,
    sync: false,
    switch_up: false,
    picture: None,
    tl0: None,
};

#[test]
fn a_lower_target_takes_effect_at_the_next_frame() {
    let mut layers = started(Some(2));
    layers.set_target(None, Some(0));
    assert!(takes(&mut layers, Frame { begins: false, ..BEGINS }, 2), "the rest of the frame that has begun");
    assert!(!takes(&mut layers, BEGINS, 2));
    assert_eq!(layers.current().temporal, 0);
}

#[test]
fn a_higher_target_waits_for_a_frame_that_depends_on_lower_layers_alone() {
    let mut layers = started(Some(0));
    layers.set_target(None, Some(1));
    assert!(!takes(&mut layers, BEGINS, 1));
    assert!(!takes(&mut layers, Frame { sync: true, ..BEGINS }, 2), "above the target");
    assert!(takes(&mut layers, Frame { sync: true, ..BEGINS }, 1));
    assert_eq!(layers.current().temporal, 1);
}

#[test]
fn a_key_frame_and_a_promise_reach_the_target_at_once() {
    let mut layers = started(Some(0));
    layers.set_target(None, None);
    assert!(takes(&mut layers, Frame { switch_up: true, ..BEGINS }, 0));
    assert!(takes(&mut layers, BEGINS, 3));
    let mut layers = started(Some(0));
    layers.set_target(None, Some(2));
    assert!(takes(&mut layers, Frame { key: true, ..BEGINS }, 2));
}

#[test]
fn a_late_packet_is_treated_like_the_rest_of_its_frame() {
    let mut layers = started(Some(2));
    let top = ids(0, 2);
    assert!(layers.takes(&BEGINS, top, 10, true, true));
    layers.set_target(None, Some(0));
    assert!(layers.takes(&BEGINS, top, 8, false, true), "the first packet of a frame whose others have passed");
    assert_eq!(layers.current().temporal, 2, "it changes nothing");
    assert!(!layers.takes(&BEGINS, top, 12, true, true));
    assert!(layers.takes(&BEGINS, top, 11, false, true));
    assert!(!layers.takes(&BEGINS, top, 13, false, true));
}

#[test]
fn a_late_packet_finds_its_layer_behind_several_changes() {
    let mut layers = started(Some(2));
    let sync = Frame { sync: true, ..BEGINS };
    for (number, target) in [(10, 0), (20, 2), (30, 1), (40, 0), (50, 2)] {
        layers.set_target(None, Some(target));
        layers.takes(if target == 2 { &sync } else { &BEGINS }, ids(0, target), number, true, true);
        assert_eq!(layers.current().temporal, target);
    }
    let expected = [(15, 0), (20, 2), (29, 2), (35, 1), (40, 0), (49, 0), (50, 2), (60, 2)];
    assert_eq!(expected.map(|(number, _)| layers.at(number).temporal), expected.map(|(_, layer)| layer));
    assert_eq!(layers.changes.len(), MAX_CHANGES);
    layers.begin();
    assert_eq!(layers.changes.len(), 0);
}

#[test]
fn a_lower_spatial_layer_begins_with_the_next_picture() {
    let mut layers = started(None);
    assert!(takes_spatial(&mut layers, BEGINS, ids(0, 0)));
    layers.set_target(Some(0), None);
    assert!(takes_spatial(&mut layers, BEGINS, ids(1, 0)), "the rest of the picture that has begun");
    assert!(takes_spatial(&mut layers, BEGINS, ids(0, 1)));
    assert!(!takes_spatial(&mut layers, BEGINS, ids(1, 1)));
    assert_eq!(layers.current(), ids(0, 7));
}

#[test]
fn a_higher_spatial_layer_waits_for_a_key_frame() {
    let mut layers = started_with(Some(0), None);
    layers.set_target(Some(1), None);
    for _ in 0..3 {
        assert!(takes_spatial(&mut layers, Frame { switch_up: true, sync: true, ..BEGINS }, ids(0, 0)));
        assert!(!takes_spatial(&mut layers, Frame { switch_up: true, sync: true, ..BEGINS }, ids(1, 0)));
    }
    assert!(takes_spatial(&mut layers, Frame { key: true, ..BEGINS }, ids(0, 0)));
    assert!(takes_spatial(&mut layers, BEGINS, ids(1, 0)));
    assert!(!takes_spatial(&mut layers, BEGINS, ids(2, 0)));
}

#[test]
fn both_bounds_can_change_at_once() {
    let mut layers = started_with(Some(1), Some(0));
    layers.set_target(Some(0), Some(1));
    assert!(takes_spatial(&mut layers, BEGINS, ids(0, 0)));
    assert_eq!(layers.current(), ids(0, 0));
    assert!(takes_spatial(&mut layers, Frame { switch_up: true, ..BEGINS }, ids(0, 0)));
    assert_eq!(layers.current(), ids(0, 1));
}

#[test]
fn temporal_layers_are_added_behind_a_whole_picture() {
    let mut layers = started_with(Some(1), Some(0));
    layers.set_target(Some(1), None);
    let promise = Frame { switch_up: true, ..BEGINS };
    assert!(takes_spatial(&mut layers, promise, ids(0, 0)));
    assert_eq!(layers.current(), ids(1, 0), "the frame of the upper spatial layer may depend on an older one");
    assert!(takes_spatial(&mut layers, promise, ids(1, 0)));
    assert_eq!(layers.current(), ids(1, 7));
    // An encoder may leave the upper spatial layers out.  Then its own mark ends the picture.
    let mut layers = started_with(Some(1), Some(0));
    layers.set_target(Some(1), None);
    assert!(layers.takes(&promise, ids(0, 0), 0, true, true));
    assert_eq!(layers.current(), ids(1, 7));
}

#[test]
fn the_picture_of_a_receiver_ends_with_its_highest_spatial_layer() {
    let mut layers = started_with(Some(1), None);
    let ends = Frame { ends: true, ..BEGINS };
    let marked = |layers: &LayerFilter, spatial, number| layers.ends_for_receiver(&ends, ids(spatial, 0), number);
    assert_eq!([0, 1, 2].map(|spatial| marked(&layers, spatial, 5)), [false, true, false]);
    assert!(!layers.ends_for_receiver(&BEGINS, ids(1, 0), 5), "more packets of the frame follow");
    layers.set_target(Some(0), None);
    layers.takes(&BEGINS, ids(0, 0), 10, true, false);
    assert_eq!([0, 1].map(|spatial| marked(&layers, spatial, 10)), [true, false]);
    assert_eq!([0, 1].map(|spatial| marked(&layers, spatial, 9)), [false, true], "a packet from before the change");
}
