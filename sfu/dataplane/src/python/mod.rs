//! The Python face: `sfu._dataplane`, with the interface of `sfu/dataplane/interface.py`.

mod convert;
mod memory;
mod plane;
mod threaded;

use pyo3::prelude::*;

/// The packet path, opened for Python.
#[pymodule]
#[pyo3(name = "_dataplane")]
mod module {
    #[pymodule_export]
    const MAX_EVENTS: usize = crate::core::MAX_EVENTS;
    #[pymodule_export]
    const MAX_RTCP_SENDERS: usize = crate::core::MAX_RTCP_SENDERS;
    #[pymodule_export]
    use super::memory::DataPlaneCore;
    #[pymodule_export]
    use super::plane::Plane;
    #[pymodule_export]
    use super::threaded::ThreadedPlane;
}
