import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import express, { type Express } from 'express'
import { afterEach, describe, expect, it } from 'vitest'
import { endSitesAfterEach, portOf, Site, until, visit } from './site.js'

/** Uploads that arrive slowly: whoever else has the session must not wait for them. */

endSitesAfterEach()

const sockets: Socket[] = []
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
})

const routes = (app: Express): void => {
  app.post('/upload', express.text({ limit: '10mb' }), (req, res) => {
    const length = String(req.body).length
    visit(req).n = length
    res.json({ length })
  })
}

/** A request whose head and `first` part of the body are sent, and the rest when `send` is called. */
async function upload(site: Site, cookie: string, lengthBytes: number, first: string): Promise<{ send: (rest: string) => void; answer: Promise<string>; socket: Socket }> {
  const socket = connect(portOf(site.server), '127.0.0.1')
  sockets.push(socket)
  await once(socket, 'connect')
  socket.write(
    `POST /upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\nCookie: ${cookie}\r\nContent-Length: ${String(lengthBytes)}\r\n\r\n${first}`,
  )
  let text = ''
  socket.setEncoding('utf8').on('data', (part: string) => (text += part))
  const answer = once(socket, 'close').then(() => text)
  return { send: (rest) => void socket.write(rest), answer, socket }
}

const arrived = (): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, 30))

describe('a slow upload, express', () => {
  it('does not hold the session while a small body arrives, and is served when it has', async () => {
    const site = await Site.start(routes)
    const visitor = await site.visitor()
    const { send, answer } = await upload(site, visitor.cookie ?? '', 8, 'half')
    await arrived()
    expect(site.manager.stats().held).toBe(0)
    expect((await visitor.twin().get('/set/user/eve')).status).toBe(200)
    send('done')
    expect(await answer).toContain('{"length":8}')
    expect(await site.stored(visitor.sid)).toEqual({ user: 'eve', n: 8 })
  })

  it('one that is larger than what Node keeps is locked when that is full', async () => {
    const site = await Site.start(routes)
    const visitor = await site.visitor()
    const part = 'x'.repeat(200_000)
    const { send, answer } = await upload(site, visitor.cookie ?? '', 2 * part.length, part)
    await until(() => site.manager.stats().held === 1)
    send(part)
    expect(await answer).toContain('{"length":400000}')
  })

  it('received before the session is opened, a large one holds nothing either', async () => {
    const whole = await Site.start(
      (app) => {
        app.post('/upload', (req, res) => {
          visit(req).n = String(req.body).length
          res.json({ length: visit(req).n })
        })
      },
      { before: (app) => void app.use(express.text({ limit: '10mb' })) },
    )
    const visitor = await whole.visitor()
    const part = 'x'.repeat(200_000)
    const { send, answer } = await upload(whole, visitor.cookie ?? '', 2 * part.length, part)
    await arrived()
    expect(whole.manager.stats().held).toBe(0)
    expect((await visitor.twin().get('/set/user/eve')).status).toBe(200)
    send(part)
    expect(await answer).toContain('{"length":400000}')
  })

  it('whose client goes in the middle: no lock is taken, nothing is left', async () => {
    const site = await Site.start(routes)
    const visitor = await site.visitor()
    const { socket } = await upload(site, visitor.cookie ?? '', 8, 'half')
    await arrived()
    socket.destroy()
    await arrived()
    expect(site.manager.stats()).toMatchObject({ held: 0, waiting: 0 })
    expect((await visitor.get('/show')).status).toBe(200)
  })
})
