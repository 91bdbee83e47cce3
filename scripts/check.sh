#!/usr/bin/env bash
# For `npm run check`: types and lint at once, as each keeps one core busy for the better part of a minute.
set -u
(tsc --noEmit --incremental --tsBuildInfoFile .cache/tsc.json && tsc -p page) &
types=$!
eslint .
lint=$?
wait "$types" && exit "$lint"
