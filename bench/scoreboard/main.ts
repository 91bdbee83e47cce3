/** `npm run scoreboard`: plays the race kit against the session stores people use, and prints the table of docs/explain/how-it-is-tested.md. */
import session from 'express-session'
import { SessionManager } from 'latchkey'
import { latchkey } from 'latchkey/express'
import { playRaces, type SessionMiddleware, type StoryResult } from 'latchkey/testing'
import { MemcachedServer } from '../../test/support/memcached-server.js'
import { startRedis } from '../support/redis-server.js'
import { requirePeers } from '../support/peers.js'

interface Contestant {
  readonly name: string
  readonly middleware: () => SessionMiddleware
  readonly close: () => void | Promise<void>
}

const OPTIONS = { secret: 'scoreboard', resave: false, saveUninitialized: false }

const withStore = (name: string, store: session.Store, close: () => void): Contestant => ({
  name,
  middleware: () => session({ store, ...OPTIONS }),
  close,
})

requirePeers()
const server = await MemcachedServer.start()
const redis = await startRedis()
const address = `127.0.0.1:${String(server.port)}`

const { default: connectMemcached } = await import('connect-memcached')
const { default: connectMemjs } = await import('connect-memjs')
const MemcachedStore = connectMemcached(session)
const memcached = new MemcachedStore({ hosts: [address], prefix: 'memcached:' })
const MemjsStore = connectMemjs(session)
const memjs = new MemjsStore({ servers: [address], prefix: 'memjs:' })
const manager = new SessionManager({ savePath: `tcp://${address}` })

const contestants: Contestant[] = [
  withStore('MemoryStore', new session.MemoryStore(), () => undefined),
  withStore('connect-memcached', memcached, () => {
    memcached.client.end()
  }),
  withStore('connect-memjs', memjs, () => {
    memjs.client.close()
  }),
]
if (redis === undefined) {
  console.error('redis-server is not installed: connect-redis is left out')
} else {
  const { createClient } = await import('redis')
  const { RedisStore } = await import('connect-redis')
  const client = await createClient({ url: `redis://127.0.0.1:${String(redis.port)}` }).connect()
  contestants.push(
    withStore('connect-redis', new RedisStore({ client, prefix: 'redis:' }), () => {
      client.destroy()
    }),
  )
}
contestants.push({ name: 'latchkey', middleware: () => latchkey({ manager, ...OPTIONS }), close: () => manager.close() })

const columns: { name: string; results: StoryResult[] }[] = []
for (const { name, middleware, close } of contestants) {
  console.error(`${name} …`)
  columns.push({ name, results: await playRaces({ middleware }) })
  await close()
}
await redis?.stop()
await server.stop()

console.log(`| race | ${columns.map(({ name }) => name).join(' | ')} |`)
console.log(`|---|${columns.map(() => '---').join('|')}|`)
for (const { story } of columns[0]?.results ?? []) {
  const cells = columns.map(({ results }) => results.find((result) => result.story === story)?.lost ?? 'survives')
  console.log(`| ${story} | ${cells.join(' | ')} |`)
}
process.exitCode = columns.at(-1)?.results.every(({ survived }) => survived) === true ? 0 : 1
