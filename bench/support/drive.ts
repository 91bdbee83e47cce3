/** Generates load in this process, as a web server would: a number of cycles in flight, each on sessions of its own. */
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Contender } from '../contenders/contender.js'

export interface Slice {
  readonly cyclesPerSecond: number
  /** CPU time of this process, user and system. */
  readonly cpuUsPerCycle: number
  /** Of it, outside the kernel. */
  readonly userUsPerCycle: number
  /** What V8 allocates for a cycle, the load's own record included; buffers' contents are not. */
  readonly bytesPerCycle: number
  /** A sample of the cycles' latencies. */
  readonly latenciesMs: readonly number[]
}

export interface Load {
  readonly inFlight: number
  readonly forMs: number
  readonly sessions: number
}

// Node compiles a hot function in its first second or so, beside the load: two slices of every contender go unseen.
const WARM_UP_ROUNDS = 2
const MOST_SAMPLES = 5000
/** Half a megabyte: most windows have no collection, and the look at the heap costs nothing in comparison. */
const WINDOW_CYCLES = 64

/** Runs cycles until the time is up. No two in flight are ever on one session. */
export async function drive(contender: Contender, { inFlight, forMs, sessions }: Load): Promise<Slice> {
  collectGarbage()
  const perLoop = Math.floor(sessions / inFlight)
  const latenciesMs: number[] = []
  let cycles = 0
  const allocated = new Allocated()
  const cpu = process.cpuUsage()
  const startMs = performance.now()
  const endMs = startMs + forMs
  const loop = async (first: number): Promise<void> => {
    let beganMs = performance.now()
    while (beganMs < endMs) {
      await contender.cycle(first + inFlight * Math.floor(Math.random() * perLoop))
      if (++cycles % WINDOW_CYCLES === 0) allocated.look()
      const nowMs = performance.now()
      if (latenciesMs.length < MOST_SAMPLES) latenciesMs.push(nowMs - beganMs)
      beganMs = nowMs
    }
  }
  await Promise.all(Array.from({ length: inFlight }, (_, first) => loop(first)))
  const seconds = (performance.now() - startMs) / 1000
  const { user, system } = process.cpuUsage(cpu)
  return { cyclesPerSecond: cycles / seconds, cpuUsPerCycle: (user + system) / cycles, userUsPerCycle: user / cycles, bytesPerCycle: allocated.bytesPerCycle, latenciesMs }
}

/** What is allocated in windows of cycles. One in which the heap became smaller had a collection, and tells nothing. */
class Allocated {
  private lastBytes = getHeapStatistics().used_heap_size
  private bytes = 0
  private windows = 0

  look(): void {
    const nowBytes = getHeapStatistics().used_heap_size
    if (nowBytes > this.lastBytes) {
      this.bytes += nowBytes - this.lastBytes
      this.windows++
    }
    this.lastBytes = nowBytes
  }

  get bytesPerCycle(): number {
    return this.bytes / (this.windows * WINDOW_CYCLES)
  }
}

export async function seedAll(contender: Contender, sessions: number): Promise<void> {
  const AT_ONCE = 64
  for (let first = 0; first < sessions; first += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, sessions - first) }, (_, at) => contender.seed(first + at))
    await Promise.all(some)
  }
}

let collect: ((options: { readonly type: 'minor' }) => void) | undefined

/**
 * So that nobody is charged for the young garbage of the one before. A full collection would throw away machine code
 * and byte code of whoever did not run lately, and with slices this short half of one would go by compiling it again;
 * a server that runs one store never sees that.
 */
export function collectGarbage(): void {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc')
    setFlagsFromString('--no-flush-bytecode')
    const gc: (options: { readonly type: 'minor' }) => void = runInNewContext('gc')
    collect = gc
  }
  collect({ type: 'minor' })
}

/** The contenders' slices, round by round and each round beginning with another one; a warm-up comes first. */
export async function inRounds<T>(
  contenders: readonly Contender[],
  rounds: number,
  slice: (contender: Contender, isWarmUp: boolean) => Promise<T>,
  progress: (text: string) => void,
): Promise<Map<string, T[]>> {
  const results = new Map<string, T[]>(contenders.map(({ name }) => [name, []]))
  for (let round = 0; round < WARM_UP_ROUNDS; round++) {
    for (const contender of contenders) {
      progress(`warming up, ${contender.name}`)
      await slice(contender, true)
    }
  }
  for (let round = 0; round < rounds; round++) {
    for (let at = 0; at < contenders.length; at++) {
      const contender = contenders[(at + round) % contenders.length]
      if (contender === undefined) continue
      progress(`round ${String(round + 1)} of ${String(rounds)}, ${contender.name}`)
      results.get(contender.name)?.push(await slice(contender, false))
    }
  }
  return results
}
