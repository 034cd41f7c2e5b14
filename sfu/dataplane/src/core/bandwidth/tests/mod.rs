//! Calls over emulated paths, under virtual time.

mod allocator;
mod call;
mod cubic;
mod hostile;
mod path;
mod receiver;
mod scenarios;
