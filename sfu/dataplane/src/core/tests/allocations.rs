//! In the steady state the packet path allocates nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use super::*;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.  The counter needs no memory.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: our caller gives the same promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: our caller gives the same promise.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: our caller gives the same promise.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn nothing_is_allocated_for_a_packet() {
    for profile in PROFILES {
        let mut core = Core::new(0.001);
        let mut sender = Client::connect(&mut core, 1, profile);
        core.add_producer(1, 10, ProducerSpec { nack: true, ..video() }).unwrap();
        core.add_producer(1, 11, ProducerSpec { nack: true, ..audio() }).unwrap();
        for transport in 2..6 {
            Client::connect(&mut core, transport, profile);
            watch_seals(&mut core, transport, false);
            let rtx_payload_types = [(101, 102)].into();
            let format = ConsumerFormat { report_interval: 0.01, rtx_payload_types, wide_id: Some(5), ..with_mid(4) };
            let layered = ConsumerSpec { temporal: Some(0), mid: Some("0"), ..ConsumerSpec::new(&format, 7000) };
            let layered = ConsumerSpec { rtx_ssrc: Some(8000), ..layered };
            core.add_consumer(transport, 2 * transport, 10, &layered, 1).unwrap();
            let red = ConsumerFormat { red_payload_types: [(100, 99)].into(), ..with_mid(4) };
            core.add_consumer(transport, 2 * transport + 1, 11, &ConsumerSpec::new(&red, 7001), 1).unwrap();
        }
        for ssrc in [VIDEO, AUDIO] {
            sender.report(&mut core, SenderInfo { ssrc, ntp: 1 << 40, ..SenderInfo::default() }, 0.0);
        }
        let mut sealed = Vec::new();
        for number in 0..4000u16 {
            // Every other picture belongs to a layer that no consumer takes.
            let payload = [0x90, 0xE0, 0x80, number as u8, 1, (number as u8 & 1) << 6, u8::from(number > 0), 3, 4, 5];
            let marker = if number % 5 == 4 { 0x80 } else { 0 };
            sealed.push(sender.seal(VIDEO, 96 | marker, number, &payload));
            sealed.push(sender.seal(AUDIO, 111, number, b"voice"));
        }
        let mut before = 0;
        for (number, datagram) in sealed.iter_mut().enumerate() {
            if number == 5000 {
                before = ALLOCATIONS.get();
            }
            // By then a packet store is filled, and has given back the memory that it does not need.
            let now = number as f64 * 0.0005;
            core.receive(datagram, path(1), now);
            core.pass_time(now);
            core.flush(now, 64, |_, _, _| Ok(()));
        }
        assert_eq!(ALLOCATIONS.get() - before, 0, "{profile:?}");
        assert!(core.totals().packets_out > 10_000);
    }
}
