/**
 * Plays bare commands on a wire that keeps each record on several nodes, where a record is stored under a lock of a majority and in
 * no other way: each command that changes one takes such a lock first, and lets go of it behind. What is stored and refused the wire
 * decides, by versions.
 */
import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { isOfProcesses } from '../../src/lock/protocol/key-layout.js'
import type { CycleSeat } from '../../src/wire/cycle.js'
import { RecordVersions } from '../../src/wire/replicated/versions.js'
import { ANY_STORE, type Cas, type Command, type Reply, type StoreTraits, type Wire } from '../../src/wire/wire.js'

const LEASE_SEC = 60
const NO_SEAT: CycleSeat = { end: () => undefined }
const AGAIN_MS = 5
/** A destroyed record is one without bytes, which is kept for as long. */
const GONE = { value: '', ttlSec: 100 } as const
const NOTHING: Reply = { status: 'missing', value: undefined, flags: 0, cas: undefined }

type Store = Command & { readonly op: 'add' | 'cas' }

/** A lock that is held, and the record as it stood when it was taken. */
interface Held {
  readonly route: string
  readonly key: string
  readonly token: string
  readonly lock: Cas | undefined
  readonly record: Reply
}

let tokens = 0

/**
 * @param refusing another one to the same nodes, for what it refuses: who refuses something is not waited for the next time.
 * @param fill sends what only fills the store, `filling-...`, to the nodes themselves.
 */
export function underLocks(wire: Wire, refusing: Wire, fill?: (commands: readonly Command[]) => Promise<Reply[]>): Wire {
  return new UnderLocks(wire, refusing, fill)
}

const PLAIN = /^[!-~]{1,250}$/

class UnderLocks implements Wire {
  readonly store: StoreTraits
  readonly startCycle: Wire['startCycle']
  /** Records without bytes that are none of ours: to the wire they look destroyed. */
  private readonly empty = new Set<string>()

  constructor(
    private readonly wire: Wire,
    private readonly refusing: Wire,
    private readonly fill: ((commands: readonly Command[]) => Promise<Reply[]>) | undefined,
  ) {
    this.store = wire.store ?? ANY_STORE
    if (wire.startCycle === undefined) return
    this.startCycle = (route, start) => (PLAIN.test(start.recordKey) ? wire : refusing).startCycle?.(route, start) ?? NO_SEAT
  }

  async flight(route: string, commands: readonly Command[]): Promise<Reply[]> {
    const [first] = commands
    if (first?.op === 'set' && isOfProcesses(first.key)) return this.takeOver(route, first)
    // A flight of the lock protocol goes as it is.
    if (first === undefined || commands.some(({ key }) => isOfProcesses(key))) return this.wire.flight(route, commands)
    if (this.fill !== undefined && commands.every(({ key }) => key.startsWith('filling'))) return this.fill(commands)
    // In pieces, of which none is sent where one is refused.
    const bad = commands.find(({ key }) => !PLAIN.test(key))
    if (bad !== undefined) return this.refusing.flight(route, [{ op: 'get', key: bad.key }])
    const replies: Reply[] = []
    for (const command of commands) replies.push(await this.play(route, command))
    return replies
  }

  private async play(route: string, command: Command): Promise<Reply> {
    const { key } = command
    if (command.op === 'get') return this.seen(key, await this.read(route, key))
    const held = await this.take(route, key)
    if (held.lock === undefined) return held.record
    const found = this.seen(key, held.record)
    switch (command.op) {
      case 'add':
        // What was destroyed stands there still, without bytes.
        return this.storeBy(held, found.status === 'ok' || held.record.cas === undefined ? command : { ...command, op: 'cas', cas: held.record.cas }, true)
      case 'set':
        return { ...(await this.storeBy(held, held.record.cas === undefined ? { ...command, op: 'add' } : { ...command, op: 'cas', cas: held.record.cas }, false)), cas: undefined }
      case 'cas':
        return orMissing(found, await this.storeOver(held, command, command.wantCas === true))
      case 'cad':
        return orMissing(found, await this.storeOver(held, { ...GONE, op: 'cas', key, cas: command.cas }, false, true))
      case 'touch':
      case 'delete': {
        const { value, cas, flags } = found
        if (value === undefined || cas === undefined) return this.letGo(held, NOTHING)
        if (command.op === 'delete') return this.storeBy(held, { ...GONE, op: 'cas', key, cas }, false, true)
        return this.storeBy(held, { op: 'cas', key, value, flags, cas, ttlSec: command.ttlSec }, true)
      }
    }
  }

  /** With the lock beside it, so that every node is asked: the version names those that have answered. */
  private async read(route: string, key: string): Promise<Reply> {
    const [record = NOTHING] = await this.wire.flight(route, [{ op: 'get', key }, { op: 'get', key: lockOf(key) }])
    return record
  }

  private seen(key: string, record: Reply): Reply {
    return record.value?.length === 0 && !this.empty.has(key) ? NOTHING : record
  }

