/** Which library a client is of. */
import { InvalidOptionError } from '../../../errors.js'
import { GlideCaller, type GlideClient } from './glide.js'
import { IoredisCaller, type IoredisClient } from './ioredis.js'
import { NodeRedisCaller, type NodeRedisClient } from './node-redis.js'
import type { RedisCaller } from './redis-caller.js'

/** @throws {InvalidOptionError} it is of none that is known, or cannot be used. */
export function callerOf(client: object, flightMs: number): RedisCaller {
  if (isIoredis(client)) {
    const { keyPrefix = '' } = client.options
    if (client.isCluster === true && keyPrefix.includes('{')) {
      throw new InvalidOptionError('client: its keyPrefix has a brace, so that all sessions would be in one slot of the cluster.')
    }
    return new IoredisCaller(client, flightMs)
  }
  if (isGlide(client)) return new GlideCaller(client)
  if ('getMasterNode' in client || 'getSentinelNode' in client) {
    throw new InvalidOptionError("client: a Sentinel client of node-redis cannot be used. Give a client of ioredis, or savePath: 'redis://...'.")
  }
  if (isNodeRedis(client)) return new NodeRedisCaller(client)
  throw new InvalidOptionError('client: a client of ioredis, iovalkey, node-redis (redis 5 or later) or @valkey/valkey-glide is wanted.')
}

const has = (client: object, ...methods: readonly string[]): boolean =>
  methods.every((name) => name in client && typeof (client as Readonly<Record<string, unknown>>)[name] === 'function')

const isIoredis = (client: object): client is IoredisClient => has(client, 'callBuffer', 'duplicate', 'connect', 'disconnect') && 'options' in client
const isNodeRedis = (client: object): client is NodeRedisClient => has(client, 'sendCommand', 'duplicate', 'connect', 'destroy') && 'isOpen' in client
const isGlide = (client: object): client is GlideClient => has(client, 'customCommand')
