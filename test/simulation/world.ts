import { SeededRandom } from '../../src/testing/seeded-random.js'
import { SimulatedServer } from './simulated/server.js'
import { SimulatedHost, SimulatedTime } from './simulated/time.js'
import { type Fate, SimulatedWire } from './simulated/wire.js'
import type { Neighbours } from '../../src/neighbours/neighbours.js'
import { PostNeighbours } from '../../src/neighbours/post-neighbours.js'
import type { Random } from '../../src/system/random.js'
import { SessionManager } from '../../src/session/session-manager.js'
import type { Command } from '../../src/wire/wire.js'
import { History } from './history.js'
import type { Request } from './request.js'
import { Rules } from './rules.js'
import type { Disaster, Scenario } from './scenario.js'
import { ResumedProcess } from './snapshot.js'
import { SimulatedPostOffice } from './simulated/post.js'
import { type LineFate, SimulatedNeighbours, SimulatedTown } from './simulated/neighbours.js'
import { Timeline } from './timeline.js'

export interface Violation {
  readonly rule: string
  readonly atMs: number
  readonly detail: string
}

/** One process that uses the shipped code: its own clock, connections, random source and manager. */
export interface SimulatedProcess {
  readonly actor: number
  readonly host: SimulatedHost
  readonly manager: SessionManager
  /** When the last disturbance of this process is over. Rules about promptness count from here. */
  quietSinceMs: number
  /**
   * No reply reaches this process before this time: it has ended a session, and the scenario makes it deaf after that.
   */
  deafUntilMs: number | undefined
  /** How many flights were sent for each session, without those for the waiting line. */
  readonly flights: Map<string, number>
  isClosing: boolean
}

/** The server and the processes of one run, and everything that happens to them. */
export class World {
  readonly time = new SimulatedTime()
  readonly timeline: Timeline
  readonly server: SimulatedServer
  readonly history: History
  readonly rules: Rules
  readonly violations: Violation[] = []
  /** The requests that are under way in any process. */
  readonly active = new Set<Request>()
  readonly processes: SimulatedProcess[] = []
  private stoppedAtMs = -Infinity
  private wentOnAtMs = -Infinity
  operations = 0
  acknowledged = 0
  private readonly places: SimulatedProcess[] = []
  private readonly fates: SeededRandom
  private readonly isRough: boolean
  /** Connects the processes with each other; undefined: they do not know of each other. */
  private readonly town: SimulatedTown | undefined
  /** Where processes of several hosts tell each other. */
  private readonly office = new SimulatedPostOffice(this.time, (line) => this.fateOfLine(line))
  /** The seed of the memory that all processes begin with; undefined: each has its own. */
  private readonly memorySeed: number | undefined

  constructor(
    readonly scenario: Scenario,
    private readonly random: SeededRandom,
    wantsTimeline: boolean,
  ) {
    const nowMs = (): number => this.time.nowMs
    this.fates = random.fork()
    this.town = scenario.hasBell ? new SimulatedTown(this.time, random.fork(), (line) => this.fateOfLine(line)) : undefined
    this.isRough = Object.values(scenario.odds).some((share) => share > 0)
    this.timeline = new Timeline(wantsTimeline, nowMs)
    this.server = new SimulatedServer(this.time, random.fraction() * 1000)
    this.rules = new Rules(this)
    this.history = new History(
      nowMs,
      () => this.server.nowSec,
      () => this.server.isBehind,
      (rule, detail) => this.accuse(rule, detail),
      this.timeline,
      ({ sentAtMs }) => this.isLate(sentAtMs),
      (truth, next) => this.rules.lockChanges(truth, next),
      (truth) => this.rules.watchExpiry(truth),
      (truth) => this.rules.recordExpires(truth),
      (actor) => this.processes.find((one) => one.actor === actor)?.host.isDead === true,
    )
    this.server.onUnlinked = (key) => this.history.evicted(key)
    this.server.onExecuted = (command, reply, origin) => this.history.executed(command, reply, origin)
    this.time.afterEach = () => this.rules.held()
    this.memorySeed = scenario.isCloned ? random.uint32() : undefined
    for (let place = 0; place < scenario.places; place++) this.boot(place)
  }

