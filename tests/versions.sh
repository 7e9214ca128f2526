#!/bin/sh
# The tests of all that calls transformers against several versions of it, each in an environment of
# its own (.venv-VERSION). A version that fails does not keep the others from running.
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
    # What the tests always run with, where a release of transformers does not decide it.
    grep -E '^(torch|torchvision|torchcodec|av|numpy)==' constraints.txt > "$folder/constraints.txt"
    pip="$folder/bin/python -m pip install --quiet --disable-pip-version-check"
    export PIP_CONSTRAINT="$PWD/$folder/constraints.txt"
    $pip torch
    $pip --upgrade "$wanted"
    $pip "$wanted" -e '.[demo,torchcodec,transformers,open-clip,qwen-vl-utils,evals,test]'
    touch "$folder/.ready"
  fi
  "$folder/bin/python" -c 'import transformers; print("transformers", transformers.__version__)'
  "$folder/bin/python" -m pytest -q \
    tests/integration/test_tiny_models.py tests/integration/test_transformers_*.py \
    tests/integration/test_qwen_vl_utils*.py \
    tests/contract/test_encoders.py tests/unit/encoders/test_encoders.py \
    tests/unit/captioners/test_captioners.py tests/unit/captioners/test_judge.py \
    "$@" || failed="$failed $version"
done

[ -z "$failed" ] || { echo "failed with transformers:$failed" >&2; exit 1; }
