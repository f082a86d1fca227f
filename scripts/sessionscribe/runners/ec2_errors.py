"""What AWS refuses, in one line: whether another try may go better, or what to do."""

from __future__ import annotations

from sessionscribe.runners.errors import DisconnectedError, UnusableError

NO_ROOM = "AWS has no capacity for such an instance there now; try later, or in another zone"
BUSY = {
    "InsufficientInstanceCapacity": NO_ROOM,
    "InsufficientHostCapacity": NO_ROOM,
    "InsufficientReservedInstanceCapacity": "the reservation has no capacity for such an instance now",
    "IncorrectInstanceState": "it was changing its state",
    "IncorrectState": "it was changing its state",
    "RequestLimitExceeded": "too many requests to AWS",
    "InternalError": "an error inside AWS",
    "InternalFailure": "an error inside AWS",
    "ServiceUnavailable": "AWS is not available",
    "Unavailable": "AWS is not available",
}
"""Error codes after which another try may go better."""
SERVER_ERRORS = 500
"""HTTP statuses from here on say nothing of the request."""
CREDENTIALS = (
    "AuthFailure",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "MissingAuthenticationToken",
    "OptInRequired",
)
PERMISSION = ("UnauthorizedOperation", "AccessDenied", "AccessDeniedException")
NONE_THERE = ("InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed")
LIMITS = ("VcpuLimitExceeded", "InstanceLimitExceeded", "MaxSpotInstanceCountExceeded")
LOG_IN = "Make `aws sts get-caller-identity` work first: `aws configure`, AWS_PROFILE, or `aws sso login`"


def named(error: Exception, name: str, region: str) -> DisconnectedError | UnusableError | None:
    """Return an error of botocore as one of ours; None for any other error.

    Args:
        error: what was raised.
        name: the runner's.
        region: the instance's; "" where none is known.
    """
    from botocore import exceptions, parsers  # noqa: PLC0415

    if isinstance(error, exceptions.ClientError):
        about = error.response.get("Error", {})
        code, message = about.get("Code", ""), about.get("Message", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status >= SERVER_ERRORS and code not in BUSY:  # it may have done what was asked all the same
            return DisconnectedError(f"{name}: AWS does not answer ({code}: {_short(message)})")
        return _refused(code, message, error.operation_name, name, region)
    if isinstance(error, exceptions.NoRegionError):
        hint = "Put it before the instance, as ec2:eu-west-1/…, or set AWS_REGION"
        return UnusableError("has no known region", where=name, hint=hint)
    no_answer = exceptions.HTTPClientError | exceptions.ConnectionError | parsers.ResponseParserError
    if isinstance(error, no_answer):  # no network, or not AWS at its end
        return DisconnectedError(f"{name}: AWS does not answer ({_short(str(error))})")
    if isinstance(error, exceptions.BotoCoreError):  # the credentials, in one of a dozen ways
        return UnusableError(f"AWS cannot be used ({_short(str(error))})", where=name, hint=LOG_IN)
    return None


def _refused(
    code: str, message: str, operation: str, name: str, region: str
) -> DisconnectedError | UnusableError:
    if why := BUSY.get(code):
        return DisconnectedError(f"{name}: {why} ({code})")
    if code in CREDENTIALS:
        return UnusableError(f"AWS refuses the credentials ({code})", where=name, hint=LOG_IN)
    if code in PERMISSION:
        hint = f"Allow it `ec2:{operation}` (docs/runners/ec2.md lists all that is needed)"
        return UnusableError(f"these credentials do not allow {operation}", where=name, hint=hint)
    if code in NONE_THERE:
        hint = "Look at the id, and put the region before it, as ec2:eu-west-1/i-…"
        return UnusableError(f"is not an instance in {region}", where=name, hint=hint)
    if code in LIMITS:
        hint = "Ask AWS for a higher quota of running instances of this family (Service Quotas, EC2)"
        return UnusableError(f"is more than this account may run at once ({code})", where=name, hint=hint)
    return UnusableError(
        f"AWS refuses {operation} ({code}: {_short(message)})", where=name, hint="See the docs of AWS"
    )


def _short(text: str) -> str:
    """Return an error's text on one line, without what AWS encodes for administrators."""
    return " ".join(text.partition("Encoded authorization")[0].split())[:200]
