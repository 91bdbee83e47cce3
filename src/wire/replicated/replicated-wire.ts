/**
 * A wire that keeps each session on several nodes, and answers for a majority of them. A version names the version on each
 * node, so that the lock protocol above is the same as on one; what is different is in docs/explain/replication.md.
 */
import type { Clock } from '../../system/clock.js'
import type { Random } from '../../system/random.js'
import { cycleByFlights, type CycleSeat, type CycleStart } from '../cycle.js'
import {
  ANY_STORE,
  type Command,
  failLater,
  FlightError,
  type NodeStats,
  type Probe,
  promised,
  type Quorum,
  type Receiver,
  type StoreTraits,
  UnsupportedStoreError,
  type Wire,
} from '../wire.js'
import { MOST_HEAD_BYTES } from './copy.js'
import { adviceReply, type Errand } from './flight.js'
import { quorumOf } from './judge.js'
import { Leaving } from './leaving.js'
import { Lists } from './lists.js'
import { Member, type Place } from './member.js'
import { MemberProbe } from './member-probe.js'
import { Nodes } from './nodes.js'
import { Reading } from './reading.js'
import { Roster } from './roster.js'
import { type Kind, ReplicaSet, sorted } from './set.js'
import { StraightCycle, type StraightHost } from './straight-cycle.js'
import { Taking } from './taking.js'
import { AdviceVersion, LockVersions } from './versions.js'

export interface ReplicatedWireOptions {
  /** The nodes; at least as many as there are copies. */
  readonly places: readonly Place[]
  /** What all processes call this list, and no other one. */
  readonly list: string
  /** How many nodes keep each session. */
  readonly replicas: number
  /** Whether a node is on the list. Default: all are. */
  readonly has?: (node: number) => boolean
  /** The list that is being changed into this one: `places` are the nodes of both. */
  readonly before?: { readonly list: string; readonly ranked: (route: string) => readonly number[]; readonly has: (node: number) => boolean } | undefined
  /** The places of the nodes that keep a session, the same in all processes. */
  readonly ranked: (route: string) => readonly number[]
  /** What a key is for. */
  readonly kindOf: (key: string) => Kind
  /** The key under which each node is marked. */
  readonly markKey: string
  readonly clock: Clock
  readonly random: Random
  /** The deadline of one flight here, in milliseconds: three of the wires' flights. */
  readonly flightMs: number
}

/** Makes the wire. `close()` closes the wires of the nodes. */
export function createReplicatedWire(options: ReplicatedWireOptions): Wire {
  return new ReplicatedWire(options)
}

const ALIEN = new FlightError('not-sent', 'this cannot be done on several nodes at once', {
  cause: new UnsupportedStoreError('Sessions that are kept on several nodes (replicas) are stored under their lock, and in no other way'),
})

class ReplicatedWire implements Wire, StraightHost {
  readonly quorum: Quorum
  readonly replicaNodes: Nodes
  readonly set: ReplicaSet
  readonly roster: Roster
  private readonly members: readonly Member[]
  private closing: Promise<void> | undefined
  readonly store: StoreTraits
  readonly meetingPlace?: string
  readonly startCycle: Wire['startCycle']
  readonly keys?: NonNullable<Wire['keys']>

  constructor(options: ReplicatedWireOptions) {
    const { places, replicas, clock, markKey, random, before } = options
    const lists = new Lists(options.list, before?.list)
    const isJoining = (node: number): boolean => before?.has(node) === false
    this.quorum = quorumOf(replicas)
    this.members = places.map((place, index) => new Member(index, place, lists))
    this.set = new ReplicaSet({ ...options, quorum: this.quorum, members: this.members, lists, isJoining, before: before?.ranked, isOnNew: options.has ?? (() => true) })
    this.roster = new Roster({ members: this.members, markKey, lists, isJoining, quorum: this.quorum, clock, random })
    this.replicaNodes = new Nodes(this.set, this.roster)
    const [first] = places
    const prefixBytes = Math.max(...places.map(({ keyPrefix }) => keyPrefix.length))
    const { store = ANY_STORE, meetingPlace } = first?.wire ?? {}
    this.store = { ...store, maxKeyBytes: store.maxKeyBytes - prefixBytes }
    if (meetingPlace !== undefined) this.meetingPlace = meetingPlace
    if (places.every(({ wire }) => wire.keys !== undefined)) this.keys = (prefix) => this.listed(prefix)
    if (places.every(({ wire }) => wire.startCycle !== undefined)) this.startCycle = (route, start) => this.cycleOf(route, start)
  }

