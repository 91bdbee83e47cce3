import autocannon from 'autocannon'
import { MemcachedServer } from '../test/support/memcached-server.js'
import type { HttpServer, Kind } from './processes/http-server.js'
import { Child } from './support/child.js'
import { newCookies } from './rows/http.js'
await using server = await MemcachedServer.start()
for (const kind of ['latchkey', 'connect-memcached'] as Kind[]) {
  const child = await Child.start<HttpServer>('http-server.ts', ['--cpu-prof', `--cpu-prof-dir=/tmp/hp`, `--cpu-prof-name=${kind}.cpuprofile`])
  const url = `http://127.0.0.1:${await child.call('open', { kind, address: server.address })}/`
  const cookies = await newCookies(url, 64)
  for (const d of [3, 6]) { await child.call('cpuUs', null); let n = 0; const r = await autocannon({ url, connections: 64, duration: d, setupClient: (c) => c.setHeaders({ cookie: cookies[n++ % 64]! }) }); console.log(kind, r.requests.total / r.duration, (await child.call('cpuUs', null)) / r.requests.total) }
  ;(child as any).child.disconnect(); process.kill((child as any).child.pid, 'SIGINT'); await new Promise((r) => setTimeout(r, 1500))
}
process.exit()
