import { setTimeout as delay } from 'node:timers/promises'
import { parseSavePath } from '../../src/save-path.js'
import { systemClock } from '../../src/system/clock.js'
import { createMemcachedWire } from '../../src/wire/memcached/memcached-wire.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { wireConformance } from './conformance.js'

for (const protocol of ['binary', 'text']) {
  wireConformance(`memcached, ${protocol}`, async (options) => {
    const server = await MemcachedServer.start(options?.small === true ? { args: ['-m', '8', '-M'] } : {})
    const path = parseSavePath(`${server.address}?protocol=${protocol}`)
    if (path.kind !== 'memcached') throw new Error('no servers')
    const wire = createMemcachedWire({ servers: path.servers, clock: systemClock })
    return {
      wire,
      advance: (ms) => delay(ms),
      restart: () => server.restart(),
      close: async () => {
        await wire.close()
        await server.stop()
      },
    }
  })
}
