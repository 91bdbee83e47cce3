/** A shop: `node --import tsx examples/express/main.ts`, with MEMCACHE_SERVERS=127.0.0.1:11211 on memcached. */
import { once } from 'node:events'
import { SessionManager } from 'latchkey'
import { shop } from './shop.js'

const { MEMCACHE_SERVERS: servers, PORT: port = '0' } = process.env
const savePath = servers === undefined ? 'memory:' : servers.split(',').map((server) => `tcp://${server}`).join(',')
const manager = new SessionManager({ savePath, retiredCopySec: 10 })
const server = shop(manager).listen(Number(port), '127.0.0.1')
await once(server, 'listening')
const address = server.address()
console.log(typeof address === 'object' && address !== null ? `http://127.0.0.1:${String(address.port)}` : address)

process.once('SIGTERM', () => void stop())

/** No new requests; those under way store what they have; then the locks are gone. */
async function stop(): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeIdleConnections()
  await closed
  await manager.close()
  const { held, waiting } = manager.stats()
  console.log(`held ${String(held)}, waiting ${String(waiting)}`)
}
