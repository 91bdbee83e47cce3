/**
 * `npx tsx bench/profile.ts [latchkey|replicated|floor|request|http|http-peer] [in flight] [seconds]`: where a cycle's CPU time goes, of
 * three nodes (`replicated`), of a request's own store by express-session (`request`), or of a request through Express with latchkey or
 * with connect-memcached.
 *
 * Prints self time by file and by function, and writes bench/results/<name>.cpuprofile for a flame graph. Samples are
 * wall time: `write*` includes the time in which the kernel ran memcached instead.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MemcachedServer } from '../test/support/memcached-server.js'
import { LATCHKEY_REQUEST, makeFloor, makeLatchkey, makeOwn, type Setup } from './contenders/all.js'
import { type Contender, RECORD_BYTES } from './contenders/contender.js'
import { latchkeyAt } from './contenders/latchkey.js'
import { replicatedOn } from './rows/cluster.js'
import { loadSite, startSite } from './rows/http.js'
import { drive, seedAll } from './support/drive.js'
import { profiled, selfTimes } from './support/profiler.js'
import { num } from './support/result.js'

const SESSIONS = 4096
const SHOWN = 40
const [which = 'latchkey', inFlight = '64', seconds = '4'] = process.argv.slice(2)
const file = join(fileURLToPath(new URL('results', import.meta.url)), `${which}.cpuprofile`)

await using server = await MemcachedServer.start()
const lines = which.startsWith('http') ? await profileHttp() : await profileCycle()
for (const line of lines) console.log(line)
process.exit()

async function profileCycle(): Promise<string[]> {
  const setup = { server, recordBytes: RECORD_BYTES }
  const contender = await contenderOf(setup)
  const load = { inFlight: Number(inFlight), forMs: Number(seconds) * 1000, sessions: SESSIONS }
  await seedAll(contender, SESSIONS)
  await drive(contender, { ...load, forMs: 2000 })
  const bare = await drive(contender, load)
  const profile = await profiled(file, () => drive(contender, load))
  return [
    `${contender.name}: ${num(bare.cyclesPerSecond)} cycles/s, ${num(bare.cpuUsPerCycle)} µs CPU each`,
    ...['', '% of self time, by file', ...selfTimes(profile, 'file', SHOWN)],
    ...['', '% of self time, by function', ...selfTimes(profile, 'function', SHOWN)],
  ]
}

async function contenderOf(setup: Setup): Promise<Contender> {
  if (which === 'floor') return makeFloor(setup)
  if (which === 'replicated') return onThree()
  if (which !== 'request') return makeLatchkey(setup)
  const request = (await makeOwn(setup, undefined)).find(({ name }) => name === LATCHKEY_REQUEST)
  if (request === undefined) throw new Error('latchkey/express is missing in this build')
  return request
}

/** They end with this process. */
async function onThree(): Promise<Contender> {
  const others = await Promise.all([MemcachedServer.start(), MemcachedServer.start()])
  return latchkeyAt(which, replicatedOn([server, ...others]))
}

async function profileHttp(): Promise<string[]> {
  const site = await startSite(which === 'http' ? 'latchkey' : 'connect-memcached', server.address)
  await loadSite(site, 3)
  const bare = await loadSite(site, Number(seconds))
  const profile = site.child.call('profile', { file, forMs: Number(seconds) * 1000, count: SHOWN })
  await loadSite(site, Number(seconds) + 1)
  return [
    `${site.kind}: ${num(bare.requestsPerSecond)} requests/s, ${num(bare.cpuUsPerRequest)} µs CPU each`,
    ...(await profile),
  ]
}
