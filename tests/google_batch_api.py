"""The part of Google Batch's API that creates, describes and deletes jobs, on loopback; they really run.

The unmodified client is led here as into any other of Google's clouds: by a universe domain, and the key of
a service account that belongs to it. It needs a version of protobuf that is not the set-up's, and so does
this server: a process of its own, `python google_batch_api.py FOLDER`, which says the client's environment,
serves until its input ends, and then says what each job asked for.
"""

from __future__ import annotations

import datetime
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from google.cloud import batch_v1

from containers import Container, Machine

SERVICE = "google.cloud.batch.v1.BatchService"


@dataclass
class Batch:
    """A region with one machine."""

    machine: Machine
    jobs: dict[str, Container] = field(default_factory=dict)
    seen: list[dict[str, Any]] = field(default_factory=list)

    def start(self, folder: Path) -> tuple[grpc.Server, dict[str, str]]:
        """Serve; return the server, and the environment that leads clients to it."""
        key, certificate = _certificate(folder)
        server = grpc.server(ThreadPoolExecutor(4))
        server.add_generic_rpc_handlers([self._handlers()])
        credentials = grpc.ssl_server_credentials([(key, certificate)])
        domain = f"localhost:{server.add_secure_port('127.0.0.1:0', credentials)}"
        server.start()
        account = {
            "type": "service_account",
            "project_id": "demo",
            "private_key_id": "1",
            "private_key": key.decode(),
            "client_email": "me@demo",
            "client_id": "1",
            "token_uri": "https://oauth2.invalid/token",
            "universe_domain": domain,
        }
        (folder / "account.json").write_text(json.dumps(account))
        return server, {
            "GOOGLE_APPLICATION_CREDENTIALS": str(folder / "account.json"),
            "GOOGLE_CLOUD_UNIVERSE_DOMAIN": domain,
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(folder / "certificate.pem"),
        }

    def _handlers(self) -> Any:
        def method(function: Any, request: Any, reply: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(
                lambda asked, _: function(asked),
                request_deserializer=request.deserialize,
                response_serializer=reply.serialize,
            )

        methods = {
            "CreateJob": method(self.create, batch_v1.CreateJobRequest, batch_v1.Job),
            "GetJob": method(self.get, batch_v1.GetJobRequest, batch_v1.Job),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    def create(self, asked: Any) -> Any:
        name = f"{asked.parent}/jobs/{asked.job_id}"
        task = asked.job.task_groups[0].task_spec
        (runnable,) = task.runnables
        command = [runnable.container.entrypoint, *runnable.container.commands]
        (instance,) = asked.job.allocation_policy.instances
        gpus = sum(accelerator.count for accelerator in instance.policy.accelerators)
        environment = dict(runnable.environment.variables)
        (volume,) = task.volumes
        self.seen.append(
            {
                "gpus": gpus,
                "machine": instance.policy.machine_type,
                "drivers": instance.install_gpu_drivers,
                "share": f"{volume.nfs.server}:{volume.nfs.remote_path}",
                "mounted": runnable.container.volumes[0],
                "seconds": task.max_run_duration.seconds,
            }
        )
        self.jobs[name] = self.machine.run(command, environment, gpus=gpus)
        return self._job(name)

    def get(self, asked: Any) -> Any:
        return self._job(asked.name)

    def _job(self, name: str) -> Any:
        code = self.jobs[name].code
        state = "RUNNING" if code is None else "FAILED" if code else "SUCCEEDED"
        status = batch_v1.JobStatus(state=batch_v1.JobStatus.State[state])
        return batch_v1.Job(name=name, uid=name.rpartition("/")[2], status=status)


def _certificate(folder: Path) -> tuple[bytes, bytes]:
    """Return key and certificate of the server; the certificate lies in the folder as well."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "batch.localhost")])
    names = [x509.DNSName("batch.localhost"), x509.DNSName("logging.localhost")]
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate = made.public_bytes(serialization.Encoding.PEM)
    (folder / "certificate.pem").write_bytes(certificate)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, certificate


def main(folder: Path) -> None:
    """Serve until the input ends."""
    machine = Machine(folder / "image")
    batch = Batch(machine)
    server, environment = batch.start(folder)
    print(json.dumps(environment), flush=True)
    sys.stdin.read()
    server.stop(None)
    for container in machine.running():
        machine.remove(container)
    print(json.dumps(batch.seen), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
