import { BRACES, MOST_KEY_BYTES } from '../key.js'
import type { KeyMarks, StoreTraits } from '../wire.js'
import type { Via } from './save-path.js'

export const MEMCACHED: StoreTraits = {
  name: 'memcached',
  maxKeyBytes: MOST_KEY_BYTES,
  remedy: {
    tooLarge: 'raise the item size of memcached (-I)',
    outOfMemory: 'look at its memory limit (-m) and its evictions',
  },
}

/** mcrouter hashes what stands before the first `|#|`; what begins with a slash it takes for the name of a route. */
const HASH_STOP: KeyMarks = { open: '', close: '', stop: '|#|', refusedInId: /^\/|\|#/, refusedInPrefix: /\|#|\|$/ }

/** twemproxy with `hash_tag: "{}"`, and memcached's proxy with `filter = "tags"`, go by braces. */
const MARKS: Readonly<Record<Via, KeyMarks>> = { twemproxy: BRACES, proxy: BRACES, mcrouter: HASH_STOP }

/** memcached as it is reached: by itself, or through a proxy. */
export const traitsOf = (via: Via | undefined): StoreTraits =>
  via === undefined ? MEMCACHED : { ...MEMCACHED, keyMarks: MARKS[via] }
