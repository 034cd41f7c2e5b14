//! A made-up call from one core to another, before the first real one.
//!
//! It tests that this build can carry calls on this machine, and warms up code and memory for the first client.

use std::net::{Ipv4Addr, SocketAddr};

use crate::core::rtcp::SenderInfo;
use crate::core::{
    ConsumerFormat, ConsumerSpec, Core, Credentials, EncodingSpec, Id, Path, ProducerSpec, Profile, Refused, Srtp,
};

const SENDER: Id = 1;
const RECEIVER: Id = 2;
const STREAM: Id = 3;
const COPY: Id = 4;
const SSRC: u32 = 5; // of the client; the copy of each core has the next one
const PAYLOAD_TYPE: u8 = 96;
const HEADER: usize = 12;
const SIZES: [usize; 3] = [1100, 1101, 300]; // of a frame's packets, as encoders split it
const PASSWORD: &str = "no secret";
const SILENT_AFTER: f64 = 7.0; // seconds
const LOST_AFTER: f64 = 30.0;

/// Carry a frame, a sender report and a Binding request with each protection profile.  Fails with the reason.
pub fn self_test() -> Result<(), String> {
    for profile in [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::Aes128CmSha1_80] {
        match carry(profile) {
            Ok(arrived) if arrived == SIZES.len() => {}
            Ok(arrived) => return Err(format!("{arrived} of {} packets arrived with {profile:?}", SIZES.len())),
            Err(refused) => return Err(format!("{refused:?} with {profile:?}")),
        }
    }
    Ok(())
}

/// Carry a frame over two cores.  Gives the number of its packets that arrived.
///
/// Fails if the report, the answer or a forwarded packet is missing.
fn carry(profile: Profile) -> Result<usize, Refused> {
    let size = profile.key_length() + profile.salt_length();
    let keys = [vec![1; size], vec![2; size], vec![3; size]];
    let refused = Refused::Invalid("a client cannot seal");
    let mut client = Srtp::new(profile, &keys[1], &keys[0]).ok_or(refused)?;
    let (mut near, mut far) =
        (plane(profile, &keys[0], &keys[1], SSRC)?, plane(profile, &keys[1], &keys[2], SSRC + 1)?);
    near.receive(&mut Credentials::new(&username(SENDER), PASSWORD).request(true), path(SENDER), 0.0);
    let mut report = Vec::new();
    SenderInfo { ssrc: SSRC, ntp: 1 << 32, ..SenderInfo::default() }.write(&[], &mut report);
    client.seal_rtcp(&mut report).map_err(|_| refused)?;
    near.receive(&mut report, path(SENDER), 0.0);
    for (number, size) in (0u8..).zip(SIZES) {
        let mut packet = packet(number, size);
        packet.resize(packet.len() + client.rtp_trailer(), 0);
        client.seal_rtp(&mut packet, HEADER, SSRC, u64::from(number));
        near.receive(&mut packet, path(SENDER), 0.0);
    }
    near.flush(0.0, SIZES.len(), |_, bytes, segment| {
        for datagram in bytes.to_vec().chunks_mut(segment) {
            far.receive(datagram, path(SENDER), 0.0);
        }
        Ok(())
    });
    let mut handed_on = 0;
    far.flush(0.0, SIZES.len(), |_, bytes, segment| {
        handed_on += bytes.chunks(segment).len();
        Ok(())
    });
    // The near core answers the request, and reports the client's clock behind the frame.  The far core drops only the
    // answer: it has sent no request.
    let dropped = far.totals().drops.iter().map(|(_, count)| count).sum::<u64>();
    let complete = near.totals().packets_out as usize == SIZES.len() + 2 && handed_on == SIZES.len() && dropped == 1;
    let arrived = far.producer_stats(STREAM)?.encodings[0].packets as usize;
    if complete { Ok(arrived) } else { Err(Refused::Invalid("a report, an answer or a copy is missing")) }
}

/// A core with a sender and a receiver.
fn plane(profile: Profile, receive: &[u8], send: &[u8], ssrc: u32) -> Result<Core, Refused> {
    let mut core = Core::new(0.0);
    for transport in [SENDER, RECEIVER] {
        core.add_transport(transport)?;
        core.set_keys(transport, profile, receive, send)?;
        core.add_path(transport, path(transport))?;
        core.set_credentials(transport, &username(transport), PASSWORD)?;
        core.watch(transport, 0.0, SILENT_AFTER, LOST_AFTER)?;
    }
    let stream = ProducerSpec {
        codec: "video/vp8".into(),
        video: true,
        clock_rate: 90_000,
        payload_types: [(PAYLOAD_TYPE, PAYLOAD_TYPE)].into(),
        encodings: vec![EncodingSpec { ssrc: Some(ssrc), ..EncodingSpec::default() }],
        ..ProducerSpec::default()
    };
    let format = ConsumerFormat {
        payload_types: [PAYLOAD_TYPE].into(),
        mid_id: Some(1),
        report_interval: 1.0,
        ..ConsumerFormat::default()
    };
    let copy = ConsumerSpec { mid: Some("0"), ..ConsumerSpec::new(&format, ssrc + 1) };
    core.add_producer(SENDER, STREAM, stream)?;
    core.add_consumer(RECEIVER, COPY, STREAM, &copy, 1)?;
    Ok(core)
}

fn username(transport: Id) -> String {
    format!("us{transport}")
}

fn path(transport: Id) -> Path {
    Path { remote: SocketAddr::from((Ipv4Addr::LOCALHOST, transport as u16)), local: 0 }
}

/// A plain packet of a key frame; the last one has the marker.
fn packet(number: u8, size: usize) -> Vec<u8> {
    let marker = if usize::from(number) + 1 == SIZES.len() { 0x80 } else { 0 };
    let mut packet = vec![0x80, PAYLOAD_TYPE | marker, 0, number, 0, 0, 0, 0, 0, 0, 0, SSRC as u8];
    packet.extend([if number == 0 { 0x10 } else { 0 }, 0]);
    packet.resize(HEADER + size, 7);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packet_of_the_self_test_arrives() {
        for profile in [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::Aes128CmSha1_80] {
            assert_eq!(carry(profile), Ok(SIZES.len()));
        }
        assert_eq!(self_test(), Ok(()));
    }
}
