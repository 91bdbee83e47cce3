/** The nodes of a cluster that are known by now, and which of them serves which slot. */
import type { Clock } from '../../../system/clock.js'
import { placeName } from '../../socket/address.js'
import type { ServerNode } from '../../socket/node.js'
import { FlightError, type NodeStats, unsupportedIn } from '../../wire.js'
import { ask } from '../ask.js'
import type { RedisServer } from '../save-path.js'
import type { Seeds } from './cluster-path.js'
import type { Place } from './redirect.js'
import { SLOTS } from './slot.js'
import { slotRangesIn, type SlotRange } from './slot-table.js'

export interface ClusterNodesOptions {
  readonly seeds: Seeds
  readonly clock: Clock
  /** The deadline of a flight. */
  readonly flightMs: number
  readonly makeNode: (server: RedisServer) => ServerNode
}

/** So many are asked for the table at a time: one that hangs must not hold up the others. */
const ASKED_AT_ONCE = 3
/** Between two tables. Without it a cluster that has no answer would be asked without a pause. */
const PAUSE_MS = 100
/** Of nodes that are in no table, and that another node has named. A node that names ever new ones would fill the memory. */
const MOST_STRANGERS = 16

interface Member {
  readonly server: RedisServer
  readonly node: ServerNode
}

export class ClusterNodes {
  readonly #options: ClusterNodesOptions
  readonly #members = new Map<string, Member>()
  readonly #leaving = new Set<ServerNode>()
  #owners: readonly (ServerNode | undefined)[] = []
  /** Owners that a node has told of since the table was read. */
  readonly #moved = new Map<number, ServerNode>()
  #primaries: readonly ServerNode[] = []
  #refreshing: Promise<void> | undefined
  #refreshedAtMs = -Infinity
  #turn = 0
  #version = 0
  #isClosed = false

  constructor(options: ClusterNodesOptions) {
    this.#options = options
  }

  /** Undefined: no table was read yet, or no node serves the slot. */
  ownerOf(slot: number): ServerNode | undefined {
    return this.#moved.get(slot) ?? this.#owners[slot]
  }

  /** As the last table says; empty before one was read. */
  get primaries(): readonly ServerNode[] {
    return this.#primaries
  }

  /** Grows with each change of an owner. */
  get version(): number {
    return this.#version
  }

