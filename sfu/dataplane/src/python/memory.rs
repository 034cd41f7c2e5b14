//! The core under a program's own network: datagrams go in and out through Python.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::plane::DataPlane;
use crate::core::{Event, Path};

/// `transmit(path, datagram)` sends at once, or returns why not; `random` draws first sequence
/// numbers, and the secret of the checks.
#[pyclass(extends = DataPlane, subclass, frozen, module = "sfu._dataplane")]
pub struct DataPlaneCore;

#[pymethods]
impl DataPlaneCore {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(DataPlane::empty(0.0)).add_subclass(Self)
    }

    fn __init__(slf: &Bound<'_, Self>, transmit: Py<PyAny>, random: Py<PyAny>) -> PyResult<()> {
        let plane = slf.as_super().get();
        plane.seed_checks(random.bind(slf.py()))?;
        for (slot, object) in [(&plane.transmit, transmit), (&plane.random, random)] {
            if let Ok(mut held) = slot.lock() {
                *held = Some(object);
            }
        }
        Ok(())
    }

    fn receive(slf: &Bound<'_, Self>, datagram: &[u8], path: Path, now: f64) -> PyResult<()> {
        let (py, plane) = (slf.py(), slf.as_super().get());
        let mut datagram = datagram.to_vec();
        plane.with(py, |core| core.receive(&mut datagram, path, now))?;
        plane.drain(py, now)
    }

    fn get_timer(slf: &Bound<'_, Self>) -> PyResult<Option<f64>> {
        slf.as_super().get().with(slf.py(), |core| core.next_due())
    }

    fn handle_timer(slf: &Bound<'_, Self>, now: f64) -> PyResult<()> {
        let (py, plane) = (slf.py(), slf.as_super().get());
        plane.with(py, |core| core.pass_time(now))?;
        plane.drain(py, now)
    }

    fn take_events(slf: &Bound<'_, Self>) -> PyResult<Vec<Event>> {
        slf.as_super().get().with(slf.py(), |core| core.take_events(usize::MAX))
    }

    fn close(slf: &Bound<'_, Self>) {
        if let Ok(mut transmit) = slf.as_super().get().transmit.lock() {
            *transmit = None;
        }
    }
}
