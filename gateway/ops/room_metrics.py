"""The metrics of the load, as ``gateway.ops.room`` measured it last."""

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.ops.room import Gate, Room


class RoomMetrics(Collector):
    """Reads the newest loads, and whether there is room for newcomers."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def collect(self) -> Iterable[Metric]:
        loop, planes = self._room.loop, self._room.planes
        yield GaugeMetricFamily(
            "sfu_loop_load", "Part of its time for which the event loop is busy.", _of(loop, "load")
        )
        yield GaugeMetricFamily(
            "sfu_loop_delay_seconds",
            "Seconds by which the event loop runs its tasks late, in the mean.",
            _of(loop, "delay"),
        )
        for name, measure, meaning in (
            ("sfu_plane_load", "load", "Part of the time for which the thread of a plane is busy."),
            ("sfu_plane_receive_loss", "loss", "Part of a plane's datagrams that its receive buffers lose."),
        ):
            family = GaugeMetricFamily(name, meaning, labels=["plane"])
            for number, plane in enumerate(planes):
                family.add_metric([str(number)], _of(plane, measure))
            yield family
        full = GaugeMetricFamily("sfu_full", "1 where no newcomers are taken, else 0.", labels=["at"])
        for gate in (loop, *planes):
            full.add_metric([gate.name], gate.is_closed)
        yield full


def _of(gate: Gate, measure: str) -> float:
    return gate.measured.get(measure, 0.0)
