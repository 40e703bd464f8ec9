#!/usr/bin/env bash
# usage: tests/examples/run.sh PROGRAM FOLDER
# Runs an example with FOLDER, emptied first, as current folder.
set -euo pipefail
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }
case "${1-}" in -h | --help) usage; exit 0 ;; esac
[ $# -eq 2 ] || { usage >&2; exit 2; }
rm -rf "$2"
mkdir -p "$2"
cd "$2"
exec "$1"
