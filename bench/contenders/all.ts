/** Makes the contenders of `cycle`, each as its own documentation tells to. */
import session from 'express-session'
import type { MemcachedServer } from '../../test/support/memcached-server.js'
import { loadExpressAdapter, loadExpressInternals, loadLatchkey } from '../support/latchkey.js'
import { changed, changedText, sessionOf } from '../support/record.js'
import type { RedisProcess } from '../../test/support/redis-server.js'
import { startRedis } from '../support/redis-server.js'
import type { RowContext } from '../support/result.js'
import type { Contender } from './contender.js'
import { ExpressRequests } from './express-request.js'
import { ExpressStore } from './express-store.js'
import { BY_GETS, BY_MG, Floor, type Reading } from './floor.js'
import { LatchkeyHooks } from './latchkey.js'

export const FLOOR = 'raw floor'
export const LATCHKEY = 'latchkey'
export const FLOOR_MG = 'raw floor, reading by mg'
export const FLOOR_TEXT = 'raw floor, text only'
export const LATCHKEY_TEXT = 'latchkey, text only'
export const LATCHKEY_REQUEST = 'latchkey, request of Express'
export const LATCHKEY_EXPRESS = 'latchkey, express store outside of requests'
export const LATCHKEY_OTHER = 'latchkey, other build'
export const CONNECT_MEMCACHED = 'connect-memcached'
export const CONNECT_MEMJS = 'connect-memjs'
export const CONNECT_REDIS = 'connect-redis'
export const MEMORYSTORE = 'memorystore'

export interface Setup {
  readonly server: MemcachedServer
  readonly recordBytes: number
}

export interface Contenders {
  readonly list: readonly Contender[]
  readonly missing: readonly string[]
}

export async function makeContenders(setup: Setup, { quick, against }: RowContext): Promise<Contenders> {
  const missing: string[] = []
  const list = [...(await makeOwn(setup, against))]
  list.push(await makeConnectMemcached(setup), await makeConnectMemjs(setup))
  const redis = await makeConnectRedis(setup)
  if (redis === undefined) missing.push('redis-server is not installed: no row for connect-redis')
  else list.push(redis)
  list.push(await makeMemoryStore(setup))
  if (!quick) list.push(...(await makeTextOnly(setup)))
  return { list, missing }
}

/** Without the peers: the floor, this build by both of its ways, and another build, if there is one. */
export async function makeOwn(setup: Setup, against: string | undefined): Promise<readonly Contender[]> {
  const list: Contender[] = [await makeFloor(setup), await floor(setup, FLOOR_MG, changed, BY_MG), await makeLatchkey(setup)]
  if (against !== undefined) list.push(await latchkey(setup, LATCHKEY_OTHER, changed, against))
  return [...list, ...(await makeLatchkeyExpress(setup))]
}

export function makeFloor(setup: Setup): Promise<Contender> {
  return floor(setup, FLOOR, changed)
}

export function makeLatchkey(setup: Setup): Promise<Contender> {
  return latchkey(setup, LATCHKEY, changed)
}

/** Both again with a change that costs next to nothing: what is left is the cycle alone. */
async function makeTextOnly(setup: Setup): Promise<readonly Contender[]> {
  return [await floor(setup, FLOOR_TEXT, changedText), await latchkey(setup, LATCHKEY_TEXT, changedText)]
}

type Change = (text: string) => string

export function floor({ server, recordBytes }: Setup, name: string, change: Change, reading: Reading = BY_GETS): Promise<Contender> {
  return Floor.connect(name, server.port, { record: JSON.stringify(sessionOf(recordBytes)), change, reading })
}

async function latchkey(setup: Setup, name: string, change: Change, dist?: string): Promise<Contender> {
  const { SessionManager } = await loadLatchkey(dist)
  const manager = new SessionManager({ savePath: `tcp://${setup.server.address}`, prefix: `${name.replace(/\W/g, '')}:` })
  return new LatchkeyHooks(name, manager, JSON.stringify(sessionOf(setup.recordBytes)), change)
}

/** By the store of a request, and by the one for code outside of requests. */
async function makeLatchkeyExpress(setup: Setup): Promise<readonly Contender[]> {
  const adapter = await loadExpressAdapter()
  if (adapter === undefined) return []
  const { SessionManager } = await loadLatchkey()
  const manager = new SessionManager({ savePath: `tcp://${setup.server.address}`, prefix: 'expr:' })
  const { store } = adapter.latchkey({ manager, secret: 'bench', resave: false, saveUninitialized: false })
  const outside = expressStore(LATCHKEY_EXPRESS, store, setup, () => manager.close())
  const own = new SessionManager({ savePath: `tcp://${setup.server.address}`, prefix: 'exrq:' })
  const ofRequests = adapter.latchkey({ manager: own, secret: 'bench', resave: false, saveUninitialized: false })
  const { BareSessions, ExpressStore: RequestStore, HeldSession, expressRecordOf } = await loadExpressInternals()
  const record = expressRecordOf(own, {})
  const sessions = new BareSessions(own, record, () => undefined)
  const newStore = (): InstanceType<typeof RequestStore> => new RequestStore(new HeldSession(sessions, 'GET /', undefined))
  const seeds = expressStore(LATCHKEY_REQUEST, ofRequests.store, setup, () => own.close())
  return [new ExpressRequests(LATCHKEY_REQUEST, newStore, seeds), outside]
}

async function makeConnectMemcached(setup: Setup): Promise<Contender> {
  const { default: connect } = await import('connect-memcached')
  const store = new (connect(session))({ hosts: [setup.server.address], prefix: 'cmem:' })
  return expressStore(CONNECT_MEMCACHED, store, setup, () => store.client.end())
}

async function makeConnectMemjs(setup: Setup): Promise<Contender> {
  const { default: connect } = await import('connect-memjs')
  const store = new (connect(session))({ servers: [setup.server.address], prefix: 'cmjs:' })
  return expressStore(CONNECT_MEMJS, store, setup, () => store.client.close())
}

async function makeConnectRedis(setup: Setup): Promise<Contender | undefined> {
  const server = await startRedis()
  return server === undefined ? undefined : connectRedisTo(server, setup)
}

/** It stops the server when it is closed. */
export async function connectRedisTo(server: RedisProcess, setup: Pick<Setup, 'recordBytes'>): Promise<Contender> {
  const [{ RedisStore }, { createClient }] = await Promise.all([import('connect-redis'), import('redis')])
  const client = createClient({ url: `redis://127.0.0.1:${String(server.port)}` })
  client.on('error', (error) => {
    throw error
  })
  await client.connect()
  return expressStore(CONNECT_REDIS, new RedisStore({ client, prefix: 'sess:' }), setup, () => {
    client.destroy()
    return server.stop()
  })
}

async function makeMemoryStore(setup: Setup): Promise<Contender> {
  const { default: connect } = await import('memorystore')
  const store = new (connect(session))({ checkPeriod: 86_400_000 })
  return expressStore(MEMORYSTORE, store, setup, () => undefined)
}

type Store = ConstructorParameters<typeof ExpressStore>[1]

function expressStore(name: string, store: Store, setup: Pick<Setup, 'recordBytes'>, end: () => void | Promise<void>): ExpressStore {
  return new ExpressStore(name, store, sessionOf(setup.recordBytes), end)
}
