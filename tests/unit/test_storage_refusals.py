"""What rclone's messages mean: those that no server on loopback gives are as the services word them."""

from __future__ import annotations

import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from remotes import KEY, SECRET, serving
from sessionscribe.storage.refusals import explain

SAID = [
    ("full", "googleapi: Error 403: The user's Drive storage quota has been exceeded., storageQuotaExceeded"),
    ("full", "Insufficient Storage: 507 Insufficient Storage"),
    (
        "limit",
        "googleapi: Error 403: User Rate Limit Exceeded. Rate of requests exceed, userRateLimitExceeded",
    ),
    (
        "limit",
        "operation error S3: PutObject, https response error StatusCode: 503, api error SlowDown: reduce",
    ),
    ("clock", "https response error StatusCode: 403, api error RequestTimeTooSkewed: The difference between"),
    (
        "credentials",
        "https response error StatusCode: 403, api error InvalidAccessKeyId: does not exist in our",
    ),
    (
        "credentials",
        'couldn\'t fetch token: invalid_grant: maybe token expired? - try "rclone config reconnect"',
    ),
    ("credentials", "couldn't connect SSH: ssh: handshake failed: ssh: unable to authenticate, no supported"),
    (
        "missing",
        "https response error StatusCode: 404, api error NoSuchBucket: The specified bucket does not",
    ),
    (
        "server",
        "https response error StatusCode: 500, RequestID: C9DC, api error InternalError: Internal Error",
    ),
    ("missing", "error in ListJSON: directory not found"),
    ("remote", 'Failed to create file system for "x:": didn\'t find section in config file ("x")'),
    ("remote", 'Failed to create file system for "x:": didn\'t find backend called "gdrive"'),
    ("remote", 'Failed to load config file "c": unable to decrypt configuration and not allowed to ask'),
    (
        "remote",
        "Failed to backend: drive: error opening service account credentials file: open a.json: "
        "no such file or directory",
    ),
    ("remote", "couldn't decrypt password: base64 decode failed when revealing - is it obscured?: illegal"),
    ("remote", "couldn't connect SSH: ssh: handshake failed: knownhosts: key mismatch"),
    ("limit", 'create file system for "far:rec": read metadata failed: 429 Too Many Requests'),
    ("server", "read metadata failed: Maintenance mode: 503 Service Unavailable"),
    ("server", "couldn't list directory: googleapi: Error 502: Bad Gateway, badGateway"),
    ("remote", 'Failed to load config file "c": could not parse line: [x'),
    ("remote", 'request send failed, Get "https://m": tls: failed to verify certificate: x509: unknown'),
    ("remote", "https response error StatusCode: 301, api error PermanentRedirect: The bucket you are"),
    ("remote", "StatusCode: 400, api error AuthorizationHeaderMalformed: the region 'us-east-1' is wrong"),
    ("credentials", "StatusCode: 400, api error ExpiredToken: The provided token has expired."),
    ("refused", 'failed to open source object: Object in GLACIER, restore first: bucket="b", key="k"'),
    ("unreachable", 'Get "http://127.0.0.1:1/bkt": dial tcp 127.0.0.1:1: connect: connection refused'),
    ("unreachable", "dial tcp: lookup s3.nowhere.example on 127.0.0.1:53: no such host"),
    ("unreachable", 'Get "https://drive.example/x": net/http: TLS handshake: unexpected EOF'),
    *(
        (reason, f"failed to open source object: open file failed: googleapi: Error {status}: {said}")
        for reason, status, said in (
            ("quota", 403, "The download quota for this file has been exceeded., downloadQuotaExceeded"),
            ("quota", 403, "Daily Limit Exceeded. The quota will be reset at midnight., dailyLimitExceeded"),
            ("quota", 403, "Quota exceeded for quota metric 'Queries', quotaExceeded"),
            ("refused", 403, "Only files with binary content can be downloaded., fileNotDownloadable"),
            ("refused", 403, "This file cannot be downloaded by the user., cannotDownloadFile"),
            ("refused", 403, "This file has been identified as malware, cannotDownloadAbusiveFile"),
            ("refused", 403, "The user does not have sufficient permissions, insufficientFilePermissions"),
            ("credentials", 403, "Request had insufficient authentication scopes., insufficientPermissions"),
            ("credentials", 403, "The user has not granted the app read access, appNotAuthorizedToFile"),
            ("credentials", 403, "Google Drive API has not been used in project 1, accessNotConfigured"),
            ("credentials", 403, "The domain administrators have disabled Drive apps., domainPolicy"),
            ("credentials", 401, "Invalid Credentials, authError"),
            ("remote", 404, "Shared drive not found: 0AX, notFound"),
            ("remote", 403, "must be a member, teamDriveMembershipRequired"),
            ("full", 403, "The file limit has been exceeded., teamDriveFileLimitExceeded"),
            ("full", 403, "limit of 500,000 items exceeded, numChildrenInNonRootLimitExceeded"),
            ("limit", 403, "Rate limit exceeded. Please try again later., sharingRateLimitExceeded"),
            ("missing", 404, "File not found: 1x., notFound"),
            ("server", 503, "Backend Error, backendError"),
        )
    ),
    ("refused", "Failed to copy: failed to open source object: can't read dangling shortcut"),
    ("damaged", "talk.wav: corrupted on transfer: md5 hashes differ src(S3 bucket rec) 8f vs dst(Local) 1c"),
]


@pytest.mark.parametrize(("reason", "message"), SAID)
def test_a_message_has_its_meaning(reason: str, message: str) -> None:
    found, what, hint = explain([message], "error")
    assert found == reason
    assert message not in what
    assert what
    assert hint


def test_what_is_not_known_is_passed_on() -> None:
    assert explain(["first", "the moon\nis full"], "error")[:2] == (
        "other",
        "rclone failed (the moon is full)",
    )
    assert explain([], "usage")[1] == "rclone failed (usage)"
    said = "S3: GetObject, https response error StatusCode: 400, HostID: , api error KMS.Disabled: off"
    assert explain([said], "error")[1] == "rclone failed (KMS.Disabled: off)"


def test_a_name_of_a_recording_is_no_reason() -> None:
    assert explain(["geofence EOFs.wav: quota.wav: strange"], "error")[0] == "other"


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_wrong_clock_is_named_as_such(hours: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asks a server with a signature of another time; rclone itself cannot be given another clock."""
    then = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=hours)
    monkeypatch.setattr(auth, "get_current_datetime", lambda *_, **__: then)
    (tmp_path / "rec").mkdir()
    with serving("s3", tmp_path) as server:
        request = AWSRequest("GET", f"http://127.0.0.1:{server.port}/rec?list-type=2")
        auth.S3SigV4Auth(Credentials(KEY, SECRET), "s3", "us-east-1").add_auth(request)
        signed = request.prepare()
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(signed.url, headers=dict(signed.headers)))
        said = ElementTree.fromstring(caught.value.read())
    message = (
        f"StatusCode: {caught.value.code}, api error {said.findtext('Code')}: {said.findtext('Message')}"
    )
    assert explain([message], "error")[0] == "clock"
