import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { VirtualClock } from 'latchkey/testing'
import { describe, expect, it } from 'vitest'
import { isBodyDue, onBodyArrived } from '../../src/adapters/http/body-arrival.js'
import type { Browser } from './express/browser.js'
import { portOf, Site as ExpressSite } from './express/site.js'
import { endPlacesAfterEach, type Place, PLACES, type Route, until } from './places.js'
import { endStalledAfterEach, stalledUpload } from './slow-request.js'

/** Uploads that arrive slowly: whoever else has the session must not wait for them. */

endPlacesAfterEach()
endStalledAfterEach()

/** Keeps the length of its body in the session. */
const upload: Route = async (session, page) => {
  const { length } = await page.body()
  session.data['n'] = length
  return { length }
}

describe.each(PLACES)('a slow upload, %s', (_name, startPlace) => {
  const start = async (): Promise<{ place: Place; server: Place['server']; manager: Place['manager']; visitor: Browser }> => {
    // Who finds the session held is refused, and does not wait.
    const place = await startPlace({ '/upload': upload }, { managerOptions: { waitMs: 0 } })
    const { server, manager } = place
    return { place, server, manager, visitor: await place.visitor() }
  }

  it('a small one: no lock is asked for before it has arrived', async () => {
    const { place, server, manager, visitor } = await start()
    const { finish } = await stalledUpload(server, visitor, { body: Buffer.from('whole') })
    for (let turn = 0; turn < 3; turn++) expect((await visitor.twin().get('/show')).status).toBe(200)
    expect(manager.stats().held).toBe(0)
    expect(await finish()).toContain('{"length":5}')
    expect(await place.stored(visitor.sid)).toMatchObject({ user: 'ada', n: 5 })
  })

  it('one that is larger than what Node keeps: locked when that is full', async () => {
    const { place, server, manager, visitor } = await start()
    const { finish } = await stalledUpload(server, visitor, { body: Buffer.alloc(400_000, 'x') })
    await until(() => manager.stats().held === 1)
    expect(await finish()).toContain('{"length":400000}')
    expect(await place.stored(visitor.sid)).toMatchObject({ user: 'ada', n: 400_000 })
  })

  it('whose client goes in the middle: nothing is changed, and nothing left', async () => {
    const { place, server, manager, visitor } = await start()
    const { leave, incoming } = await stalledUpload(server, visitor, { body: Buffer.from('whole') })
    const closed = new Promise<void>((resolve) => void incoming.once('close', resolve))
    leave()
    await closed
    // What its handler does with half a body is its own.
    await until(async () => manager.stats().held === 0 && (await visitor.twin().get('/show')).status === 200)
    expect(manager.stats()).toMatchObject({ held: 0, waiting: 0 })
    expect(await place.stored(visitor.sid)).not.toHaveProperty('n')
  })
})

it('Express: what the application\'s `label` throws when the body has arrived is an error of the request', async () => {
  const site = await ExpressSite.start((app) => void app.post('/upload', (_req, res) => void res.json({})), {
    label: ({ method }) => {
      if (method === 'POST') throw new Error('a bug')
      return 'fine'
    },
  })
  const { finish } = await stalledUpload(site.server, await site.visitor(), { body: Buffer.from('whole') })
  expect(await finish()).toContain('HTTP/1.1 500')
})

it('Express: an application is asked once whether a request only reads, also where its body was waited for', async () => {
  const asked: string[] = []
  const site = await ExpressSite.start((app) => void app.post('/upload', (_req, res) => void res.json({})), {
    readOnly: ({ method }) => {
      asked.push(method ?? '')
      return false
    },
  })
  const { finish } = await stalledUpload(site.server, await site.visitor(), { body: Buffer.from('whole') })
  expect(await finish()).toContain('HTTP/1.1 200')
  expect(asked).toEqual(['GET', 'POST'])
})

describe('how long a body is waited for', () => {
  /** A server that reads no body, and what has come in of one there. */
  async function stalled(body: string): Promise<{ incoming: IncomingMessage; end: () => void }> {
    const server = createServer(() => undefined)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { incoming } = await stalledUpload(server, { port: portOf(server) }, { body: Buffer.from(body) })
    return {
      incoming,
      end: () => {
        server.close()
        server.closeAllConnections()
      },
    }
  }

  it('10 seconds, after which its session is locked while it arrives; nothing of it is lost', async () => {
    const { incoming, end } = await stalled('whole')
    const clock = new VirtualClock()
    let isOver = false
    expect(isBodyDue(incoming)).toBe(true)
    onBodyArrived(incoming, () => (isOver = true), clock)
    await clock.advance(9999)
    await new Promise((resolve) => setImmediate(resolve))
    expect(isOver).toBe(false)
    await clock.advance(1)
    await until(() => isOver)
    expect(String(incoming.read())).toBe('wh')
    expect(clock.pendingTimers).toBe(0)
    end()
  })

  it('not at all where somebody reads it already', async () => {
    const { incoming, end } = await stalled('whole')
    incoming.resume()
    expect(isBodyDue(incoming)).toBe(false)
    end()
  })
})
