//! Publishes audio and video, and sends them for the configured time.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use str0m::Event;
use str0m::media::MediaKind;
use str0m::rtp::{RtpWrite, Ssrc};

use crate::media::frame;
use crate::peer::{MID_URI, Peer, Section};
use crate::{Failure, PATIENCE, Participant, tell};

const INTERVAL: Duration = Duration::from_millis(20);
const MUTED: Duration = Duration::from_secs(8);
const EARLY: u32 = 20;
const MID_ID: u8 = 1;

struct Stream {
    section: Section,
    ssrc: Ssrc,
    sequence: u64,
    timestamp: u32,
    number: u32,
    frames: u16,
    key_wanted: bool,
    asked: u32,
}

impl Stream {
    fn send_frame(&mut self, peer: &mut Peer, step: u32) -> Result<(), Failure> {
        let key = std::mem::take(&mut self.key_wanted);
        let payloads = frame(&self.section.mime_type, self.number, self.frames, key);
        let last = payloads.len() - 1;
        for (index, payload) in payloads.into_iter().enumerate() {
            let video = self.section.kind == MediaKind::Video;
            let write = RtpWrite::new(
                self.section.payload_type.into(),
                self.sequence.into(),
                self.timestamp,
                Instant::now(),
                payload,
            );
            let mut api = peer.rtc.direct_api();
            let stream = api.stream_tx_by_mid(self.section.mid, None).ok_or("no such stream")?;
            stream.write_rtp(write.marker(video && index == last));
            self.sequence += 1;
            self.number += 1;
            peer.drain()?;
        }
        self.frames = self.frames.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(step);
        Ok(())
    }

    fn rtp_parameters(&self, codec: &Value) -> Value {
        json!({
            "mid": self.section.mid.to_string(),
            "codecs": [codec],
            "headerExtensions": [{"uri": MID_URI, "id": MID_ID}],
            "encodings": [{"ssrc": *self.ssrc}],
            "rtcp": {"cname": "str0m"},
        })
    }
}

fn codec(mime_type: &str) -> Value {
    let feedback = json!([{"type": "nack", "parameter": "pli"}, {"type": "ccm", "parameter": "fir"}]);
    match mime_type {
        "video/H264" => json!({
            "mimeType": mime_type, "payloadType": 105, "clockRate": 90000, "rtcpFeedback": feedback,
            "parameters": {"packetization-mode": 1, "level-asymmetry-allowed": 1, "profile-level-id": "42e01f"},
        }),
        "video/VP8" => {
            json!({"mimeType": mime_type, "payloadType": 96, "clockRate": 90000, "rtcpFeedback": feedback})
        }
        _ => json!({"mimeType": mime_type, "payloadType": 111, "clockRate": 48000, "channels": 2}),
    }
}

