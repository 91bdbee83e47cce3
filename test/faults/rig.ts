/** What one cell of the matrix is played on: a manager, a proxy that breaks things, a server, and a road past the proxy. */
import { SessionManager } from 'latchkey'
import { systemClock } from '../../src/system/clock.js'
import { createMemcachedWire } from '../../src/wire/memcached/memcached-wire.js'
import type { Command, Reply, Wire } from '../../src/wire/wire.js'
import type { MemcachedServer } from '../support/memcached-server.js'
import { FaultProxy } from '../support/proxy.js'
import { serversOf } from '../support/servers.js'
import type { Roads, Transport } from './transports.js'

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

/** Reads and writes past the proxy, on connections that no fault touches. */
export class Truth {
  private readonly wire: Wire

  constructor(savePath: string) {
    const servers = serversOf(savePath)
    this.wire = createMemcachedWire({ servers, clock: systemClock, flightMs: 10_000, connections: 2 })
  }

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
  readonly roads: Roads
  readonly transport: Transport
  readonly server: MemcachedServer
  readonly truth: Truth
  /** Unique among the cells of one server. */
  readonly name: string
  /** Short, where the renewal is what is broken; multiplied by the patience. */
  readonly leaseSec?: number | undefined
  /** 1, or more where the machine has shown that it is slow: every deadline is as many times longer. */
  readonly patience: number
}

export class Rig implements AsyncDisposable {
  readonly id: string
  /** A session that nobody writes, read beside the faults: its bytes must never turn up as another's. */
  readonly bystander: string
  /** A session whose reply a confused proxy hands out in place of others. */
  readonly stranger: string

  private constructor(
    readonly options: RigOptions,
    readonly proxy: FaultProxy,
    readonly manager: SessionManager,
  ) {
    this.id = `cell-${options.name}`
    this.bystander = `other-${options.name}`
    this.stranger = `stranger-${options.name}`
  }

  static async start(options: RigOptions): Promise<Rig> {
    const { roads, transport, server, patience } = options
    const leaseSec = options.leaseSec === undefined ? LONG_LEASE_SEC : options.leaseSec * patience
    const deadlineMs = DEADLINE_MS * patience
    const proxy = await FaultProxy.start(server)
    const savePath = roads.savePath(transport, proxy.address)
    const manager = new SessionManager({ savePath, deadlineMs, leaseSec, waitMs: 5000 * patience, prefix: '' })
    const rig = new Rig(options, proxy, manager)
    await rig.truth.set(rig.id, textOf(rig.id, 'base'), 1000)
    for (const id of [rig.bystander, rig.stranger]) await rig.truth.set(id, textOf(id, 'other'), 1000)
    return rig
  }

  get deadlineMs(): number {
    return DEADLINE_MS * this.options.patience
  }

  /** The deadline of a flight. */
  get flightMs(): number {
    return this.deadlineMs / 3
  }

  get truth(): Truth {
    return this.options.truth
  }

  get server(): MemcachedServer {
    return this.options.server
  }

  /** The marks that the server holds for the session; undefined where there is no record, or a tombstone. */
  async stored(): Promise<readonly string[] | undefined> {
    const text = await this.truth.get(this.id)
    return text === undefined || text === '' ? undefined : marksOf(this.id, text)
  }

  async isLocked(): Promise<boolean> {
    return (await this.truth.get(`${this.id}-lck`)) !== undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.manager.close({ graceMs: 0 })
    await this.proxy.stop()
  }
}
