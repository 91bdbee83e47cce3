import type { Clock } from '../../system/clock.js'
import type { Command, Quorum, Value } from '../wire.js'
import { allNodes, betweenLists, type Council, type Seen } from './council.js'
import { Leftovers } from './leftovers.js'
import type { Lists } from './lists.js'
import type { Member } from './member.js'
import { Patience } from './patience.js'

/** What the keys of one flight are. */
export type Kind = 'record' | 'lock' | 'advice'

export interface SetOptions {
  readonly clock: Clock
  readonly quorum: Quorum
  readonly members: readonly Member[]
  readonly lists: Lists
  /** The places of a session's nodes, in the order in which they are asked one after the other. */
  readonly ranked: (route: string) => readonly number[]
  /** The same by the list that is being changed into this one. */
  readonly before?: ((route: string) => readonly number[]) | undefined
  /** Whether a node is on this list alone, and not on the one before. */
  readonly isJoining: (node: number) => boolean
  readonly isOnNew: (node: number) => boolean
  readonly kindOf: (key: string) => Kind
  readonly markKey: string
  readonly flightMs: number
}

/** All nodes of one save path: what the flights of its sessions have in common. */
export class ReplicaSet {
  readonly patience: Patience
  readonly council: Council
  readonly leftovers: Leftovers
  readonly clock: Clock
  readonly quorum: Quorum
  readonly flightMs: number
  readonly markKey: string
  readonly getMark: Command
  private ordinal = 0

  constructor(private readonly options: SetOptions) {
    this.clock = options.clock
    this.quorum = options.quorum
    this.flightMs = options.flightMs
    this.council = allNodes(options.quorum.majority)
    this.patience = new Patience(options.clock)
    this.leftovers = new Leftovers(options.clock)
    this.markKey = options.markKey
    this.getMark = { op: 'get', key: options.markKey }
  }

  get lists(): Lists {
    return this.options.lists
  }

  get members(): readonly Member[] {
    return this.options.members
  }

  kindOf(key: string): Kind {
    return this.options.kindOf(key)
  }

  /** The session's nodes, the first of them first. */
  membersOf(route: string): readonly Member[] {
    const { members, quorum, ranked } = this.options
    return members.length === quorum.replicas ? members : this.rankedMembersOf(route, ranked)
  }

  /** As `membersOf`, in the order that all processes agree on. */
  rankedMembersOf(route: string, ranked = this.options.ranked): readonly Member[] {
    const { before, members } = this.options
    const places = before === undefined ? ranked(route) : new Set([...before(route), ...ranked(route)])
    return [...places].flatMap((place) => members[place] ?? [])
  }

  /** Without the nodes that leave. */
  placesOf(route: string): readonly number[] {
    return this.options.ranked(route)
  }

  isOnNew(node: number): boolean {
    return this.options.isOnNew(node)
  }

  isJoining(node: number): boolean {
    return this.options.isJoining(node)
  }

  get isChanging(): boolean {
    return this.options.before !== undefined
  }

  /** Who decides, by what was seen in this flight. */
  councilFor(route: string, seen: Seen): Council {
    const { before, ranked } = this.options
    return before === undefined ? this.council : betweenLists({ old: before(route), new: ranked(route) }, this.quorum.majority, seen)
  }

  /** The node that keeps what is mere advice: the first that answers. */
  adviserOf(route: string): Member {
    const members = this.rankedMembersOf(route)
    const adviser = members.find(({ isSuspect }) => !isSuspect) ?? members[0]
    if (adviser === undefined) throw new RangeError('no such node')
    return adviser
  }

  nextOrdinal(): number {
    return ++this.ordinal
  }
}

/** A flight of commands, sorted by what they are. */
export interface Sorted {
  /** The command that takes the lock, keeps it, or lets go of it. */
  readonly lock: Command | undefined
  /** The command that stores the record. */
  readonly change: (Command & { readonly value: Value; readonly ttlSec: number }) | undefined
  readonly readsRecord: boolean
  readonly readsLock: boolean
  /** The command about the line of those who wait. */
  readonly advice: Command | undefined
  readonly recordKey: string | undefined
  readonly lockKey: string | undefined
  /** A command that cannot be carried out on several nodes. */
  readonly alien: Command | undefined
}

/** Undefined where the flight has two commands of one sort, which no caller sends. */
export function sorted(commands: readonly Command[], kindOf: (key: string) => Kind): Sorted {
  let [lock, change, advice, alien]: (Command | undefined)[] = []
  let [recordKey, lockKey]: (string | undefined)[] = []
  let [readsRecord, readsLock] = [false, false]
  for (const command of commands) {
    const kind = kindOf(command.key)
    if (kind === 'record') recordKey = command.key
    if (kind === 'lock') lockKey = command.key
    if (kind === 'advice') {
      alien ??= advice
      advice = command
    } else if (command.op === 'get') {
      if (kind === 'record') readsRecord = true
      else readsLock = true
    } else if (kind === 'lock' && lock === undefined && (command.op === 'add' || command.op === 'cas' || command.op === 'cad')) {
      lock = command
    } else if (kind === 'record' && change === undefined && (command.op === 'add' || command.op === 'cas')) {
      change = command
    } else {
      alien = command
    }
  }
  return { lock, change: isStore(change) ? change : undefined, readsRecord, readsLock, advice, recordKey, lockKey, alien }
}

const isStore = (command: Command | undefined): command is Command & { readonly op: 'add' | 'cas' } =>
  command?.op === 'add' || command?.op === 'cas'
