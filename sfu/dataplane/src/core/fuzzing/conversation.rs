//! A whole core: a hostile client has the keys of its transport, and so gets past SRTP and ICE.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::core::srtp::window::RtpWindow;
use crate::core::wire::rtp::parse_header_untrusted;
use crate::core::{
    ConsumerFormat, ConsumerSpec, Core, Credentials, EncodingSpec, Id, MAX_DATAGRAM, Path, ProducerSpec, Profile, Srtp,
};

const PROFILES: [Profile; 3] = [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::Aes128CmSha1_80];
const CODECS: [&str; 6] = ["video/vp8", "video/vp9", "video/h264", "video/av1", "audio/opus", "video/x"];
const HOSTILE: Id = 1;
const HONEST: Id = 2;
const LISTENER: Id = 3;
const VOICE: u32 = 5000;
/// The SSRCs of the listener's streams and their retransmissions.
const SENT: [u32; 4] = [820, 821, 920, 921];
const MOST_STEPS: usize = 300;

/// The other end of a transport.
struct Client {
    transport: Id,
    srtp: Srtp,
    indices: HashMap<u32, RtpWindow>,
}

fn path(number: Id) -> Path {
    Path { remote: SocketAddr::from(([192, 0, 2, 1], 1000 + number as u16)), local: 0 }
}

/// Nobody knows the password of another transport.
fn password(transport: Id) -> String {
    format!("password {transport}")
}

impl Client {
    fn connect(core: &mut Core, transport: Id, profile: Profile) -> Self {
        let size = profile.key_length() + profile.salt_length();
        let (theirs, ours) = (vec![2 * transport as u8; size], vec![2 * transport as u8 + 1; size]);
        core.add_transport(transport).unwrap();
        core.set_keys(transport, profile, &theirs, &ours).unwrap();
        core.add_path(transport, path(transport)).unwrap();
        core.set_credentials(transport, &format!("ours{transport}"), &password(transport)).unwrap();
        core.start_reports(transport, 0.5, 0.5).unwrap();
        core.watch(transport, 0.0, 5.0, 30.0).unwrap();
        Self { transport, srtp: Srtp::new(profile, &ours, &theirs).unwrap(), indices: HashMap::new() }
    }

    fn send(&mut self, core: &mut Core, mut packet: Vec<u8>, now: f64) {
        if let Ok(header) = parse_header_untrusted(&packet, &mut Vec::new()) {
            let window = self.indices.entry(header.ssrc).or_default();
            let index = window.guess(header.sequence_number);
            window.add(index);
            packet.extend(vec![0; self.srtp.rtp_trailer()]);
            self.srtp.seal_rtp(&mut packet, header.size, header.ssrc, index);
        }
        core.receive(&mut packet, path(self.transport), now);
    }

    fn send_rtcp(&mut self, core: &mut Core, compound: &[u8], now: f64) {
        let mut compound = compound.to_vec();
        if compound.len() >= 8 && self.srtp.seal_rtcp(&mut compound).is_ok() {
            core.receive(&mut compound, path(self.transport), now);
        }
    }

    /// Open a datagram of the core.  Gives its SSRC if it is RTP.
    fn open(&mut self, datagram: &[u8]) -> Option<u32> {
        let mut plain = datagram.to_vec();
        match datagram {
            [0..=3, ..] => None, // a check, or an answer to a request
            [_, 192..=223, ..] => self.srtp.open_rtcp(&mut plain, |_| true).map(|_| None).unwrap(),
            _ => {
                let header = parse_header_untrusted(&plain, &mut Vec::new()).unwrap();
                self.srtp.open_rtp(&mut plain, &header, |_| true).unwrap();
                Some(header.ssrc)
            }
        }
    }
}

fn producer(codec: &str, rids: bool) -> ProducerSpec {
    let known = vec![EncodingSpec { ssrc: Some(100), rtx_ssrc: Some(101), ..EncodingSpec::default() }];
    let learnt = ["l", "h"].map(|rid| EncodingSpec { rid: Some(rid.into()), ..EncodingSpec::default() }).into();
    ProducerSpec {
        codec: codec.into(),
        video: codec.starts_with("video"),
        clock_rate: 90000,
        payload_types: [(96, 101), (97, 100)].into(),
        encodings: if rids { learnt } else { known },
        extension_ids: [(1, 1), (2, 14), (3, 15), (4, 2), (7, 12)].into(),
        red_payload_types: [97].into(),
        rtx_payload_types: [(98, 96), (99, 97)].into(),
        nack: true,
        mid: Some("0".into()),
        mid_id: Some(1),
        rid_id: Some(2),
        repaired_rid_id: Some(5),
        audio_level_id: Some(3),
        wide_id: Some(6),
        descriptor_id: Some(7),
        cname: "somebody".into(),
        paused: false,
    }
}

fn format() -> ConsumerFormat {
    ConsumerFormat {
        payload_types: [100, 101].into(),
        extension_ids: [1, 2, 12, 14, 15].into(),
        mid_id: Some(3),
        report_interval: 1.0,
        rtx_payload_types: [(101, 102), (100, 104)].into(),
        red_payload_types: [(100, 98)].into(),
        wide_id: Some(6),
    }
}

