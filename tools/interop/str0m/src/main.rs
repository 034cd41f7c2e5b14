//! A participant on str0m: `interop-str0m SETTINGS` (JSON, see docs/interop.md).

mod media;
mod peer;
mod receiving;
mod sending;
mod signalling;

use std::io::Read;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::peer::{MID_URI, Peer};
use crate::signalling::Signalling;

pub type Failure = Box<dyn std::error::Error>;

pub const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);

/// Prints one line of JSON for the runner.
pub fn tell(event: &str, mut data: Value) {
    data["event"] = json!(event);
    println!("{data}");
}

/// A participant in a channel.
pub struct Participant {
    settings: Value,
    signalling: Signalling,
    joined: Value,
}

impl Participant {
    fn role(&self) -> String {
        self.settings["role"].as_str().unwrap_or("client").into()
    }

    /// The router's capabilities for the codecs of this run.
    fn capabilities(&self) -> Value {
        let router = &self.joined["routerRtpCapabilities"];
        let keep = |list: &Value, is_right: &dyn Fn(&Value) -> bool| -> Vec<Value> {
            list.as_array().into_iter().flatten().filter(|one| is_right(one)).cloned().collect()
        };
        let wanted = |codec: &Value| codec["mimeType"] == "audio/opus" || codec["mimeType"] == self.settings["video"];
        json!({
            "codecs": keep(&router["codecs"], &wanted),
            "headerExtensions": keep(&router["headerExtensions"], &|one| one["uri"] == MID_URI),
        })
    }

    fn producers(&self) -> Vec<Value> {
        let participants = self.joined["participants"].as_array().into_iter().flatten();
        let talkers = participants.filter(|participant| participant["username"] == "talker");
        let producers = talkers.flat_map(|talker| talker["producers"].as_array().into_iter().flatten());
        producers.map(|producer| producer["producerId"].clone()).collect()
    }

    /// Waits without sending or counting.
    fn pass(&mut self, peer: &mut Peer, duration: Duration) -> Result<(), Failure> {
        let deadline = Instant::now() + duration;
        while Instant::now() < deadline {
            peer.drive(Instant::now() + LOOK)?;
            peer.events.clear();
            self.signalling.look()?;
        }
        Ok(())
    }

    /// Leaves the channel after the end of standard input.
    fn leave(&mut self, mut peer: Peer) -> Result<(), Failure> {
        let (sender, ended) = mpsc::channel();
        thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            let _ = sender.send(());
        });
        let deadline = Instant::now() + PATIENCE;
        while ended.try_recv().is_err() {
            if Instant::now() > deadline {
                return Err("it was not asked to leave".into());
            }
            self.pass(&mut peer, LOOK)?;
        }
        self.signalling.ask("leave", json!({}))?;
        Ok(())
    }
}

fn run(settings: &str) -> Result<(), Failure> {
    let settings: Value = serde_json::from_str(settings)?;
    let mut signalling = Signalling::open(settings["url"].as_str().ok_or("no URL")?)?;
    let data = json!({"channelId": settings["channel"], "username": settings["user"]});
    let joined = signalling.ask("join", data)?;
    let mut participant = Participant { settings, signalling, joined };
    if participant.settings["direction"] == "send" {
        sending::send(&mut participant)?;
    } else {
        receiving::receive(&mut participant)?;
    }
    participant.signalling.close()
}

fn main() -> ExitCode {
    let Some(settings) = std::env::args().nth(1) else {
        eprintln!("usage: interop-str0m SETTINGS");
        return ExitCode::from(2);
    };
    match run(&settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}
