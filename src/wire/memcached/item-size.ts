import type { ServerNode } from '../socket/node.js'

// memcached's own default of -I, for servers that do not tell theirs.
const DEFAULT_ITEM_SIZE_MAX_BYTES = 1024 * 1024
// An item's header, CAS, flags, line ends and the slack of its slab come off the item size (measured: about 60).
const ITEM_OVERHEAD_BYTES = 64

/** The largest value that memcached stores under `key`, as far as it is known. */
export const maxValueBytes = ({ itemSizeMaxBytes = DEFAULT_ITEM_SIZE_MAX_BYTES }: Pick<ServerNode, 'itemSizeMaxBytes'>, key: string): number =>
  Math.max(0, itemSizeMaxBytes - ITEM_OVERHEAD_BYTES - key.length)
