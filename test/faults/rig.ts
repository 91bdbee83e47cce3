/** What one cell of the matrix is played on: a manager, what breaks things for it, and a road past that. */
import { SessionManager } from 'latchkey'
import type { Command, Reply, Wire } from '../../src/wire/wire.js'

/** Of any call; a flight is a third of it. Multiplied by the rig's patience. */
const DEADLINE_MS = 600

/** Longer than the matrix takes: what frees a lock within a cell is the protocol, not its expiry. */
const LONG_LEASE_SEC = 600

/** What a session of the matrix holds: whose it is, and the marks of the writes it has seen. */
export interface Marked {
  readonly of: string
  readonly marks: readonly string[]
}

export const textOf = (of: string, ...marks: string[]): string => JSON.stringify({ of, marks })

/** Reads text as some session's data; a stranger's bytes are a finding, nothing to be lenient about. */
export function marksOf(id: string, text: string): readonly string[] {
  if (text === '') return []
  const data = JSON.parse(text) as Marked
  if (data.of !== id) throw new Error(`WRONG: a value of another session (${data.of}) was returned for ${id}`)
  return data.marks
}

/** Reads and writes past what breaks, on connections that no fault touches. */
export class Truth {
  constructor(private readonly wire: Wire) {}

  async get(key: string): Promise<string | undefined> {
    const reply = await this.command({ op: 'get', key })
    return reply?.value?.toString()
  }

  async set(key: string, text: string, ttlSec: number): Promise<void> {
    await this.command({ op: 'set', key, value: Buffer.from(text), ttlSec })
  }

  /** The connection may have died with a server that was restarted since: asking again does no harm here. */
  private async command(command: Command): Promise<Reply | undefined> {
    for (let tries = 0; ; tries++) {
      try {
        const [reply] = await this.wire.flight(command.key, [command])
        return reply
      } catch (error) {
        if (tries === 5) throw error
      }
    }
  }

  close(): Promise<void> {
    return this.wire.close()
  }
}

export interface RigOptions {
  /** Unique among the cells of one store. */
  readonly name: string
  /** Short, where the renewal is what is broken; multiplied by the patience. */
  readonly leaseSec?: number | undefined
  /** 1, or more where the machine has shown that it is slow: every deadline is as many times longer. */
  readonly patience: number
}

/** A manager on `store`, for one cell: on a save path, or on a wire with the deadline of a flight. */
export function managerFor({ leaseSec, patience }: RigOptions, store: string | ((flightMs: number) => Wire)): SessionManager {
  const deadlineMs = DEADLINE_MS * patience
  return new SessionManager({
    ...(typeof store === 'string' ? { savePath: store } : { wire: store(deadlineMs / 3) }),
    deadlineMs,
    leaseSec: leaseSec === undefined ? LONG_LEASE_SEC : leaseSec * patience,
    waitMs: 5000 * patience,
    prefix: '',
  })
}

export class Rig {
  readonly id: string
  /** A session that nobody writes, read beside the faults: its bytes must never turn up as another's. */
  readonly bystander: string
  /** A session whose reply a confused proxy hands out in place of others. */
  readonly stranger: string
  readonly patience: number

  constructor(
    options: RigOptions,
    readonly manager: SessionManager,
    readonly truth: Truth,
  ) {
    this.id = `cell-${options.name}`
    this.bystander = `other-${options.name}`
    this.stranger = `stranger-${options.name}`
    this.patience = options.patience
  }

  async prepare(): Promise<void> {
    await this.truth.set(this.id, textOf(this.id, 'base'), 1000)
    for (const id of [this.bystander, this.stranger]) await this.truth.set(id, textOf(id, 'other'), 1000)
  }

  get deadlineMs(): number {
    return DEADLINE_MS * this.patience
  }

  /** The deadline of a flight. */
  get flightMs(): number {
    return this.deadlineMs / 3
  }

  /** The marks that the store holds for the session; undefined where there is no record, or a tombstone. */
  async stored(): Promise<readonly string[] | undefined> {
    const text = await this.truth.get(this.id)
    return text === undefined || text === '' ? undefined : marksOf(this.id, text)
  }

  async isLocked(): Promise<boolean> {
    return (await this.truth.get(`${this.id}-lck`)) !== undefined
  }

  /** Ends what belongs to this cell alone. */
  async close(): Promise<void> {
    await this.manager.close({ graceMs: 0 })
  }
}
