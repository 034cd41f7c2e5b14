//! Voices: how loud they are, and muting those of which nothing is forwarded.

use crate::core::engine::Core;
use crate::core::interface::spec::{Id, Refused};

impl Core {
    /// For each of these producers, the packets with an audio level so far, and the sum of their linear amplitudes.
    ///
    /// Both are zero for a producer that does not exist.
    pub fn voice_levels(&self, producers: &[Id]) -> Vec<(u64, f64)> {
        let voice = |&producer: &Id| self.producers.key(producer).map(|key| self.producers[key].voice());
        producers.iter().map(|producer| voice(producer).unwrap_or_default()).collect()
    }

    /// Forward nothing of this producer, but go on reading its audio levels.
    ///
    /// Its consumers begin again without a gap.  That is not reported: nobody decided it for a single consumer.
    pub fn set_producer_muted(&mut self, producer: Id, muted: bool) -> Result<(), Refused> {
        let key = self.producers.key(producer)?;
        if std::mem::replace(&mut self.producers[key].muted, muted) == muted {
            return Ok(());
        }
        self.drop_stores(key);
        for consumer in self.producers[key].consumers.clone() {
            if muted {
                let reported = self.consumers[consumer].reported;
                self.stop(consumer);
                self.consumers[consumer].reported = reported;
            }
            self.retarget(consumer);
        }
        Ok(())
    }
}
