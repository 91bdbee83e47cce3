import { setTimeout as sleep } from 'node:timers/promises'
import { AT_ONCE, type Browser } from './browser.js'
import { Crowd } from './crowd.js'
import type { MemcachedFigures } from './memcached.js'
import { pause } from './pause.js'
import type { Stage } from './scene.js'
import { quantile, type Sample, type Tally } from './tally.js'

/** What the others noticed while some sessions were tied down. */
export interface Stuck {
  readonly victims: number
  /** Requests that waited for their sessions in the end of each spell. */
  readonly waiting: number
  /** Of the others' requests: p99 while sessions were tied down, divided by p99 while none was; of the middle spell each. */
  readonly p99Ratio: number
  readonly idleP99Ms: number
  readonly stuckP99Ms: number
  /** p99 of the first halves of the idle spells against that of the second: what this machine does by itself. */
  readonly noiseRatio: number
  /** Of fewer requests p99 is the slowest of them, and says nothing. */
  readonly isJudged: boolean
  /** Of the busiest memcached, in percent of a core, while sessions were tied down. */
  readonly memcachedCpuPct: number
  readonly connections: number
}

/** So long all victims are tied down, and so long nobody is in between; less in a short scene. */
const SPELL_MS = 5000
/** In so much of a spell before it one after the other is tied down. */
const ONSET = 0.4

/** Of a page's document before the rest of it. */
const HEAD_START_MS = 100

/** Requests in each state. */
const ENOUGH = 1000

interface Spell {
  readonly fromMs: number
  readonly toMs: number
}

/**
 * The disaster that this library is made against: a backend is slow, so that requests hold their sessions for seconds, and
 * their visitors press reload. Spells of it and idle ones take turns, so that whatever else this machine does is in both.
 */
export async function playStuck(stage: Stage, victimCount: number): Promise<Stuck> {
  const { installation, seconds, signal, tally } = stage
  const victims = new Crowd(stage.apart(), victimCount)
  const spellMs = Math.min(SPELL_MS, seconds * 400)
  const [idle, stuck]: [Spell[], Spell[]] = [[], []]
  let [memcachedCpuPct, connections] = [0, 0]
  const figures = (): Promise<MemcachedFigures[]> => Promise.all(installation.servers.map((server) => server.figures()))
  await Promise.all(victims.browsers.map((browser) => browser.page()))
  for (let turns = Math.max(1, Math.round((seconds * 1000) / ((2 + ONSET) * spellMs))); turns > 0 && !signal.aborted; turns--) {
    // As many requests as while they are tied down.
    idle.push(await spell(() => Promise.all([sleep(spellMs, undefined, { signal }), ...victims.browsers.map((browser) => reload(browser, spellMs, signal))])))
    installation.backend.slowDown()
    const answered = Promise.all(victims.browsers.map((browser) => tieDown(browser, spellMs, signal)))
    await sleep(ONSET * spellMs, undefined, { signal })
    const before = await figures()
    const now = await spell(() => sleep(spellMs, undefined, { signal }))
    stuck.push(now)
    const after = await figures()
    const cpuSec = Math.max(...after.map((each, at) => each.cpuSec - (before[at]?.cpuSec ?? 0)))
    memcachedCpuPct = Math.max(memcachedCpuPct, (cpuSec / (now.toMs - now.fromMs)) * 100_000)
    connections = Math.max(connections, after.reduce((sum, each) => sum + each.connections, 0))
    installation.backend.recover()
    await answered
  }
  const [idleP99Ms, stuckP99Ms] = [p99In(tally, idle), p99In(tally, stuck)]
  const [one, other] = [0, 0.5].map((from) => p99In(tally, idle.map((whole) => halfOf(whole, from)))) as [number, number]
  return {
    victims: victimCount,
    waiting: 2 * AT_ONCE * victimCount,
    p99Ratio: stuckP99Ms / idleP99Ms,
    idleP99Ms,
    stuckP99Ms,
    noiseRatio: Math.max(one / other, other / one),
    isJudged: samplesIn(tally, idle).length >= ENOUGH && samplesIn(tally, stuck).length >= ENOUGH,
    memcachedCpuPct,
    connections,
  }
}

/** A request that the backend keeps waiting, what else the page asks for, and then the visitor presses reload. Not all at one moment. */
async function tieDown(browser: Browser, spellMs: number, signal: AbortSignal): Promise<void> {
  const onsetMs = ONSET * spellMs - HEAD_START_MS
  const beforeMs = Math.random() * onsetMs
  await pause(beforeMs, signal)
  const report = browser.change('report')
  // As a page does: its document first. It holds the session when the others come.
  await pause(HEAD_START_MS, signal)
  const rest = browser.burst()
  await pause(onsetMs - beforeMs, signal)
  await Promise.all([report, rest, reload(browser, spellMs, signal)])
}

async function reload(browser: Browser, spellMs: number, signal: AbortSignal): Promise<void> {
  await pause(Math.random() * 0.8 * spellMs, signal)
  await browser.burst()
}

async function spell(work: () => Promise<unknown>): Promise<Spell> {
  const fromMs = performance.now()
  await work()
  return { fromMs, toMs: performance.now() }
}

const halfOf = ({ fromMs, toMs }: Spell, from: number): Spell => {
  const ms = toMs - fromMs
  return { fromMs: fromMs + from * ms, toMs: fromMs + (from + 0.5) * ms }
}

const samplesIn = ({ samples }: Tally, spells: readonly Spell[]): readonly Sample[] =>
  samples.filter(({ sentMs }) => spells.some(({ fromMs, toMs }) => sentMs >= fromMs && sentMs < toMs))

/** p99 of each spell, and of those the middle one: a stall of the machine is in one of them, or in two. */
function p99In(tally: Tally, spells: readonly Spell[]): number {
  const each = spells.map((one) => quantile(samplesIn(tally, [one]), 0.99)).sort((one, other) => one - other)
  return each[Math.floor((each.length - 1) / 2)] ?? NaN
}
