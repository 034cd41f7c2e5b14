//! A client that sends one stream and sends packets again when it is asked.

use std::collections::{HashMap, VecDeque};

use super::super::*;
use crate::core::rtcp::{RtcpPacket, read_untrusted};

const HISTORY: usize = 1000; // packets that it can send again, as browsers keep them
const PACKETS_OF_A_FRAME: u16 = 5;
const PACKETS_OF_A_KEY_FRAME: u16 = 20;
const VIDEO_TICK: u32 = 3000; // 30 frames a second on a clock of 90 kHz
const AUDIO_TICK: u32 = 960; // 50 packets a second on a clock of 48 kHz
const PAYLOAD: usize = 900; // bytes: 1.1 Mbit/s of video
const VIDEO_PT: u8 = 96;
const AUDIO_PT: u8 = 111;
const RTX_PT: u8 = 97;

/// One simulcast encoding, or the only stream.
struct Outgoing {
    ssrc: u32,
    rtx_ssrc: u32,
    sequence: u16,
    rtx_sequence: u16,
    /// The first timestamp; encodings differ in it.
    start: u32,
    history: VecDeque<(u16, Vec<u8>)>,
    key_frame_wanted: bool,
    picture: u16,
    tl0: u8,
}

/// Sends VP8 with three temporal layers on every encoding, or Opus.
pub struct Publisher {
    pub client: Client,
    pub video: bool,
    streams: Vec<Outgoing>,
    frames: u32,
    pub next_at: f64,
    stop_at: f64,
    next_report_at: f64,
    next_id: u32,
    /// When each packet left for the first time, by the number that is written into its payload.
    pub sent_at: HashMap<u32, f64>,
    /// The encoding that the packet with this number belongs to.
    pub encoding_of: HashMap<u32, usize>,
    pub key_frames_asked: u32,
    pub resent: u64,
}

impl Publisher {
    /// `ssrcs` has the SSRCs of media; the SSRC of retransmissions is one higher.  It sends until `stop_at`, in seconds.
    pub fn new(client: Client, video: bool, ssrcs: &[u32], first_sequence: u16, stop_at: f64) -> Self {
        let outgoing = |(place, &ssrc): (usize, &u32)| Outgoing {
            ssrc,
            rtx_ssrc: ssrc + 1,
            sequence: first_sequence,
            rtx_sequence: 0x7FF0,
            start: 4_294_900_000u32.wrapping_add(77_777 * place as u32),
            history: VecDeque::new(),
            key_frame_wanted: true,
            picture: 0x7FF0,
            tl0: 250,
        };
        Self {
            client,
            video,
            streams: ssrcs.iter().enumerate().map(outgoing).collect(),
            frames: 0,
            next_at: 0.0,
            stop_at,
            next_report_at: 0.0,
            next_id: 1,
            sent_at: HashMap::new(),
            encoding_of: HashMap::new(),
            key_frames_asked: 0,
            resent: 0,
        }
    }

    fn tick(&self) -> (u32, f64) {
        if self.video { (VIDEO_TICK, 1.0 / 30.0) } else { (AUDIO_TICK, 0.02) }
    }

