/** The redis-server of the tests, for peers that are compared on it. */
import { hasRedis, RedisProcess } from '../../test/support/redis-server.js'

/** Undefined when redis-server is not installed. */
export const startRedis = async (): Promise<RedisProcess | undefined> => (hasRedis ? RedisProcess.start() : undefined)