  accuse(rule: string, detail: string): void {
    this.timeline.add('RULE', () => `${rule}: ${detail}`)
    this.violations.push({ rule, atMs: this.time.nowMs, detail })
  }

  at(place: number): SimulatedProcess {
    const process = this.places[place]
    if (process === undefined) throw new RangeError(`no process at place ${String(place)}`)
    return process
  }

  cover(what: string): void {
    this.history.coverage.add(what)
  }

  /** Notes that `process`, or all processes, need not be prompt before `untilMs`. */
  disturb(untilMs: number, process?: SimulatedProcess): void {
    for (const one of process === undefined ? this.processes : [process]) {
      one.quietSinceMs = Math.max(one.quietSinceMs, untilMs)
    }
  }

  strike(disaster: Disaster): void {
    const { server, time } = this
    const { flightMs } = this
    if (disaster.kind !== 'evict') this.timeline.add('fate', () => JSON.stringify(disaster))
    switch (disaster.kind) {
      case 'pause': {
        const { host } = this.at(disaster.place)
        const process = this.at(disaster.place)
        this.cover('pause')
        host.pause()
        this.disturb(time.nowMs + disaster.forMs + flightMs, process)
        time.after(disaster.forMs, () => {
          this.timeline.add('fate', () => `p${String(process.actor)} wakes`)
          host.wake(disaster.timersFirst)
        })
        return
      }
      case 'crash': {
        this.cover('crash')
        this.at(disaster.place).host.kill()
        this.town?.died(this.at(disaster.place).host)
        time.after(disaster.forMs, () => this.boot(disaster.place))
        return
      }
      case 'shutdown': {
        const process = this.at(disaster.place)
        if (process.host.isDead || process.isClosing) return
        this.cover('shutdown')
        this.rules.close(process, disaster.graceMs)
        this.boot(disaster.place)
        return
      }
      case 'stall':
        this.cover('stall')
        if (!server.isStopped) this.stoppedAtMs = time.nowMs
        server.stop()
        this.disturb(time.nowMs + disaster.forMs + 2 * flightMs)
        time.after(disaster.forMs, () => {
          // Where two stalls overlap, both end with the first.
          if (!server.isStopped) return
          this.timeline.add('fate', () => 'the server goes on')
          this.wentOnAtMs = time.nowMs
          server.goOn(disaster.atMs % 2 < 1)
        })
        return
      case 'outOfMemory':
        this.cover('outOfMemory')
        server.isOutOfMemory = true
        this.disturb(time.nowMs + disaster.forMs)
        time.after(disaster.forMs, () => {
          server.isOutOfMemory = false
          this.disturb(time.nowMs)
        })
        return
      case 'restart':
        this.cover('restart')
        this.history.restarted()
        if (this.scenario.isProxied) this.cover(this.scenario.hasOwnVersions ? 'quickUnseenRestart' : 'unseenRestart')
        server.restart(this.awayMs)
        this.disturb(time.nowMs + this.awayMs + 2 * flightMs)
        return
      case 'evict': {
        const key = `sess:${disaster.session}${disaster.suffix}`
        if (!server.evict(key)) return
        this.cover('eviction')
        this.timeline.add('fate', () => `evicts ${key}`)
        this.history.evicted(key)
      }
    }
  }

  /** The deadline of one flight, derived from the deadline of a call as SessionManager does. */
  get flightMs(): number {
    return Math.floor(this.scenario.deadlineMs / 3)
  }

  /**
   * How long a server is away when it restarts. Behind a proxy: for longer than a version is trusted that came through, and
   * a flight takes on its way. That is what latchkey asks of such servers, and without it nothing is promised; but where
   * versions are of our own making, nothing is asked of them.
   */
  private get awayMs(): number {
    return this.scenario.isProxied && !this.scenario.hasOwnVersions ? 3 * this.flightMs + 100 : 0
  }

