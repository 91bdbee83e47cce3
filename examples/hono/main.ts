/** A shop: `node --import tsx examples/hono/main.ts`, with MEMCACHE_SERVERS=127.0.0.1:11211 on memcached. */
import { serve } from '@hono/node-server'
import { SessionManager } from 'latchkey'
import { shop } from './shop.js'

const { MEMCACHE_SERVERS: servers, PORT: port = '0' } = process.env
const savePath = servers === undefined ? 'memory:' : servers.split(',').map((server) => `tcp://${server}`).join(',')
const manager = new SessionManager({ savePath, retiredCopySec: 10 })
const server = serve({ fetch: shop(manager).fetch, hostname: '127.0.0.1', port: Number(port) }, (address) => {
  console.log(`http://127.0.0.1:${String(address.port)}`)
})

process.once('SIGTERM', () => {
  // No new requests; those under way store what they have; then the locks are gone.
  server.close(() => void stop())
})

async function stop(): Promise<void> {
  await manager.close()
  const { held, waiting } = manager.stats()
  console.log(`held ${String(held)}, waiting ${String(waiting)}`)
}
