import type { SeededRandom } from '../../src/testing/seeded-random.js'

/** Everything that one request does, decided before the run. */
export interface Plan {
  readonly name: string
  /** The place where the request runs. A process that has crashed is followed by another at the same place. */
  readonly place: number
  readonly session: string
  readonly atMs: number
  readonly mode: 'store' | 'strictStore' | 'session' | 'peek' | 'destroy'
  /** The steps between read and end, in order; each is taken after its `thinkMs`. */
  readonly steps: readonly { readonly kind: 'save' | 'reload'; readonly thinkMs: number }[]
  readonly thinkMs: number
  readonly end: 'write' | 'touch' | 'close' | 'destroy' | 'regenerate' | 'leak'
  readonly abortAfterMs: number | undefined
  /** How long the session is to live after this request. */
  readonly lifetimeSec: number
}

export type Disaster =
  | { readonly kind: 'pause'; readonly atMs: number; readonly place: number; readonly forMs: number; readonly timersFirst: boolean }
  | { readonly kind: 'crash'; readonly atMs: number; readonly place: number; readonly forMs: number }
  | { readonly kind: 'shutdown'; readonly atMs: number; readonly place: number; readonly graceMs: number; readonly forMs: number }
  | { readonly kind: 'stall' | 'outOfMemory'; readonly atMs: number; readonly forMs: number }
  | { readonly kind: 'restart'; readonly atMs: number }
  | { readonly kind: 'evict'; readonly atMs: number; readonly session: string; readonly suffix: '' | '-lck' | '-line' }

/** The odds of everything that can happen to a flight. All other flights pass. */
export interface Odds {
  readonly refused: number
  readonly lost: number
  readonly mute: number
  readonly partial: number
  readonly zombie: number
  readonly slow: number
  readonly gap: number
  /** The flight is answered by an error that does not say what was carried out. */
  readonly unclear: number
}

export interface Scenario {
  readonly isCalm: boolean
  readonly places: number
  readonly leaseSec: number
  readonly deadlineMs: number
  readonly waitMs: number
  readonly maxHoldMs: number
  readonly maxWaiters: number
  readonly lifetimeSec: number
  readonly connections: number
  readonly knowsProcess: boolean
  readonly odds: Odds
  readonly plans: readonly Plan[]
  readonly disasters: readonly Disaster[]
  /**
   * A process that ends a session hears nothing for a while: not whether it has ended, and not what stands there now.
   */
  readonly isDeafAtRegenerate: boolean
  /** From this time on nothing goes wrong any more. */
  readonly calmFromMs: number
  /** The processes are on one host, and tell each other when a session is free. */
  readonly hasBell: boolean
  /** Each is on a host of its own, so that they tell each other by a post. */
  readonly isSpread: boolean
  /** All processes are resumed from one memory. */
  readonly isCloned: boolean
  /** A proxy stands before the server. */
  readonly isProxied: boolean
  /** That proxy has several connections to the server, so that the commands of a flight overtake each other. */
  readonly isUnordered: boolean
  /** Through that proxy versions are of the processes' own making. */
  readonly hasOwnVersions: boolean
}

/** Whether a lifetime is short enough to end during a run. */
export const isShort = (lifetimeSec: number): boolean => lifetimeSec < 1000

const STORM: Odds = { refused: 0, lost: 0, mute: 0, partial: 0.35, zombie: 0, slow: 0, gap: 0.9, unclear: 0 }
const CALM: Odds = { refused: 0, lost: 0, mute: 0, partial: 0, zombie: 0, slow: 0, gap: 0, unclear: 0 }

/** Decides everything that is decided before a run begins. */
export function makeScenario(random: SeededRandom): Scenario {
  const scenario = makeOnOneHost(random)
  return { ...scenario, isSpread: scenario.hasBell && random.fraction() < 0.25 }
}