  private cycleOf(route: string, start: CycleStart): CycleSeat {
    const members = this.set.membersOf(route)
    // Who waits for nobody of them must not wait for all of them.
    const isStraight = this.closing === undefined && members.length === this.quorum.replicas && members.every(({ isSuspect }) => !isSuspect)
    if (isStraight) return new StraightCycle(this, route, start, members)
    return cycleByFlights((commands, receiver) => this.send(route, commands, receiver), start)
  }

  flight(route: string, commands: readonly Command[]): ReturnType<Wire['flight']> {
    return promised((told) => this.send(route, commands, told))
  }

  send(route: string, commands: readonly Command[], receiver: Receiver): void {
    if (this.closing !== undefined) {
      failLater(receiver, new FlightError('not-sent', 'The connections are closed.'))
      return
    }
    if (commands.length === 0) {
      queueMicrotask(() => receiver.landed([]))
      return
    }
    const { set, roster } = this
    const errand: Errand = { set, route, commands, receiver, sorted: sorted(commands, (key) => set.kindOf(key)) }
    const { lock, alien, change, advice, readsRecord, readsLock } = errand.sorted
    if (alien !== undefined) return failLater(receiver, ALIEN)
    if (advice !== undefined && commands.length === 1 && advice.op !== 'get') return this.advise(route, advice, receiver)
    if (lock === undefined && change === undefined && (readsRecord || readsLock || advice !== undefined)) return new Reading(errand).start()
    if (lock?.op === 'add' || (lock?.op === 'cas' && readsRecord && change === undefined)) return new Taking(errand, lock, roster).start()
    if ((lock?.op === 'cad' || lock?.op === 'cas') && lock.cas instanceof LockVersions) return new Leaving(errand, lock, lock.cas).start()
    failLater(receiver, ALIEN)
  }

  /** Advice is kept on one node: the one where it was read, or the first that answers. */
  private advise(route: string, command: Command, receiver: Receiver): void {
    const member = 'cas' in command && command.cas instanceof AdviceVersion ? this.members[command.cas.node] : this.set.adviserOf(route)
    if (member === undefined) return failLater(receiver, ALIEN)
    const own = 'cas' in command && command.cas instanceof AdviceVersion ? { ...command, cas: command.cas.cas } : command
    member.send(route, [own], {
      landed: (replies) => receiver.landed(replies.map((reply) => adviceReply(reply, member.index))),
      failed: (error) => receiver.failed(error),
    })
  }

  nodeOf(route: string): ReturnType<NonNullable<Wire['nodeOf']>> {
    const [first] = this.set.rankedMembersOf(route)
    const name = first?.name ?? ''
    return first?.place.wire.nodeOf?.(route) ?? { name, system: this.store.name, address: name, port: undefined }
  }

  probes(): readonly Probe[] {
    return this.members.map((member) => new MemberProbe(this.set, member))
  }

  stats(): Readonly<Record<string, NodeStats>> {
    // By the member's own name: pipes through one proxy have one address.
    return Object.fromEntries(this.members.flatMap(({ name, place }) => Object.values(place.wire.stats?.() ?? {}).map((stats) => [name, stats] as const)))
  }

  maxValueBytes(route: string, key: string): number {
    const limits = this.set.membersOf(route).map(({ place }) => place.wire.maxValueBytes(route, place.keyPrefix + key))
    return Math.max(Math.min(...limits) - MOST_HEAD_BYTES, 0)
  }

  /** What was acknowledged is on a majority of its nodes: it is found where a minority cannot be asked. */
  private async *listed(prefix: string): AsyncGenerator<string> {
    const { replicas, majority } = this.quorum
    let missed: unknown
    let away = 0
    for (const { place } of this.members) {
      const { keyPrefix, wire } = place
      if (wire.keys === undefined) continue
      try {
        for await (const key of wire.keys(keyPrefix + prefix)) yield key.slice(keyPrefix.length)
      } catch (error) {
        missed = error
        if (!(error instanceof FlightError) || ++away > replicas - majority) throw missed
      }
    }
  }

  sweep(): number {
    return 0
  }

  close(): Promise<void> {
    this.set.patience.close()
    this.set.leftovers.close()
    this.closing ??= Promise.all(this.members.map(({ place }) => place.wire.close())).then(() => undefined)
    return this.closing
  }
}
