import { type Cas, type Command, type Reply, type Value, valueBytes } from '../../wire/wire.js'

/** A process joins the line when it has waited this long. Before that, polling alone is enough. */
export const JOIN_AFTER_MS = 250

/** How often a waiting process checks that it still stands in line. */
export const RECHECK_MS = 1000

const TTL_SEC = 10
const MAX_BYTES = 4000

/**
 * The list of processes that wait for one session, in the order of their arrival, kept in an item beside the lock.
 *
 * The line is advice only: when its turn is over, a process grants the lock to the first in line instead of handing it
 * on to its own requests. A lost or outdated line costs fairness for a moment, and never a write.
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

  /** Reads the reply to `look()`. */
  learn(reply: Reply): void {
    this.cas = reply.status === 'ok' ? reply.cas : undefined
    this.instances = reply.value === undefined ? [] : parse(reply.value)
  }

  /** The first other process in line. */
  get next(): string | undefined {
    return this.instances.find((instance) => instance !== this.self)
  }

  /**
   * Puts this process at the end of the line; undefined when it stands there. If the line has changed in the meantime, the
   * server refuses it, without harm.
   */
  join(): Command | undefined {
    return this.instances.includes(this.self) ? undefined : this.replace([...this.instances, this.self])
  }

  /** Takes `instance` out of the line; undefined when it does not stand there. */
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
