/**
 * Sessions on three or five nodes among three processes, with lost and late flights, pauses, partitions, nodes that stand still
 * and come back as they were, and nodes that come back empty, and are repaired, before others do; from a seed.
 *
 * What is checked: whoever reads a session, with or without its lock, finds all that was acknowledged before; nothing that
 * was destroyed comes back; no lock outlives its lease; and once all is well again, everybody is served, and after a repair each
 * majority has all.
 */
import { isAdvice, isOfProcesses, markKeyOf } from '../../../src/lock/protocol/key-layout.js'
import { repair } from '../../../src/session/repair.js'
import type { Repaired } from '../../../src/session/repaired.js'
import { createReplicatedWire, type ReplicatedWireOptions } from '../../../src/wire/replicated/replicated-wire.js'
import { type Command, FlightError, type Wire } from '../../../src/wire/wire.js'
import { LatchkeyError, SessionManager } from 'latchkey'
import { SeededRandom } from 'latchkey/testing'
import { repairUnwatched } from '../../support/repair-unwatched.js'
import { SimulatedServer } from '../simulated/server.js'
import { SimulatedHost, SimulatedTime } from '../simulated/time.js'
import { type Fate, SimulatedWire } from '../simulated/wire.js'

const PREFIX = 'sess:'
const DEADLINE_MS = 900
const FLIGHT_MS = DEADLINE_MS / 3
const NODE_FLIGHT_MS = FLIGHT_MS / 3
const LEASE_SEC = 2
const PROCESSES = 3
const TASKS = 9
const TROUBLE_ENDS_MS = 16_000
const OVER_MS = 300_000

/** Longer than what is left behind is looked for: only who lets go of it, or takes it off, ends such a lock. */
const LONG_LEASE_SEC = 40
/** How long a lock that nobody has may stand once all is well, where leases are long. */
const LOOKED_FOR_MS = 12_000

/**
 * What a run is about beside the ordinary trouble. `torn`: locks are evicted from some of their nodes while they are held, and read
 * again. `forgetful`: records are evicted, again and again, and old commands come late. `long`: leases end nothing.
 */
type Theme = 'mixed' | 'torn' | 'forgetful' | 'long'
const THEMES: readonly Theme[] = ['mixed', 'mixed', 'mixed', 'mixed', 'mixed', 'torn', 'forgetful', 'long']

/** How a request may end without being served. */
const REFUSALS = new Set([
  ...['LATCHKEY_LOCK_TIMEOUT', 'LATCHKEY_SERVER_UNAVAILABLE', 'LATCHKEY_SERVER_REFUSED', 'LATCHKEY_SESSION_GONE', 'LATCHKEY_FENCED'],
  ...['LATCHKEY_LOCK_LOST', 'LATCHKEY_OUTCOME_UNKNOWN', 'LATCHKEY_HELD_TOO_LONG'],
])

interface Shop {
  ops: string[]
}

/** What is known of one session. */
class Truth {
  /** Acknowledged, and not destroyed since. */
  readonly required = new Set<string>()
  /** Acknowledged before a destruction began that was acknowledged. */
  readonly forbidden = new Set<string>()
  /** Counts the beginnings and ends of destructions: each may come before or after what is stored meanwhile. */
  endings = 0
  underWay = 0
}

interface Snapshot {
  readonly required: readonly string[]
  readonly forbidden: readonly string[]
}

/** Who goes by which list: `old` and `new` by one alone, `both` by that of the change. */
type Stage = 'old' | 'both' | 'new'

interface Process {
  readonly host: SimulatedHost
  /** With the save path that it has now. */
  readonly manager: SessionManager
  stage: Stage
}

/** A list, and which of its nodes keep a session. */
interface List {
  readonly name: string
  readonly places: readonly number[]
  readonly ranked: (route: string) => readonly number[]
}

export interface Counts {
  acknowledged: number
  fenced: number
  unknown: number
  refused: number
  destroyed: number
  /** Repairs that have called all nodes whole, while there was trouble. */
  repaired: number
  /** Lists that were changed while there was trouble. */
  changed: number
  /** Processes that were refused for their list. */
  misled: number
}