  /** @returns without `lock`: no node has room for one, as `record` says. */
  private async take(route: string, key: string): Promise<Held> {
    const token = `{"token":"${String(++tokens)}"}`
    for (;;) {
      const [lock = NOTHING, record = NOTHING] = await this.wire.flight(route, [{ op: 'add', key: lockOf(key), value: token, ttlSec: LEASE_SEC }, { op: 'get', key }])
      if (lock.status === 'ok') return { route, key, token, lock: lock.cas, record }
      if (lock.status !== 'exists') return { route, key, token, lock: undefined, record: { ...lock, value: undefined } }
      await delay(AGAIN_MS * Math.random())
    }
  }

  /**
   * By the version that the caller has, and which may be an old one. It is sent where no node would take it, or all of them. Where a
   * node has missed what was stored since, that one would take it, and its copy would count as the newest: nobody may write who has not
   * read under his lock.
   */
  private async storeOver(held: Held, change: Store & { readonly op: 'cas' }, wantsCas: boolean, destroys = false): Promise<Reply> {
    const [known, now] = [change.cas, held.record.cas]
    if (!(known instanceof RecordVersions) || !(now instanceof RecordVersions)) return this.storeBy(held, change, wantsCas, destroys)
    if (known.newest.count === now.newest.count && known.newest.ordinal === now.newest.ordinal) return this.storeBy(held, { ...change, cas: now }, wantsCas, destroys)
    const isMet = [...now.parts].some(([node, { cas }]) => cas?.version === known.parts.get(node)?.cas?.version)
    return isMet ? this.letGo(held, { ...NOTHING, status: 'exists' }) : this.storeBy(held, change, wantsCas, destroys)
  }

  /** In one flight with the lock, which goes with it; where a version is wanted, in the next one. */
  private async storeBy(held: Held, change: Store, wantsCas: boolean, destroys = false): Promise<Reply> {
    const { route, key, token, lock } = held
    if (lock === undefined) return NOTHING
    const exit: Command = wantsCas ? { op: 'cas', key: lockOf(key), value: token, ttlSec: LEASE_SEC, cas: lock, wantCas: true } : { op: 'cad', key: lockOf(key), cas: lock }
    const [stored = NOTHING, left = NOTHING] = await this.wire.flight(route, [change, exit])
    if (stored.status === 'ok') this.empty[change.value.length === 0 && !destroys ? 'add' : 'delete'](key)
    if (wantsCas) await this.letGo({ ...held, lock: left.cas }, stored)
    return stored
  }

  /** By the version that it has now, where that is not known. */
  private async letGo({ route, key, lock }: Held, reply: Reply): Promise<Reply> {
    const cas = lock ?? (await this.wire.flight(route, [{ op: 'get', key: lockOf(key) }]))[0]?.cas
    if (cas !== undefined) await this.wire.flight(route, [{ op: 'cad', key: lockOf(key), cas }])
    return reply
  }

  /** A lock that another one has taken is replaced by its version. */
  private async takeOver(route: string, { key, value, ttlSec }: Command & { readonly op: 'set' }): Promise<Reply[]> {
    const [lock] = await this.wire.flight(route, [{ op: 'get', key }])
    return this.wire.flight(route, [lock?.cas === undefined ? { op: 'add', key, value, ttlSec } : { op: 'cas', key, value, ttlSec, cas: lock.cas }])
  }

  /** Without the locks of what was just stored. */
  async *keys(prefix: string): AsyncGenerator<string> {
    for await (const key of this.wire.keys?.(prefix) ?? []) if (!isOfProcesses(key)) yield key
  }

  nodeOf(route: string): ReturnType<NonNullable<Wire['nodeOf']>> {
    const node = this.wire.nodeOf?.(route)
    if (node === undefined) throw new Error('it does not say')
    return node
  }

  stats(): ReturnType<NonNullable<Wire['stats']>> {
    return this.wire.stats?.() ?? {}
  }

  send(route: string, commands: readonly Command[], receiver: Parameters<NonNullable<Wire['send']>>[2]): void {
    if (commands.some(({ key }) => isOfProcesses(key))) return this.wire.send?.(route, commands, receiver)
    this.flight(route, commands).then((replies) => receiver.landed(replies), (error: unknown) => receiver.failed(error))
  }

  maxValueBytes(route: string, key: string): number {
    return this.wire.maxValueBytes(route, key)
  }

  sweep(): number | Promise<number> {
    return this.wire.sweep()
  }

  close(): Promise<void> {
    return this.wire.close()
  }
}

/** Of another name than the lock of the suite's own cycles, who would have to be waited for; and never longer than a key may be. */
const lockOf = (key: string): string => `by-${createHash('sha256').update(key).digest('hex').slice(0, 20)}-lck`

/** Where what was there has been destroyed, a version finds something else: nothing, to who gave the command. */
const orMissing = (found: Reply, reply: Reply): Reply => (found.status === 'missing' && reply.status === 'exists' ? { ...reply, status: 'missing' } : reply)
