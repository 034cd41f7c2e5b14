//! The core under a program's own network: datagrams go in and out through Python.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::convert;
use super::plane::Plane;

/// `transmit(path, datagram)` sends at once, or says why not; `random` draws first sequence numbers.
#[pyclass(extends = Plane, subclass, frozen, module = "sfu._dataplane")]
pub struct DataPlaneCore;

#[pymethods]
impl DataPlaneCore {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(Plane::empty(0.0)).add_subclass(Self)
    }

    fn __init__(slf: &Bound<'_, Self>, transmit: Py<PyAny>, random: Py<PyAny>) {
        let plane = slf.as_super().get();
        for (slot, object) in [(&plane.transmit, transmit), (&plane.random, random)] {
            if let Ok(mut held) = slot.lock() {
                *held = Some(object);
            }
        }
    }

    /// Work off one datagram, `now` in seconds; what comes of it goes to `transmit` before this returns.
    fn receive(slf: &Bound<'_, Self>, datagram: &[u8], path: &Bound<'_, PyAny>, now: f64) -> PyResult<()> {
        let (py, plane, path) = (slf.py(), slf.as_super().get(), convert::path(path)?);
        let mut datagram = datagram.to_vec();
        plane.with(py, |core| core.receive(&mut datagram, path, now))?;
        plane.drain(py, now)
    }

    /// When [`DataPlaneCore::handle_timer`] has something to do next, in seconds.
    fn get_timer(slf: &Bound<'_, Self>) -> PyResult<Option<f64>> {
        slf.as_super().get().with(slf.py(), |core| core.next_due())
    }

    /// Time has passed: it is `now`, in seconds.
    fn handle_timer(slf: &Bound<'_, Self>, now: f64) -> PyResult<()> {
        let (py, plane) = (slf.py(), slf.as_super().get());
        plane.with(py, |core| core.pass_time(now))?;
        plane.drain(py, now)
    }

    /// What came of the datagrams since the last call: changes first, then what the slow path has to read.
    fn take_events<'py>(slf: &Bound<'py, Self>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let (py, plane) = (slf.py(), slf.as_super().get());
        let events = plane.with(py, |core| core.take_events(usize::MAX))?;
        events.into_iter().map(|event| convert::event(py, event)).collect()
    }

    /// Nothing leaves any more.
    fn close(slf: &Bound<'_, Self>) {
        if let Ok(mut transmit) = slf.as_super().get().transmit.lock() {
            *transmit = None;
        }
    }
}
