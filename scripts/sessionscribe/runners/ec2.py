"""``ec2:INSTANCE``: an instance of AWS EC2 that is started when there is work and stopped when it is done.

INSTANCE is the id (``i-0123456789abcdef0``) or the tag ``Name`` of an instance that is there; before it may
stand ``USER@``, and ``REGION/`` where that is not the one of the user's AWS configuration. Who may do it is
AWS's usual business (environment, ``~/.aws``, single sign-on): nothing of that is read or written here.

ssh is told the instance's address of the moment, as the host that the user wrote, so the user's own ssh
configuration can have an entry for it. Its key is learnt at the first connection, and known by the id.

    python -m sessionscribe.runners.ec2 INSTANCE

stops it and fails until it is off: what remains to be done when the process that started it was killed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sessionscribe.core.errors import UserError
from sessionscribe.runners.ec2_errors import named
from sessionscribe.runners.errors import DisconnectedError, UnusableError
from sessionscribe.runners.machine import Address, Settings
from sessionscribe.runners.managed_machine import ManagedMachine

TARGET = re.compile(
    r"(?:(?P<user>[\w.-]+)@)?(?:(?P<region>[a-z]{2,}(?:-[a-z]+)+-\d)/)?(?P<instance>\w[\w.-]*)", re.ASCII
)
ID = re.compile(r"i-[0-9a-f]{8,17}")
POWER_OFF = 'if [ "$(id -u)" = 0 ]; then shutdown -P now; else sudo -n shutdown -P now; fi'
HALT_S = 600.0
"""How long an instance with a GPU may take to boot, or to stop."""
PERIOD_S, PERIODS = 300, 6
BUSY_CORES = 0.2
"""With less than that, an instance does nothing; one that works keeps at least one core busy."""
UP, OFF = ("pending", "running"), ("stopped", "terminated")
LIVING = ("pending", "running", "stopping", "stopped")


class Instance(ManagedMachine):
    """An instance.

    Args:
        name: what the user called it.
        argument: what names it there (see above).
        settings: how machines are used.

    Raises:
        UserError: the argument cannot be an instance.
    """

    boot_s = halt_s = HALT_S

    def __init__(self, name: str, argument: str, settings: Settings) -> None:
        super().__init__(name, settings, settings.stops_itself or POWER_OFF)
        found = TARGET.fullmatch(argument)
        if not found:
            hint = "Write `ec2:i-0123456789abcdef0` or `ec2:NAME`; before it USER@ or REGION/, or both"
            raise UserError("names no instance", where=name, hint=hint)
        self._user, self._region, self._instance = found["user"] or "", found["region"], found["instance"]
        self._ssh = settings.ssh
        self._session: Any = None
        self._ec2: Any = None
        self._id = ""

    def is_up(self) -> bool:
        """Ask for its state."""
        return self._ask()["State"]["Name"] in UP

    def is_off(self) -> bool:
        """Ask for its state: while it stops it is neither up nor off."""
        return self._ask()["State"]["Name"] in OFF

    def bring_up(self) -> None:
        """Start it, if it will only stop, not vanish, when it powers itself off."""
        about = self._ask()
        try:
            self._check_that_it_stops(about)
            counts = about.get("CpuOptions", {})
            cores = counts.get("CoreCount", 2) * counts.get("ThreadsPerCore", 2)
            if problem := self._set_alarm(cores):
                self._say(f"{self.name}: {problem}")
            with self._errors():
                self._ec2.start_instances(InstanceIds=[self._id])
        except UnusableError:  # this did not start it for certain; a try before may have
            if not self._ours_before:
                self._remove_alarm()
                self._disown()
            raise

    def rehearse(self) -> str:
        """Ask AWS whether we may start and stop it, and look whether it stops when it powers itself off."""
        self._check_that_it_stops(self._ask())
        for ask in (self._ec2.start_instances, self._ec2.stop_instances):
            try:
                with self._errors():
                    ask(InstanceIds=[self._id], DryRun=True)
            except UnusableError as error:
                if "DryRunOperation" not in str(error):  # which is how AWS says yes
                    raise
        return "we may start and stop it"

    def shut_down(self) -> None:
        """Stop it, whatever its state is said to be: what AWS says may be some seconds old."""
        if self._ask()["State"]["Name"] != "terminated":
            with self._errors():
                self._ec2.stop_instances(InstanceIds=[self._id])
        self._remove_alarm()

    def shut_down_command(self) -> Sequence[str]:
        """Return this module's own command."""
        region = self._ec2.meta.region_name
        return (sys.executable, "-m", "sessionscribe.runners.ec2", f"{region}/{self._id}")

    def address(self) -> Address | None:
        """Return its address of the moment: the public one, if it has one."""
        about = self._ask()
        if about["State"]["Name"] not in UP:
            if not self._was_up:
                return None
            reason = about.get("StateReason", {}).get("Message", "no reason given")
            raise DisconnectedError(f"{self.name} was started and stopped again ({reason})")
        host = about.get("PublicIpAddress") or about.get("PrivateIpAddress")
        if not host:
            return None
        settings = (f"HostName={host}", f"HostKeyAlias={self._id}", "StrictHostKeyChecking=accept-new")
        options = [word for setting in settings for word in ("-o", setting)]
        user = f"{self._user}@" if self._user else ""
        return Address(f"{user}{self._instance}", (*options, *self._ssh), sort=about.get("InstanceType", ""))

    def _set_alarm(self, cores: int) -> str:
        """Have AWS stop it if it does nothing; return what went wrong, or "".

        For when nobody else can: as when this side vanishes, with its network, while the instance boots.
        """
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        region = self._ec2.meta.region_name
        partition = self._session.get_partition_for_region(region)
        try:
            self._session.create_client("cloudwatch", region_name=region).put_metric_alarm(
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
                AlarmActions=[f"arn:{partition}:automate:{region}:ec2:stop"],
            )
        except (BotoCoreError, ClientError) as error:
            idle = f"after {PERIOD_S * PERIODS // 60} idle minutes"
            return f"AWS would not set an alarm that stops it {idle} if all else fails ({error})"
        return ""

    def _remove_alarm(self) -> None:
        """Remove that alarm, if it is there; one that stays can only stop an instance that does nothing."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        with suppress(BotoCoreError, ClientError):
            client = self._session.create_client("cloudwatch", region_name=self._ec2.meta.region_name)
            client.delete_alarms(AlarmNames=[f"sessionscribe-{self._id}"])

    def _ask(self) -> dict[str, Any]:
        """Return what AWS says of the instance."""
        with self._errors():
            if self._ec2 is None:
                self._connect()
            if self._id:
                found = self._ec2.describe_instances(InstanceIds=[self._id])
            elif ID.fullmatch(self._instance):
                found = self._ec2.describe_instances(InstanceIds=[self._instance])
            else:
                names = {"Name": "tag:Name", "Values": [self._instance]}
                states = {"Name": "instance-state-name", "Values": list(LIVING)}
                found = self._ec2.describe_instances(Filters=[names, states])
        instances = [one for group in found["Reservations"] for one in group["Instances"]]
        if len(instances) != 1:
            where = f"in {self._ec2.meta.region_name}"
            what = f"names {len(instances)} instances {where}" if instances else f"is not an instance {where}"
            hint = "Name one by its id, as ec2:i-…, or the region before it, as ec2:eu-west-1/…"
            raise UnusableError(what, where=self.name, hint=hint)
        self._id = instances[0]["InstanceId"]
        return instances[0]  # type: ignore[no-any-return]

    def _connect(self) -> None:
        # A run on other machines does not pay for these.
        from botocore.config import Config  # noqa: PLC0415
        from botocore.session import Session  # noqa: PLC0415

        patience = Config(connect_timeout=10, read_timeout=30, retries={"mode": "standard"})
        self._session = Session()
        self._session.set_default_client_config(patience)
        self._ec2 = self._session.create_client("ec2", region_name=self._region)

    def _check_that_it_stops(self, about: dict[str, Any]) -> None:
        if about["State"]["Name"] == "terminated":
            raise UnusableError("was terminated, and is gone for good", where=self.name, hint="Name another")
        if about.get("RootDeviceType") == "instance-store":
            hint = "Use an instance with an EBS root volume"
            raise UnusableError("cannot be stopped, only terminated", where=self.name, hint=hint)
        wanted = "instanceInitiatedShutdownBehavior"
        with self._errors():
            found = self._ec2.describe_instance_attribute(InstanceId=self._id, Attribute=wanted)
        if found[wanted[0].upper() + wanted[1:]]["Value"] != "stop":
            change = f"aws ec2 modify-instance-attribute --instance-id {self._id}"
            raise UnusableError(
                "would be terminated, with its disk, when it powers itself off",
                where=self.name,
                hint=f"`{change} --instance-initiated-shutdown-behavior stop`",
            )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            found = named(error, self.name, self._ec2.meta.region_name if self._ec2 else self._region or "")
            if found is None:
                raise
            raise found from None


def main(argument: str) -> int:
    """Stop an instance; return 0 if it is seen to be off."""
    instance = Instance(argument, argument, Settings(Path()))
    try:
        instance.shut_down()
        return int(not instance.is_off())
    except (DisconnectedError, UserError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
