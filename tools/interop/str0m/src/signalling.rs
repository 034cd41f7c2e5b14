//! The protocol over tungstenite's WebSocket: requests with their answers, and events.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

use crate::{Failure, tell};

const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(1);

/// A connection to the gateway. `events` has the events that were not read yet.
pub struct Signalling {
    socket: WebSocket<TcpStream>,
    next_id: u64,
    pub events: VecDeque<Value>,
}

impl Signalling {
    pub fn open(url: &str) -> Result<Self, Failure> {
        let mut request = url.into_client_request()?;
        let protocol = "trio-sfu.v1".parse()?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
        let authority = request.uri().authority().ok_or("no address in the URL")?;
        let stream = TcpStream::connect(authority.as_str())?;
        let (socket, _) = tungstenite::client(request, stream).map_err(|error| error.to_string())?;
        // The same thread also drives the media, so it must not wait here for long.
        socket.get_ref().set_read_timeout(Some(LOOK))?;
        Ok(Self { socket, next_id: 0, events: VecDeque::new() })
    }

    /// Sends a request, and returns the data of its answer.
    pub fn ask(&mut self, kind: &str, data: Value) -> Result<Value, Failure> {
        self.next_id += 1;
        let id = self.next_id;
        let text = json!({"id": id, "type": kind, "data": data}).to_string();
        self.socket.send(Message::text(text))?;
        let deadline = Instant::now() + ANSWER_WITHIN;
        while Instant::now() < deadline {
            let Some(message) = self.read()? else { continue };
            if message["id"] != json!(id) {
                continue;
            }
            if message["type"] != "ok" {
                return Err(format!("{kind}: {}", message["data"]).into());
            }
            return Ok(message["data"].clone());
        }
        Err(format!("{kind}: no answer").into())
    }

    /// Takes the messages that have arrived, and answers the gateway's pings.
    pub fn look(&mut self) -> Result<(), Failure> {
        while self.read()?.is_some() {}
        Ok(())
    }

    fn read(&mut self) -> Result<Option<Value>, Failure> {
        let text = match self.socket.read() {
            Ok(Message::Text(text)) => text,
            Ok(_) => return Ok(None),
            Err(tungstenite::Error::Io(error))
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let message: Value = serde_json::from_str(&text)?;
        if message["type"] == "transport_state" {
            let state = message["data"]["state"].as_str().unwrap_or_default();
            tell("state", json!({"state": format!("reported as {state}")}));
        }
        if message.get("id").is_none() {
            self.events.push_back(message.clone());
        }
        Ok(Some(message))
    }

    pub fn close(mut self) -> Result<(), Failure> {
        self.socket.close(None)?;
        let deadline = Instant::now() + ANSWER_WITHIN;
        while Instant::now() < deadline {
            if self.read().is_err() {
                return Ok(()); // the other side has closed it as well
            }
        }
        Err("the gateway does not close the WebSocket".into())
    }
}