export const newCounts = (): Counts => ({ acknowledged: 0, fenced: 0, unknown: 0, refused: 0, destroyed: 0, repaired: 0, changed: 0, misled: 0 })

class Play {
  readonly time = new SimulatedTime()
  readonly random: SeededRandom
  readonly flaws: string[] = []
  readonly counts = newCounts()
  private readonly nodes: number
  private readonly servers: SimulatedServer[]
  private readonly truths = new Map<string, Truth>()
  /** By process and node: until when nothing gets through. */
  private readonly cutUntilMs = new Map<string, number>()
  private readonly trouble: number
  private readonly theme: Theme
  /** So few nodes lose what they keep that each majority has one that does not; after a repair it may be others. */
  private mayLose: readonly SimulatedServer[]
  private evictions = 0
  /** The list that all begin with, and the one that it is changed into; undefined: it stays. */
  private readonly old: List
  private readonly next: List | undefined
  private isChanged = false
  private ops = 0

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    this.nodes = seed % 4 === 3 ? 5 : 3
    // By another figure than the nodes: each theme is played on three and on five.
    const theme = THEMES[Math.floor(seed / 4) % THEMES.length] ?? 'mixed'
    // Who changes the list asks for one lock again and again: of so many, one that comes late may be looked for in vain, and stand for its lease.
    this.theme = seed % 3 === 0 && theme === 'long' ? 'mixed' : theme
    this.trouble = this.random.pick([0.01, 0.04, 0.1])
    const all = Array.from({ length: this.nodes }, (_node, node) => node)
    const kind = seed % 3 === 0 ? this.random.pick(['replace', 'replace', 'add', 'remove'] as const) : undefined
    const [more, fewer]: [List, List] = [this.listOf('more', [...all, this.nodes]), this.listOf('fewer', all)]
    const leaving = this.random.integer(this.nodes)
    this.old = kind === 'remove' ? more : fewer
    this.next = kind === 'replace' ? this.listOf('other', [...all.filter((node) => node !== leaving), this.nodes]) : kind === 'add' ? more : kind === 'remove' ? fewer : undefined
    const servers = kind === undefined ? this.nodes : this.nodes + 1
    this.servers = Array.from({ length: servers }, () => new SimulatedServer(this.time, this.random.fraction() * 1000))
    const tolerated = this.nodes - majorityOf(this.nodes)
    this.mayLose = this.servers.slice(0, tolerated)
    // Of no session's nodes, by either list, more.
    if (kind === 'replace' && this.random.fraction() < 0.5) {
      this.mayLose = this.servers.filter((_server, node) => node === leaving || node === this.nodes || (node < tolerated - 1 && node !== leaving))
    }
    this.time.maxEvents = 400_000
  }

  /** Of the nodes of a list that has one more than a session needs, each session leaves one out. */
  private listOf(name: string, places: readonly number[]): List {
    const { nodes } = this
    const ranked = (route: string): readonly number[] => {
      const start = route.charCodeAt(0) % places.length
      return [...places.slice(start), ...places.slice(0, start)].slice(0, nodes)
    }
    return { name, places, ranked: places.length === nodes ? () => places : ranked }
  }

  process(actor: number): Process {
    const host = new SimulatedHost(this.time, this.random.integer(1_000_000), this.random.integer(2000) - 1000)
    const managers = new Map<Stage, SessionManager>()
    const managerFor = (stage: Stage): SessionManager => {
      const manager = managers.get(stage) ?? this.managerOn(host, this.servers.map((server, node) => this.wireTo(server, node, host, actor)), stage)
      managers.set(stage, manager)
      return manager
    }
    return {
      host,
      stage: 'old',
      get manager(): SessionManager {
        return managerFor(this.stage)
      },
    }
  }

  /** @param wires to all nodes of both lists. */
  private managerOn(host: SimulatedHost, wires: readonly Wire[], stage: Stage): SessionManager {
    const { random, old, next = old } = this
    const list = stage === 'old' ? old : next
    const named = stage === 'both' ? wires.map((_wire, node) => node) : list.places
    const at = (place: number): number => named.indexOf(place)
    const of = ({ name, ranked, places }: List): Pick<ReplicatedWireOptions, 'list' | 'ranked' | 'has'> & { has: (node: number) => boolean } => ({
      list: name,
      ranked: (route) => ranked(route).map(at),
      has: (node) => places.some((place) => at(place) === node),
    })
    const wire = createReplicatedWire({
      places: named.flatMap((place) => {
        const one = wires[place]
        return one === undefined ? [] : [{ name: `n${String(place)}`, wire: one, keyPrefix: '' }]
      }),
      replicas: this.nodes,
      ...of(list),
      before: stage === 'both' ? of(old) : undefined,
      kindOf: (key) => (isAdvice(key) ? 'advice' : isOfProcesses(key) ? 'lock' : 'record'),
      markKey: markKeyOf(PREFIX),
      clock: host,
      random: random.fork(),
      flightMs: FLIGHT_MS,
    })
    const limits = { leaseSec: this.leaseSec, waitMs: 4000, maxHoldMs: 8000, deadlineMs: DEADLINE_MS, lifetimeSec: 600 }
    return new SessionManager({ wire, clock: host, random: random.fork(), prefix: PREFIX, ...limits })
  }

  private wireTo(server: SimulatedServer, node: number, host: SimulatedHost, actor: number): Wire {
    const options = { time: this.time, host, server, random: this.random.fork(), actor, flightMs: NODE_FLIGHT_MS, connections: 2 }
    const traits = { knowsProcess: true, isProxied: false, hasOwnVersions: false }
    const wire = new SimulatedWire({ ...options, ...traits, fateOf: (commands) => this.fate(actor, node, commands) })
    return Object.assign(wire, {
      async *keys(prefix: string): AsyncGenerator<string> {
        await wire.flight('', [{ op: 'get', key: prefix }])
        yield* server.keys(prefix)
      },
    })
  }

  get leaseSec(): number {
    return this.theme === 'long' ? LONG_LEASE_SEC : LEASE_SEC
  }

  private fate(actor: number, node: number, commands: readonly Command[]): Fate {
    const { random, trouble } = this
    const [upMs, downMs] = [0.1 + random.fraction() * 2, 0.1 + random.fraction() * 2]
    const gapMs = random.fraction() < 0.1 ? random.fraction() * 3 : 0
    const pass: Fate = { kind: 'pass', upMs, downMs, gapMs, commands: 0, laterMs: 0, noticedMs: undefined }
    if (this.time.nowMs > TROUBLE_ENDS_MS) return pass
    const noticedMs = random.fraction() < 0.5 ? random.fraction() * 20 : undefined
    if ((this.cutUntilMs.get(`${String(actor)} ${String(node)}`) ?? 0) > this.time.nowMs) return { ...pass, kind: 'lost', noticedMs }
    if (random.fraction() >= trouble) return random.fraction() < 0.02 ? { ...pass, upMs: random.fraction() * 80 } : pass
    const kind = this.theme === 'forgetful' && random.fraction() < 0.5 ? 'zombie' : random.pick(['refused', 'lost', 'mute', 'partial', 'zombie', 'zombie', 'unclear'] as const)
    return { ...pass, kind, noticedMs, commands: random.integer(commands.length), laterMs: random.fraction() * 3.5 * LEASE_SEC * 1000 }
  }

  plan(hosts: readonly SimulatedHost[]): void {
    const { random, time, servers } = this
    const at = (run: () => void): void => void time.after(random.fraction() * TROUBLE_ENDS_MS, run)
    for (let strike = 0; strike < 3; strike++) {
      const host = random.pick(hosts)
      at(() => {
        host.pause()
        time.after(random.fraction() * 3 * LEASE_SEC * 1000, () => host.wake(random.fraction() < 0.5))
      })
    }
    for (let strike = 0; this.theme === 'torn' && strike < 12; strike++) at(() => this.tearLock(this.anyId()))
    for (let strike = 0; this.theme === 'forgetful' && strike < 16; strike++) at(() => this.evictRecord(PREFIX + this.anyId()))
    for (let strike = 0; strike < 4; strike++) {
      const server = random.pick(servers)
      const what = random.pick(['stop', 'restart', 'evictLock', 'evictRecord', 'cut', 'cut'])
      at(() => {
        if (what === 'stop') this.standStill(server)
        if (what === 'restart') this.empty()
        if (what === 'evictLock') server.evict(`${PREFIX}${this.anyId()}-lck`)
        if (what === 'evictRecord') this.evictRecord(PREFIX + this.anyId())
        if (what === 'cut') this.cut()
      })
    }
  }

  private tearLock(id: string): void {
    for (const server of this.servers) if (this.random.fraction() < 0.5) server.evict(`${PREFIX}${id}-lck`)
  }

  /** A miss does not tell an eviction from a node that never had the session: where some never had it, nothing is promised. */
  private evictRecord(key: string): void {
    const victim = this.random.pick(this.mayLose)
    const hasCopy = (server: SimulatedServer): boolean => server.valueOf(key)?.toString().startsWith('copy1') === true
    if (this.servers.every(hasCopy) && victim.evict(key)) this.evictions++
  }

  private empty(): void {
    this.random.pick(this.mayLose).restart()
  }

  /** Nodes are emptied and repaired by turns, beside the others. */
  async repairs(operators: readonly Process[]): Promise<void> {
    const { random } = this
    if (this.next !== undefined || random.fraction() < 0.5) return
    const [first] = operators
    for (let turn = 0; first !== undefined && turn < 5; turn++) {
      await first.host.sleep(random.fraction() * 2500)
      if (random.fraction() < 0.7) this.empty()
      await first.host.sleep(random.fraction() * 600)
      if (random.fraction() < 0.4) this.time.after(random.fraction() * 500, () => this.empty())
      await Promise.all(operators.filter((operator) => operator === first || random.fraction() < 0.2).map((operator) => this.repairBy(operator)))
    }
  }

  /** @returns undefined: not all nodes were there for it. */
  private async repairBy({ manager, host }: Process): Promise<Repaired | undefined> {
    const { evictions } = this
    const stopping = new AbortController()
    if (this.random.fraction() < 0.1) this.time.after(this.random.fraction() * 300, () => stopping.abort())
    try {
      // A repair of many sessions takes a while, in which its node may be emptied again and marked anew.
      const leftSec = async (): Promise<number> => {
        await host.sleep(this.random.fraction() * 800)
        return 600
      }
      const repaired = await repair(manager.engine, { leftSec, signal: stopping.signal, progress: () => undefined })
      // As operators do: when every node says that it is whole, another one may be restarted.
      const areWhole = this.servers.every((server) => server.valueOf(markKeyOf(PREFIX))?.toString().includes(' whole') === true)
      if (this.next !== undefined || repaired.obstacle !== undefined || !areWhole || this.evictions !== evictions) return repaired
      this.counts.repaired++
      const start = this.random.integer(this.nodes)
      this.mayLose = this.mayLose.map((_server, at) => this.servers[(start + at) % this.nodes]).filter((server) => server !== undefined)
      return repaired
    } catch (error) {
      if (!(error instanceof FlightError) && !stopping.signal.aborted) this.refused(error)
      return undefined
    }
  }

  /** All get the save path of the change, one by one; it is carried out; all get the new one. Sometimes somebody does not wait for that. */
  async changesList(processes: readonly Process[], operators: readonly Process[]): Promise<void> {
    const { random, next } = this
    const [first] = operators
    if (next === undefined || first === undefined) return
    const isCareful = random.fraction() < 0.6
    const pause = (ms: number): Promise<void> => first.host.sleep(random.fraction() * ms)
    await pause(3000)
    for (const process of processes) {
      if (isCareful || random.fraction() < 0.6) process.stage = random.fraction() < (isCareful ? 1 : 0.8) ? 'both' : 'new'
      await pause(700)
    }
    for (const operator of operators) operator.stage = 'both'
    for (let turn = 0; turn < 6 && !this.isChanged; turn++) {
      if (random.fraction() < 0.3) this.empty()
      if (random.fraction() < 0.3) this.time.after(random.fraction() * 500, () => this.empty())
      const repaired = await Promise.all(operators.filter((operator) => operator === first || random.fraction() < 0.2).map((operator) => this.repairBy(operator)))
      if (repaired.some((one) => one?.isChanged === true)) this.endChange()
      await pause(1500)
    }
    if (!this.isChanged) return
    for (const process of processes) {
      await pause(1500)
      if (isCareful || random.fraction() < 0.3) process.stage = 'new'
    }
  }

  private endChange(): void {
    this.isChanged = true
    this.counts.changed++
  }

  /** The last save path that may be gone by. */
  get lastStage(): Stage {
    return this.next === undefined ? 'old' : this.isChanged ? 'new' : 'both'
  }

  /** With all nodes there one repair is enough, and then no majority needs another node. */
  async repairAtLast(operator: Process): Promise<void> {
    operator.stage = this.lastStage
    const { obstacle, failures, isChanged } = await repairUnwatched(operator.manager.engine, 600)
    if (obstacle !== undefined) this.flaws.push(`the last repair ended with ${obstacle}: ${[...failures.values()].map(String).join(', ')}`)
    if (isChanged) this.isChanged = true
    await this.askMajorities(true)
  }

  private standStill(server: SimulatedServer): void {
    server.stop()
    this.time.after(this.random.fraction() * 5000, () => server.goOn(this.random.fraction() < 0.3))
  }

  /** One process does not reach some nodes; or nobody reaches one. */
  private cut(): void {
    const { random, nodes, time } = this
    const untilMs = time.nowMs + random.fraction() * 6000
    const whole = random.fraction() < 0.5
    const actors = whole ? Array.from({ length: this.theme === 'long' ? PROCESSES : PROCESSES + 3 }, (_process, actor) => actor) : [random.integer(PROCESSES)]
    const lost = Array.from({ length: nodes + 1 }, (_node, node) => node).filter(() => random.fraction() < 0.4)
    for (const actor of actors) for (const node of lost) this.cutUntilMs.set(`${String(actor)} ${String(node)}`, untilMs)
  }

  private anyId(): string {
    return this.theme === 'torn' ? 'alpha' : this.random.pick(['alpha', 'beta'])
  }

  private truthOf(id: string): Truth {
    const truth = this.truths.get(id) ?? new Truth()
    this.truths.set(id, truth)
    return truth
  }

  private snapshot(id: string): Snapshot {
    const { required, forbidden } = this.truthOf(id)
    return { required: [...required], forbidden: [...forbidden] }
  }

  /** What was acknowledged before the read began must be there, if it was not destroyed meanwhile. */
  private compare(what: string, id: string, found: readonly string[], before: Snapshot): void {
    const { required } = this.truthOf(id)
    const missing = before.required.filter((op) => required.has(op) && !found.includes(op))
    const risen = before.forbidden.filter((op) => found.includes(op))
    if (missing.length > 0) this.flaws.push(`${what} of ${id} at ${this.time.nowMs.toFixed(0)} ms lacks ${missing.join(' ')}, which were acknowledged`)
    if (risen.length > 0) this.flaws.push(`${what} of ${id} at ${this.time.nowMs.toFixed(0)} ms finds ${risen.join(' ')}, which were destroyed`)
    if (new Set(found).size < found.length) this.flaws.push(`${what} of ${id} finds one change twice`)
  }

  async task(process: Process): Promise<void> {
    const { random } = this
    await process.host.sleep(random.fraction() * TROUBLE_ENDS_MS)
    const id = this.anyId()
    const drawn = random.fraction()
    if (drawn < 0.15) await this.read(process, id)
    else if (drawn < 0.2) await this.destroy(process, id)
    else if (this.theme === 'torn' && random.fraction() < 0.5) await this.changeWhatIsReadAgain(process, id)
    else await this.change(process, id)
  }

  /** Held for a while; whether the lock is still ours is asked before it is written. */
  private async changeWhatIsReadAgain({ manager, host }: Process, id: string): Promise<void> {
    const op = `op${String(++this.ops)}`
    const store = manager.store()
    try {
      await store.read(id)
      await host.sleep(this.random.fraction() * 1200)
      const before = this.snapshot(id)
      const { ops = [] } = JSON.parse((await store.read(id)) || '{}') as Partial<Shop>
      this.compare('a locked read', id, ops, before)
      await host.sleep(this.random.fraction() * 300)
      const { endings } = this.truthOf(id)
      await store.write(id, JSON.stringify({ ops: [...ops, op] }))
      this.acknowledge(id, op, endings)
    } catch (error) {
      this.refused(error)
    } finally {
      await store.close()
    }
  }

  private async read({ manager }: Process, id: string): Promise<void> {
    const before = this.snapshot(id)
    try {
      const data = await manager.peek<Shop>(id)
      this.compare('a read', id, data?.ops ?? [], before)
    } catch (error) {
      this.refused(error)
    }
  }

  private async change({ manager, host }: Process, id: string): Promise<void> {
    const op = `op${String(++this.ops)}`
    const before = this.snapshot(id)
    const saves = this.random.fraction() < 0.2
    try {
      const session = await manager.start<Shop>(id)
      this.compare('a locked read', id, session.data.ops ?? [], before)
      try {
        await host.sleep(this.random.fraction() < 0.1 ? this.random.fraction() * 5000 : this.random.fraction() * 40)
        session.data.ops = [...(session.data.ops ?? []), op]
        if (saves) {
          const { endings } = this.truthOf(id)
          await session.save()
          this.acknowledge(id, op, endings)
          await host.sleep(this.random.fraction() * 20)
        }
        if (this.random.fraction() < 0.04) {
          await this.ending(id, () => session.destroy())
        } else {
          const { endings } = this.truthOf(id)
          await session.release()
          if (!saves) this.acknowledge(id, op, endings)
        }
      } catch (error) {
        await session.abort().catch(() => undefined)
        throw error
      }
    } catch (error) {
      this.refused(error)
    }
  }

  private acknowledge(id: string, op: string, endings: number): void {
    this.counts.acknowledged++
    const truth = this.truthOf(id)
    if (truth.endings === endings && truth.underWay === 0) truth.required.add(op)
  }

  private async destroy({ manager }: Process, id: string): Promise<void> {
    try {
      await this.ending(id, () => manager.destroy(id))
    } catch (error) {
      this.refused(error)
    }
  }

  /** Until it is known how it ends, what was acknowledged before its end may be gone. */
  private async ending(id: string, end: () => Promise<void>): Promise<void> {
    const truth = this.truthOf(id)
    const before = [...truth.required]
    const mayBeGone = (): void => {
      for (const op of truth.required) truth.required.delete(op)
    }
    mayBeGone()
    truth.underWay++
    truth.endings++
    try {
      await end()
      for (const op of before) truth.forbidden.add(op)
      this.counts.destroyed++
    } finally {
      truth.underWay--
      truth.endings++
      mayBeGone()
    }
  }

  private refused(error: unknown): void {
    if (this.next !== undefined && error instanceof LatchkeyError && error.code === 'LATCHKEY_NOT_SUPPORTED') {
      this.counts.misled++
      return
    }
    if (!(error instanceof LatchkeyError) || !REFUSALS.has(error.code)) {
      this.flaws.push(`something ended with ${error instanceof LatchkeyError ? error.code : String(error)}`)
      return
    }
    if (error.code === 'LATCHKEY_FENCED') this.counts.fenced++
    else if (error.code === 'LATCHKEY_OUTCOME_UNKNOWN') this.counts.unknown++
    else this.counts.refused++
  }

  /** Every majority is asked, without the others. */
  async askMajorities(mustServe = false): Promise<void> {
    const host = new SimulatedHost(this.time)
    const stage = this.lastStage
    const { next = this.old } = this
    const listed = stage === 'both' ? [...this.servers.keys()] : next.places
    for (let mask = 0; mask < 2 ** this.servers.length; mask++) {
      const isIn = (node: number): boolean => (mask & (1 << node)) !== 0
      if (listed.filter((node) => !isIn(node)).length !== this.nodes - majorityOf(this.nodes)) continue
      if (this.servers.some((_server, node) => isIn(node) && !listed.includes(node))) continue
      const wires = this.servers.map((server, node): Wire => (isIn(node) ? this.wireTo(server, node, host, PROCESSES) : AWAY))
      const manager = this.managerOn(host, wires, stage)
      for (const id of this.truths.keys()) {
        const before = this.snapshot(id)
        try {
          this.compare(`a majority (${mask.toString(2)})`, id, (await manager.peek<Shop>(id))?.ops ?? [], before)
        } catch (error) {
          if (mustServe) this.flaws.push(`a majority (${mask.toString(2)}) refuses ${id} after a repair: ${String(error)}`)
          this.refused(error)
        }
      }
    }
  }

  /** With all nodes there everybody is served at once. */
  async serveAll(process: Process): Promise<void> {
    process.stage = this.lastStage
    const { manager } = process
    for (const id of this.truths.keys()) {
      const before = this.snapshot(id)
      try {
        await manager.run<Shop>(id, ({ data }) => this.compare('the last locked read', id, data.ops ?? [], before))
      } catch (error) {
        this.flaws.push(`in the end ${id} could not be had: ${error instanceof LatchkeyError ? `${error.code} ${error.message}` : String(error)}`)
      }
    }
  }

  lookForOrphans(): void {
    this.servers.forEach((server, node) => {
      for (const id of this.truths.keys()) {
        if (server.valueOf(`${PREFIX}${id}-lck`) !== undefined) this.flaws.push(`n${String(node)} keeps a lock of ${id} that nobody has`)
      }
    })
  }
}

