//! The core in a thread of its own: Python gives commands and takes events.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, OnceLock};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::plane::DataPlane;
use crate::core::{Event, PlaneTotals};
use crate::shell::{HOLD, Pulse, Shell, Sockets};

/// Moves packets between UDP sockets in a thread of its own.
#[pyclass(extends = DataPlane, subclass, frozen, module = "sfu._dataplane")]
#[derive(Default)]
pub struct ThreadedPlane {
    shell: Mutex<Option<Shell>>,
    /// Beside the shell, because a call that waits for the thread holds that one.
    pulse: OnceLock<Arc<Pulse>>,
}

#[pymethods]
impl ThreadedPlane {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(DataPlane::empty(HOLD)).add_subclass(Self::default())
    }

    fn __init__(slf: &Bound<'_, Self>, descriptors: Vec<RawFd>, random: Py<PyAny>, now: f64) -> PyResult<()> {
        let plane = slf.as_super().get();
        plane.seed_checks(random.bind(slf.py()))?;
        let sockets = Arc::new(Sockets::new(descriptors.into_iter().map(owned).collect())?);
        let shell = Shell::start(Arc::clone(&plane.core), Arc::clone(&sockets), now)?;
        let _ = slf.get().pulse.set(shell.pulse());
        *lock(&plane.random)? = Some(random);
        *lock(&plane.sockets)? = Some(sockets);
        *lock(&slf.get().shell)? = Some(shell);
        Ok(())
    }

    /// The thread may still use a socket that is replaced.  The socket closes when the thread lets go of its list.
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

    fn fileno(&self) -> PyResult<RawFd> {
        Ok(lock(&self.shell)?.as_ref().map_or(-1, Shell::descriptor))
    }

    fn stalled_for(&self) -> f64 {
        self.pulse.get().map_or(0.0, |pulse| pulse.stalled_for())
    }

    fn busy_seconds(&self) -> f64 {
        self.pulse.get().map_or(0.0, |pulse| pulse.busy_seconds())
    }

    fn take_events(&self, py: Python<'_>, limit: usize) -> PyResult<Vec<Event>> {
        let events = py.detach(|| Ok::<_, PyErr>(lock(&self.shell)?.as_ref().map(|shell| shell.take_events(limit))))?;
        Ok(events.unwrap_or_default())
    }

    /// A datagram for the slow path counts once Python has taken it.
    fn totals(slf: &Bound<'_, Self>) -> PyResult<PlaneTotals> {
        slf.as_super().get().with(slf.py(), |core| core.totals_handed_up())
    }

    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (this, plane) = (slf.get(), slf.as_super().get());
        let shell = lock(&this.shell)?.take();
        slf.py().detach(|| drop(shell));
        *lock(&plane.sockets)? = None;
        Ok(())
    }
}

/// Take over a descriptor that its owner gave up.
#[allow(unsafe_code)]
fn owned(descriptor: RawFd) -> OwnedFd {
    // SAFETY: the interface asks for descriptors that nobody else closes, as `socket.detach` gives them.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

fn lock<T>(mutex: &Mutex<T>) -> PyResult<std::sync::MutexGuard<'_, T>> {
    mutex.lock().map_err(|_| PyRuntimeError::new_err("an earlier call to this plane panicked"))
}
