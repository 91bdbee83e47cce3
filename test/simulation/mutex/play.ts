/**
 * A named lock among three processes, with lost and late flights, pauses, and a server that forgets; from a seed.
 *
 * What the lock guards keeps the greatest fencing token that it has seen, and refuses a smaller one.
 */
import { LatchkeyError, type Mutex, type MutexHold, SessionManager } from 'latchkey'
import { SeededRandom } from 'latchkey/testing'
import { SimulatedServer } from '../simulated/server.js'
import { SimulatedHost, SimulatedTime } from '../simulated/time.js'
import { type Fate, SimulatedWire } from '../simulated/wire.js'

const NAME = 'nightly-report'
const COUNT_KEY = `sess:<mutex>${NAME}`
const DEADLINE_MS = 300
const FLIGHT_MS = DEADLINE_MS / 3
const LEASE_SEC = 2
const TASKS = 8
const TROUBLE_ENDS_MS = 20_000

/** What a lock that is asked for may end with, if it is not had. */
const REFUSALS = ['LATCHKEY_LOCK_TIMEOUT', 'LATCHKEY_SERVER_UNAVAILABLE', 'LATCHKEY_SERVER_REFUSED']

/** Counts, for who shows that nobody has the lock after him. */
class Guarded {
  value = 0
  private greatest = 0

  /** @returns undefined where the token is refused. */
  read(token: number): number | undefined {
    if (token < this.greatest) return undefined
    this.greatest = token
    return this.value
  }

  write(token: number, value: number): boolean {
    if (token < this.greatest) return false
    this.value = value
    return true
  }
}

class Play {
  readonly time = new SimulatedTime()
  readonly random: SeededRandom
  readonly flaws: string[] = []
  acknowledged = 0
  readonly guarded = new Guarded()
  private readonly server: SimulatedServer
  private readonly holds = new Set<MutexHold>()
  private readonly tokens: { readonly token: number; readonly givenAtMs: number }[] = []

  /** @param forgets whether the server loses what it keeps; the clocks of the processes agree then. */
  constructor(
    seed: number,
    private readonly forgets: boolean,
  ) {
    this.random = new SeededRandom(seed)
    this.server = new SimulatedServer(this.time, this.random.fraction() * 1000)
    this.time.maxEvents = 200_000
    this.time.afterEach = () => this.lookAtHolds()
  }

  process(actor: number): { readonly host: SimulatedHost; readonly manager: SessionManager } {
    const { random, time, server, forgets } = this
    const host = new SimulatedHost(time, random.integer(1_000_000), forgets ? 0 : random.integer(10_000) - 5000)
    const wire = new SimulatedWire({
      ...{ time, host, server, random: random.fork(), actor, flightMs: FLIGHT_MS, connections: 2, knowsProcess: true, isProxied: false, hasOwnVersions: false },
      fateOf: () => this.fate(),
    })
    const manager = new SessionManager({ wire, clock: host, random: random.fork(), leaseSec: LEASE_SEC, waitMs: 4000, deadlineMs: DEADLINE_MS })
    return { host, manager }
  }

  private fate(): Fate {
    const { random } = this
    const [upMs, downMs] = [0.1 + random.fraction() * 2, 0.1 + random.fraction() * 2]
    const pass: Fate = { kind: 'pass', upMs, downMs, gapMs: 0, commands: 0, laterMs: 0, noticedMs: undefined }
    if (this.time.nowMs > TROUBLE_ENDS_MS) return pass
    const drawn = random.fraction()
    if (drawn < 0.03) return { ...pass, kind: 'refused' }
    if (drawn < 0.06) return { ...pass, kind: 'mute' }
    if (drawn < 0.09) return { ...pass, kind: 'zombie', laterMs: random.fraction() * 3000 }
    return pass
  }

  /** Stops a process for up to three leases, or takes from the server what it keeps. */
  trouble(hosts: readonly SimulatedHost[]): void {
    const { random, time, server } = this
    for (let strike = 0; strike < 4; strike++) {
      const host = random.pick(hosts)
      time.after(random.fraction() * TROUBLE_ENDS_MS, () => {
        host.pause()
        time.after(random.fraction() * 3 * LEASE_SEC * 1000, () => host.wake(random.fraction() < 0.5))
      })
      if (!this.forgets) continue
      const what = random.pick(['count', 'lock', 'all'])
      time.after(random.fraction() * TROUBLE_ENDS_MS, () => {
        if (what === 'all') server.restart()
        else server.evict(what === 'count' ? COUNT_KEY : `${COUNT_KEY}-lck`)
      })
    }
  }

