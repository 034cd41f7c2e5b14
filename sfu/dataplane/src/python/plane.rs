//! The commands of a data plane, whichever way its packets come and go.

use std::os::fd::{BorrowedFd, RawFd};
use std::sync::{Arc, Mutex};

use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::convert::SrtpKeys;
use crate::core::{
    BandwidthStats, ConsumerFormat, ConsumerSpec, ConsumerStats, Core, DropReason, Id, Path, PlaneTotals, ProducerSpec,
    ProducerStats, TransportStats,
};
use crate::fair_mutex::FairMutex;
use crate::guard::guarded;
use crate::shell::{NotAdopted, Sockets};

/// A Python object, until the garbage collector clears it.
pub type Slot = Mutex<Option<Py<PyAny>>>;

/// The base class of every data plane; `sfu/_dataplane.pyi` describes its methods.
///
/// Subclasses add the ways of packets, and waiting for events.
#[pyclass(subclass, frozen, module = "sfu._dataplane")]
pub struct DataPlane {
    pub core: Arc<FairMutex<Core>>,
    /// Sends a datagram at once, or returns why it could not.  Without it nothing leaves.
    pub transmit: Slot,
    /// Draws first sequence numbers.
    pub random: Slot,
    /// If there are any, datagrams leave here instead of through `transmit`.
    pub sockets: Mutex<Option<Arc<Sockets>>>,
}

impl DataPlane {
    /// A plane without any object.  `hold` is that of [`Core::new`].
    pub fn empty(hold: f64) -> Self {
        Self {
            core: Arc::new(FairMutex::new(Core::new(hold))),
            transmit: Slot::default(),
            random: Slot::default(),
            sockets: Mutex::default(),
        }
    }

    /// Do something with the core.  While another thread holds it, other Python threads may run.
    ///
    /// Raises `RuntimeError` after a panic; the core has then forgotten everything.
    pub fn with<T: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut Core) -> T + Send) -> PyResult<T> {
        let done = match self.core.try_lock() {
            Some(mut core) => guarded(&mut core, work),
            None => py.detach(|| guarded(&mut self.core.lock(), work)),
        };
        done.map_err(|panicked| PyRuntimeError::new_err(format!("the data plane failed: {}", panicked.0)))
    }

    /// Make the identifiers of our checks from this source of random numbers.
    pub fn seed_checks(&self, random: &Bound<'_, PyAny>) -> PyResult<()> {
        let draw = || random.call_method1("randrange", (0, 1u128 << 64))?.extract::<u64>();
        let secret = [draw()?, draw()?].map(u64::to_be_bytes).concat();
        self.with(random.py(), |core| core.set_check_secret(&secret))
    }

    fn held(slot: &Slot, py: Python<'_>) -> Option<Py<PyAny>> {
        slot.lock().ok()?.as_ref().map(|object| object.clone_ref(py))
    }

    /// Send a datagram through `transmit`.  Gives the reason if it could not be sent.
    fn transmit(&self, py: Python<'_>, path: Path, datagram: &[u8]) -> PyResult<Option<DropReason>> {
        match Self::held(&self.transmit, py) {
            Some(transmit) => transmit.bind(py).call1((path, PyBytes::new(py, datagram)))?.extract(),
            None => Ok(Some(DropReason::SendFailed)),
        }
    }

    fn open_sockets(&self) -> Option<Arc<Sockets>> {
        self.sockets.lock().ok().and_then(|sockets| sockets.clone())
    }

    /// Send a datagram that belongs to no consumer, and count it.
    fn send_now(&self, py: Python<'_>, path: Path, datagram: &[u8]) -> PyResult<()> {
        let refused = match self.open_sockets() {
            Some(sockets) => sockets.send(path, datagram, datagram.len()).err(),
            None => self.transmit(py, path, datagram)?,
        };
        self.with(py, |core| match refused {
            Some(reason) => core.count_drop(reason),
            None => core.count_sent(datagram.len()),
        })
    }

    /// Send everything that is due at `now`, in seconds.
    pub fn drain(&self, py: Python<'_>, now: f64) -> PyResult<()> {
        for transmit in self.with(py, |core| core.drain(now))? {
            let refused = self.transmit(py, transmit.path, &transmit.datagram)?;
            self.with(py, |core| core.record_outcome(&transmit, refused))?;
        }
        Ok(())
    }
}

#[pymethods]
impl DataPlane {
    /// A plane without a thread never stands still.
    fn stalled_for(&self) -> f64 {
        0.0
    }

