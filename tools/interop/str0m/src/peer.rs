//! str0m with a socket and without SDP: the gateway's media objects go straight into str0m's direct API.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use str0m::config::Fingerprint;
use str0m::format::{Codec, FormatParams};
use str0m::ice::IceCreds;
use str0m::media::{MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, ExtensionSerializer, ExtensionValues};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

use crate::{Failure, tell};

pub const MID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
const UNKNOWN_URI: &str = "urn:example:interop";
const H264_PROFILE: u32 = 0x42_e0_1f;

/// An extension of 20 zeros, which needs RFC 8285's two-byte form.
#[derive(Debug)]
struct Large;

impl ExtensionSerializer for Large {
    fn write_to(&self, buffer: &mut [u8], _: &ExtensionValues) -> usize {
        buffer[..20].fill(0);
        20
    }

    fn parse_value(&self, _: &[u8], _: &mut ExtensionValues) -> bool {
        true
    }

    fn is_video(&self) -> bool {
        true
    }

    fn is_audio(&self) -> bool {
        true
    }

    fn requires_two_byte_form(&self, _: &ExtensionValues) -> bool {
        true
    }
}

/// The configuration of one kind of media.
#[derive(Clone)]
pub struct Section {
    pub kind: MediaKind,
    pub mime_type: String,
    pub payload_type: u8,
    pub mid: Mid,
}

pub struct Peer {
    pub rtc: Rtc,
    socket: UdpSocket,
    local: SocketAddr,
    pub events: Vec<Event>,
}

impl Peer {
    pub fn new(sections: &[Section], mid_id: u8, variation: &str) -> Result<Self, Failure> {
        let mut config = RtcConfig::new().set_rtp_mode(true).clear_codecs().clear_extension_map();
        for section in sections {
            let (codecs, pt) = (config.codec_config(), section.payload_type.into());
            match section.mime_type.as_str() {
                "video/H264" => codecs.add_h264(pt, None, true, H264_PROFILE),
                "video/VP8" => {
                    let format = FormatParams::default();
                    codecs.add_config(pt, None, Codec::Vp8, str0m::media::Frequency::NINETY_KHZ, None, format);
                }
                _ => {
                    let format = FormatParams::default();
                    let rate = str0m::media::Frequency::FORTY_EIGHT_KHZ;
                    codecs.add_config(pt, None, Codec::Opus, rate, Some(2), format);
                }
            }
        }
        config = config.set_extension(mid_id, Extension::RtpMid);
        if variation == "two_byte" {
            config = config.set_extension(mid_id + 1, Extension::with_serializer(UNKNOWN_URI, Large));
        }
        let mut rtc = config.build(Instant::now());
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let local = socket.local_addr()?;
        rtc.add_local_candidate(Candidate::host(local, "udp")?);
        for section in sections {
            rtc.direct_api().declare_media(section.mid, section.kind);
        }
        Ok(Self { rtc, socket, local, events: Vec::new() })
    }

    /// Our DTLS parameters, for connect_transport.
    pub fn dtls_parameters(&mut self, role: &str) -> Value {
        let fingerprint = self.rtc.direct_api().local_dtls_fingerprint().clone();
        let value: Vec<_> = fingerprint.bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        let fingerprint = json!({"algorithm": fingerprint.hash_func, "value": value.join(":")});
        json!({"role": role, "fingerprints": [fingerprint]})
    }

    /// Our own ICE credentials, for the gateway's checks.
    pub fn ice_parameters(&mut self) -> Value {
        let ours = self.rtc.direct_api().local_ice_credentials();
        json!({"usernameFragment": ours.ufrag, "password": ours.pass})
    }

    /// Makes new credentials of our own, for a restart of ICE.
    pub fn renew_ice(&mut self) -> Value {
        self.rtc.direct_api().set_local_ice_credentials(IceCreds::new());
        self.ice_parameters()
    }

    /// Takes the gateway's side of the transport, and begins to connect.
    pub fn connect(&mut self, transport: &Value, role: &str) -> Result<(), Failure> {
        let candidates = transport["iceCandidates"].as_array().ok_or("no candidates")?;
        for candidate in candidates.iter().filter(|candidate| candidate["protocol"] == "udp") {
            let address = candidate["address"].as_str().ok_or("no address")?.parse()?;
            let port = u16::try_from(candidate["port"].as_u64().ok_or("no port")?)?;
            self.rtc.add_remote_candidate(Candidate::host(SocketAddr::new(address, port), "udp")?);
        }
        let ours = &transport["dtlsParameters"]["fingerprints"][0];
        let value = ours["value"].as_str().ok_or("no fingerprint")?;
        let bytes = value.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect::<Result<_, _>>()?;
        let hash_func = ours["algorithm"].as_str().unwrap_or_default().into();
        let mut api = self.rtc.direct_api();
        api.set_ice_controlling(true);
        api.set_remote_fingerprint(Fingerprint { hash_func, bytes });
        api.set_remote_ice_credentials(credentials(&transport["iceParameters"]));
        api.start_dtls(role == "client")?;
        Ok(())
    }

    /// Uses the gateway's new credentials, after our own are new.
    pub fn restart_ice(&mut self, ice_parameters: &Value) {
        self.rtc.direct_api().set_remote_ice_credentials(credentials(ice_parameters));
    }

    /// Sends and receives datagrams until `deadline`. Events are kept.
    pub fn drive(&mut self, deadline: Instant) -> Result<(), Failure> {
        let mut buffer = [0; 2000];
        loop {
            let timeout = self.drain()?.min(deadline);
            let now = Instant::now();
            if now >= deadline {
                return Ok(());
            }
            let wait = timeout.saturating_duration_since(now);
            if wait.is_zero() {
                self.rtc.handle_input(Input::Timeout(now))?;
                continue;
            }
            self.socket.set_read_timeout(Some(wait.max(Duration::from_micros(100))))?;
            match self.socket.recv_from(&mut buffer) {
                Ok((size, source)) => self.receive(&buffer[..size], source)?,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    self.rtc.handle_input(Input::Timeout(Instant::now()))?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn receive(&mut self, datagram: &[u8], source: SocketAddr) -> Result<(), Failure> {
        let receive = Receive { proto: Protocol::Udp, source, destination: self.local, contents: datagram.try_into()? };
        self.rtc.handle_input(Input::Receive(Instant::now(), receive))?;
        Ok(())
    }

    /// Sends what str0m has ready, and returns the time of its next timer.
    pub fn drain(&mut self) -> Result<Instant, Failure> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => return Ok(at),
                Output::Transmit(datagram) => {
                    self.socket.send_to(&datagram.contents, datagram.destination)?;
                }
                Output::Event(event) => {
                    if let Event::IceConnectionStateChange(state) = &event {
                        tell("state", json!({"state": format!("{state:?}").to_lowercase()}));
                    }
                    self.events.push(event);
                }
            }
        }
    }

    pub fn until_connected(&mut self, patience: Duration) -> Result<(), Failure> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            self.drive(Instant::now() + Duration::from_millis(10))?;
            if self.events.iter().any(|event| matches!(event, Event::Connected)) {
                return Ok(());
            }
        }
        Err("ICE and DTLS did not connect".into())
    }
}

fn credentials(ice_parameters: &Value) -> IceCreds {
    let text = |name: &str| ice_parameters[name].as_str().unwrap_or_default().to_owned();
    IceCreds { ufrag: text("usernameFragment"), pass: text("password") }
}