pub fn send(participant: &mut Participant) -> Result<(), Failure> {
    let settings = participant.settings.clone();
    let (variation, role) = (settings["variation"].as_str().unwrap_or_default(), participant.role());
    let codecs = [codec("audio/opus"), codec(settings["video"].as_str().unwrap_or_default())];
    let section = |index: usize| Section {
        kind: [MediaKind::Audio, MediaKind::Video][index],
        mime_type: codecs[index]["mimeType"].as_str().unwrap_or_default().into(),
        payload_type: codecs[index]["payloadType"].as_u64().unwrap_or_default() as u8,
        mid: index.to_string().as_str().into(),
    };
    let mut peer = Peer::new(&[section(0), section(1)], MID_ID, variation)?;
    let transport = participant.signalling.ask("create_transport", json!({"direction": "send"}))?;
    let mut streams = [0, 1].map(|index| {
        let section = section(index);
        let ssrc = peer.rtc.direct_api().new_ssrc();
        peer.rtc.direct_api().declare_stream_tx(ssrc, None, section.mid, None);
        let first = settings["first"][["audio", "video"][index]].as_u64();
        let sequence = first.unwrap_or(u64::from(*ssrc) & 0x7fff);
        let timestamp = *ssrc;
        Stream { section, ssrc, sequence, timestamp, number: 0, frames: 0, key_wanted: true, asked: 0 }
    });
    let id = &transport["transportId"];
    let ours = peer.dtls_parameters(&role);
    let ice = peer.ice_parameters();
    let asked = json!({"transportId": id, "dtlsParameters": ours, "iceParameters": ice});
    participant.signalling.ask("connect_transport", asked)?;
    peer.connect(&transport, &role)?;
    peer.until_connected(PATIENCE)?;
    if variation == "wrap" {
        send_for(participant, &mut peer, &mut streams, INTERVAL * EARLY)?;
    }
    let producers = produce(participant, id, &streams, &codecs)?;
    let half = Duration::from_secs_f64(settings["seconds"].as_f64().unwrap_or_default() / 2.0);
    send_for(participant, &mut peer, &mut streams, half)?;
    if variation == "again" {
        for producer in producers {
            participant.signalling.ask("close", json!({"producerId": producer}))?;
        }
        send_for(participant, &mut peer, &mut streams, INTERVAL * EARLY)?;
        produce(participant, id, &streams, &codecs)?;
    }
    play_variation(participant, &mut peer, &mut streams, variation, id)?;
    send_for(participant, &mut peer, &mut streams, half)?;
    let [audio, video] = &streams;
    tell("done", json!({"sent": {"audio": audio.number, "video": video.number}, "asked": video.asked}));
    participant.leave(peer)
}

/// Announces audio and video, and returns their producer ids.
fn produce(
    participant: &mut Participant,
    transport_id: &Value,
    streams: &[Stream; 2],
    codecs: &[Value; 2],
) -> Result<Vec<Value>, Failure> {
    let mut producers = Vec::new();
    for (index, (kind, source)) in [("audio", "microphone"), ("video", "camera")].iter().enumerate() {
        let parameters = streams[index].rtp_parameters(&codecs[index]);
        let data = json!({"transportId": transport_id, "kind": kind, "source": source, "rtpParameters": parameters});
        producers.push(participant.signalling.ask("produce", data)?["producerId"].clone());
    }
    Ok(producers)
}

/// Does the unusual part of the run, half-way.
fn play_variation(
    participant: &mut Participant,
    peer: &mut Peer,
    streams: &mut [Stream; 2],
    variation: &str,
    transport_id: &Value,
) -> Result<(), Failure> {
    let video = &mut streams[1];
    match variation {
        "mute" => {
            participant.pass(peer, MUTED)?;
            // As in many clients, the audio's clock stands still during the mute.
            video.timestamp = video.timestamp.wrapping_add(MUTED.as_secs() as u32 * 90_000);
        }
        "restart_ice" => {
            let asked = json!({"transportId": transport_id, "iceParameters": peer.renew_ice()});
            let answer = participant.signalling.ask("restart_ice", asked)?;
            peer.restart_ice(&answer["iceParameters"]);
        }
        "new_ssrc" => {
            let ssrc = peer.rtc.direct_api().new_ssrc();
            let mid = video.section.mid;
            peer.rtc.direct_api().reset_stream_tx(mid, None, ssrc, None).ok_or("it keeps its SSRC")?;
            (video.ssrc, video.sequence, video.key_wanted) = (ssrc, u64::from(*ssrc) & 0x7fff, true);
        }
        _ => {}
    }
    Ok(())
}

fn send_for(
    participant: &mut Participant,
    peer: &mut Peer,
    streams: &mut [Stream; 2],
    duration: Duration,
) -> Result<(), Failure> {
    let mut due = Instant::now();
    for tick in 0..duration.as_millis() / INTERVAL.as_millis() {
        streams[0].send_frame(peer, 960)?;
        if tick % 2 == 0 {
            streams[1].send_frame(peer, 3600)?;
        }
        due += INTERVAL;
        peer.drive(due)?;
        participant.signalling.look()?;
        for event in peer.events.drain(..) {
            if let Event::KeyframeRequest(_) = event {
                streams[1].key_wanted = true;
                streams[1].asked += 1;
            }
        }
    }
    Ok(())
}
