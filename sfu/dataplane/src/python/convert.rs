//! Between the classes of `sfu/dataplane/interface.py` and the core's.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyMapping};

use crate::core::{ConsumerSpec, ConsumerStats, DropReason, EncodingSpec, EncodingStats, Event, Path, ProducerSpec};
use crate::core::{ProducerStats, Profile, ReceptionReport, Refused, Totals};

/// A class of the interface module.
fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    static INTERFACE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let interface = INTERFACE.get_or_try_init(py, || py.import("sfu.dataplane.interface").map(Bound::unbind))?;
    interface.bind(py).getattr(name)
}

impl From<Refused> for PyErr {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unknown(id) => PyKeyError::new_err(id),
            Refused::Invalid(why) => PyValueError::new_err(why),
        }
    }
}

/// A `Path`.  Raises `ValueError` where its host is no numeric address.
pub fn path(given: &Bound<'_, PyAny>) -> PyResult<Path> {
    let (host, port, local): (String, u16, u32) = given.extract()?;
    let (address, scope) =
        host.split_once('%').map_or((host.as_str(), None), |(address, scope)| (address, Some(scope)));
    let bad = || PyValueError::new_err(format!("not a numeric address: {host}"));
    let mut remote = SocketAddr::new(address.parse::<IpAddr>().map_err(|_| bad())?, port);
    if let (SocketAddr::V6(remote), Some(scope)) = (&mut remote, scope) {
        remote.set_scope_id(scope.parse().map_err(|_| bad())?);
    }
    Ok(Path { remote, local })
}

fn host(remote: SocketAddr) -> String {
    match remote {
        SocketAddr::V6(remote) if remote.scope_id() != 0 => scoped(remote),
        _ => remote.ip().to_string(),
    }
}

fn scoped(remote: SocketAddrV6) -> String {
    format!("{}%{}", remote.ip(), remote.scope_id())
}

fn path_object<'py>(py: Python<'py>, path: Path) -> PyResult<Bound<'py, PyAny>> {
    class(py, "Path")?.call1((host(path.remote), path.remote.port(), path.local))
}

/// A path as `transmit` wants it.
pub fn transmitted<'py>(
    py: Python<'py>,
    path: Path,
    datagram: &[u8],
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyBytes>)> {
    Ok((path_object(py, path)?, PyBytes::new(py, datagram)))
}

/// A `DropReason`, or `None`.
pub fn reason(given: &Bound<'_, PyAny>) -> PyResult<Option<DropReason>> {
    let Some(label) = given.extract::<Option<String>>()? else { return Ok(None) };
    let known = DropReason::ALL.iter().copied().find(|reason| reason.label() == label);
    known.map(Some).ok_or_else(|| PyValueError::new_err(format!("no such reason: {label}")))
}

/// The profile of `SrtpKeys`, and the keys of each direction.
pub fn keys(given: &Bound<'_, PyAny>) -> PyResult<(Profile, Vec<u8>, Vec<u8>)> {
    let name: String = given.getattr("profile")?.getattr("name")?.extract()?;
    let profile = match name.as_str() {
        "AEAD_AES_128_GCM" => Profile::AeadAes128Gcm,
        "AEAD_AES_256_GCM" => Profile::AeadAes256Gcm,
        "AES128_CM_SHA1_80" => Profile::Aes128CmSha1_80,
        _ => return Err(PyValueError::new_err(format!("no such profile: {name}"))),
    };
    Ok((profile, given.getattr("receive")?.extract()?, given.getattr("send")?.extract()?))
}

fn pairs(given: &Bound<'_, PyAny>) -> PyResult<Vec<(u8, u8)>> {
    given.cast::<PyMapping>()?.items()?.extract()
}

fn numbers(given: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    given.try_iter()?.map(|number| number?.extract()).collect()
}

/// A `ProducerSpec`.
pub fn producer_spec(given: &Bound<'_, PyAny>) -> PyResult<ProducerSpec> {
    let encoding = |one: PyResult<Bound<'_, PyAny>>| {
        let one = one?;
        Ok(EncodingSpec { ssrc: one.getattr("ssrc")?.extract()?, rid: one.getattr("rid")?.extract()? })
    };
    Ok(ProducerSpec {
        codec: given.getattr("codec")?.extract()?,
        video: given.getattr("kind")?.extract::<String>()? == "video",
        clock_rate: given.getattr("clock_rate")?.extract()?,
        payload_types: pairs(&given.getattr("payload_types")?)?,
        encodings: given.getattr("encodings")?.try_iter()?.map(encoding).collect::<PyResult<_>>()?,
        extension_ids: pairs(&given.getattr("extension_ids")?)?,
        red_payload_types: numbers(&given.getattr("red_payload_types")?)?,
        mid: given.getattr("mid")?.extract()?,
        mid_id: given.getattr("mid_id")?.extract()?,
        rid_id: given.getattr("rid_id")?.extract()?,
        audio_level_id: given.getattr("audio_level_id")?.extract()?,
        cname: given.getattr("cname")?.extract()?,
        paused: given.getattr("paused")?.extract()?,
    })
}

