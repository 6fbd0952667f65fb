#!/bin/sh
# The browser tests use Debian's Chromium without windows, which takes half the processor time of the whole Chromium.
# Installs it, as root or with sudo, unless one of the two is there.
set -eu
[ -x "${CHROMIUM:-/usr/bin/chromium-headless-shell}" ] || [ -x "${CHROMIUM:-/usr/bin/chromium}" ] && exit 0
if [ "$(id -u)" = 0 ]; then as_root=""; elif command -v sudo >/dev/null; then as_root="sudo"; else
  echo "The browser tests need Chromium. Install it (apt-get install chromium-headless-shell), or set CHROMIUM=/path/to/it." >&2
  exit 1
fi
command -v apt-get >/dev/null || { echo "apt-get is not available. Install Chromium and set CHROMIUM=/path/to/it." >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
install() { $as_root apt-get -o DPkg::Lock::Timeout=120 install -y -qq --no-install-recommends "$@" fonts-dejavu-core >/dev/null; }
$as_root apt-get update -qq
install chromium-headless-shell || install chromium
