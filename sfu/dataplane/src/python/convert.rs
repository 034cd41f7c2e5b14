//! Conversions of the few values whose Python form is not the Rust struct itself.

use std::net::{IpAddr, SocketAddr};

use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{IntoPyDict, PyDict, PyMapping, PyString, PyType};

use crate::core::{DropCounts, DropReason, NumberMap, Path, Profile, Refused, Why};

impl From<Refused> for PyErr {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unknown(id) => PyKeyError::new_err(id),
            Refused::Invalid(why) => PyValueError::new_err(why),
        }
    }
}

/// From a tuple of host, port and local.  Raises `ValueError` if the host is no numeric address.
impl<'py> FromPyObject<'_, 'py> for Path {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
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
}

/// To a `Path` of `sfu/dataplane/interface.py`: a named tuple, since Python hashes and unpacks paths.
impl<'py> IntoPyObject<'py> for Path {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let class = CLASS.import(py, "sfu.dataplane.interface", "Path")?;
        let host = match self.remote {
            SocketAddr::V6(remote) if remote.scope_id() != 0 => format!("{}%{}", remote.ip(), remote.scope_id()),
            _ => self.remote.ip().to_string(),
        };
        class.call1((host, self.remote.port(), self.local))
    }
}

/// From a `DropReason` of `sfu/dataplane/interface.py`, which is its label.
impl<'py> FromPyObject<'_, 'py> for DropReason {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let label: &str = given.extract()?;
        let known = DropReason::ALL.iter().copied().find(|reason| reason.label() == label);
        known.ok_or_else(|| PyValueError::new_err(format!("no such reason: {label}")))
    }
}

const CROSSINGS: [(Why, &str); 4] =
    [(Why::BelowUsed, "below_used"), (Why::NextProven, "next_proven"), (Why::Blind, "blind"), (Why::Heard, "heard")];

/// From a `Crossing` of `sfu/dataplane/interface.py`, which is its label.
impl<'py> FromPyObject<'_, 'py> for Why {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let label: &str = given.extract()?;
        let known = CROSSINGS.iter().find(|(_, known)| *known == label).map(|(why, _)| *why);
        known.ok_or_else(|| PyValueError::new_err(format!("no such crossing: {label}")))
    }
}

/// To its label, which a `Crossing` of Python equals.
impl<'py> IntoPyObject<'py> for &Why {
    type Target = PyString;
    type Output = Bound<'py, PyString>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        let label = CROSSINGS.iter().find(|(why, _)| why == self).map_or("", |(_, label)| label);
        Ok(PyString::new(py, label))
    }
}

/// To its label.
impl<'py> IntoPyObject<'py> for Why {
    type Target = PyString;
    type Output = Bound<'py, PyString>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        (&self).into_pyobject(py)
    }
}

/// To a dict from labels to counts.  A `DropReason` of Python finds its count there, as it equals its label.
impl<'py> IntoPyObject<'py> for &DropCounts {
    type Target = PyDict;
    type Output = Bound<'py, PyDict>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.iter().map(|(reason, count)| (reason.label(), count)).into_py_dict(py)
    }
}

impl<'py> FromPyObject<'_, 'py> for DropCounts {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let mut counts = Self::default();
        for (reason, count) in given.cast::<PyMapping>()?.items()?.extract::<Vec<(DropReason, u64)>>()? {
            counts.set(reason, count);
        }
        Ok(counts)
    }
}

impl<'py> IntoPyObject<'py> for &NumberMap {
    type Target = PyDict;
    type Output = Bound<'py, PyDict>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.0.iter().copied().into_py_dict(py)
    }
}

impl<'py> FromPyObject<'_, 'py> for NumberMap {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        given.cast::<PyMapping>()?.items()?.extract().map(Self)
    }
}

/// The `SrtpKeys` of `sfu/wire/srtp.py`.
#[derive(FromPyObject)]
pub struct SrtpKeys {
    /// The protection profile.
    pub profile: Profile,
    /// Master key and salt of the packets that the client sends.
    pub receive: Vec<u8>,
    /// Master key and salt of the packets that it receives.
    pub send: Vec<u8>,
}

/// From an `SrtpProfile` of `sfu/wire/srtp.py`, by its name.
impl<'py> FromPyObject<'_, 'py> for Profile {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let name: String = given.getattr("name")?.extract()?;
        match name.as_str() {
            "AEAD_AES_128_GCM" => Ok(Self::AeadAes128Gcm),
            "AEAD_AES_256_GCM" => Ok(Self::AeadAes256Gcm),
            "AES128_CM_SHA1_80" => Ok(Self::Aes128CmSha1_80),
            _ => Err(PyValueError::new_err(format!("no such profile: {name}"))),
        }
    }
}
