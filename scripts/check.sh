#!/usr/bin/env bash
# For `npm run check`: types and lint at once, as each keeps one core busy for the better part of a minute.
set -u
npm run --silent types &
types=$!
eslint .
lint=$?
wait "$types" && exit "$lint"
