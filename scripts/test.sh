#!/usr/bin/env bash
# For `npm test`: types and tests at once, as the tests wait for servers now and then. What the compiler has to say stands
# behind what the tests say, where nobody overlooks it.
set -u
said=$(mktemp)
trap 'rm -f "$said"' EXIT
npm run --silent types >"$said" 2>&1 &
types=$!
vitest run "$@"
tests=$?
wait "$types"
types=$?
cat "$said"
[ "$types" -eq 0 ] && exit "$tests"
echo "npm test: the types are wrong, as said above." >&2
exit "$types"
