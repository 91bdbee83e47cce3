import type { Cas, Value } from '../wire.js'
import type { Council } from './council.js'
import type { Copy, Count } from './copy.js'

/** What one node has of a lock. */
export interface LockPart {
  readonly cas: Cas
  /** The node's incarnation in which it was taken. */
  readonly incarnation: string
}

/** What one node has of a record. */
export interface RecordPart {
  /** Undefined: nothing stands there, and the node takes the record by `add`. */
  readonly cas: Cas | undefined
  readonly copy: Copy | undefined
}

type Parts<Part> = ReadonlyMap<number, Part>

/**
 * The version of an item that several nodes keep: the version of each, by the node's place in the list. What is stored by
 * it is sent to these nodes and to no other.
 */
abstract class Versions<Part extends { readonly cas: Cas | undefined }> implements Cas {
  readonly asOf = 0

  constructor(readonly parts: Parts<Part>) {}

  get version(): string {
    return [...this.parts].map(([node, { cas }]) => `${String(node)}=${cas?.version ?? ''}`).join(' ')
  }
}

/** A lock: where it is ours, and its value there. */
export class LockVersions extends Versions<LockPart> {
  constructor(
    parts: Parts<LockPart>,
    readonly token: Value,
    /** Who decided that it is ours, and will decide what is stored under it. */
    readonly council: Council,
    /** Where it may stand as well, and does not count: it is taken off there when it is let go of. */
    readonly strays: readonly number[] = [],
  ) {
    super(parts)
  }
}

/** A record: what stood on each node that was asked, and what all of it says of who comes next. */
export class RecordVersions extends Versions<RecordPart> {
  constructor(
    parts: Parts<RecordPart>,
    readonly newest: Count,
  ) {
    super(parts)
  }
}

/** Advice that is kept on one node alone. */
export class AdviceVersion implements Cas {
  readonly asOf = 0

  constructor(
    readonly node: number,
    readonly cas: Cas,
  ) {}

  get version(): string {
    return `${String(this.node)}=${this.cas.version}`
  }
}
