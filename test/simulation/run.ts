import { SeededRandom } from '../../src/testing/seeded-random.js'
import { Request } from './request.js'
import { makeScenario, type Scenario } from './scenario.js'
import { judgeEndings, judgeOrphans, judgeRecords, notEnded } from './verdict.js'
import { type SimulatedProcess, type Violation, World } from './world.js'

export interface RunResult {
  readonly operations: number
  readonly acknowledged: number
  readonly violations: readonly Violation[]
  readonly coverage: ReadonlySet<string>
  readonly timeline: string
}

/** Longer than anything may take: a request that is still under way then hangs. */
const HANG_MS = 400_000

/** Long enough for an end that was not answered in the storm to be tried again in the calm. Its intervals double. */
const LATE_ENDINGS_MS = 90_000

/** The limit of a run's events. A run takes some hundreds, or a few thousand with long waits. */
const MAX_EVENTS = 100_000

/** Plays one run. Everything in it follows from the seed. */
export function run(seed: number, wantsTimeline = false): Promise<RunResult> {
  const random = new SeededRandom(seed)
  return play(makeScenario(random.fork()), random.fork(), wantsTimeline)
}

/** Plays one scenario. What the scenario leaves to chance is drawn from `random`. */
export async function play(scenario: Scenario, random: SeededRandom, wantsTimeline = false): Promise<RunResult> {
  const world = new World(scenario, random, wantsTimeline)
  const { time } = world
  if (wantsTimeline) {
    const { plans, disasters, odds, ...rest } = scenario
    world.timeline.add('scenario', () => JSON.stringify(rest))
    world.timeline.add('scenario', () => JSON.stringify(odds))
    for (const plan of plans) world.timeline.add('scenario', () => JSON.stringify(plan))
    for (const disaster of disasters) world.timeline.add('scenario', () => JSON.stringify(disaster))
  }
  const requests: Request[] = []
  for (const plan of scenario.plans) {
    time.after(plan.atMs, () => {
      const request = new Request(world, world.at(plan.place), plan)
      requests.push(request)
      request.process.host.deliver(() => void request.run())
    })
  }
  for (const disaster of scenario.disasters) time.after(disaster.atMs, () => world.strike(disaster))

  time.maxEvents = MAX_EVENTS
  try {
    await live(world, requests)
  } catch (failure) {
    world.accuse('spinning', String(failure))
  }
  for (const { manager } of world.processes) {
    const { handOffs } = manager.stats()
    if (handOffs > 0) world.cover('handoff')
  }
  return {
    operations: world.operations,
    acknowledged: world.acknowledged,
    violations: world.violations,
    coverage: world.history.coverage,
    timeline: world.timeline.toString(),
  }
}

async function live(world: World, requests: readonly Request[]): Promise<void> {
  const { time, scenario } = world
  await time.run(scenario.calmFromMs + 10_000)
  await time.run(HANG_MS, () => requests.every((request) => request.phase === 'over' || request.isDead))
  for (const request of requests) {
    if (request.phase !== 'over' && !request.isDead) world.accuse('neverSettled', `${request.name} is ${request.phase}`)
  }
  await time.run(Math.max(time.nowMs, ...world.processes.map((one) => one.quietSinceMs)) + 3 * world.flightMs + 100)
  judgeOrphans(world)
  if (scenario.isDeafAtRegenerate || notEnded(world).length > 0) await time.run(time.nowMs + LATE_ENDINGS_MS)
  judgeEndings(world)
  await closeAll(world)
  judgeRecords(world)
}

async function closeAll(world: World): Promise<void> {
  const { time, rules } = world
  // A process that was shut down in the middle of a commit cannot wait for the answer, and is left out.
  const open = world.processes.filter(({ host, isClosing }) => !host.isDead && !isClosing)
  for (const process of open) rules.close(process, 0)
  await time.run(time.nowMs + 3 * world.scenario.deadlineMs + 1000)
  for (const process of open) judgeClosed(world, process)
}

function judgeClosed(world: World, { actor, host }: SimulatedProcess): void {
  if (host.openTimers > 0) world.accuse('keptAlive', `process ${String(actor)} has ${String(host.openTimers)} timers after close`)
  for (const truth of world.history.sessions.values()) {
    world.history.expire(truth)
    // A grant expires by itself. The process that made it could not know that nobody would take it over.
    if (truth.lock?.label === undefined || truth.lock.isLate) continue
    if (truth.lock.actor === actor) {
      world.accuse('orphanLeft', `process ${String(actor)} closed and left a lock on ${truth.id}`)
    }
  }
}
