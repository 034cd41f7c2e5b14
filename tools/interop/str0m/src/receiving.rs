//! Consumes the producers of the participant "talker" until they are closed, and reports what arrived.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use str0m::Event;
use str0m::media::{KeyframeRequestKind, MediaKind};
use str0m::rtp::Ssrc;

use crate::media::Tally;
use crate::peer::{MID_URI, Peer, Section};
use crate::{Failure, PATIENCE, Participant, tell};

const LOOK: Duration = Duration::from_millis(20);

struct Stream {
    section: Section,
    ssrc: Ssrc,
    consumer_id: Value,
}

/// Reads the answer to `consume`.
fn stream(consumed: &Value) -> Result<Stream, Failure> {
    let parameters = &consumed["rtpParameters"];
    let codec = &parameters["codecs"][0];
    let section = Section {
        kind: if consumed["kind"] == "audio" { MediaKind::Audio } else { MediaKind::Video },
        mime_type: codec["mimeType"].as_str().ok_or("no codec")?.into(),
        payload_type: u8::try_from(codec["payloadType"].as_u64().ok_or("no payload type")?)?,
        mid: parameters["mid"].as_str().ok_or("no mid")?.into(),
    };
    let ssrc = u32::try_from(parameters["encodings"][0]["ssrc"].as_u64().ok_or("no ssrc")?)?.into();
    Ok(Stream { section, ssrc, consumer_id: consumed["consumerId"].clone() })
}

pub fn receive(participant: &mut Participant) -> Result<(), Failure> {
    let settings = participant.settings.clone();
    let (variation, role) = (settings["variation"].as_str().unwrap_or_default(), participant.role());
    let capabilities = participant.capabilities();
    let data = json!({"direction": "receive", "rtpCapabilities": capabilities});
    let transport = participant.signalling.ask("create_transport", data)?;
    let id = &transport["transportId"];
    let (mut streams, mut mid_id) = (Vec::new(), 1);
    for producer_id in participant.producers() {
        let consumed = participant.signalling.ask("consume", json!({"transportId": id, "producerId": producer_id}))?;
        let extensions = consumed["rtpParameters"]["headerExtensions"].as_array().cloned().unwrap_or_default();
        if let Some(extension) = extensions.iter().find(|extension| extension["uri"] == MID_URI) {
            mid_id = u8::try_from(extension["id"].as_u64().unwrap_or(1))?;
        }
        streams.push(stream(&consumed)?);
    }
    let sections: Vec<_> = streams.iter().map(|stream| stream.section.clone()).collect();
    let mut peer = Peer::new(&sections, mid_id, "")?;
    for stream in &streams {
        peer.rtc.direct_api().expect_stream_rx(stream.ssrc, None, stream.section.mid, None);
    }
    let ours = peer.dtls_parameters(&role);
    let ice = peer.ice_parameters();
    let asked = json!({"transportId": id, "dtlsParameters": ours, "iceParameters": ice});
    participant.signalling.ask("connect_transport", asked)?;
    peer.connect(&transport, &role)?;
    peer.until_connected(PATIENCE)?;
    for stream in &streams {
        participant.signalling.ask("resume", json!({"consumerId": stream.consumer_id}))?;
    }
    tell("receiving", json!({}));
    let mut received = Received::new(&streams);
    let half = Duration::from_secs_f64(settings["seconds"].as_f64().unwrap_or_default() / 2.0);
    received.take_until(participant, &mut peer, Instant::now() + half, usize::MAX)?;
    for stream in streams.iter().filter(|stream| stream.section.kind == MediaKind::Video) {
        if let Some(stream) = peer.rtc.direct_api().stream_rx(&stream.ssrc) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
        }
    }
    if variation == "restart_ice" {
        let later = Instant::now() + Duration::from_millis(500); // so that the key frame does not fall into a gap
        received.take_until(participant, &mut peer, later, usize::MAX)?;
        let asked = json!({"transportId": id, "iceParameters": peer.renew_ice()});
        let answer = participant.signalling.ask("restart_ice", asked)?;
        peer.restart_ice(&answer["iceParameters"]);
    }
    received.take_until(participant, &mut peer, Instant::now() + half + PATIENCE, streams.len())?;
    if received.closed < streams.len() {
        return Err("a consumer was never closed".into());
    }
    let [audio, video] = [MediaKind::Audio, MediaKind::Video].map(|kind| received.to_json(kind));
    tell("done", json!({"received": {"audio": audio, "video": video}}));
    participant.leave(peer)
}

/// The packets that have arrived so far. `closed` counts the consumers that the gateway has closed.
struct Received {
    tallies: HashMap<Ssrc, (MediaKind, String, Tally)>,
    closed: usize,
}

impl Received {
    fn new(streams: &[Stream]) -> Self {
        let tally =
            |stream: &Stream| (stream.ssrc, (stream.section.kind, stream.section.mime_type.clone(), Tally::default()));
        Self { tallies: streams.iter().map(tally).collect(), closed: 0 }
    }

    /// Counts until a certain time, or until so many consumers are closed.
    fn take_until(
        &mut self,
        participant: &mut Participant,
        peer: &mut Peer,
        deadline: Instant,
        closed: usize,
    ) -> Result<(), Failure> {
        while Instant::now() < deadline && self.closed < closed {
            peer.drive(Instant::now() + LOOK)?;
            for event in peer.events.drain(..) {
                if let Event::RtpPacket(packet) = event
                    && let Some((_, mime_type, tally)) = self.tallies.get_mut(&packet.header.ssrc)
                {
                    tally.take(mime_type, &packet.payload);
                }
            }
            participant.signalling.look()?;
            let events = participant.signalling.events.drain(..);
            self.closed += events.filter(|event| event["type"] == "consumer_closed").count();
        }
        Ok(())
    }

    fn to_json(&self, kind: MediaKind) -> Value {
        let tally = self.tallies.values().find(|(its_kind, ..)| *its_kind == kind);
        tally.map_or_else(|| Tally::default().to_json(), |(_, _, tally)| tally.to_json())
    }
}
