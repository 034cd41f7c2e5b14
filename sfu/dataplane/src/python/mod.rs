//! The Python face: `sfu._dataplane`, with the interface of `sfu/dataplane/interface.py`.

mod convert;
mod memory;
mod plane;
mod threaded;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// Carry a made-up call from one core to another, once; nothing leaves.  Raises `RuntimeError` where it does not arrive.
#[pyfunction]
fn self_test() -> PyResult<()> {
    crate::self_test::self_test().map_err(PyRuntimeError::new_err)
}

/// The packet path, opened for Python.
#[pymodule]
#[pyo3(name = "_dataplane")]
mod module {
    #[pymodule_export]
    use super::self_test;
    #[pymodule_export]
    const MAX_EVENTS: usize = crate::core::MAX_EVENTS;
    #[pymodule_export]
    const MAX_SOURCES: usize = crate::core::MAX_SOURCES;
    #[pymodule_export]
    const ENCODING_IDLE: f64 = crate::core::IDLE_AFTER;
    #[pymodule_export]
    use super::memory::DataPlaneCore;
    #[pymodule_export]
    use super::plane::Plane;
    #[pymodule_export]
    use super::threaded::ThreadedPlane;
}
