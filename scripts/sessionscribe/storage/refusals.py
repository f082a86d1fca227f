"""Explain rclone's messages in plain words."""

from __future__ import annotations

import re

from sessionscribe.core.errors import shortened

MEANINGS: dict[str, tuple[str, str, str]] = {
    r"unable to decrypt configuration|password command failed": (
        "remote",
        "rclone's configuration is encrypted, and the password is missing or wrong",
        "Set RCLONE_CONFIG_PASS or RCLONE_PASSWORD_COMMAND, then run again",
    ),
    r"Failed to load config file|didn't find backend|is it obscured|parse private key|"
    r"Failed to (?:backend|create file system).*no such file or directory": (
        "remote",
        "the configuration of this remote is wrong",
        "`rclone lsd REMOTE:` says why, and `rclone config` corrects it",
    ),
    r"knownhosts: ": (
        "remote",
        "the server's key is not the one in its `known_hosts_file`",
        "Check the key, then correct that file",
    ),
    r"didn't find section in config file": (
        "remote",
        "there is no rclone remote of that name",
        "`rclone listremotes` lists your remotes; `rclone config` creates one",
    ),
    r"RequestTimeTooSkewed|RequestExpired|clock skew|difference between the request time and": (
        "clock",
        "the server refuses this machine's clock",
        "Correct the clock (NTP), then run again",
    ),
    r"Shared drive not found|teamDriveMembershipRequired": (
        "remote",
        "there is no such shared drive, or this login is no member of it",
        "Check `team_drive` (`rclone config`), or ask for access",
    ),
    r"PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraint": (
        "remote",
        "the bucket is in another region",
        "Set `region` in the remote's configuration, or AWS_REGION for `s3://`",
    ),
    r"InvalidObjectState|Object in GLACIER": (
        "refused",
        "is archived (Glacier)",
        "Restore it first (`rclone backend restore`), then run again",
    ),
    r"x509: ": (
        "remote",
        "the server's certificate is not trusted",
        "Check this machine's clock; for your own certificates, set RCLONE_CA_CERT",
    ),
    r"downloadQuotaExceeded": (
        "quota",
        "Drive's download limit for this file is reached",
        "Run again in a day, or make a copy of it on Drive and add that",
    ),
    r"dailyLimitExceeded|quotaExceeded\b(?<!storageQuotaExceeded)": (
        "quota",
        "the limit of this client for today is reached",
        "Run again tomorrow, or create your own client id",
    ),
    r"RateLimitExceeded|Too ?Many ?Requests|SlowDown|StatusCode: (?:429|503)\b|sending automated queries": (
        "limit",
        "the server asks to slow down",
        "Run again later; on Drive, your own client id has its own limits",
    ),
    r"UploadLimitExceeded|exceeded their upload limit": (
        "quota",
        "this account's daily upload limit is reached",
        "Run again tomorrow: what has arrived stays",
    ),
    r"dangling shortcut": (
        "refused",
        "is a shortcut to a file that is gone, or not shared with this login",
        "Restore the file, or ask its owner to share it",
    ),
    r"fileNotDownloadable": (
        "refused",
        "is a Google document, which cannot be downloaded",
        "Export it on Drive, and add the exported file",
    ),
    r"cannotDownloadAbusiveFile": (
        "refused",
        "Google considers it malware or spam",
        "If you trust it: `acknowledge_abuse = true` in the remote's configuration",
    ),
    r"cannotDownloadFile|cannotCopyFile": (
        "refused",
        "may not be downloaded: its owner does not allow it",
        "Ask the owner to allow viewers to download it",
    ),
    r"insufficientFilePermissions": (
        "refused",
        "is not yours to read or change",
        "Ask its owner for access, or choose another folder",
    ),
    r"insufficientPermissions|insufficient authentication scopes|appNotAuthorizedToFile": (
        "credentials",
        "this login allows too little",
        "Run `rclone config reconnect REMOTE:` with the scope `drive` (or `drive.readonly`)",
    ),
    r"accessNotConfigured|SERVICE_DISABLED": (
        "credentials",
        "the Google Drive API is not enabled for this client id",
        "Enable it in Google's Cloud console, wait some minutes, then run again",
    ),
    r"domainPolicy": (
        "credentials",
        "the administrators of this domain do not allow it",
        "Ask them to allow your client id, or use another account",
    ),
    r"teamDriveFileLimitExceeded|numChildrenInNonRootLimitExceeded|activeItemCreationLimitExceeded|"
    r"HierarchyTooDeep|HierarchyDepthLimitExceeded": (
        "full",
        "this folder or shared drive takes no more files",
        "Choose another folder",
    ),
    r"InvalidAccessKeyId|ExpiredToken|InvalidToken|SignatureDoesNotMatch|AccessDenied|StatusCode: 40[13]\b|"
    r"\bUnauthorized\b|\bForbidden\b|invalid_grant|couldn't fetch token|"
    r"unable to authenticate|no supported methods remain|empty token found|"
    r"authError|NoCredentialProviders|failed to refresh cached credentials|permission denied": (
        "credentials",
        "access is refused",
        "Check the remote's keys or log in again (`rclone config reconnect REMOTE:`)",
    ),
    r"storageQuotaExceeded|quota (?:has been |was )?exceeded|insufficient storage|no space left|"
    r"too big for remaining disk space|insufficient_space|quotaLimitReached|"
    r"EntityTooLarge": (
        "full",
        "there is no space left there",
        "Make room there or raise the quota, then run again",
    ),
    r"NoSuchBucket|(directory|object|file) not found|\bnotFound\b|doesn't exist|no such file": (
        "missing",
        "does not exist",
        "Check the name, which is case-sensitive",
    ),
    r"corrupted on transfer|sizes differ|hashes? differ": (
        "damaged",
        "arrived damaged and was discarded",
        "Run again; if that does not help, upload the file again",
    ),
    r"InternalError|backendError|(?:StatusCode:|Error) 5\d\d\b|\b50[0-9] (?:Internal|Bad|Gateway|Service)": (
        "server",
        "the server failed",
        "Run again; if that does not help, check the server: its disk may be full",
    ),
    r"connection refused|no such host|i/o timeout|connection reset|network is unreachable|\bEOF\b|"
    r"deadline exceeded|request send failed|couldn't connect|broken pipe|server closed": (
        "unreachable",
        "cannot be reached",
        "Check the network and the remote's address, then run again: what has arrived stays",
    ),
}
"""Patterns in messages, and what they mean: a reason for programs, its description, what to do.

The first match counts.
"""


def explain(messages: list[str], code: str) -> tuple[str, str, str]:
    """Return why rclone failed: a reason for programs, its description, what to do."""
    text = "\n".join(messages)
    for pattern, meaning in MEANINGS.items():
        if re.search(pattern, text, re.IGNORECASE):
            return meaning
    last = " ".join((messages[-1:] or [code])[0].rpartition("api error ")[2].split())
    return "other", f"rclone failed ({shortened(last, 300)})", "`rclone lsf` with the same path may say more"
