"""A cloud, and a machine in it that is off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import aws
import sshd
from aws import Box, Cloud


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Return Amazon's cloud, as moto plays it."""
    with aws.cloud(tmp_path_factory.mktemp("aws")) as cloud:
        yield cloud


@pytest.fixture
def box(cloud: Cloud, tmp_path: Path) -> Iterator[Box]:
    """Return an instance with the name `gpu`, which is off; when it is on, it is a real sshd."""
    with sshd.prepared(tmp_path / "host", "gpu") as host:
        made = Box(cloud, host, cloud.instance("gpu"))
        yield made
        made.end()
        cloud.client().terminate_instances(InstanceIds=[made.id])
