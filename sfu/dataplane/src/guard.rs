//! A panic in the core empties the core, and stops nothing else.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::core::Core;

/// The message of a panic.
#[derive(Debug, PartialEq, Eq)]
pub struct Panicked(pub String);

/// Do something with the core.  If that panics, the core forgets everything and tells the slow path.
pub fn guarded<T>(core: &mut Core, work: impl FnOnce(&mut Core) -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(|| work(core))).map_err(|panic| {
        let why = message_of(panic.as_ref());
        core.fail(why.clone());
        Panicked(why)
    })
}

/// The message that a panic was raised with.
pub fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{DropReason, Event};

    #[test]
    fn a_panic_empties_the_core_and_is_reported_and_the_core_goes_on() {
        let mut core = Core::new(0.0);
        core.add_transport(1).unwrap();
        core.count_drop(DropReason::Empty);
        let panicked = guarded(&mut core, |_| -> () { panic!("bug {}", 7) });
        assert_eq!(panicked, Err(Panicked("bug 7".into())));
        assert_eq!(core.totals().transports, 0);
        assert_eq!(core.totals().drops.iter().map(|(_, count)| count).sum::<u64>(), 1);
        assert_eq!(core.take_events(9), [Event::PlaneFailed { why: "bug 7".into() }]);
        assert_eq!(guarded(&mut core, |core| core.add_transport(1)), Ok(Ok(())));
    }
}
