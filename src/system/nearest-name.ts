/** The name in `known` that `given` most likely means (a typing error); undefined when no name is near. */
export function nearestName(given: string, known: Iterable<string>): string | undefined {
  let nearest: string | undefined
  let least = Math.floor(given.length / 3) + 2
  for (const name of known) {
    const edits = editsBetween(given.slice(0, 40).toLowerCase(), name.toLowerCase())
    if (edits >= least) continue
    least = edits
    nearest = name
  }
  return nearest
}

/** The Levenshtein distance: how many letters must be inserted, left out or changed. */
function editsBetween(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let at = 1; at <= one.length; at++) {
    const next = [at]
    for (let to = 1; to <= other.length; to++) {
      const changed = (row[to - 1] ?? 0) + (one[at - 1] === other[to - 1] ? 0 : 1)
      next.push(Math.min(changed, (row[to] ?? 0) + 1, (next[to - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[other.length] ?? 0
}
