#!/bin/sh
# The integration tests against several versions of transformers, each in an environment of its own
# (.venv-VERSION). A version that fails does not keep the others from running.
#
#   tests/versions.sh [pytest arguments]
#   VERSIONS="4.57.6 newest" tests/versions.sh -x
set -eu
cd "$(dirname "$0")/.."

failed=""
for version in ${VERSIONS:-4.57.6 5.0.0 newest}; do
  folder=.venv-$version
  case $version in
    newest) wanted='transformers<6' ;;
    *) wanted="transformers==$version" ;;
  esac
  if [ ! "$folder/.ready" -nt pyproject.toml ] || [ "$version" = newest ]; then
    [ -d "$folder" ] || "${PYTHON:-python3}" -m venv "$folder"
    # All other packages are the ones that the tests always run with.
    grep -v '^transformers' constraints.txt > "$folder/constraints.txt"
    pip="$folder/bin/python -m pip install --quiet --disable-pip-version-check"
    pip="$pip -c $folder/constraints.txt"
    $pip torch
    $pip --upgrade "$wanted"
    $pip "$wanted" -e '.[offline,torchcodec,transformers,qwen-vl-utils,test]'
    touch "$folder/.ready"
  fi
  "$folder/bin/python" -c 'import transformers; print("transformers", transformers.__version__)'
  "$folder/bin/python" -m pytest -q tests/integration "$@" || failed="$failed $version"
done

[ -z "$failed" ] || { echo "failed with transformers:$failed" >&2; exit 1; }
