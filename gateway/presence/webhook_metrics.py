"""The metrics of the webhooks, by the number of the receiver in ``webhook_urls``."""

from collections.abc import Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.presence.webhooks import Receiver

_LABELS = ("receiver",)


class WebhookMetrics(Collector):
    """Reads how far each receiver is."""

    def __init__(self, receivers: Iterable[Receiver]) -> None:
        self._receivers: Sequence[Receiver] = tuple(receivers)

    def collect(self) -> Iterable[Metric]:
        waiting = GaugeMetricFamily("sfu_webhooks_waiting", "Changes that wait for a receiver.", labels=_LABELS)
        failing = GaugeMetricFamily("sfu_webhooks_failing", "1 if a receiver does not answer, else 0.", labels=_LABELS)
        delivered = CounterMetricFamily("sfu_webhooks_delivered", "Requests that a receiver took.", labels=_LABELS)
        failures = CounterMetricFamily("sfu_webhook_failures", "Attempts that failed.", labels=_LABELS)
        dropped = CounterMetricFamily(
            "sfu_webhooks_dropped", "Changes of which the receiver gets only the list after them.", labels=_LABELS
        )
        for number, receiver in enumerate(self._receivers, 1):
            label, figures = [str(number)], receiver.figures
            waiting.add_metric(label, receiver.waiting)
            failing.add_metric(label, figures.failing_since is not None)
            delivered.add_metric(label, figures.delivered)
            failures.add_metric(label, figures.failures)
            dropped.add_metric(label, figures.dropped)
        yield from (waiting, failing, delivered, failures, dropped)
