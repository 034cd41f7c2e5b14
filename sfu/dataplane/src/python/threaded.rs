//! The core in its thread: Python gives commands and reads events.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::plane::DataPlane;
use crate::core::{Event, PlaneTotals};
use crate::shell::{HOLD, Shell, Sockets};

/// Moves packets between UDP sockets in a thread of its own.
#[pyclass(extends = DataPlane, subclass, frozen, module = "sfu._dataplane")]
#[derive(Default)]
pub struct ThreadedPlane {
    shell: Mutex<Option<Shell>>,
}

#[pymethods]
impl ThreadedPlane {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(DataPlane::empty(HOLD)).add_subclass(Self::default())
    }

    /// Take over bound UDP sockets, by their descriptors; it is `now` on the caller's clock, in seconds.
    fn __init__(slf: &Bound<'_, Self>, descriptors: Vec<RawFd>, random: Py<PyAny>, now: f64) -> PyResult<()> {
        let plane = slf.as_super().get();
        let sockets = Arc::new(Sockets::new(descriptors.into_iter().map(owned).collect())?);
        let shell = Shell::start(Arc::clone(&plane.core), Arc::clone(&sockets), now)?;
        *lock(&plane.random)? = Some(random);
        *lock(&plane.sockets)? = Some(sockets);
        *lock(&slf.get().shell)? = Some(shell);
        Ok(())
    }

    /// From now on `Path.local` of this index is this bound UDP socket, or none; does nothing once closed.
    ///
    /// A socket that was there closes when the thread has let go of it, which is after its batch.
    fn set_socket(slf: &Bound<'_, Self>, index: usize, descriptor: Option<RawFd>) -> PyResult<()> {
        let (this, plane) = (slf.get(), slf.as_super().get());
        let descriptor = descriptor.map(owned);
        let (shell, mut sockets) = (lock(&this.shell)?, lock(&plane.sockets)?);
        if let (Some(shell), Some(sockets)) = (shell.as_ref(), sockets.as_mut()) {
            *sockets = Arc::new(sockets.with(index, descriptor)?);
            shell.replace_sockets(Arc::clone(sockets));
        }
        Ok(())
    }

    /// Readable while there are events; -1 once closed.
    fn fileno(&self) -> PyResult<RawFd> {
        Ok(lock(&self.shell)?.as_ref().map_or(-1, Shell::descriptor))
    }

    fn take_events(&self, py: Python<'_>, limit: usize) -> PyResult<Vec<Event>> {
        let events = py.detach(|| Ok::<_, PyErr>(lock(&self.shell)?.as_ref().map(|shell| shell.take_events(limit))))?;
        Ok(events.unwrap_or_default())
    }

    /// Python takes events later than the thread counts them, so count a datagram when it is handed up.
    fn totals(slf: &Bound<'_, Self>) -> PyResult<PlaneTotals> {
        slf.as_super().get().with(slf.py(), |core| core.totals_handed_up())
    }

    /// End the thread and close the sockets.  Nothing leaves any more; calling it twice does nothing.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (this, plane) = (slf.get(), slf.as_super().get());
        let shell = lock(&this.shell)?.take();
        slf.py().detach(|| drop(shell));
        *lock(&plane.sockets)? = None;
        Ok(())
    }
}

/// A descriptor that its owner gave up.
#[allow(unsafe_code)]
fn owned(descriptor: RawFd) -> OwnedFd {
    // SAFETY: the interface asks for descriptors that nobody else closes; `socket.detach` gives such.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

fn lock<T>(mutex: &Mutex<T>) -> PyResult<std::sync::MutexGuard<'_, T>> {
    mutex.lock().map_err(|_| PyRuntimeError::new_err("an earlier call to this plane panicked"))
}
