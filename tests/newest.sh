#!/bin/sh
# All tests with the newest versions that the project's bounds allow (in .venv-newest), not with the
# lock. When some fail, the packages that differ from the lock and in which they failed are named.
#
#   tests/newest.sh [pytest arguments]
set -eu
cd "$(dirname "$0")/.."

folder=.venv-newest
rm -rf "$folder"
"${PYTHON:-python3}" -m venv "$folder"
# Releases of torchvision and torchcodec belong to one release of torch: those three stay.
grep -E '^torch(vision|codec)?==' constraints.txt > "$folder/constraints.txt"
export PIP_CONSTRAINT="$PWD/$folder/constraints.txt"
pip="$folder/bin/python -m pip install --quiet --disable-pip-version-check"
$pip torch
$pip -e '.[demo,torchcodec,transformers,open-clip,qwen-vl-utils,lmms-eval,evals,test]'

failed=0
"$folder/bin/python" -m pytest --junit-xml="$folder/junit.xml" "$@" || failed=$?
"$folder/bin/python" -m tests.newest constraints.txt "$folder/junit.xml"
exit "$failed"