    /// A plane without a thread is never busy.
    fn busy_seconds(&self) -> f64 {
        0.0
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for slot in [&self.transmit, &self.random] {
            if let Ok(held) = slot.try_lock() {
                visit.call(&*held)?;
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        for slot in [&self.transmit, &self.random] {
            if let Ok(mut held) = slot.lock() {
                *held = None;
            }
        }
    }

    fn add_transport(&self, py: Python<'_>, transport: Id) -> PyResult<()> {
        Ok(self.with(py, |core| core.add_transport(transport))??)
    }

    fn set_keys(&self, py: Python<'_>, transport: Id, keys: SrtpKeys) -> PyResult<()> {
        let SrtpKeys { profile, receive, send } = keys;
        Ok(self.with(py, |core| core.set_keys(transport, profile, &receive, &send))??)
    }

    fn set_round_trip(&self, py: Python<'_>, transport: Id, round_trip: f64) -> PyResult<()> {
        Ok(self.with(py, |core| core.set_round_trip(transport, round_trip))??)
    }

    fn set_credentials(&self, py: Python<'_>, transport: Id, username_fragment: &str, password: &str) -> PyResult<()> {
        Ok(self.with(py, |core| core.set_credentials(transport, username_fragment, password))??)
    }

    fn set_client_credentials(
        &self,
        py: Python<'_>,
        transport: Id,
        credentials: Option<(String, String)>,
    ) -> PyResult<()> {
        let client = credentials.as_ref().map(|(username, password)| (username.as_str(), password.as_str()));
        Ok(self.with(py, |core| core.set_client_credentials(transport, client))??)
    }

    fn set_rtcp_source(&self, py: Python<'_>, ssrc: u32, cname: &str) -> PyResult<()> {
        self.with(py, |core| core.set_rtcp_source(ssrc, cname))
    }

    fn set_media_limits(&self, py: Python<'_>, packets_per_second: f64, bits_per_second: f64) -> PyResult<()> {
        self.with(py, |core| core.set_media_limits(packets_per_second, bits_per_second))
    }

    fn start_reports(&self, py: Python<'_>, transport: Id, first_at: f64, interval: f64) -> PyResult<()> {
        Ok(self.with(py, |core| core.start_reports(transport, first_at, interval))??)
    }

    fn remove_transport(&self, py: Python<'_>, transport: Id) -> PyResult<()> {
        self.with(py, |core| core.remove_transport(transport))
    }

    fn add_producer(
        &self,
        py: Python<'_>,
        transport: Id,
        producer: Id,
        spec: &Bound<'_, ProducerSpec>,
    ) -> PyResult<()> {
        let spec = spec.get().clone();
        Ok(self.with(py, |core| core.add_producer(transport, producer, spec))??)
    }

    fn remove_producer(&self, py: Python<'_>, producer: Id) -> PyResult<()> {
        self.with(py, |core| core.remove_producer(producer))
    }

    fn set_producer_paused(&self, py: Python<'_>, producer: Id, paused: bool) -> PyResult<()> {
        Ok(self.with(py, |core| core.set_producer_paused(producer, paused))??)
    }

    fn set_producer_muted(&self, py: Python<'_>, producer: Id, muted: bool) -> PyResult<()> {
        Ok(self.with(py, |core| core.set_producer_muted(producer, muted))??)
    }

    fn voice_levels(&self, py: Python<'_>, producers: Vec<Id>) -> PyResult<Vec<(u64, f64)>> {
        self.with(py, |core| core.voice_levels(&producers))
    }

    fn watch(&self, py: Python<'_>, transport: Id, heard_at: f64, silent_after: f64, lost_after: f64) -> PyResult<()> {
        Ok(self.with(py, |core| core.watch(transport, heard_at, silent_after, lost_after))??)
    }

    fn heard_at(&self, py: Python<'_>, transport: Id) -> PyResult<Option<f64>> {
        Ok(self.with(py, |core| core.heard_at(transport, false))??)
    }

    fn media_heard_at(&self, py: Python<'_>, transport: Id) -> PyResult<Option<f64>> {
        Ok(self.with(py, |core| core.heard_at(transport, true))??)
    }

    #[pyo3(signature = (
        transport, consumer, producer, consumer_format, ssrc, mid = None, *, encoding = 0, temporal = None, spatial = None,
        paused = true, rtx_ssrc = None
    ))]
    #[allow(clippy::too_many_arguments)]
    fn add_consumer(
        &self,
        py: Python<'_>,
        transport: Id,
        consumer: Id,
        producer: Id,
        consumer_format: &Bound<'_, ConsumerFormat>,
        ssrc: u32,
        mid: Option<&str>,
        encoding: Option<usize>,
        temporal: Option<u8>,
        spatial: Option<u8>,
        paused: bool,
        rtx_ssrc: Option<u32>,
    ) -> PyResult<()> {
        let format = consumer_format.get();
        let spec = ConsumerSpec { format, ssrc, rtx_ssrc, mid, encoding, temporal, spatial, paused };
        let random = Self::held(&self.random, py).ok_or_else(|| PyRuntimeError::new_err("the plane was not made"))?;
        let first_sequence: u16 = random.bind(py).call_method1("randrange", (1, 0x8000))?.extract()?;
        Ok(self.with(py, |core| core.add_consumer(transport, consumer, producer, &spec, first_sequence))??)
    }

    fn remove_consumer(&self, py: Python<'_>, consumer: Id) -> PyResult<()> {
        self.with(py, |core| core.remove_consumer(consumer))
    }

    fn set_consumer_paused(&self, py: Python<'_>, consumer: Id, paused: bool) -> PyResult<()> {
        Ok(self.with(py, |core| core.set_consumer_paused(consumer, paused))??)
    }

    #[pyo3(signature = (consumer, encoding, temporal, spatial = None))]
    fn set_layers(
        &self,
        py: Python<'_>,
        consumer: Id,
        encoding: Option<usize>,
        temporal: Option<u8>,
        spatial: Option<u8>,
    ) -> PyResult<()> {
        Ok(self.with(py, |core| core.set_layers(consumer, encoding, temporal, spatial))??)
    }

    fn aim_bandwidth(
        &self,
        py: Python<'_>,
        transport: Id,
        used: f64,
        next_rate: Option<f64>,
        wanted: f64,
    ) -> PyResult<()> {
        Ok(self.with(py, |core| core.aim_bandwidth(transport, used, next_rate, wanted))??)
    }

    fn bandwidth_stats(&self, py: Python<'_>, transport: Id) -> PyResult<Option<BandwidthStats>> {
        Ok(self.with(py, |core| core.bandwidth_stats(transport))??)
    }

    fn send(&self, py: Python<'_>, path: Path, datagram: &[u8]) -> PyResult<()> {
        self.send_now(py, path, datagram)
    }

    #[pyo3(signature = (producer, encoding, *, full_intra))]
    fn request_key_frame(&self, py: Python<'_>, producer: Id, encoding: usize, full_intra: bool) -> PyResult<()> {
        match self.with(py, |core| core.request_key_frame(producer, encoding, full_intra))?? {
            Some((path, datagram)) => self.send_now(py, path, &datagram),
            None => Ok(()),
        }
    }

    /// Gives the label of the reason if the connection did not become a stream.
    #[allow(unsafe_code)]
    fn adopt_stream(&self, py: Python<'_>, descriptor: RawFd, frame: &[u8]) -> PyResult<Option<&'static str>> {
        let Some(sockets) = self.open_sockets() else { return Ok(Some("unknown_username")) };
        let owner = match self.with(py, |core| core.recognise_untrusted(frame.get(2..).unwrap_or_default()))? {
            Ok(owner) => owner,
            Err(reason) => return Ok(Some(reason.label())),
        };
        if descriptor < 0 {
            return Ok(Some("gone"));
        }
        // SAFETY: the interface asks for a descriptor that stays open during the call.
        let connection = unsafe { BorrowedFd::borrow_raw(descriptor) };
        Ok(match sockets.streams().adopt(connection, owner, frame) {
            Ok(()) => None,
            Err(NotAdopted::TooMany) => Some("too_many_of_transport"),
            Err(NotAdopted::Failed(_)) => Some("gone"),
        })
    }

    /// The number of streams, and the bytes that wait in them.
    fn stream_counts(&self) -> (usize, usize) {
        self.open_sockets().map_or((0, 0), |sockets| sockets.streams().counts())
    }

    fn count_drop(&self, py: Python<'_>, reason: DropReason) -> PyResult<()> {
        self.with(py, |core| core.count_drop(reason))
    }

    fn transport_stats(&self, py: Python<'_>, transports: Vec<Id>) -> PyResult<Vec<Option<TransportStats>>> {
        self.with(py, |core| core.transport_stats(&transports))
    }

    fn producer_stats(&self, py: Python<'_>, producer: Id) -> PyResult<ProducerStats> {
        Ok(self.with(py, |core| core.producer_stats(producer))??)
    }

    fn consumer_stats(&self, py: Python<'_>, consumer: Id) -> PyResult<ConsumerStats> {
        Ok(self.with(py, |core| core.consumer_stats(consumer))??)
    }

    fn totals(&self, py: Python<'_>) -> PyResult<PlaneTotals> {
        self.with(py, |core| core.totals())
    }
}
