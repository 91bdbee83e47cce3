import { listsKeyOf, SuffixLayout } from '../../lock/protocol/key-layout.js'
import type { RecordFormat } from '../record-format.js'
import type { Serializer } from '../serializer.js'
import { newSid } from '../sid.js'
import type { Dialect } from './dialect.js'

/** latchkey's own way: record and lock on one node, stamps, tombstones, processes that stand in line. */
export const ownDialect = (prefix: string, format: RecordFormat, serializer: Serializer): Dialect => ({
  prefix,
  layoutFor: (store) => new SuffixLayout(prefix, store),
  listsKey: listsKeyOf(prefix),
  placement: undefined,
  hasStamps: true,
  hasTombstones: true,
  isBoundToRecord: true,
  freeLock: undefined,
  standBackMs: undefined,
  format,
  serializer,
  createSid: (random) => newSid(random),
  php: undefined,
})
