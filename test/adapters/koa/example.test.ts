import { describe, expect, it } from 'vitest'
import { rowsOf } from '../../support/matrix.js'
import { MemcachedServer } from '../../support/memcached-server.js'
import { KoaBrowser } from './browser.js'
import { playShop, serving } from '../play-shop.js'

describe('examples/koa', () => {
  it.each(rowsOf(['memcached', 'memory']))('a cart that is filled by twenty requests at once, paid once, on %s', async (store) => {
    await using memcached = await MemcachedServer.start()
    const servers = store === 'memory' ? undefined : memcached.address
    await serving('examples/koa/main.ts', servers, (port) => playShop(new KoaBrowser(port)))
    if (store === 'memcached') expect(await memcached.stat('cmd_set')).toBeGreaterThan(20)
  })
})
