//! Things by the caller's identifier, and by a short key that is dead once the thing is gone.

use std::collections::HashMap;
use std::ops::{Index, IndexMut};

use slotmap::{Key, SlotMap, new_key_type};

use crate::core::interface::spec::{Id, Refused};

new_key_type! {
    /// Of a transport.
    pub struct TransportKey;
    /// Of a producer.
    pub struct ProducerKey;
    /// Of a consumer.
    pub struct ConsumerKey;
}

/// Transports, producers or consumers.
#[derive(Debug)]
pub struct Table<K: Key, T> {
    slots: SlotMap<K, T>,
    keys: HashMap<Id, K>,
}

impl<K: Key, T> Default for Table<K, T> {
    fn default() -> Self {
        Self { slots: SlotMap::with_key(), keys: HashMap::new() }
    }
}

impl<K: Key, T> Table<K, T> {
    /// The key of the one with this identifier.
    pub fn key(&self, id: Id) -> Result<K, Refused> {
        self.keys.get(&id).copied().ok_or(Refused::Unknown(id))
    }

    pub fn contains(&self, id: Id) -> bool {
        self.keys.contains_key(&id)
    }

    /// Add one under an identifier that is free.
    pub fn insert(&mut self, id: Id, thing: T) -> K {
        let key = self.slots.insert(thing);
        self.keys.insert(id, key);
        key
    }

    pub fn remove(&mut self, id: Id) -> Option<T> {
        self.slots.remove(self.keys.remove(&id)?)
    }

    pub fn get(&self, key: K) -> Option<&T> {
        self.slots.get(key)
    }

    pub fn get_mut(&mut self, key: K) -> Option<&mut T> {
        self.slots.get_mut(key)
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.slots.values()
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.values_mut()
    }
}

impl<K: Key, T> Index<K> for Table<K, T> {
    type Output = T;

    fn index(&self, key: K) -> &T {
        &self.slots[key]
    }
}

impl<K: Key, T> IndexMut<K> for Table<K, T> {
    fn index_mut(&mut self, key: K) -> &mut T {
        &mut self.slots[key]
    }
}
