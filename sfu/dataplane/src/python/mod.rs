//! The Python face: the extension module `sfu._dataplane`, as `sfu/_dataplane.pyi` describes it.

mod classes;
mod convert;
mod memory;
mod plane;
mod threaded;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

#[pyfunction]
fn self_test() -> PyResult<()> {
    crate::self_test::self_test().map_err(PyRuntimeError::new_err)
}

/// The packet path, opened for Python.
#[pymodule]
#[pyo3(name = "_dataplane")]
mod module {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::memory::DataPlaneCore;
    #[pymodule_export]
    use super::plane::DataPlane;
    #[pymodule_export]
    use super::self_test;
    #[pymodule_export]
    use super::threaded::ThreadedPlane;
    #[pymodule_export]
    use crate::core::{
        BandwidthStats, ConsumerFormat, ConsumerStats, EncodingSpec, EncodingStats, Event, PlaneTotals, ProducerSpec,
        ProducerStats, ReceptionReport, TransportStats,
    };

    #[pymodule_export]
    const MAX_EVENTS: usize = crate::core::MAX_EVENTS;
    #[pymodule_export]
    const MAX_SOURCES: usize = crate::core::MAX_SOURCES;
    #[pymodule_export]
    const ENCODING_IDLE: f64 = crate::core::IDLE_AFTER;

    #[pymodule_init]
    fn add_events(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let event = module.py().get_type::<Event>();
        super::classes::EVENTS.iter().try_for_each(|name| module.add(*name, event.getattr(*name)?))
    }
}
