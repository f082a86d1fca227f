"""``ec2:INSTANCE``: an existing instance of AWS EC2, started when there is work and stopped afterwards.

INSTANCE is an id (``i-0123456789abcdef0``) or a tag ``Name``, after ``USER@`` and ``REGION/`` if needed. Only
botocore reads credentials, from the usual places (environment, ``~/.aws``, single sign-on).

The address changes with each start. It is passed to ssh as ``HostName`` of the host that the user wrote,
which can therefore have an entry in ``~/.ssh/config``. The host key is learnt at the first connection and
kept under the instance's id.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cached_property
from typing import Any, Literal

from sessionscribe.core.errors import UserError
from sessionscribe.runners.ec2_errors import UNKNOWN, translate
from sessionscribe.runners.errors import DisconnectedError, UnusableError
from sessionscribe.runners.machine import Address, Settings
from sessionscribe.runners.managed_machine import ManagedMachine, State

ARGUMENT = re.compile(
    r"(?:(?P<user>[\w.-]+)@)?(?:(?P<region>[a-z]{2,}(?:-[a-z]+)+-\d)/)?(?P<instance>\w[\w.-]*)", re.ASCII
)
ID = re.compile(r"i-[0-9a-f]{8,17}")
POWER_OFF = 'if [ "$(id -u)" = 0 ]; then shutdown -P now; else sudo -n shutdown -P now; fi'
HALT_S = 600.0
"""Time limit for a start and for a stop: instances with a GPU take minutes."""
PERIOD_S, PERIODS = 300, 6
BUSY_CORES = 0.2
"""An instance that uses less is idle; one that works uses at least one core."""
STATES: dict[str, State] = {"pending": "up", "running": "up", "stopped": "off", "terminated": "off"}
"""Instances in any other state are stopping."""
NAMED = ("pending", "running", "stopping", "stopped")
"""States in which an instance is found by name; its id may be used in all."""


class Instance(ManagedMachine):
    """An instance.

    Raises:
        UserError: ``argument`` cannot be an instance.
    """

    boot_s = halt_s = HALT_S

    def __init__(self, name: str, argument: str, settings: Settings) -> None:
        super().__init__(name, settings, settings.stops_itself or POWER_OFF)
        found = ARGUMENT.fullmatch(argument)
        if not found:
            hint = "Write `ec2:i-0123456789abcdef0` or `ec2:NAME`; before it USER@ or REGION/, or both"
            raise UserError("names no instance", where=name, hint=hint)
        self._user, self._region = f"{found['user']}@" if found["user"] else "", found["region"] or ""
        self._instance, self._id = found["instance"], ""
        self._clients: dict[str, Any] = {}

    @property
    def target(self) -> str:
        """The instance by region and id: its tag may change."""
        return f"ec2:{self._user}{self._region}/{self._id}"

    def look(self) -> tuple[State, Address | None]:
        """Ask AWS for the state and the present address, which is the public one if there is one."""
        instance = self._describe()
        reason = instance.get("StateReason", {}).get("Message", "")
        self.stop_reason = f" ({reason})" if reason else ""
        state = STATES.get(instance["State"]["Name"], "stopping")
        host = instance.get("PublicIpAddress") or instance.get("PrivateIpAddress")
        if state != "up" or not host:
            return state, None
        settings = (f"HostName={host}", f"HostKeyAlias={self._id}", "StrictHostKeyChecking=accept-new")
        options = [word for setting in settings for word in ("-o", setting)]
        return state, Address(
            f"{self._user}{self._instance}",
            (*options, *self._settings.ssh),
            machine_type=instance.get("InstanceType", ""),
        )

    def bring_up(self) -> None:
        """Start the instance, if it would only stop, not vanish, when it powers itself off."""
        instance = self._describe()
        try:
            self._check_shutdown_behaviour(instance)
            self._set_alarm(instance.get("CpuOptions", {}))
            self._call("start_instances", InstanceIds=[self._id])
        except UnusableError:
            self.not_started()
            raise

    def check(self) -> str:
        """Return the state and whether AWS would let us start and stop the instance."""
        self._check_shutdown_behaviour(self._describe())
        for operation in ("start_instances", "stop_instances"):
            try:
                self._call(operation, InstanceIds=[self._id], DryRun=True)
            except UnusableError as error:
                if "DryRunOperation" not in str(error):  # which is AWS's yes
                    raise
        return f"{self.state()}; we may start and stop it"

    def shut_down(self) -> None:
        """Stop the instance, whatever its state: AWS's answers may be some seconds old."""
        if self._describe()["State"]["Name"] != "terminated":
            self._call("stop_instances", InstanceIds=[self._id])

    def _set_alarm(self, cpu: dict[str, int]) -> None:
        """Have AWS stop the instance when it is idle, in case nobody else can.

        For example, if this computer loses its network while the instance boots.
        """
        cores = cpu.get("CoreCount", 2) * cpu.get("ThreadsPerCore", 2)
        partition = self._session.get_partition_for_region(self._region)
        try:
            self._call(
                "put_metric_alarm",
                "cloudwatch",
                AlarmName=f"sessionscribe-{self._id}",
                AlarmDescription="Stops an instance that sessionscribe started, if nobody else does",
                Namespace="AWS/EC2",
                MetricName="CPUUtilization",
                Dimensions=[{"Name": "InstanceId", "Value": self._id}],
                Statistic="Average",
                Period=PERIOD_S,
                EvaluationPeriods=PERIODS,
                Threshold=100 * BUSY_CORES / cores,
                ComparisonOperator="LessThanThreshold",
                TreatMissingData="notBreaching",
                AlarmActions=[f"arn:{partition}:automate:{self._region}:ec2:stop"],
            )
        except (DisconnectedError, UnusableError) as error:
            idle = f"after {PERIOD_S * PERIODS // 60} idle minutes"
            self._say(f"AWS would not set an alarm that stops it {idle} if all else fails ({error})")

    def _release(self, event: Literal["stopped", "refused"]) -> None:
        with suppress(DisconnectedError, UnusableError):  # one that stays can only stop an idle instance
            self._call("delete_alarms", "cloudwatch", AlarmNames=[f"sessionscribe-{self._id}"])
        super()._release(event)

    def _describe(self) -> dict[str, Any]:
        """Return what AWS says about the instance."""
        instance_id = self._id or (self._instance if ID.fullmatch(self._instance) else "")
        if instance_id:
            try:
                found = self._call("describe_instances", InstanceIds=[instance_id])
            except UnusableError as error:
                if not self._id or UNKNOWN not in str(error):
                    raise
                return {"InstanceId": self._id, "State": {"Name": "terminated"}}  # an hour ago or more
        else:
            names = {"Name": "tag:Name", "Values": [self._instance]}
            states = {"Name": "instance-state-name", "Values": list(NAMED)}
            found = self._call("describe_instances", Filters=[names, states])
        instances = [instance for group in found["Reservations"] for instance in group["Instances"]]
        if len(instances) != 1:
            where = f"in {self._region}"
            what = f"names {len(instances)} instances {where}" if instances else f"{UNKNOWN} {self._region}"
            hint = "Use its id (ec2:i-…), or put its region before it (ec2:eu-west-1/…)"
            raise UnusableError(what, where=self.name, hint=hint)
        self._id = instances[0]["InstanceId"]
        return instances[0]  # type: ignore[no-any-return]

    def _check_shutdown_behaviour(self, instance: dict[str, Any]) -> None:
        if instance["State"]["Name"] == "terminated":
            raise UnusableError("was terminated", where=self.name, hint="Name another instance")
        attribute = "instanceInitiatedShutdownBehavior"
        found = self._call("describe_instance_attribute", InstanceId=self._id, Attribute=attribute)
        if found["InstanceInitiatedShutdownBehavior"]["Value"] != "stop":
            change = f"aws ec2 modify-instance-attribute --instance-id {self._id}"
            raise UnusableError(
                "would be terminated, with its disk, when it powers itself off",
                where=self.name,
                hint=f"`{change} --instance-initiated-shutdown-behavior stop`",
            )

    @cached_property
    def _session(self) -> Any:
        # Imported here, since other runners do not need these.
        from botocore.config import Config  # noqa: PLC0415
        from botocore.session import Session  # noqa: PLC0415

        session = Session()
        limits = Config(connect_timeout=10, read_timeout=30, retries={"mode": "standard"})
        session.set_default_client_config(limits)
        return session

    def _call(self, operation: str, service: str = "ec2", **arguments: Any) -> dict[str, Any]:
        """Call AWS and return the answer.

        Raises:
            DisconnectedError, UnusableError: see ``ec2_errors``.
        """
        try:
            if service not in self._clients:
                client = self._session.create_client(service, region_name=self._region or None)
                self._clients[service], self._region = client, client.meta.region_name
            return getattr(self._clients[service], operation)(**arguments)  # type: ignore[no-any-return]
        except Exception as error:
            if known := translate(error, self.name, service, self._region):
                raise known from None
            raise
