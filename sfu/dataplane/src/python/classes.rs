//! Constructors and representations of the classes that Rust and Python share.
//!
//! The classes themselves are the structs under `src/core/interface`.

use std::collections::BTreeSet;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::core::{
    BandwidthStats, ConsumerFormat, ConsumerStats, EncodingSpec, EncodingStats, Event, NumberMap, PlaneTotals,
    ProducerSpec, ProducerStats, ReceptionReport, TransportStats,
};

/// The names of the events' classes.  The module offers each class under its name too, beside `Event`.
pub const EVENTS: &[&str] = &[
    "DtlsArrived",
    "PathSelected",
    "KeyFrameRequested",
    "EncodingLearned",
    "EncodingFlows",
    "LayersChanged",
    "RepairFailed",
    "FellSilent",
    "ConsentExpired",
    "CameBack",
    "LimitsExceeded",
    "BandwidthCrossed",
    "PlaneFailed",
];

#[pymethods]
impl EncodingSpec {
    #[new]
    #[pyo3(signature = (ssrc = None, rid = None, rtx_ssrc = None))]
    fn new(ssrc: Option<u32>, rid: Option<String>, rtx_ssrc: Option<u32>) -> Self {
        Self { ssrc, rid, rtx_ssrc }
    }

    fn __repr__(&self) -> String {
        format!("{self:?}")
    }
}

#[pymethods]
impl ProducerSpec {
    #[new]
    #[pyo3(signature = (
        *, kind, codec, clock_rate, payload_types, encodings, extension_ids = NumberMap::default(),
        red_payload_types = BTreeSet::new(), rtx_payload_types = NumberMap::default(), nack = false, mid = None,
        mid_id = None, rid_id = None, repaired_rid_id = None, audio_level_id = None, wide_id = None, descriptor_id = None,
        cname = String::new(), paused = false,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        kind: &str,
        codec: String,
        clock_rate: u32,
        payload_types: NumberMap,
        encodings: Vec<EncodingSpec>,
        extension_ids: NumberMap,
        red_payload_types: BTreeSet<u8>,
        rtx_payload_types: NumberMap,
        nack: bool,
        mid: Option<String>,
        mid_id: Option<u8>,
        rid_id: Option<u8>,
        repaired_rid_id: Option<u8>,
        audio_level_id: Option<u8>,
        wide_id: Option<u8>,
        descriptor_id: Option<u8>,
        cname: String,
        paused: bool,
    ) -> PyResult<Self> {
        let video = match kind {
            "audio" => false,
            "video" => true,
            _ => return Err(PyValueError::new_err(format!("neither audio nor video: {kind}"))),
        };
        Ok(Self {
            codec,
            video,
            clock_rate,
            payload_types,
            encodings,
            extension_ids,
            red_payload_types,
            rtx_payload_types,
            nack,
            mid,
            mid_id,
            rid_id,
            repaired_rid_id,
            audio_level_id,
            wide_id,
            descriptor_id,
            cname,
            paused,
        })
    }

    #[getter]
    fn kind(&self) -> &'static str {
        if self.video { "video" } else { "audio" }
    }

    fn __repr__(&self) -> String {
        format!("{self:?}")
    }
}

#[pymethods]
impl ConsumerFormat {
    #[new]
    #[pyo3(signature = (
        payload_types, extension_ids = BTreeSet::new(), mid_id = None, report_interval = 1.0,
        rtx_payload_types = NumberMap::default(), red_payload_types = NumberMap::default(), wide_id = None,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        payload_types: BTreeSet<u8>,
        extension_ids: BTreeSet<u8>,
        mid_id: Option<u8>,
        report_interval: f64,
        rtx_payload_types: NumberMap,
        red_payload_types: NumberMap,
        wide_id: Option<u8>,
    ) -> Self {
        Self { payload_types, extension_ids, mid_id, report_interval, rtx_payload_types, red_payload_types, wide_id }
    }

    fn __repr__(&self) -> String {
        format!("{self:?}")
    }
}

#[pymethods]
impl Event {
    fn __repr__(&self) -> String {
        format!("{self:?}")
    }
}

#[pymethods]
impl EncodingStats {
    fn __repr__(&self) -> String {
        format!("{self:?}")
    }
}

#[pymethods]
impl ProducerStats {
    fn __repr__(&self) -> String {
        format!("{self:?}")
    }
}

#[pymethods]
impl ReceptionReport {
    fn __repr__(&self) -> String {
        format!("{self:?}")
    }
}

#[pymethods]
impl ConsumerStats {
    fn __repr__(&self) -> String {
        format!("{self:?}")
    }
}

#[pymethods]
impl TransportStats {
    fn __repr__(&self) -> String {
        format!("{self:?}")
    }
}

#[pymethods]
impl BandwidthStats {
    fn __repr__(&self) -> String {
        format!("{self:?}")
    }
}

#[pymethods]
impl PlaneTotals {
    fn __repr__(&self) -> String {
        format!("{self:?}")
    }
}