  /**
   * Whether a flight that was sent at `sentAtMs` is carried out so late, by a server that answers other flights, that
   * its sender need not look for it any more.
   */
  private isLate(sentAtMs: number): boolean {
    const lookedForMs = sentAtMs + 2 * this.flightMs
    const wasStopped = this.stoppedAtMs <= lookedForMs && this.time.nowMs <= this.wentOnAtMs + this.flightMs
    return this.time.nowMs > lookedForMs && !wasStopped
  }

  private boot(place: number): void {
    const { scenario, time, random, memorySeed } = this
    const actor = this.processes.length
    const memory = memorySeed === undefined ? random : new SeededRandom(memorySeed)
    const host = new SimulatedHost(time, memory.integer(1_000_000), memory.integer(10_000) - 5000)
    const flights = new Map<string, number>()
    const wire = new SimulatedWire({
      time,
      host,
      server: this.server,
      random: random.fork(),
      actor,
      flightMs: this.flightMs,
      connections: scenario.connections,
      knowsProcess: scenario.knowsProcess,
      isProxied: scenario.isProxied,
      hasOwnVersions: scenario.hasOwnVersions,
      fateOf: (commands) => this.fateOf(process, commands),
      onUntrusted: () => this.cover('untrustedCas'),
      onSent: (route, commands) => {
        // Flights of the waiting line and of the sweeper are not counted: no request waits for them.
        if (commands.every(({ key, op }) => key.endsWith('-line') || (op === 'get' && commands.length === 1 && key.endsWith('-lck')))) return
        flights.set(route, (flights.get(route) ?? 0) + 1)
      },
    })
    const { leaseSec, waitMs, maxHoldMs, maxWaiters, deadlineMs, lifetimeSec } = scenario
    const own = random.fork()
    const resumed = memorySeed === undefined ? undefined : new ResumedProcess(memory, own, wire, host)
    const manager = new SessionManager({
      ...{ wire: resumed ?? wire, clock: host, random: resumed ?? own },
      ...(this.town === undefined ? {} : { neighbours: this.neighboursOf(host, this.town, resumed ?? own) }),
      ...{ leaseSec, waitMs, maxHoldMs, maxWaiters, deadlineMs, lifetimeSec },
    })
    if (resumed !== undefined && actor > 0) this.cover('cloned')
    void resumed?.warmUp(manager)
    const process: SimulatedProcess = { actor, host, manager, quietSinceMs: 0, deafUntilMs: undefined, flights, isClosing: false }
    manager.on('lost', (event) => this.rules.lost(process, event))
    this.processes.push(process)
    this.places[place] = process
    if (this.server.isStopped) this.disturb(scenario.calmFromMs + scenario.leaseSec * 1000 + 8000, process)
  }

  /**
   * Whether the process is deaf: from the flight that ends a session on, for
   * one or two looks, or for longer than it asks.
   */
  private isDeaf(process: SimulatedProcess, commands: readonly Command[]): boolean {
    if (!this.scenario.isDeafAtRegenerate) return false
    const ends = commands.some((command) => command.op === 'cas' && command.value.length === 0)
    if (ends) process.deafUntilMs ??= this.time.nowMs + this.fates.fraction() * (4 * this.flightMs + 1000)
    return this.time.nowMs < (process.deafUntilMs ?? 0)
  }

  private neighboursOf(host: SimulatedHost, town: SimulatedTown, random: Random): Neighbours {
    if (!this.scenario.isSpread) return new SimulatedNeighbours(town, host)
    this.cover('spread')
    return new PostNeighbours(this.office.counterOf(host), random, host)
  }

  /**
   * What happens to a line between processes of one host. Such lines are hints, and here they are made to be poor ones.
   */
  private fateOfLine(line: string): LineFate {
    const { fates: random } = this
    const upMs = 0.02 + random.fraction() * 0.4
    const [, instance = ''] = line.split(' ')
    if (this.time.nowMs >= this.scenario.calmFromMs || !this.isRough) return { upMs, times: 1, breaks: false, forged: [] }
    const isLate = random.fraction() < 0.05
    const drawn = random.fraction()
    return {
      upMs: isLate ? upMs + random.fraction() * 2000 : upMs,
      times: drawn < 0.1 ? 0 : drawn < 0.15 ? 2 : 1,
      breaks: random.fraction() < 0.03,
      forged: random.fraction() < 0.1 ? [`${random.pick(['free', 'held', 'left', 'nonsense'])} ${instance}`] : [],
    }
  }