    /// The datagrams that leave at `now`: a frame of every encoding, and a sender report each second.
    pub fn tick_at(&mut self, now: f64) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        if now < self.next_at {
            return sent;
        }
        let (tick, interval) = self.tick();
        self.next_at = if now + interval < self.stop_at { now + interval } else { f64::INFINITY };
        let reports = now >= self.next_report_at;
        if reports {
            self.next_report_at = now + 1.0;
        }
        for index in 0..self.streams.len() {
            let timestamp = self.streams[index].start.wrapping_add(self.frames * tick);
            for packet in self.frame(index, timestamp) {
                sent.push(self.client.seal_whole(packet.clone()));
                self.sent_at.insert(self.next_id, now);
                self.encoding_of.insert(self.next_id, index);
                self.next_id += 1;
                let history = &mut self.streams[index].history;
                history.push_back((u16::from_be_bytes([packet[2], packet[3]]), packet));
                if history.len() > HISTORY {
                    history.pop_front();
                }
            }
            if reports {
                let ntp = ((now + 1000.0) * 4_294_967_296.0) as u64;
                let info = SenderInfo { ssrc: self.streams[index].ssrc, ntp, timestamp, ..SenderInfo::default() };
                let mut report = Vec::new();
                info.write(&[], &mut report);
                self.client.srtp.seal_rtcp(&mut report).unwrap();
                sent.push(report);
            }
        }
        self.frames += 1;
        sent
    }

    /// The packets of the next frame of an encoding, each with its number from `next_id` on behind its descriptor.
    fn frame(&mut self, index: usize, timestamp: u32) -> Vec<Vec<u8>> {
        let place = self.frames % 4;
        let first_id = self.next_id;
        let video = self.video;
        let stream = &mut self.streams[index];
        let key = video && std::mem::take(&mut stream.key_frame_wanted);
        let count = if !video {
            1
        } else if key {
            PACKETS_OF_A_KEY_FRAME
        } else {
            PACKETS_OF_A_FRAME
        };
        // Layers of a key frame: the lowest.  Then 0, 2, 1, 2 as libvpx does; the last depends on layer 1.
        let layer = if key { 0 } else { [0, 2, 1, 2][place as usize] };
        if video {
            stream.picture = (stream.picture + 1) & 0x7FFF;
            stream.tl0 = stream.tl0.wrapping_add(u8::from(layer == 0));
        }
        (0..count)
            .map(|part| {
                let marker = if video && part == count - 1 { 0x80 } else { 0 };
                let mut packet = vec![0x80, marker | if video { VIDEO_PT } else { AUDIO_PT }];
                packet.extend(stream.sequence.to_be_bytes());
                packet.extend(timestamp.to_be_bytes());
                packet.extend(stream.ssrc.to_be_bytes());
                if video {
                    let begins = if part == 0 { 0x10 } else { 0 };
                    let sync = if layer > 0 && place < 3 { 0x20 } else { 0 };
                    packet.extend([0x80 | begins, 0xE0, 0x80 | (stream.picture >> 8) as u8, stream.picture as u8]);
                    packet.extend([stream.tl0, layer << 6 | sync, u8::from(!key)]);
                }
                packet.extend((first_id + u32::from(part)).to_be_bytes());
                packet.extend(vec![7; PAYLOAD + usize::from(part)]);
                stream.sequence = stream.sequence.wrapping_add(1);
                packet
            })
            .collect()
    }

    /// Take in RTCP.  Gives the packets that are sent again.
    pub fn receive(&mut self, mut datagram: Vec<u8>) -> Vec<Vec<u8>> {
        let Ok(size) = self.client.srtp.open_rtcp(&mut datagram, |_| false) else { return Vec::new() };
        let mut again = Vec::new();
        for packet in read_untrusted(&datagram[..size]).map(Result::unwrap) {
            match packet {
                RtcpPacket::PictureLoss(loss) => self.want_key_frame(loss.media_ssrc),
                RtcpPacket::FullIntraRequest(request) => {
                    request.entries.iter().for_each(|entry| self.want_key_frame(entry.ssrc));
                }
                RtcpPacket::Nack(nack) => {
                    for number in nack.numbers() {
                        again.extend(self.resend(nack.media_ssrc, number));
                    }
                }
                _ => {}
            }
        }
        again
    }

    fn want_key_frame(&mut self, ssrc: u32) {
        self.key_frames_asked += 1;
        for stream in &mut self.streams {
            stream.key_frame_wanted |= stream.ssrc == ssrc;
        }
    }

    /// Video goes over RTX (RFC 4588), audio again on its own SSRC as browsers do.
    fn resend(&mut self, ssrc: u32, number: u16) -> Option<Vec<u8>> {
        let video = self.video;
        let stream = self.streams.iter_mut().find(|stream| stream.ssrc == ssrc)?;
        let (_, packet) = stream.history.iter().find(|(known, _)| *known == number)?;
        self.resent += 1;
        if !video {
            let packet = packet.clone();
            return Some(self.client.seal_whole(packet));
        }
        let mut again = vec![packet[0], packet[1] & 0x80 | RTX_PT];
        again.extend(stream.rtx_sequence.to_be_bytes());
        again.extend(&packet[4..8]);
        again.extend(stream.rtx_ssrc.to_be_bytes());
        again.extend(number.to_be_bytes());
        again.extend(&packet[12..]);
        stream.rtx_sequence = stream.rtx_sequence.wrapping_add(1);
        Some(self.client.seal_whole(again))
    }
}

/// The specification of such a publisher's stream.
pub fn spec(video_stream: bool, ssrcs: &[u32]) -> ProducerSpec {
    let encodings = ssrcs.iter().map(|&ssrc| EncodingSpec {
        ssrc: Some(ssrc),
        rtx_ssrc: Some(ssrc + 1),
        ..EncodingSpec::default()
    });
    let base = if video_stream { video() } else { audio() };
    let rtx_payload_types = if video_stream { [(RTX_PT, VIDEO_PT)].into() } else { Default::default() };
    ProducerSpec { encodings: encodings.collect(), rtx_payload_types, nack: true, ..base }
}