/// A `ConsumerSpec`.
pub fn consumer_spec(given: &Bound<'_, PyAny>) -> PyResult<ConsumerSpec> {
    Ok(ConsumerSpec {
        ssrc: given.getattr("ssrc")?.extract()?,
        payload_types: numbers(&given.getattr("payload_types")?)?,
        extension_ids: numbers(&given.getattr("extension_ids")?)?,
        mid: given.getattr("mid")?.extract()?,
        mid_id: given.getattr("mid_id")?.extract()?,
        encoding: given.getattr("encoding")?.extract()?,
        temporal: given.getattr("temporal")?.extract()?,
        report_interval: given.getattr("report_interval")?.extract()?,
        paused: given.getattr("paused")?.extract()?,
    })
}

/// An `Event`.
pub fn event<'py>(py: Python<'py>, event: Event) -> PyResult<Bound<'py, PyAny>> {
    match event {
        Event::SlowDatagram { path, transport, data } => {
            class(py, "SlowDatagram")?.call1((path_object(py, path)?, transport, PyBytes::new(py, &data)))
        }
        Event::RtcpArrived { transport, packet, at, .. } => {
            class(py, "RtcpArrived")?.call1((transport, PyBytes::new(py, &packet), at))
        }
        Event::EncodingLearned { producer, encoding, ssrc } => {
            class(py, "EncodingLearned")?.call1((producer, encoding, ssrc))
        }
        Event::FellSilent { transport, last_at } => class(py, "FellSilent")?.call1((transport, last_at)),
        Event::ConsentExpired { transport, last_at } => class(py, "ConsentExpired")?.call1((transport, last_at)),
        Event::CameBack { transport } => class(py, "CameBack")?.call1((transport,)),
        Event::EncodingFlows { producer, encoding } => class(py, "EncodingFlows")?.call1((producer, encoding)),
        Event::PlaneFailed { why } => class(py, "PlaneFailed")?.call1((why,)),
        Event::LayersChanged { consumer, encoding, temporal } => {
            class(py, "LayersChanged")?.call1((consumer, encoding, temporal))
        }
    }
}

/// A `ConsumerStats`.
pub fn consumer_stats<'py>(py: Python<'py>, stats: &ConsumerStats) -> PyResult<Bound<'py, PyAny>> {
    class(py, "ConsumerStats")?.call1((
        stats.packets,
        stats.bytes,
        stats.octets,
        stats.encoding,
        stats.temporal,
        stats.timestamp_offset,
        stats.last_timestamp,
        stats.last_at,
        stats.reception_report.map(|report| reception_report(py, &report)).transpose()?,
    ))
}

/// A `ReceptionReport`.
fn reception_report<'py>(py: Python<'py>, of: &ReceptionReport) -> PyResult<Bound<'py, PyAny>> {
    class(py, "ReceptionReport")?.call1((of.fraction_lost, of.lost, of.jitter, of.round_trip))
}

/// A `ProducerStats`.
pub fn producer_stats<'py>(py: Python<'py>, stats: &ProducerStats) -> PyResult<Bound<'py, PyAny>> {
    let encodings = stats.encodings.iter().map(|stats| encoding_stats(py, stats)).collect::<PyResult<Vec<_>>>()?;
    let encodings = pyo3::types::PyTuple::new(py, encodings)?;
    class(py, "ProducerStats")?.call1((encodings, stats.voice_packets, stats.voice_amplitude))
}

fn encoding_stats<'py>(py: Python<'py>, stats: &EncodingStats) -> PyResult<Bound<'py, PyAny>> {
    class(py, "EncodingStats")?.call1((
        stats.ssrc,
        stats.packets,
        stats.bytes,
        stats.highest_sequence,
        stats.expected,
        stats.lost,
        stats.jitter,
        stats.key_frames,
        stats.last_timestamp,
        stats.last_at,
    ))
}

/// A `PlaneTotals`.
pub fn totals<'py>(py: Python<'py>, totals: &Totals) -> PyResult<Bound<'py, PyAny>> {
    let reason = class(py, "DropReason")?;
    let drops = PyDict::new(py);
    for (drop, count) in totals.drops.iter() {
        drops.set_item(reason.call1((drop.label(),))?, count)?;
    }
    class(py, "PlaneTotals")?.call1((
        totals.packets_in,
        totals.bytes_in,
        totals.packets_out,
        totals.bytes_out,
        drops,
        totals.transports,
        totals.producers,
        totals.routes,
        totals.paths,
    ))
}
