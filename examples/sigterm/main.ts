/**
 * A counter that can be stopped under load: `node --import tsx examples/sigterm/main.ts`, with
 * MEMCACHE_SERVERS=127.0.0.1:11211 on memcached. `GET /<session id>` counts and answers with the count.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as query } from 'node:timers/promises'
import { LatchkeyError, SessionManager } from 'latchkey'

const { MEMCACHE_SERVERS: servers, PORT: port = '0' } = process.env
const savePath = servers === undefined ? 'memory:' : servers.split(',').map((server) => `tcp://${server}`).join(',')
const manager = new SessionManager({ savePath })

async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const gone = new AbortController()
  res.once('close', () => gone.abort())
  try {
    const count = await manager.run<{ count: number }, number>(
      (req.url ?? '/').slice(1),
      async ({ data }) => {
        const before = data.count ?? 0
        await query(5)
        data.count = before + 1
        return data.count
      },
      { signal: gone.signal },
    )
    // Stored by now.
    res.end(String(count))
  } catch (error) {
    if (!(error instanceof LatchkeyError) && !gone.signal.aborted) console.error(error)
    res.writeHead(503, { 'retry-after': '1' }).end()
  }
}

const server = createServer((req, res) => void answer(req, res)).listen(Number(port), '127.0.0.1', () => {
  const address = server.address()
  if (typeof address === 'object') console.log(`http://127.0.0.1:${String(address?.port)}`)
})

// pm2 sends SIGINT, as ctrl-C does; all others SIGTERM.
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => void stop())

async function stop(): Promise<void> {
  server.close()
  // Who waits is answered 503; who holds a session may finish, for two seconds; then no lock is left.
  await manager.close({ graceMs: 2000 })
  server.closeIdleConnections()
  const { held, waiting } = manager.stats()
  console.log(`held ${String(held)}, waiting ${String(waiting)}`)
  // A worker of a cluster, pm2's too, has a channel to the first process, and does not end as long as it is open.
  if (process.connected) process.disconnect()
}