const majorityOf = (nodes: number): number => Math.floor(nodes / 2) + 1

const AWAY: Wire = {
  flight: () => Promise.reject(new FlightError('not-sent', 'it is away')),
  maxValueBytes: () => 1_000_000,
  sweep: () => 0,
  close: () => Promise.resolve(),
}

/** @param counted is added to. @returns what is wrong; undefined: nothing. */
export async function play(seed: number, counted?: Counts): Promise<string | undefined> {
  const world = new Play(seed)
  const processes = Array.from({ length: PROCESSES }, (_process, actor) => world.process(actor))
  const operators = [1, 2].map((more) => world.process(PROCESSES + more))
  world.plan(processes.map(({ host }) => host))
  let stage = 0
  const through = async (work: Promise<unknown>): Promise<void> => {
    const mine = ++stage
    let isOver = false
    const all = work.then(
      () => void (isOver = true),
      (error: unknown) => {
        isOver = true
        world.flaws.push(`it broke: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
      },
    )
    await world.time.run(OVER_MS, () => isOver)
    if (!isOver) world.flaws.push(`stage ${String(mine)} never ended`)
    else await all
  }
  const tasks = processes.flatMap((process) => Array.from({ length: TASKS }, () => world.task(process)))
  await through(Promise.all([...tasks, world.repairs(operators), world.changesList(processes, operators)]))
  if (world.flaws.length === 0) {
    const quiet = new SimulatedHost(world.time)
    await through(quiet.sleep(TROUBLE_ENDS_MS + 8000 - Math.min(world.time.nowMs, TROUBLE_ENDS_MS)))
    await through(quiet.sleep(world.leaseSec === LEASE_SEC ? (LEASE_SEC + 1) * 1000 : LOOKED_FOR_MS))
    world.lookForOrphans()
    await through(world.askMajorities())
    const [first] = processes
    if (first !== undefined) await through(world.serveAll(first))
    const [operator] = operators
    if (operator !== undefined) await through(world.repairAtLast(operator))
  }
  if (counted !== undefined) for (const name of Object.keys(world.counts) as (keyof Counts)[]) counted[name] += world.counts[name]
  const [flaw] = world.flaws
  return flaw === undefined ? undefined : `seed ${String(seed)}: ${flaw}`
}
