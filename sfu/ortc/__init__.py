"""Matches the media parameters of clients with the capabilities of the router, in the manner of ORTC.

:func:`accept_producer` turns a producer's parameters into a plan with the router's numbers.  :func:`plan_consumer`
turns this plan and a receiver's capabilities into a plan for consumers.  Each consumer gets its parameters from that
plan.  A :class:`Receiver` keeps its plans, so that equal streams share one.  Nothing here has a clock, randomness, or
other state.
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
