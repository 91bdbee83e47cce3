import { BRACES, MOST_KEY_BYTES } from '../key.js'
import type { StoreTraits } from '../wire.js'

export const REDIS: StoreTraits = {
  name: 'redis',
  maxKeyBytes: MOST_KEY_BYTES,
  remedy: {
    tooLarge: 'keep in it only what names it: a session on Redis takes 1 MiB',
    outOfMemory: 'look at its maxmemory and maxmemory-policy',
  },
}

/** What is between the braces of a key says which slot it is in, so that record, lock and line of a session share one. */
export const REDIS_CLUSTER: StoreTraits = { ...REDIS, keyMarks: BRACES }

/** Redis itself would take 512 MiB, and answer nobody else while it reads them. */
const LARGEST_ITEM_BYTES = 1024 * 1024
/** As much as other stores keep back, so that what fits here fits there. */
const ITEM_OVERHEAD_BYTES = 64

export const largestValueBytes = (key: string): number => LARGEST_ITEM_BYTES - ITEM_OVERHEAD_BYTES - key.length
