/**
 * A race that loses a login, as a unit test to copy into an application.
 *
 * Notifications are loading (slowly) when the user logs in. Both requests change the session. Nothing sleeps here:
 * a gate in the slow handler decides who goes first.
 */
import { once } from 'node:events'
import express, { type Express } from 'express'
import { SessionManager } from 'latchkey'
import { latchkey } from 'latchkey/express'
import { expect, it, vi } from 'vitest'

declare module 'express-session' {
  interface SessionData {
    visits?: number
    user?: string
    notifications?: number
  }
}

it('loses the login without the lock', async () => {
  await using shop = await openShop({ locking: false })

  const notifications = shop.send('/notifications')
  await shop.notificationsLoading.reached
  await shop.send('/login')
  expect(await shop.session()).toEqual({ visits: 1, user: 'ada' })

  shop.notificationsLoading.open()
  await notifications
  expect(await shop.session()).toEqual({ visits: 1, notifications: 3 })
})

it('keeps the login with the lock', async () => {
  await using shop = await openShop({ locking: true })
  const loggedIn = vi.fn()

  const notifications = shop.send('/notifications')
  await shop.notificationsLoading.reached
  const login = shop.send('/login').then(loggedIn)
  await vi.waitUntil(() => shop.manager.stats().waiting === 1, { interval: 1 })
  expect(loggedIn).not.toHaveBeenCalled()

  shop.notificationsLoading.open()
  await Promise.all([notifications, login])
  expect(await shop.session()).toEqual({ visits: 1, user: 'ada', notifications: 3 })
})

function shopApp(manager: SessionManager, notificationsLoading: Gate): Express {
  const app = express()
  app.use(latchkey({ manager, secret: 'of the test', resave: false, saveUninitialized: false }))
  app.get('/visit', (req, res) => {
    req.session.visits = 1
    res.end()
  })
  app.get('/session', (req, res) => {
    const { visits, user, notifications } = req.session
    res.json({ visits, user, notifications })
  })
  app.get('/login', (req, res) => {
    req.session.user = 'ada'
    res.end()
  })
  app.get('/notifications', async (req, res) => {
    notificationsLoading.reach()
    await notificationsLoading.opened
    req.session.notifications = 3
    res.end()
  })
  return app
}

/** The shop with one browser in it, which has a session already. */
async function openShop(options: { locking: boolean }) {
  const manager = new SessionManager({ savePath: 'memory:', ...options })
  const notificationsLoading = new Gate()
  const server = shopApp(manager, notificationsLoading).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const origin = `http://127.0.0.1:${String(port)}`
  const cookie = (await fetch(`${origin}/visit`)).headers.getSetCookie()[0]?.split(';')[0] ?? ''
  const get = async (path: string): Promise<string> => {
    const response = await fetch(origin + path, { headers: { cookie } })
    expect(response.status).toBe(200)
    return response.text()
  }

  return {
    manager,
    notificationsLoading,
    send: get,
    session: async (): Promise<unknown> => JSON.parse(await get('/session')),
    async [Symbol.asyncDispose](): Promise<void> {
      server.close()
      server.closeAllConnections()
      await manager.close()
    },
  }
}

/** A place in a handler that says when it was reached, and lets nobody through before it is opened. */
class Gate {
  reach: () => void = () => undefined
  open: () => void = () => undefined
  readonly reached = new Promise<void>((resolve) => (this.reach = resolve))
  readonly opened = new Promise<void>((resolve) => (this.open = resolve))
}
