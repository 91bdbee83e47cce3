/** The release that a server says it is, and what it can do. */

/** Before 1.6.13 no `md` deletes anything by its version, and before this one their answers are written in another way. */
export const META_SINCE = '1.6.18'

/** Whether the meta commands can be used. What is no number of a release is no memcached: it may lack them. */
export const hasMetaCommands = (release: string): boolean => isSince(release, META_SINCE)

export function isSince(release: string, since: string): boolean {
  const [is, was] = [numbersOf(release), numbersOf(since)]
  const differs = was.findIndex((number, at) => number !== is[at])
  return differs < 0 || (is[differs] ?? -1) > (was[differs] ?? 0)
}

const numbersOf = (release: string): number[] => (/^(\d+)\.(\d+)(?:\.(\d+))?/.exec(release) ?? []).slice(1).map((digits) => Number(digits || 0))
