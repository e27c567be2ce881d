#!/bin/sh
# Writes the hash-locked requirements. No index host goes into a committed file.
set -eu
uv=$1
options="--quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --no-config"
# shellcheck disable=SC2086  # the options are words
"$uv" pip compile $options pyproject.toml -o requirements/runtime.txt
# shellcheck disable=SC2086
"$uv" pip compile $options pyproject.toml requirements/build.in --group dev -o requirements/dev.txt
echo uv | "$uv" pip compile $options - -o requirements/uv.txt
