/** CPU profiles of this process's main thread, and their self times. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { type Profiler, Session } from 'node:inspector/promises'
import { dirname } from 'node:path'

/** Profiles while `work` runs and writes it to `file`, for a flame graph (speedscope.app, Chrome's DevTools). */
export async function profiled(file: string, work: () => Promise<unknown>): Promise<Profiler.Profile> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: 200 })
  await session.post('Profiler.start')
  await work()
  const { profile } = await session.post('Profiler.stop')
  session.disconnect()
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, JSON.stringify(profile))
  return profile
}

/** Lines "percent  place", the largest first; time without work is left out. */
export function selfTimes(profile: Profiler.Profile, by: 'file' | 'function', count: number): string[] {
  const { nodes, samples = [], timeDeltas = [] } = profile
  const frames = new Map(nodes.map((node) => [node.id, node.callFrame]))
  const self = new Map<string, number>()
  let total = 0
  samples.forEach((id, index) => {
    const frame = frames.get(id)
    if (frame === undefined || frame.functionName === '(idle)') return
    const file = frame.url.replace(/^.*\/(dist|node_modules|bench)\//, '$1/')
    const name = frame.functionName === '' ? '(anonymous)' : frame.functionName
    const place = by === 'file' ? file || name : `${name} ${file}:${String(frame.lineNumber + 1)}`
    const us = timeDeltas[index] ?? 0
    total += us
    self.set(place, (self.get(place) ?? 0) + us)
  })
  const largest = [...self].sort(([, a], [, b]) => b - a).slice(0, count)
  return largest.map(([place, us]) => `${((100 * us) / total).toFixed(1).padStart(6)}  ${place}`)
}