  /** How the commands of a flight overtake each other, where the proxy has several connections to the server. */
  private overtaking(commands: readonly Command[]): Fate['shuffle'] {
    const { fates: random } = this
    if (!this.scenario.isUnordered || random.fraction() < 0.5) return undefined
    if (commands.length > 1) this.cover('overtaken')
    return (steps) => {
      const left = [...steps]
      return steps.flatMap(() => left.splice(random.integer(left.length), 1))
    }
  }

  private fateOf(process: SimulatedProcess, commands: readonly Command[]): Fate {
    const { fates: random, flightMs } = this
    const { odds, calmFromMs, isDeafAtRegenerate } = this.scenario
    const isCalm = (!this.isRough && !isDeafAtRegenerate) || this.time.nowMs >= calmFromMs
    const upMs = 0.1 + random.fraction() * 2
    const downMs = 0.1 + random.fraction() * 2
    const gapMs = !isCalm && random.fraction() < odds.gap ? random.fraction() * random.pick([0.5, 5]) : 0
    const shuffle = isCalm ? undefined : this.overtaking(commands)
    const pass: Fate = { kind: 'pass', upMs, downMs, gapMs, commands: 0, laterMs: 0, noticedMs: undefined, shuffle }
    if (isCalm) return pass
    const noticedMs = random.fraction() < 0.5 ? undefined : random.fraction() * Math.min(20, flightMs)
    if (this.isDeaf(process, commands)) {
      this.cover('deaf')
      this.disturb(this.time.nowMs + 2 * flightMs, process)
      return { ...pass, kind: random.fraction() < 0.6 ? 'mute' : 'lost', noticedMs }
    }
    let drawn = random.fraction()
    const isDrawn = (share: number): boolean => {
      drawn -= share
      return drawn < 0 && drawn >= -share
    }
    const spoilt = (fate: Fate, untilMs: number): Fate => {
      this.timeline.add('fate', () => `p${String(process.actor)}: ${commands.map(({ op }) => op).join(', ')}: ${fate.kind}`)
      this.cover(fate.kind === 'pass' ? 'delay' : fate.kind)
      this.disturb(this.time.nowMs + untilMs, process)
      return fate
    }
    if (isDrawn(odds.refused)) return spoilt({ ...pass, kind: 'refused' }, flightMs)
    if (isDrawn(odds.lost)) return spoilt({ ...pass, kind: 'lost', noticedMs }, 2 * flightMs)
    if (isDrawn(odds.mute)) return spoilt({ ...pass, kind: 'mute', noticedMs }, 2 * flightMs)
    const most = random.integer(commands.length + 1)
    if (isDrawn(odds.partial)) return spoilt({ ...pass, kind: 'partial', noticedMs, commands: most }, 2 * flightMs)
    if (isDrawn(odds.zombie)) {
      const laterMs = random.fraction() * random.pick([flightMs, 3 * flightMs, 3000])
      const first = random.fraction() < 0.7 ? 0 : most
      return spoilt({ ...pass, kind: 'zombie', noticedMs, laterMs, commands: first }, laterMs + 2 * flightMs)
    }
    if (isDrawn(odds.unclear)) return spoilt({ ...pass, kind: 'unclear', commands: most }, 2 * flightMs)
    if (isDrawn(odds.slow)) {
      const extraMs = random.fraction() * 1.4 * flightMs
      const up = random.fraction() < 0.5
      return spoilt({ ...pass, upMs: upMs + (up ? extraMs : 0), downMs: downMs + (up ? 0 : extraMs) }, 2.5 * flightMs)
    }
    return pass
  }
}
