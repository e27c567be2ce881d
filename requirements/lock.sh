#!/bin/sh
# Writes the hash-locked requirements. No index host goes into a committed file.
set -eu
uv=$1
options="--quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --no-config"
# shellcheck disable=SC2086  # the options are words
"$uv" pip compile $options pyproject.toml --extra hsm -o requirements/runtime.txt
# shellcheck disable=SC2086
"$uv" pip compile $options pyproject.toml requirements/build.in --group dev -o requirements/dev.txt
echo uv | "$uv" pip compile $options - -o requirements/uv.txt
# What builds the wheel inside the image (deploy/Dockerfile), at the versions of the development lock.
# shellcheck disable=SC2086
echo hatchling | "$uv" pip compile $options --constraint requirements/dev.txt - -o requirements/build.txt