function makeOnOneHost(random: SeededRandom): Scenario {
  const chance = (share: number): boolean => random.fraction() < share
  const isCalm = chance(0.1)
  const isCrowd = chance(0.1)
  // A storm cuts commits in two, and destroys sessions in between.
  const isStorm = !isCalm && chance(0.05)
  const leaseSec = random.pick([2, 2, 2, 3, 3, 4, 15])
  const places = 1 + random.integer(3)
  const sessions = chance(0.7) ? ['s1'] : ['s1', 's2']
  const spanMs = isStorm ? 200 : isCrowd ? 1500 : random.pick([20, 100, 400, 1000, 3000])
  const maxHoldMs = random.pick([400, 2500, 60_000, 60_000, 60_000])
  const plans = makePlans(random, { places, sessions, spanMs, leaseSec, isCrowd, isStorm, maxHoldMs })
  const calmFromMs = spanMs + random.pick([100, 1000, leaseSec * 1000])
  const scenario = {
    isCalm,
    places,
    leaseSec,
    deadlineMs: random.pick([90, 300, 900, 900, 3000]),
    waitMs: random.pick([0, 300, 2000, 6000, 6000, 20_000, 20_000]),
    maxHoldMs,
    maxWaiters: random.pick([1, 2, 100, 100, 100, 100]),
    lifetimeSec: chance(0.1) ? random.pick([1, 2, 5]) : 1440,
    connections: 1 + random.integer(3),
    knowsProcess: isCalm || chance(0.5),
    odds: isCalm ? CALM : isStorm ? STORM : makeOdds(random),
    disasters: isCalm ? [] : makeDisasters(random, { places, sessions, leaseSec, calmFromMs }),
    calmFromMs,
  }
  const isMixed = chance(0.25)
  const lifetimeSec = (): number => (isMixed ? random.pick([2, 5, 1440, 86_400]) : scenario.lifetimeSec)
  const lasting = plans.map((plan) => ({ ...plan, lifetimeSec: lifetimeSec() }))
  const isDeafAtRegenerate = !isCalm && chance(0.06)
  const regenerates = (plan: Plan): boolean => isDeafAtRegenerate && plan.mode === 'session' && chance(0.5)
  const ended = lasting.map((plan): Plan => (regenerates(plan) ? { ...plan, end: 'regenerate' } : plan))
  const isCloned = chance(0.08)
  const made = { ...scenario, isDeafAtRegenerate, plans: ended, isCloned, hasBell: chance(0.6), isSpread: false, isProxied: false, isUnordered: false, hasOwnVersions: false }
  if (isCalm || !chance(0.1)) return made
  const proxied = behindProxy(made, random)
  // Versions of our own are asked for where the order is kept.
  const hasOwnVersions = chance(0.4)
  return { ...proxied, hasOwnVersions, isUnordered: !hasOwnVersions && chance(0.3) }
}

/** A server that restarts behind a proxy, while requests hold what they have read before and come with it afterwards. */
function behindProxy(scenario: Scenario, random: SeededRandom): Scenario {
  const isLong = random.fraction() < 0.7
  if (!isLong) return { ...scenario, isProxied: true }
  const atMs = random.fraction() * 200
  const plans = scenario.plans.map((plan): Plan => ({
    ...plan,
    atMs: random.fraction() * 600,
    thinkMs: random.fraction() < 0.4 ? 200 + random.fraction() * 600 : plan.thinkMs,
  }))
  const disasters: Disaster[] = [...scenario.disasters, { kind: 'restart', atMs }]
  return { ...scenario, isProxied: true, deadlineMs: 90, plans: plans.sort((one, other) => one.atMs - other.atMs), disasters }
}

function makeOdds(random: SeededRandom): Odds {
  if (random.fraction() < 0.35) return { ...CALM, gap: 0.1 }
  const scale = random.pick([0.3, 1, 1, 3])
  const odds = (most: number): number => (random.fraction() < 0.5 ? 0 : random.fraction() * most * scale)
  return {
    refused: odds(0.03),
    lost: odds(0.03),
    mute: odds(0.05),
    partial: odds(0.03),
    zombie: odds(0.05),
    slow: odds(0.05),
    gap: odds(0.3),
    unclear: odds(0.05),
  }
}

