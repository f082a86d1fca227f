"""An alarm at AWS that stops an instance which does nothing.

For when nobody else can: as when this side vanishes, with its network, while the instance boots.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

PERIOD_S, PERIODS = 300, 6
BUSY_CORES = 0.2
"""With less than that, an instance does nothing; one that works keeps at least one core busy."""


class Alarm:
    """The alarm of one instance; it is there only while the instance is on for us.

    Args:
        session: botocore's, with the user's credentials.
        region: where the instance is.
        instance: its id.
    """

    def __init__(self, session: Any, region: str, instance: str) -> None:
        self._session, self._region, self._instance = session, region, instance
        self._name = f"sessionscribe-{instance}"
        self._maybe_there = True

    def set(self, cores: int) -> str:
        """Set it for an instance with so many (virtual) cores; return what went wrong, or ""."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        partition = self._session.get_partition_for_region(self._region)
        self._maybe_there = True
        try:
            self._client().put_metric_alarm(
                AlarmName=self._name,
                AlarmDescription="Stops an instance that sessionscribe started, if nobody else does",
                Namespace="AWS/EC2",
                MetricName="CPUUtilization",
                Dimensions=[{"Name": "InstanceId", "Value": self._instance}],
                Statistic="Average",
                Period=PERIOD_S,
                EvaluationPeriods=PERIODS,
                Threshold=100 * BUSY_CORES / cores,
                ComparisonOperator="LessThanThreshold",
                TreatMissingData="notBreaching",
                AlarmActions=[f"arn:{partition}:automate:{self._region}:ec2:stop"],
            )
        except (BotoCoreError, ClientError) as error:
            self._maybe_there = False
            idle = f"after {PERIOD_S * PERIODS // 60} idle minutes"
            return f"AWS would not set an alarm that stops it {idle} if all else fails ({error})"
        return ""

    def remove(self) -> None:
        """Remove it, if it is there; one that stays can only stop an instance that does nothing."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        if self._maybe_there:
            with suppress(BotoCoreError, ClientError):
                self._client().delete_alarms(AlarmNames=[self._name])
            self._maybe_there = False

    def _client(self) -> Any:
        return self._session.create_client("cloudwatch", region_name=self._region)
