/** http: the cycle through Express and express-session with real HTTP; latchkey locks, the others do not. */
import autocannon from 'autocannon'
import { MemcachedServer } from '../../test/support/memcached-server.js'
import type { HttpServer, Kind } from '../processes/http-server.js'
import { Child } from '../support/child.js'
import { loadExpressAdapter } from '../support/latchkey.js'
import { startRedis } from '../support/redis-server.js'
import { num, type Row, type RowContext, type RowResult } from '../support/result.js'
import { median, ratioOf, spreadPct } from '../support/statistics.js'

const CONNECTIONS = 64
/** V8 before version 13 is made faster by what latchkey does to Express's objects: there the row shows it without that, too. */
const HAS_SHAPES = Number.parseInt(process.versions.v8) < 13

interface Slice {
  readonly requestsPerSecond: number
  readonly cpuUsPerRequest: number
  readonly p50Ms: number
  readonly p99Ms: number
}

interface Site {
  readonly kind: Kind
  readonly child: Child<HttpServer>
  readonly url: string
  /** One for each connection, so that no two requests are ever on one session. */
  readonly cookies: readonly string[]
  readonly slices: Slice[]
}

const NAMES: Partial<Record<Kind, string>> = { 'latchkey': 'latchkey, locked', 'latchkey-unshaped': 'latchkey, locked, Express as it is' }

export const http: Row = {
  about: 'the same through Express and express-session with real HTTP',
  async run(context) {
    await using server = await MemcachedServer.start()
    const redis = await startRedis()
    const notes: string[] = []
    const kinds: Kind[] = context.quick ? ['connect-memcached'] : ['connect-memcached', 'connect-memjs']
    if ((await loadExpressAdapter()) === undefined) notes.push('latchkey/express is missing in this build: no row for it')
    else kinds.unshift('latchkey', ...(HAS_SHAPES && !context.quick ? (['latchkey-unshaped'] as const) : []))
    if (redis === undefined) notes.push('redis-server is not installed: no row for connect-redis')
    else kinds.push('connect-redis')
    const sites: Site[] = []
    for (const kind of kinds) {
      context.progress(`starting ${kind}`)
      const address = kind === 'connect-redis' ? `127.0.0.1:${String(redis?.port)}` : server.address
      sites.push(await startSite(kind, address))
    }
    await measure(sites, context)
    for (const { child } of sites) child.stop()
    await redis?.stop()
    return { ...report(sites), notes }
  },
}

export async function startSite(kind: Kind, address: string): Promise<Site> {
  const child = await Child.start<HttpServer>('http-server.ts')
  const url = `http://127.0.0.1:${String(await child.call('open', { kind, address }))}/`
  return { kind, child, url, cookies: await newCookies(url, CONNECTIONS), slices: [] }
}

/** Visits as often, each time as someone else. */
export async function newCookies(url: string, count: number): Promise<string[]> {
  const cookies: string[] = []
  for (let visitor = 0; visitor < count; visitor++) {
    const response = await fetch(url)
    await response.text()
    const [cookie] = response.headers.getSetCookie()
    if (cookie === undefined) throw new Error(`No cookie from ${url} (status ${String(response.status)})`)
    cookies.push(cookie.slice(0, cookie.indexOf(';')))
  }
  return cookies
}

async function measure(sites: readonly Site[], { quick, progress }: RowContext): Promise<void> {
  const [rounds, seconds, warmUpRounds] = quick ? [5, 1, 1] : [9, 3, 2]
  for (let round = -warmUpRounds; round < rounds; round++) {
    for (let at = 0; at < sites.length; at++) {
      const site = sites[(at + round + warmUpRounds) % sites.length]
      if (site === undefined) continue
      progress(round < 0 ? `warming up, ${site.kind}` : `round ${String(round + 1)} of ${String(rounds)}, ${site.kind}`)
      const slice = await loadSite(site, seconds)
      if (round >= 0) site.slices.push(slice)
    }
  }
}

export async function loadSite({ kind, child, url, cookies }: Site, seconds: number): Promise<Slice> {
  await child.call('cpuUs', null)
  let next = 0
  const result = await autocannon({
    url,
    connections: CONNECTIONS,
    duration: seconds,
    setupClient: (client) => {
      client.setHeaders({ cookie: cookies[next++ % CONNECTIONS] ?? '' })
    },
  })
  const cpuUs = await child.call('cpuUs', null)
  if (result.non2xx + result.errors + result.timeouts > 0) {
    throw new Error(`${kind}: ${String(result.non2xx)} refused, ${String(result.errors)} failed`)
  }
  return {
    requestsPerSecond: result.requests.total / result.duration,
    cpuUsPerRequest: cpuUs / result.requests.total,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
  }
}

function report(sites: readonly Site[]): Omit<RowResult, 'notes'> {
  const throughputs = (kind: Kind): number[] => slicesOf(sites, kind).map((slice) => slice.requestsPerSecond)
  const has = (kind: Kind): boolean => sites.some((site) => site.kind === kind)
  const ratio = (kind: Kind, own: Kind = 'latchkey'): number => ratioOf(throughputs(own), throughputs(kind))
  const figures: Record<string, number> = {}
  if (has('latchkey')) {
    if (has('connect-memcached')) figures['http.ratioToConnectMemcached'] = ratio('connect-memcached')
    if (has('connect-memjs')) figures['http.ratioToConnectMemjs'] = ratio('connect-memjs')
    if (has('connect-redis')) figures['http.ratioToConnectRedis'] = ratio('connect-redis')
    if (has('connect-redis') && has('latchkey-unshaped')) {
      figures['http.unshapedRatioToConnectRedis'] = ratio('connect-redis', 'latchkey-unshaped')
    }
  }
  return {
    figures,
    tables: [
      {
        title: `http: Express, ${String(CONNECTIONS)} connections, a session each`,
        head: ['', 'requests/s', '± %', 'latchkey is ×', 'CPU µs/request', 'p50 ms', 'p99 ms'],
        rows: sites.map(({ kind, slices }) => [
          NAMES[kind] ?? kind,
          num(median(throughputs(kind))),
          num(spreadPct(throughputs(kind))),
          num(ratio(kind)),
          num(median(slices.map((slice) => slice.cpuUsPerRequest))),
          num(median(slices.map((slice) => slice.p50Ms))),
          num(median(slices.map((slice) => slice.p99Ms))),
        ]),
      },
    ],
    charts: [
      {
        file: 'http-throughput',
        title: 'requests per second through Express',
        unit: '1/s',
        series: sites.map(({ kind }) => ({ label: kind, values: throughputs(kind) })),
      },
    ],
  }
}

const slicesOf = (sites: readonly Site[], kind: Kind): readonly Slice[] =>
  sites.find((site) => site.kind === kind)?.slices ?? []
