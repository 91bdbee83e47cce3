/** A counter that streams: `node --import tsx examples/node-fetch/main.ts`, with MEMCACHE_SERVERS on memcached. */
import { setTimeout as pause } from 'node:timers/promises'
import { serve } from '@hono/node-server'
import { SessionManager } from 'latchkey'
import { withSession } from 'latchkey/fetch'

const { MEMCACHE_SERVERS: servers, PORT: port = '0' } = process.env
const savePath = servers === undefined ? 'memory:' : servers.split(',').map((server) => `tcp://${server}`).join(',')
const manager = new SessionManager({ savePath })
const encoder = new TextEncoder()

/** The session is stored and free before the first event leaves; a stream that lasts for hours holds up nobody. */
async function *events(visits: number): AsyncGenerator<Uint8Array> {
  for (let beat = 0; beat < 3; beat++) {
    yield encoder.encode(`data: visit ${String(visits)}, beat ${String(beat)}\n\n`)
    await pause(20)
  }
}

const fetch = withSession<{ visits: number }>({ manager, secret: 'the same in every process' }, (request, session) => {
  const visits = (session.data.visits ?? 0) + 1
  session.data.visits = visits
  if (new URL(request.url).pathname !== '/events') return Response.json({ visits })
  return new Response(ReadableStream.from(events(visits)), { headers: { 'content-type': 'text/event-stream' } })
})

const server = serve({ fetch, hostname: '127.0.0.1', port: Number(port) }, (address) => {
  console.log(`http://127.0.0.1:${String(address.port)}`)
})

process.once('SIGTERM', () => {
  server.close(() => void stop())
})

async function stop(): Promise<void> {
  await manager.close()
  const { held, waiting } = manager.stats()
  console.log(`held ${String(held)}, waiting ${String(waiting)}`)
}
