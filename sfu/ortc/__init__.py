"""Matching what clients say about their media with what the router can do, after the manner of ORTC.

Three steps: a producer's parameters become a plan in the router's numbers (:func:`accept_producer`); a receiver's
capabilities are looked through once (:func:`validate_capabilities`); plan and capabilities give a consumer's
parameters (:func:`plan_consumer`), and these what the data plane needs (:func:`consumer_format`).

All of it is pure: no state, no clock, no randomness.
"""

from sfu.ortc.consumer import MAX_MID_CHARACTERS, PROBATOR_SSRC, can_consume, consumer_format, plan_consumer
from sfu.ortc.producer import ProducerPlan, accept_producer
from sfu.ortc.validation import MAX_CODECS, MAX_ENCODINGS, MAX_HEADER_EXTENSIONS, validate_capabilities

__all__ = [
    "MAX_CODECS",
    "MAX_ENCODINGS",
    "MAX_HEADER_EXTENSIONS",
    "MAX_MID_CHARACTERS",
    "PROBATOR_SSRC",
    "ProducerPlan",
    "accept_producer",
    "can_consume",
    "consumer_format",
    "plan_consumer",
    "validate_capabilities",
]