interface PlanFrame {
  readonly places: number
  readonly sessions: readonly string[]
  readonly spanMs: number
  readonly leaseSec: number
  readonly isCrowd: boolean
  readonly isStorm: boolean
  readonly maxHoldMs: number
}

function makePlans(random: SeededRandom, frame: PlanFrame): Omit<Plan, 'lifetimeSec'>[] {
  const { places, sessions, spanMs, leaseSec, isCrowd, isStorm, maxHoldMs } = frame
  const chance = (share: number): boolean => random.fraction() < share
  const thinkMs = (): number => {
    if (isCrowd) return 20 + random.fraction() * 80
    if (isStorm) return random.fraction() * 10
    return chance(0.1) ? random.fraction() * leaseSec * 1300 : random.fraction() * random.pick([0, 10, 60, 200])
  }
  const plans: Omit<Plan, 'lifetimeSec'>[] = []
  const count = isStorm ? 30 : isCrowd ? 16 : 6 + random.integer(8)
  for (let i = 1; i <= count; i++) {
    const odd = isStorm && chance(0.4) ? 1 : random.fraction()
    const mode = odd < 0.62 ? 'store' : odd < 0.67 ? 'strictStore' : odd < 0.88 ? 'session' : odd < 0.93 ? 'peek' : 'destroy'
    const end = random.pick([
      ...(['write', 'write', 'write', 'write', 'write', 'write', 'write', 'touch', 'close', 'destroy'] as const),
      mode === 'session' ? 'regenerate' : 'write',
      maxHoldMs < 1000 ? 'leak' : 'write',
    ] as const)
    plans.push({
      name: `r${String(i)}`,
      place: isCrowd && chance(0.85) ? 0 : random.integer(places),
      session: random.pick(sessions),
      atMs: random.fraction() * spanMs,
      mode,
      steps: Array.from({ length: chance(0.3) ? 1 + random.integer(2) : 0 }, () => ({
        kind: chance(0.75) ? 'save' : 'reload',
        thinkMs: thinkMs(),
      })),
      thinkMs: thinkMs(),
      end,
      abortAfterMs: chance(0.05) ? random.fraction() * 300 : undefined,
    })
  }
  return plans.sort((one, other) => one.atMs - other.atMs)
}

interface DisasterFrame {
  readonly places: number
  readonly sessions: readonly string[]
  readonly leaseSec: number
  readonly calmFromMs: number
}

function makeDisasters(random: SeededRandom, { places, sessions, leaseSec, calmFromMs }: DisasterFrame): Disaster[] {
  const disasters: Disaster[] = []
  const some = (share: number, most: number, make: (atMs: number) => Disaster): void => {
    if (random.fraction() >= share) return
    for (let left = 1 + random.integer(most); left > 0; left--) disasters.push(make(random.fraction() * calmFromMs))
  }
  const longMs = (): number => random.fraction() * random.pick([50, 500, leaseSec * 1000, leaseSec * 1000 + 2000])
  const place = (): number => random.integer(places)
  some(0.3, 2, (atMs) => ({
    kind: 'pause',
    atMs,
    place: place(),
    forMs: longMs() + (random.fraction() < 0.1 ? 6000 : 0),
    timersFirst: random.fraction() < 0.5,
  }))
  some(0.15, 2, (atMs) => ({ kind: 'crash', atMs, place: place(), forMs: random.fraction() * 200 }))
  some(0.05, 1, (atMs) => ({ kind: 'shutdown', atMs, place: place(), graceMs: random.fraction() * 500, forMs: 100 }))
  some(0.2, 2, (atMs) => ({ kind: 'stall', atMs, forMs: longMs() }))
  some(0.05, 1, (atMs) => ({ kind: 'outOfMemory', atMs, forMs: longMs() }))
  some(0.15, 2, (atMs) => ({ kind: 'restart', atMs }))
  some(0.2, 3, (atMs) => ({
    kind: 'evict',
    atMs,
    session: random.pick(sessions),
    suffix: random.pick(['', '-lck', '-lck', '-line'] as const),
  }))
  return disasters
}
