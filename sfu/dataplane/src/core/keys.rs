//! Short keys for the objects in the engine's tables.  A key is dead once its object is gone, and never used again.

use slotmap::new_key_type;

new_key_type! {
    /// Key of a transport.
    pub struct TransportKey;
    /// Key of a producer.
    pub struct ProducerKey;
    /// Key of a consumer.
    pub struct ConsumerKey;
    /// Key of an extension rewriter within its producer.
    pub struct RewriterKey;
}

/// One encoding of one producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodingKey {
    /// The producer.
    pub producer: ProducerKey,
    /// The place of the encoding among its producer's.
    pub index: usize,
}