fn world(first: u8) -> (Core, [Client; 3]) {
    let mut core = Core::new(0.0);
    let profile = PROFILES[usize::from(first) % 3];
    let clients = [HOSTILE, HONEST, LISTENER].map(|number| Client::connect(&mut core, number, profile));
    core.add_producer(HOSTILE, 10, producer(CODECS[usize::from(first >> 2) % 6], first & 0x80 != 0)).unwrap();
    let voice = EncodingSpec { ssrc: Some(VOICE), ..EncodingSpec::default() };
    let voice = ProducerSpec {
        encodings: vec![voice],
        mid: None,
        red_payload_types: [].into(),
        ..producer("audio/opus", false)
    };
    core.add_producer(HONEST, 11, voice).unwrap();
    let format = format();
    for (consumer, producer) in [(20, 10), (21, 11)] {
        let spec = ConsumerSpec {
            mid: Some("x"),
            rtx_ssrc: Some(900 + consumer as u32),
            ..ConsumerSpec::new(&format, 800 + consumer as u32)
        };
        core.add_consumer(LISTENER, consumer, producer, &spec, 1).unwrap();
    }
    (core, clients)
}

/// A step is two bytes, a kind and a size, and so many bytes of content.
///
/// After each step every datagram that leaves can be opened by its receiver, and an honest voice still gets through.
pub fn try_untrusted(input: &[u8]) {
    let Some((first, mut rest)) = input.split_first() else { return };
    let (mut core, [mut hostile, mut honest, mut listener]) = world(*first);
    let (mut now, mut number) = (1.0, 0u16);
    for _ in 0..MOST_STEPS {
        let [kind, size, behind @ ..] = rest else { break };
        let content;
        (content, rest) = behind.split_at(behind.len().min(usize::from(*size)));
        match kind % 10 {
            0..=2 => {
                number = number.wrapping_add(1 + u16::from(kind / 10 % 4) * 5);
                hostile.send(&mut core, packet(*kind, number, content), now);
            }
            3 => hostile.send(&mut core, content.to_vec(), now),
            4 => hostile.send_rtcp(&mut core, content, now),
            5 => listener.send_rtcp(&mut core, content, now),
            6 => core.receive(&mut content.to_vec(), path(Id::from(kind / 10 % 5)), now),
            7 => {
                let mut request = Credentials::new("ours1", &password(HOSTILE)).sealed_again(content);
                core.receive(&mut request, path([HOSTILE, 4, 5, 6, 7][usize::from(kind / 10 % 5)]), now);
            }
            8 => command(&mut core, *kind, content),
            _ => now += f64::from(*kind) / 50.0,
        }
        core.pass_time(now);
        deliver(&mut core, now, [&mut hostile, &mut honest, &mut listener]);
    }
    let heard = |core: &Core| core.consumer_stats(21).map(|stats| stats.packets).unwrap_or(0);
    let before = heard(&core);
    honest.send(&mut core, [&[0x80, 97, 0, 1, 0, 0, 0, 1][..], &VOICE.to_be_bytes(), b"voice"].concat(), now);
    deliver(&mut core, now, [&mut hostile, &mut honest, &mut listener]);
    assert!(heard(&core) > before, "the voice is lost");
    check(&core);
}

/// A packet of the hostile client, of one of its streams, perhaps with a header extension.
fn packet(kind: u8, number: u16, content: &[u8]) -> Vec<u8> {
    let (again, extended) = (kind % 10 == 1, kind % 10 == 2);
    let payload_type = [96, 97 | 0x80, 96 | 0x80, 97][usize::from(kind / 10 % 4)] + if again { 2 } else { 0 };
    let ssrc = 100 + u32::from(again);
    let mut packet = vec![0x80 | if extended { 0x10 } else { 0 }, payload_type];
    packet.extend(number.to_be_bytes());
    packet.extend((u32::from(number) * 1500).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    if extended {
        packet.extend(if kind < 128 { [0xBE, 0xDE, 0, 2] } else { [0x10, 0, 0, 2] });
    }
    packet.extend(content);
    packet
}

fn command(core: &mut Core, kind: u8, content: &[u8]) {
    let value = content.first().copied().unwrap_or(0);
    match kind / 10 % 6 {
        0 => _ = core.set_layers(20, Some(usize::from(value & 1)), Some(value >> 1 & 7), Some(value >> 4 & 3)),
        1 => _ = core.set_consumer_paused(20, value & 1 != 0),
        2 => _ = core.request_key_frame(10, usize::from(value & 1), value & 2 != 0),
        3 => _ = core.aim_bandwidth(LISTENER, f64::from(value) * 1e4, Some(1e6), 2e6),
        4 => _ = core.set_producer_paused(10, value & 1 != 0),
        _ => _ = core.take_events(usize::MAX),
    }
}

/// Every sealed datagram can be opened by its receiver, and only the listener gets media.
fn deliver(core: &mut Core, now: f64, clients: [&mut Client; 3]) {
    let mut sent = Vec::new();
    core.flush(now, 64, |to, bytes, segment| {
        sent.extend(bytes.chunks(segment).map(|datagram| (to, datagram.to_vec())));
        Ok(())
    });
    for (to, datagram) in sent {
        assert!(datagram.len() <= MAX_DATAGRAM, "{} bytes", datagram.len());
        // Only the hostile client moves to other paths.
        let owner = [HONEST, LISTENER].into_iter().find(|number| path(*number) == to).unwrap_or(HOSTILE);
        if let Some(ssrc) = clients[owner as usize - 1].open(&datagram) {
            assert!(owner == LISTENER && SENT.contains(&ssrc), "{ssrc} to {owner}");
        }
    }
}

fn check(core: &Core) {
    let totals = core.totals();
    assert!(totals.stored_bytes <= totals.stored_bytes_limit);
    let encodings = core.producers.values().flat_map(|producer| &producer.encodings);
    let stores = encodings.filter_map(|encoding| encoding.store.as_ref());
    assert_eq!(core.store_memory, stores.map(|store| store.reserved()).sum::<usize>());
    let known: usize = core.transports.values().map(|transport| transport.paths.all().count()).sum();
    assert_eq!(known, core.by_path.len());
}
