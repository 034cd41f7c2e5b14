"""Matches the media parameters of clients with the capabilities of the router, after the manner of ORTC.

A producer's parameters become a plan in the router's numbers (:func:`accept_producer`).  This plan and a receiver's
capabilities become the plan of its consumers (:func:`plan_consumer`), from which each consumer gets its parameters.  A
:class:`Receiver` keeps its plans, so that equal streams share one.

No clock, no randomness, and no state but the kept plans.
"""

from sfu.ortc.consumer import (
    MAX_MID_CHARACTERS,
    MAX_PLANS,
    PROBATOR_SSRC,
    ConsumerPlan,
    Receiver,
    can_consume,
    plan_consumer,
)
from sfu.ortc.producer import ProducerPlan, accept_producer

__all__ = [
    "MAX_MID_CHARACTERS",
    "MAX_PLANS",
    "PROBATOR_SSRC",
    "ConsumerPlan",
    "ProducerPlan",
    "Receiver",
    "accept_producer",
    "can_consume",
    "plan_consumer",
]
