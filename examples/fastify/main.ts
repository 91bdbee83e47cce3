/** A shop: `node --import tsx examples/fastify/main.ts`, with MEMCACHE_SERVERS=127.0.0.1:11211 on memcached. */
import { SessionManager } from 'latchkey'
import { shop } from './shop.js'

const { MEMCACHE_SERVERS: servers, PORT: port = '0' } = process.env
const savePath = servers === undefined ? 'memory:' : servers.split(',').map((server) => `tcp://${server}`).join(',')
const manager = new SessionManager({ savePath, retiredCopySec: 10 })
const app = await shop(manager)
console.log(await app.listen({ host: '127.0.0.1', port: Number(port) }))

process.once('SIGTERM', () => void stop())

/** No new requests; those under way store what they have; then the locks are gone. */
async function stop(): Promise<void> {
  await app.close()
  await manager.close()
  const { held, waiting } = manager.stats()
  console.log(`held ${String(held)}, waiting ${String(waiting)}`)
}
