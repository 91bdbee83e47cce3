/**
 * `npx tsx bench/profile.ts [latchkey|floor] [in flight] [seconds]`: where a cycle's CPU time goes.
 *
 * Prints self time by function and by file, writes bench/results/cycle.cpuprofile (for a flame graph: speedscope.app,
 * Chrome's DevTools). Samples are wall time: `write*` includes the time in which the kernel ran memcached instead.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { type Profiler, Session } from 'node:inspector/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MemcachedServer } from '../test/support/memcached-server.js'
import { makeFloor, makeLatchkey } from './contenders/all.js'
import { RECORD_BYTES } from './contenders/contender.js'
import { drive, seedAll } from './support/drive.js'
import { num } from './support/result.js'

const SESSIONS = 4096
const SHOWN = 40
const [which = 'latchkey', inFlight = '64', seconds = '4'] = process.argv.slice(2)

await using server = await MemcachedServer.start()
const setup = { server, recordBytes: RECORD_BYTES }
const contender = which === 'floor' ? await makeFloor(setup) : await makeLatchkey(setup)
const load = { inFlight: Number(inFlight), forMs: Number(seconds) * 1000, sessions: SESSIONS }
await seedAll(contender, SESSIONS)
await drive(contender, { ...load, forMs: 2000 })
const bare = await drive(contender, load)
const session = new Session()
session.connect()
await session.post('Profiler.enable')
await session.post('Profiler.setSamplingInterval', { interval: 200 })
await session.post('Profiler.start')
await drive(contender, load)
const { profile } = await session.post('Profiler.stop')
session.disconnect()

const results = fileURLToPath(new URL('results', import.meta.url))
mkdirSync(results, { recursive: true })
writeFileSync(join(results, 'cycle.cpuprofile'), JSON.stringify(profile))
console.log(`${contender.name}: ${num(bare.cyclesPerSecond)} cycles/s, ${num(bare.cpuUsPerCycle)} µs CPU each\n`)
for (const title of ['file', 'function'] as const) print(title, profile)
await contender.close()

function print(by: 'file' | 'function', { nodes, samples = [], timeDeltas = [] }: Profiler.Profile): void {
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
  console.log(`% of self time, by ${by}`)
  const largest = [...self].sort(([, a], [, b]) => b - a).slice(0, SHOWN)
  for (const [place, us] of largest) console.log(`${((100 * us) / total).toFixed(1).padStart(6)}  ${place}`)
  console.log()
}
