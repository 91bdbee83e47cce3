import type { WireScheme } from '../../scheme.js'
import { operateRedis } from '../operated-redis.js'
import { createRedisWire } from '../redis-wire.js'
import { BEGINNINGS, FORM, readSentinelPath } from './sentinel-path.js'

/** `redis+sentinel://` and `rediss+sentinel://`: the primary of several Redis or Valkey, whichever it is. */
export const redisSentinelScheme: WireScheme = {
  beginnings: BEGINNINGS,
  form: FORM,
  read(savePath, refuse) {
    const server = readSentinelPath(savePath, refuse)
    return {
      open: ({ clock, flightMs, connections, onWarning, isOfProcesses }) =>
        createRedisWire({ server, clock, flightMs, connections, onWarning, isOfProcesses }),
      operate: (options) => operateRedis(server, options),
    }
  },
}
