import type { KeyLayout } from '../../lock/protocol/key-layout.js'
import type { LockDialect } from '../../lock/protocol/lock-dialect.js'
import type { Random } from '../../system/random.js'
import type { Placement } from '../../wire/placement.js'
import type { StoreTraits } from '../../wire/wire.js'
import type { RecordContent } from '../records/record-content.js'
import type { Serializer } from '../serializer.js'
import type { PhpSettings } from './php-options.js'

/** How a session's text becomes the bytes of its record, and back. */
export interface RecordForm {
  /** @throws LATCHKEY_UNSERIALIZABLE, LATCHKEY_RECORD_TOO_LARGE */
  pack(id: string, text: string, options?: { readonly isRetired?: boolean }): Buffer | string
  /** @throws LATCHKEY_UNDECODABLE and its like */
  unpack(id: string, stored: Buffer | string | undefined): RecordContent
}

/**
 * Where and how sessions are kept, in one value: latchkey's own way (`ownDialect`), or PHP's (`phpDialect`). Everything
 * above the lock protocol and below the adapters asks it, and nothing else knows which one it is.
 */
export interface Dialect extends LockDialect {
  /** The text that all keys begin with. */
  readonly prefix: string
  /** The keys of each session, and which ids it may have. */
  layoutFor(store: StoreTraits | undefined): KeyLayout
  /** Where processes leave what the others must agree with. */
  readonly listsKey: string
  /** Undefined: a session's keys live on the node that owns its id. */
  readonly placement: Placement | undefined
  readonly format: RecordForm
  readonly serializer: Serializer
  createSid(random: Random): string
  /** The settings of PHP with which sessions are shared; undefined: none are. */
  readonly php: PhpSettings | undefined
}
