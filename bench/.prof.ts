import { MemcachedServer } from '../test/support/memcached-server.js'
import * as names from './contenders/all.js'
import { drive, seedAll } from './support/drive.js'
import { Session } from 'node:inspector/promises'
import { writeFileSync } from 'node:fs'
const inFlight = Number(process.argv[3] ?? 64)
await using server = await MemcachedServer.start({})
const setup = { server, recordBytes: 400, sessions: 4096 }
const c = process.argv[2] === 'floor' ? await names.makeFloor(setup) : await names.makeLatchkey(setup)
await seedAll(c, 4096)
await drive(c, { inFlight, forMs: 1000, sessions: 4096 })
const s = new Session(); s.connect()
await s.post('Profiler.enable'); await s.post('Profiler.setSamplingInterval', { interval: 200 }); await s.post('Profiler.start')
const r = await drive(c, { inFlight, forMs: 4000, sessions: 4096 })
const { profile } = await s.post('Profiler.stop')
writeFileSync('/tmp/p.cpuprofile', JSON.stringify(profile))
console.log(r.cyclesPerSecond, r.cpuUsPerCycle)
const self = new Map<string, number>(); const byId = new Map(profile.nodes.map((n) => [n.id, n]))
let total = 0
profile.samples!.forEach((id, i) => { const n = byId.get(id)!; const dt = profile.timeDeltas![i]!; const k = `${n.callFrame.functionName || '(anon)'} ${n.callFrame.url.replace(/.*\/(dist|node_modules|bench)\//, '$1/')}:${n.callFrame.lineNumber + 1}`; if (k.startsWith('(idle)')) return; total += dt; self.set(k, (self.get(k) ?? 0) + dt) })
for (const [k, v] of [...self].sort((a, b) => b[1] - a[1]).slice(0, 45)) console.log((100 * v / total).toFixed(1).padStart(5), k)
await c.close()
