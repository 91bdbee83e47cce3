import { createServer } from 'node:http'
import { once } from 'node:events'
import { getRequestListener } from '@hono/node-server'
import { describe, expect, it, vi } from 'vitest'
import { DELETE, GET, POST } from '../../../examples/next-route/app/api/cart/[item]/route.js'
import { manager } from '../../../examples/next-route/app/sessions.js'
import { rowsOf } from '../../support/matrix.js'
import { MemcachedServer } from '../../support/memcached-server.js'
import { portOf } from '../express/site.js'
import { playShop, serving } from '../play-shop.js'
import { FetchBrowser } from './browser.js'

describe('examples/hono', () => {
  it.each(rowsOf(['memcached', 'memory']))('a cart that is filled by twenty requests at once, paid once, on %s', async (store) => {
    await using memcached = await MemcachedServer.start()
    const servers = store === 'memory' ? undefined : memcached.address
    await serving('examples/hono/main.ts', servers, (port) => playShop(new FetchBrowser(port)))
    if (store === 'memcached') expect(await memcached.stat('cmd_set')).toBeGreaterThan(20)
  })
})

describe('examples/node-fetch', () => {
  it('counts the visits of requests that are made while streams of the same visitor are open', async () => {
    await using memcached = await MemcachedServer.start()
    await serving('examples/node-fetch/main.ts', memcached.address, async (port) => {
      const browser = new FetchBrowser(port)
      expect((await browser.get('/')).body).toBe('{"visits":1}')
      const streams = Array.from({ length: 4 }, () => browser.get('/events'))
      const visits = Array.from({ length: 8 }, () => browser.get('/'))
      const counted = (await Promise.all(visits)).map(({ body }): number => JSON.parse(body).visits)
      const streamed = (await Promise.all(streams)).map(({ body }) => Number(/visit (\d+), beat 2/.exec(body)?.[1]))
      expect([...counted, ...streamed].sort((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, at) => at + 2))
      browser.close()
    })
  })
})

describe('examples/next-route', () => {
  it('keeps its one manager when the development server runs its files anew', async () => {
    vi.resetModules()
    const { manager: again } = await import('../../../examples/next-route/app/sessions.js')
    expect(again).toBe(manager)
  })

  it('fills a cart from eight requests at once, as Next.js would call it', async () => {
    const routes = new Map([['GET', GET], ['POST', POST], ['DELETE', DELETE]])
    const listener = getRequestListener((request) => {
      const params = Promise.resolve({ item: new URL(request.url).pathname.slice('/api/cart/'.length) })
      return routes.get(request.method)?.(request, { params }) ?? new Response(null, { status: 405 })
    })
    const server = createServer(listener).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const browser = new FetchBrowser(portOf(server))
    const call = async (method: string): Promise<string> => (await browser.get('/api/cart/pen', { method })).body
    await call('POST')
    await Promise.all(Array.from({ length: 8 }, () => call('POST')))
    expect(await call('GET')).toBe('{"item":"pen","count":9}')
    await call('DELETE')
    expect([browser.cookie, await call('GET')]).toEqual([undefined, '{"item":"pen","count":0}'])
    browser.close()
    server.close()
    expect(manager.stats()).toMatchObject({ held: 0, waiting: 0 })
    await manager.close()
  })
})