  get stats(): Readonly<Record<string, NodeStats>> {
    return Object.fromEntries([...this.#members.values()].map(({ node }) => [node.name, node.stats]))
  }

  /** The node that stands for all of them as long as none is known. */
  get first(): ServerNode {
    return this.#primaries[0] ?? this.#member(this.#options.seeds[0]).node
  }

  /** One of the servers that are known, each time another one. */
  someServer(): RedisServer {
    return this.#candidates()[0]?.server ?? this.#options.seeds[0]
  }

  /** The node at a place that another node has named. Undefined: it has named too many. */
  nodeAt(place: Place, namedBy: ServerNode): ServerNode | undefined {
    const server = this.#serverAt(place, this.#serverOf(namedBy))
    const known = this.#members.get(placeName(server))
    if (known !== undefined) return known.node
    const most = this.#primaries.length + this.#options.seeds.length + MOST_STRANGERS
    return this.#members.size >= most ? undefined : this.#member(server).node
  }

  /** Takes a node's word for it, until the next table is read. */
  moved(slot: number, node: ServerNode): void {
    if (this.ownerOf(slot) === node) return
    this.#version += 1
    this.#moved.set(slot, node)
  }

  /**
   * Reads the table anew, together with all who ask meanwhile. @throws {FlightError} 'not-sent': nobody could tell it.
   */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#readTable().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  /** As `refresh`, for the sake of what comes later. */
  refreshSoon(): void {
    void this.refresh().catch(() => undefined)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const nodes = [...this.#members.values()].map(({ node }) => node)
    this.#members.clear()
    await Promise.all([...nodes, ...this.#leaving].map((node) => node.close()))
  }

  async #readTable(): Promise<void> {
    const { clock } = this.#options
    const waitMs = this.#refreshedAtMs + PAUSE_MS - clock.nowMs()
    if (waitMs > 0) await new Promise<void>((resolve) => void clock.setTimer(resolve, waitMs))
    const candidates = this.#isClosed ? [] : this.#candidates()
    const failures: unknown[] = []
    try {
      while (candidates.length > 0 && !this.#isClosed) {
        const asked = candidates.splice(0, ASKED_AT_ONCE)
        const table = await Promise.any(asked.map((member) => tableOf(member))).catch((error: unknown) => {
          failures.push(...causesOf(error))
        })
        if (table === undefined) continue
        if (!this.#isClosed) this.#take(table.ranges, table.member)
        return
      }
    } finally {
      this.#refreshedAtMs = clock.nowMs()
    }
    const cause = failures.find((one) => unsupportedIn(one) !== undefined) ?? failures[0]
    const reason = cause instanceof Error ? cause.message : 'The connections were closed.'
    throw new FlightError('not-sent', `No node of the cluster says which of them serves which session. ${reason}`, { cause })
  }

  /** Who is asked: those of the table, another one first each time, and then those of the save path. */
  #candidates(): Member[] {
    const known = this.#primaries.map((node) => this.#member(this.#serverOf(node)))
    const start = known.length === 0 ? 0 : this.#turn++ % known.length
    const seeds = this.#options.seeds.map((server) => this.#member(server))
    return [...new Set([...known.slice(start), ...known.slice(0, start), ...seeds])]
  }

  #take(ranges: readonly SlotRange[], from: Member): void {
    const owners = new Array<ServerNode | undefined>(SLOTS)
    const primaries = new Set<ServerNode>()
    for (const { from: first, to, primary } of ranges) {
      const { node } = this.#member(this.#serverAt(primary, from.server))
      primaries.add(node)
      owners.fill(node, first, to + 1)
    }
    if (this.#moved.size > 0 || owners.some((owner, slot) => owner !== this.#owners[slot])) this.#version += 1
    this.#owners = owners
    this.#moved.clear()
    this.#primaries = [...primaries]
    const seeds = new Set(this.#options.seeds.map(placeName))
    for (const [place, { node }] of this.#members) {
      if (!primaries.has(node) && !seeds.has(place)) this.#dismiss(place, node)
    }
  }

  /** It is closed when its last flight is over: what was sent to it may have been carried out. */
  #dismiss(place: string, node: ServerNode): void {
    this.#members.delete(place)
    this.#leaving.add(node)
    const close = (): void => {
      this.#leaving.delete(node)
      void node.close()
    }
    this.#options.clock.setTimer(close, this.#options.flightMs * 2, { background: true })
  }

  #member(server: RedisServer): Member {
    const place = placeName(server)
    let member = this.#members.get(place)
    if (member === undefined) {
      member = { server, node: this.#options.makeNode(server) }
      this.#members.set(place, member)
    }
    return member
  }

  #serverOf(node: ServerNode): RedisServer {
    for (const member of this.#members.values()) if (member.node === node) return member.server
    return this.#options.seeds[0]
  }

  #serverAt({ host, port }: Place, namedBy: RedisServer): RedisServer {
    const own = namedBy.endpoint.kind === 'tcp' ? namedBy.endpoint.host : ''
    return { ...this.#options.seeds[0], endpoint: { kind: 'tcp', host: host === '' ? own : host, port } }
  }
}

async function tableOf(member: Member): Promise<{ readonly member: Member; readonly ranges: readonly SlotRange[] }> {
  return { member, ranges: slotRangesIn(await ask(member.node, 'CLUSTER', 'SLOTS')) }
}

const causesOf = (error: unknown): readonly unknown[] => (error instanceof AggregateError ? (error.errors as readonly unknown[]) : [error])
