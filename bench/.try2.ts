import { MemcachedServer } from '../test/support/memcached-server.js'
import * as names from './contenders/all.js'
import { drive, seedAll } from './support/drive.js'
await using server = await MemcachedServer.start({})
const setup = { server, recordBytes: 400, sessions: 4096 }
const f = await names.makeFloor(setup); const l = await names.makeLatchkey(setup)
const extra = process.argv[2] === 'all' ? (await names.makeContenders(setup, undefined)).list : []
for (const c of [f, l]) await seedAll(c, 4096)
for (let i = 0; i < 8; i++) { let s = ''; for (const c of [f, l]) { const r = await drive(c, { inFlight: 64, forMs: 400, sessions: 4096 }); s += `${c.name} ${Math.round(r.cyclesPerSecond)} ${r.cpuUsPerCycle.toFixed(1)}   ` } console.log(s) }
process.exit()
