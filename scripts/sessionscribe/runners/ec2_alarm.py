"""An alarm at AWS that stops an instance which does nothing.

For when nobody else can: as when this side vanishes, with its network, while the instance boots. It is there
only while the instance is on for us; one that is left can only stop an instance that does nothing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

PERIOD_S, PERIODS = 300, 6
BUSY_CORES = 0.2
"""With less than that, an instance does nothing; one that works keeps at least one core busy."""


def set_alarm(session: Any, region: str, instance: str, cores: int) -> str:
    """Set the alarm of an instance with so many (virtual) cores; return what went wrong, or ""."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    partition = session.get_partition_for_region(region)
    try:
        session.create_client("cloudwatch", region_name=region).put_metric_alarm(
            AlarmName=_name(instance),
            AlarmDescription="Stops an instance that sessionscribe started, if nobody else does",
            Namespace="AWS/EC2",
            MetricName="CPUUtilization",
            Dimensions=[{"Name": "InstanceId", "Value": instance}],
            Statistic="Average",
            Period=PERIOD_S,
            EvaluationPeriods=PERIODS,
            Threshold=100 * BUSY_CORES / cores,
            ComparisonOperator="LessThanThreshold",
            TreatMissingData="notBreaching",
            AlarmActions=[f"arn:{partition}:automate:{region}:ec2:stop"],
        )
    except (BotoCoreError, ClientError) as error:
        idle = f"after {PERIOD_S * PERIODS // 60} idle minutes"
        return f"AWS would not set an alarm that stops it {idle} if all else fails ({error})"
    return ""


def remove_alarm(session: Any, region: str, instance: str) -> None:
    """Remove the alarm of an instance, if it is there."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    with suppress(BotoCoreError, ClientError):
        session.create_client("cloudwatch", region_name=region).delete_alarms(AlarmNames=[_name(instance)])


def _name(instance: str) -> str:
    return f"sessionscribe-{instance}"
