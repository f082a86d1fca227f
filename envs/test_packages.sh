#!/bin/sh
# Debian packages with the real programs that tests use: sshd, Slurm, network namespaces, chromium, strace. Called by `make test`.
# Without root or apt nothing is installed, and the tests that need what is missing skip and say so.
set -eu
missing=""
for pair in chromium:chromium promtool:prometheus prometheus-node-exporter:prometheus-node-exporter \
    sshd:openssh-server rsync:rsync ip:iproute2 slurmctld:slurm-wlm munged:munge jq:jq strace:strace; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "tests: not installed, so tests that need them are skipped:$missing" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# policy-rc.d keeps the packages from starting their services: tests start their own.
policy=/usr/sbin/policy-rc.d
[ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; trap 'rm -f "$log" "$policy"' EXIT; }
# shellcheck disable=SC2086
if ! { apt-get install -y --no-install-recommends $missing || { apt-get update && apt-get install -y --no-install-recommends $missing; }; } >"$log" 2>&1; then
    tail -n 3 "$log" >&2
    echo "tests: could not be installed, so tests that need them are skipped:$missing" >&2
fi
