import { MOST_KEY_BYTES } from '../key.js'
import type { StoreTraits } from '../wire.js'

export const MEMCACHED: StoreTraits = {
  name: 'memcached',
  maxKeyBytes: MOST_KEY_BYTES,
  remedy: {
    tooLarge: 'raise the item size of memcached (-I)',
    outOfMemory: 'look at its memory limit (-m) and its evictions',
  },
}