  /** A server that keeps what it has never lets two believe that they hold the lock. */
  private lookAtHolds(): void {
    if (this.forgets) return
    const held = [...this.holds].filter(({ isHeld }) => isHeld)
    if (held.length > 1) this.flaws.push(`${String(held.length)} hold the lock at ${String(this.time.nowMs)} ms`)
  }

  async task(host: SimulatedHost, mutex: Mutex): Promise<void> {
    await host.sleep(this.random.fraction() * 4000)
    if (this.random.fraction() < 0.2) await this.tryOnce(host, mutex)
    else await this.runOnce(host, mutex)
  }

  private async tryOnce(host: SimulatedHost, mutex: Mutex): Promise<void> {
    const [sinceMs, pausedMs] = [this.time.nowMs, host.pausedMs]
    const hold = await mutex.tryLock().catch((error: unknown) => this.refused('tryLock', error))
    const tookMs = this.time.nowMs - sinceMs - (host.pausedMs - pausedMs)
    if (tookMs > DEADLINE_MS + 1) this.flaws.push(`tryLock took ${String(tookMs)} ms`)
    if (hold !== undefined) await this.within(hold, () => host.sleep(this.random.fraction() * 50))
    await hold?.release()
  }

  private async runOnce(host: SimulatedHost, mutex: Mutex): Promise<void> {
    let begun = false
    let wasLost = false
    try {
      await mutex.run(async (hold) => {
        begun = true
        await this.within(hold, () => this.count(host, hold))
        wasLost = !hold.isHeld
      })
      if (wasLost) this.flaws.push('run() said nothing of a lock that was lost')
    } catch (error) {
      if (!begun) this.refused('run', error)
      else if (!(error instanceof LatchkeyError)) throw error
    }
  }

  private async within(hold: MutexHold, work: () => Promise<void>): Promise<void> {
    this.holds.add(hold)
    try {
      await work()
    } finally {
      this.holds.delete(hold)
    }
  }

  private async count(host: SimulatedHost, hold: MutexHold): Promise<void> {
    const sinceMs = this.time.nowMs
    const token = await hold.fencingToken()
    for (const { token: earlier, givenAtMs } of this.tokens) {
      if (token === earlier) this.flaws.push(`${String(token)} was given twice`)
      if (givenAtMs < sinceMs && token < earlier) this.flaws.push(`${String(token)} was given after ${String(earlier)}`)
    }
    this.tokens.push({ token, givenAtMs: this.time.nowMs })
    const value = this.guarded.read(token)
    await host.sleep(this.random.fraction() * 100)
    if (value !== undefined && this.guarded.write(token, value + 1)) this.acknowledged++
  }

  private refused(what: string, error: unknown): undefined {
    const code = error instanceof LatchkeyError ? error.code : String(error)
    if (!REFUSALS.includes(code)) this.flaws.push(`${what} ended with ${code}`)
    return undefined
  }
}

/** @returns what is wrong; undefined: nothing. */
export async function play(seed: number): Promise<string | undefined> {
  const world = new Play(seed, seed % 2 === 1)
  const processes = [0, 1, 2].map((actor) => world.process(actor))
  world.trouble(processes.map(({ host }) => host))
  const tasks = processes.flatMap(({ host, manager }) => Array.from({ length: TASKS }, () => world.task(host, manager.mutex(NAME))))
  let isOver = false
  const all = Promise.all(tasks).then(() => {
    isOver = true
  })
  await world.time.run(200_000, () => isOver)
  if (!isOver) world.flaws.push('some never ended')
  else await all
  if (world.acknowledged !== world.guarded.value) {
    world.flaws.push(`${String(world.acknowledged)} were acknowledged, and ${String(world.guarded.value)} are counted`)
  }
  const [flaw] = world.flaws
  return flaw === undefined ? undefined : `seed ${String(seed)}: ${flaw}`
}
