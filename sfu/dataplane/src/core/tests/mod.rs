//! The core as a whole, with clients around it that seal and open packets by themselves.

mod allocations;
mod arbitrary_datagrams;
mod batches;
mod bindings;
mod clocks;
mod feedback;
mod floods;
pub(super) mod fuzz;
mod gaps;
mod interruptions;
mod liveness;
mod lossy;
mod moving_paths;
mod numbers;
mod pacing;
mod parameter_sets;
mod payloads;
mod recovered_audio;
mod redundancy;
mod removal;
mod repair;
mod repeats;
mod reports;
mod resends;
mod sealing;
mod sources;
mod spatial_layers;
mod storeys;
mod stream_paths;
mod voices;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::LazyLock;

use super::rtcp::SenderInfo;
use super::srtp::window::RtpWindow;
use super::wire::rtp::{Header, parse_header_untrusted};
use super::{
    ConsumerFormat, ConsumerSpec, Core, Credentials, DropReason, EncodingSpec, Id, Path, ProducerSpec, Profile, Srtp,
};

const PROFILES: [Profile; 3] = [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::Aes128CmSha1_80];
const AUDIO: u32 = 1111;
const VIDEO: u32 = 2222;
const VP8_KEY: &[u8] = b"\x10\x00frame";
const PASSWORD: &str = "a password";

fn username(transport: Id) -> String {
    format!("ours{transport}")
}

/// The credentials of a transport.
fn credentials(transport: Id) -> Credentials {
    Credentials::new(&username(transport), PASSWORD)
}

fn path(number: Id) -> Path {
    Path { remote: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 1000 + number as u16), local: 0 }
}

/// The other end of a transport.
struct Client {
    transport: Id,
    srtp: Srtp,
    newest: HashMap<u32, RtpWindow>,
}

impl Client {
    fn connect(core: &mut Core, transport: Id, profile: Profile) -> Self {
        let size = profile.key_length() + profile.salt_length();
        let (theirs, ours) = (vec![2 * transport as u8; size], vec![2 * transport as u8 + 1; size]);
        core.add_transport(transport).unwrap();
        core.set_keys(transport, profile, &theirs, &ours).unwrap();
        core.add_path(transport, path(transport)).unwrap();
        core.set_credentials(transport, &username(transport), PASSWORD).unwrap();
        core.take_events(usize::MAX);
        watch_seals(core, transport, true);
        Self { transport, srtp: Srtp::new(profile, &ours, &theirs).unwrap(), newest: HashMap::new() }
    }

    fn seal(&mut self, ssrc: u32, payload_type: u8, sequence_number: u16, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, payload_type];
        packet.extend(sequence_number.to_be_bytes());
        packet.extend(u32::from(sequence_number).wrapping_mul(960).to_be_bytes());
        packet.extend(ssrc.to_be_bytes());
        packet.extend(payload);
        self.seal_whole(packet)
    }

    /// Seal a packet with any header; a malformed packet stays plain.
    fn seal_whole(&mut self, mut packet: Vec<u8>) -> Vec<u8> {
        if let Ok(header) = parse_header_untrusted(&packet, &mut Vec::new()) {
            let newest = self.newest.entry(header.ssrc).or_default();
            let index = newest.guess(header.sequence_number);
            newest.add(index);
            packet.extend(vec![0; self.srtp.rtp_trailer()]);
            self.srtp.seal_rtp(&mut packet, header.size, header.ssrc, index);
        }
        packet
    }

    fn send(&mut self, core: &mut Core, ssrc: u32, payload_type: u8, sequence_number: u16, payload: &[u8]) {
        let mut packet = self.seal(ssrc, payload_type, sequence_number, payload);
        core.receive(&mut packet, path(self.transport), 1.0);
    }

    /// Let a compound packet arrive at `now`, in seconds.
    fn send_rtcp(&mut self, core: &mut Core, mut compound: Vec<u8>, now: f64) {
        self.srtp.seal_rtcp(&mut compound).unwrap();
        core.receive(&mut compound, path(self.transport), now);
    }

    /// Let a sender report arrive at `now`, in seconds.
    fn report(&mut self, core: &mut Core, info: SenderInfo, now: f64) {
        let mut report = Vec::new();
        info.write(&[], &mut report);
        self.send_rtcp(core, report, now);
    }

    fn open(&mut self, datagram: &[u8]) -> Result<(Header, Vec<u8>), DropReason> {
        let mut packet = datagram.to_vec();
        let header = parse_header_untrusted(&packet, &mut Vec::new()).unwrap();
        let size = self.srtp.open_rtp(&mut packet, &header, |_| false)?;
        Ok((header, packet[header.size..size].to_vec()))
    }
}

/// Check from now on that no index of this transport is sealed twice with different bytes.
fn watch_seals(core: &mut Core, transport: Id, watch: bool) {
    let key = core.transports.key(transport).unwrap();
    core.transports[key].srtp.as_mut().unwrap().ledger = watch.then(Default::default);
}

fn audio() -> ProducerSpec {
    ProducerSpec {
        codec: "audio/opus".into(),
        clock_rate: 48000,
        payload_types: [(111, 100)].into(),
        encodings: vec![EncodingSpec { ssrc: Some(AUDIO), ..EncodingSpec::default() }],
        ..ProducerSpec::default()
    }
}

fn video() -> ProducerSpec {
    ProducerSpec {
        codec: "video/vp8".into(),
        video: true,
        clock_rate: 90000,
        payload_types: [(96, 101)].into(),
        encodings: vec![EncodingSpec { ssrc: Some(VIDEO), ..EncodingSpec::default() }],
        ..ProducerSpec::default()
    }
}

/// A receiver of every kind of stream, which gets no header extensions.
fn format() -> ConsumerFormat {
    ConsumerFormat { payload_types: [100, 101].into(), ..ConsumerFormat::default() }
}

/// The same, with a MID in every packet, as extension `mid_id`.
fn with_mid(mid_id: u8) -> ConsumerFormat {
    ConsumerFormat { mid_id: Some(mid_id), ..format() }
}

fn consumer(ssrc: u32) -> ConsumerSpec<'static> {
    static FORMAT: LazyLock<ConsumerFormat> = LazyLock::new(format);
    ConsumerSpec::new(&FORMAT, ssrc)
}

/// Everything that leaves at `now`, one datagram each.
fn leaving(core: &mut Core, now: f64) -> Vec<(Path, Vec<u8>)> {
    let mut sent = Vec::new();
    core.flush(now, 64, |path, bytes, segment| {
        sent.extend(bytes.chunks(segment).map(|datagram| (path, datagram.to_vec())));
        Ok(())
    });
    sent
}

fn dropped(core: &Core) -> Vec<(DropReason, u64)> {
    core.totals().drops.iter().filter(|(_, count)| *count > 0).collect()
}
