//! Objects by the caller's identifier, and by a short key that is dead once the object is gone.

use std::collections::HashMap;
use std::ops::{Index, IndexMut};

use slotmap::{Key, SlotMap};

use crate::core::interface::spec::{Id, Refused};

/// All transports, producers or consumers of a core.
///
/// Each object has memory of its own.  One block for all of them would be up to twice as large as they need, and leave
/// holes in the heap whenever it grows.
#[derive(Debug)]
pub struct Table<K: Key, T> {
    slots: SlotMap<K, Box<T>>,
    keys: HashMap<Id, K>,
}

impl<K: Key, T> Default for Table<K, T> {
    fn default() -> Self {
        Self { slots: SlotMap::with_key(), keys: HashMap::new() }
    }
}

impl<K: Key, T> Table<K, T> {
    /// The key of the object with this identifier.
    pub fn key(&self, id: Id) -> Result<K, Refused> {
        self.keys.get(&id).copied().ok_or(Refused::Unknown(id))
    }

    /// Whether an object has this identifier.
    pub fn contains(&self, id: Id) -> bool {
        self.keys.contains_key(&id)
    }

    /// Add an object under an identifier that is free.
    pub fn insert(&mut self, id: Id, object: T) -> K {
        let key = self.slots.insert(Box::new(object));
        self.keys.insert(id, key);
        key
    }

    /// Take out the object with this identifier.  Its key is dead from now on.
    pub fn remove(&mut self, id: Id) -> Option<T> {
        self.slots.remove(self.keys.remove(&id)?).map(|object| *object)
    }

    /// The object, unless it was removed.
    pub fn get(&self, key: K) -> Option<&T> {
        self.slots.get(key).map(|object| &**object)
    }

    /// The object, unless it was removed.
    pub fn get_mut(&mut self, key: K) -> Option<&mut T> {
        self.slots.get_mut(key).map(|object| &mut **object)
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Every object, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.values_mut().map(|object| &mut **object)
    }

    /// Every object, in no particular order.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.slots.values().map(|object| &**object)
    }
}

/// For a key whose object is known to be there; panics otherwise.
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
