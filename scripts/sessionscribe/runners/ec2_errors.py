"""Errors of AWS in one line each: which of them a retry may solve, and what to do about the others."""

from __future__ import annotations

from typing import Any

from sessionscribe.runners.errors import DisconnectedError, UnusableError

RETRY = {
    "InsufficientInstanceCapacity InsufficientHostCapacity": (
        "AWS has no capacity for such an instance there now; try later, or in another zone"
    ),
    "InsufficientReservedInstanceCapacity": "the reservation has no capacity for such an instance now",
    "IncorrectInstanceState IncorrectState": "the instance was changing its state",
    "RequestLimitExceeded": "too many requests to AWS",
    "InternalError InternalFailure": "an error inside AWS",
    "ServiceUnavailable Unavailable": "AWS is not available",
}
"""Errors that a retry may solve: codes, and what is wrong."""
SERVER_ERROR = 500
"""From this HTTP status on, the error may not be about the request, which may have been carried out."""
UNKNOWN = "is not an instance in"
LOG_IN = "Make `aws sts get-caller-identity` work first: `aws configure`, AWS_PROFILE, or `aws sso login`"
FINAL = {
    "AuthFailure InvalidClientTokenId SignatureDoesNotMatch ExpiredToken ExpiredTokenException "
    "RequestExpired MissingAuthenticationToken OptInRequired": (
        "AWS refuses the credentials ({code})",
        LOG_IN,
    ),
    "UnauthorizedOperation AccessDenied AccessDeniedException": (
        "these credentials do not allow {operation}",
        "Allow `{service}:{operation}` (docs/runners/ec2.md lists all permissions)",
    ),
    "InvalidInstanceID.NotFound InvalidInstanceID.Malformed": (
        f"{UNKNOWN} {{region}}",
        "Check the id, or put its region before it: ec2:eu-west-1/i-…",
    ),
    "VcpuLimitExceeded InstanceLimitExceeded MaxSpotInstanceCountExceeded": (
        "is more than this account may run at once ({code})",
        "Ask AWS for a higher quota of running instances of this family (Service Quotas, EC2)",
    ),
}
"""Other errors: codes, what is wrong, and what to do."""
OTHERS = ("AWS refuses {operation} ({code}: {message})", "See the documentation of AWS")


def translate(
    error: Exception, name: str, service: str, region: str
) -> DisconnectedError | UnusableError | None:
    """Return an error of botocore as one of ours; None for any other error.

    Args:
        error: the error.
        name: the runner's name.
        service: the service of AWS that was called.
        region: the instance's region; "" if it is not known.
    """
    from botocore import exceptions, parsers  # noqa: PLC0415

    no_answer = exceptions.HTTPClientError | exceptions.ConnectionError | parsers.ResponseParserError
    if isinstance(error, no_answer):  # no network, or another server in between
        return DisconnectedError(f"{name}: AWS does not answer ({_shortened(str(error))})")
    if isinstance(error, exceptions.NoRegionError):
        hint = "Put one before the instance, as in ec2:eu-west-1/…, or set AWS_REGION"
        return UnusableError("has no region", where=name, hint=hint)
    if isinstance(error, exceptions.BotoCoreError):  # credentials, in one of a dozen ways
        return UnusableError(f"AWS cannot be used ({_shortened(str(error))})", where=name, hint=LOG_IN)
    return _refusal(error, name, service, region) if isinstance(error, exceptions.ClientError) else None


def _refusal(error: Any, name: str, service: str, region: str) -> DisconnectedError | UnusableError:
    details = error.response.get("Error", {})
    code, message = details.get("Code", ""), _shortened(details.get("Message", ""))
    if reason := next((reason for codes, reason in RETRY.items() if code in codes.split()), ""):
        return DisconnectedError(f"{name}: {reason} ({code})")
    if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= SERVER_ERROR:
        return DisconnectedError(f"{name}: AWS does not answer ({code}: {message})")
    texts = next((texts for codes, texts in FINAL.items() if code in codes.split()), OTHERS)
    details = {"code": code, "message": message, "operation": error.operation_name}
    what, hint = (text.format(**details, service=service, region=region) for text in texts)
    return UnusableError(what, where=name, hint=hint)


def _shortened(text: str) -> str:
    """Return an error's text on one line, without what AWS encodes for administrators."""
    return " ".join(text.partition("Encoded authorization")[0].split())[:200]
