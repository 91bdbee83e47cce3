import type { WireScheme } from '../scheme.js'
import { operateRedis } from './operated-redis.js'
import { createRedisWire } from './redis-wire.js'
import { BEGINNINGS, FORM, readRedisPath } from './save-path.js'

/** `redis://`, `rediss://` and `redis+unix://`: one Redis, or one Valkey. */
export const redisScheme: WireScheme = {
  beginnings: BEGINNINGS,
  form: FORM,
  read(savePath, refuse) {
    const server = readRedisPath(savePath, refuse)
    return {
      open: ({ clock, flightMs, connections, onWarning, isOfProcesses }) =>
        createRedisWire({ server, clock, flightMs, connections, onWarning, isOfProcesses }),
      operate: (options) => operateRedis(server, options),
    }
  },
}
