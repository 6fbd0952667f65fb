#!/bin/sh
# The browser tests use Debian's Chromium. Installs it if it is missing, as root or with sudo.
set -eu
[ -x "${CHROMIUM:-/usr/bin/chromium}" ] && exit 0
if [ "$(id -u)" = 0 ]; then as_root=""; elif command -v sudo >/dev/null; then as_root="sudo"; else
  echo "The browser tests need Chromium. Install it (apt-get install chromium), or set CHROMIUM=/path/to/it." >&2
  exit 1
fi
command -v apt-get >/dev/null || { echo "apt-get is not available. Install Chromium and set CHROMIUM=/path/to/it." >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
$as_root apt-get -o DPkg::Lock::Timeout=120 install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
