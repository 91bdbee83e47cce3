import { type Cas, type Command, type Reply, type Value, valueBytes } from '../../wire/wire.js'

/** A process stands in line from this long a wait on; shorter ones are served by polling alone. */
export const JOIN_AFTER_MS = 250

/** How often a process that waits makes sure that it still stands in line. */
export const RECHECK_MS = 1000

const TTL_SEC = 10
const MAX_BYTES = 4000

/**
 * The processes that wait for one session, first come first, in an item of their own beside the lock.
 *
 * Advice only: a process that has had its turn grants the lock to the first in line instead of handing it on among
 * its own. Lost or stale, it costs fairness, never a write.
 */
export class WaitingLine {
  private instances: readonly string[] = []
  private cas: Cas | undefined

  constructor(
    private readonly key: string,
    private readonly self: string,
  ) {}

  look(): Command {
    return { op: 'get', key: this.key }
  }

  /** Takes in the reply to `look()`. */
  learn(reply: Reply): void {
    this.cas = reply.status === 'ok' ? reply.cas : undefined
    this.instances = reply.value === undefined ? [] : parse(reply.value)
  }

  get isJoined(): boolean {
    return this.instances.includes(this.self)
  }

  /** The first other process in line. */
  get next(): string | undefined {
    return this.instances.find((instance) => instance !== this.self)
  }

  /** Puts this process at the end of the line; refused, without harm, when the line changed meanwhile. */
  join(): Command {
    return this.replace([...this.instances, this.self])
  }

  /** Takes `instance` out of the line; undefined when there is nothing to take out. */
  remove(instance: string): Command | undefined {
    if (this.cas === undefined || !this.instances.includes(instance)) return undefined
    return this.replace(this.instances.filter((one) => one !== instance))
  }

  private replace(instances: readonly string[]): Command {
    const item = { key: this.key, value: Buffer.from(instances.join(' ')), ttlSec: TTL_SEC }
    return this.cas === undefined ? { op: 'add', ...item } : { op: 'cas', cas: this.cas, ...item }
  }
}

const parse = (value: Value): string[] =>
  value.length > MAX_BYTES ? [] : valueBytes(value).toString('latin1').split(' ').filter((instance) => instance !== '')
