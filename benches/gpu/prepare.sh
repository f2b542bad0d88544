#!/usr/bin/env bash
# usage: benches/gpu/prepare.sh [PYTHON]: puts into .gpu/ what check.py installs on a machine without a network, which has
# CPython 3.12 on x86-64, torch and numpy: the wheel of this tree, its other dependencies, and what its tests need.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${1:-python3}
rm -rf .gpu
mkdir .gpu
"$python" -m pip wheel --quiet --no-deps --wheel-dir .gpu .
platforms=()
for platform in manylinux_2_28_x86_64 manylinux_2_17_x86_64 manylinux2014_x86_64 manylinux_2_5_x86_64 manylinux1_x86_64 linux_x86_64 any; do
  platforms+=(--platform "$platform")
done
"$python" -m pip download --quiet --only-binary=:all: --python-version 3.12 --implementation cp \
  --abi cp312 --abi abi3 --abi none "${platforms[@]}" --dest .gpu .gpu/offkey-*.whl pytest pytest-timeout hypothesis
rm -f .gpu/numpy-*.whl  # torch has one that fits it
du -sh .gpu
