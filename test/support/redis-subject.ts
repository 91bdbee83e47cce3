import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from '../../src/system/clock.js'
import type { WireSubject, WireSubjectOptions } from '../../src/testing/wire-conformance/subject.js'
import { createRedisWire, type RedisWire, type RedisWireOptions } from '../../src/wire/redis/redis-wire.js'
import { readRedisPath, type RedisServer } from '../../src/wire/redis/save-path.js'
import { readSentinelPath } from '../../src/wire/redis/sentinel/sentinel-path.js'
import { type RedisOptions, RedisProcess } from './redis-server.js'

/** The deadline of a flight where deadlines are not tested: long, because the machine may be busy with other tests. */
const PATIENCE_MS = 30_000

const refuse = (where: string, problem: string): never => {
  throw new Error(`${where}: ${problem}`)
}

export const redisServerOf = (savePath: string): RedisServer => readRedisPath(savePath, refuse)

export const redisWireTo = (savePath: string, options: Partial<RedisWireOptions> = {}): RedisWire =>
  createRedisWire({ server: redisServerOf(savePath), clock: systemClock, flightMs: PATIENCE_MS, ...options })

export const sentinelWireTo = (savePath: string, options: Partial<RedisWireOptions> = {}): RedisWire =>
  createRedisWire({ server: readSentinelPath(savePath, refuse), clock: systemClock, flightMs: PATIENCE_MS, ...options })

/** Makes a wire to a redis-server of its own. `advance` waits in real time. */
export async function redisSubject({ small = false, wide = false }: WireSubjectOptions = {}, options: RedisOptions = {}): Promise<WireSubject> {
  const server = await RedisProcess.start({ ...options, args: [...(options.args ?? []), ...(small ? ['--maxmemory', '8mb'] : [])] })
  const wire = redisWireTo(server.savePath, wide ? {} : { connections: 1 })
  return {
    wire,
    advance: (ms) => delay(ms),
    close: async () => {
      await wire.close()
      await server.stop()
    },
    restart: () => server.restart(),
    comparesWhenFull: true,
  }
}
