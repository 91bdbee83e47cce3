import { Browser, called, type Handler, Meeting, type SessionMiddleware, Shop } from './shop.js'

export interface StoryContext {
  readonly middleware: SessionMiddleware
  readonly patienceMs: number
}

/** One race: what happens, and what must be true afterwards. */
export interface Story {
  readonly name: string
  /** Plays the race. Returns undefined when the store survives it, and otherwise what was lost, in a few words. */
  play(context: StoryContext): Promise<string | undefined>
}

/** The pages that every story's shop has: one begins a session, one shows what is in it. */
const COMMON: Readonly<Record<string, Handler>> = {
  begin: ({ req, res }) => {
    req.session['begun'] = true
    res.end('ok')
  },
  show: ({ req, res }) => {
    const { user, theme, seen, count, begun } = req.session
    res.end(JSON.stringify({ user, theme, seen, count, begun }))
  },
}

async function inShop(
  context: StoryContext,
  handlers: Readonly<Record<string, Handler>>,
  play: (browser: Browser, shop: Shop) => Promise<string | undefined>,
): Promise<string | undefined> {
  const shop = await Shop.open(context.middleware, { ...COMMON, ...handlers })
  try {
    const browser = new Browser(shop)
    await browser.visit('begin')
    return await play(browser, shop)
  } finally {
    await shop.close()
  }
}

const shown = async (browser: Browser, as?: string): Promise<Record<string, unknown>> => {
  const text = await browser.visit('show', as === undefined ? {} : { as })
  const data: unknown = text.startsWith('{') ? JSON.parse(text) : {}
  return typeof data === 'object' && data !== null ? { ...data } : {}
}

export const STORIES: readonly Story[] = [
  {
    name: 'login overwritten by notifications',
    play: (context) => {
      const together = new Meeting(2, context.patienceMs)
      const change = (name: string, value: unknown): Handler => async ({ req, res }) => {
        await together.reach()
        req.session[name] = value
        res.end('ok')
      }
      return inShop(context, { login: change('user', 'ada'), notifications: change('seen', 3) }, async (browser) => {
        await Promise.all([browser.visit('login'), browser.visit('notifications')])
        const { user, seen } = await shown(browser)
        return user === 'ada' && seen === 3 ? undefined : `lost ${user === 'ada' ? 'the notifications' : 'the login'}`
      })
    },
  },
  {
    name: 'double submit',
    play: (context) => {
      const together = new Meeting(2, context.patienceMs)
      const submit: Handler = async ({ req, res }) => {
        const count = Number(req.session['count'] ?? 0)
        await together.reach()
        req.session['count'] = count + 1
        res.end('ok')
      }
      return inShop(context, { submit }, async (browser) => {
        await Promise.all([browser.visit('submit'), browser.visit('submit')])
        const { count } = await shown(browser)
        return count === 2 ? undefined : `counted ${String(count)} of 2`
      })
    },
  },
  {
    name: 'logout undone by a slow request',
    play: (context) => {
      const together = new Meeting(2, context.patienceMs)
      const loggedOut = new Meeting(2, context.patienceMs * 2)
      const handlers: Record<string, Handler> = {
        slow: async ({ req, res }) => {
          req.session['user'] = 'ada'
          await together.reach()
          await loggedOut.reach()
          req.session['seen'] = 1
          res.end('ok')
        },
        logout: async ({ req, res }) => {
          await together.reach()
          await called((callback) => { req.session.destroy(callback) })
          res.end('ok')
        },
      }
      return inShop(context, handlers, async (browser) => {
        const cookie = browser.currentCookie
        const slow = browser.visit('slow', { as: cookie })
        await browser.visit('logout', { as: cookie })
        await loggedOut.reach()
        await slow
        const { begun } = await shown(browser, cookie)
        return begun === undefined ? undefined : 'logged in again'
      })
    },
  },
  {
    name: 'regenerate under way',
    play: (context) => {
      const together = new Meeting(2, context.patienceMs)
      const done = new Meeting(2, context.patienceMs * 2)
      const handlers: Record<string, Handler> = {
        slow: async ({ req, res }) => {
          await together.reach()
          await done.reach()
          req.session['seen'] = 1
          res.end('ok')
        },
        login: async ({ req, res }) => {
          await together.reach()
          await called((callback) => { req.session.regenerate(callback) })
          req.session['user'] = 'ada'
          res.end('ok')
        },
      }
      return inShop(context, handlers, async (browser) => {
        const old = browser.currentCookie
        const slow = browser.visit('slow', { as: old })
        await browser.visit('login', { as: old })
        const fresh = browser.currentCookie
        await done.reach()
        await slow
        const { user } = await shown(browser, fresh)
        if (user !== 'ada') return 'logged out'
        const { begun } = await shown(browser, old)
        return begun === undefined ? undefined : 'the old session came back'
      })
    },
  },
  {
    name: 'abort',
    play: (context) => {
      const leaving = new AbortController()
      const together = new Meeting(2, context.patienceMs)
      const changed = new Meeting(2, context.patienceMs * 2)
      let ended: () => void = () => undefined
      const finished = new Promise<void>((resolve) => {
        ended = resolve
      })
      const handlers: Record<string, Handler> = {
        slow: async ({ req, res }) => {
          leaving.abort()
          await together.reach()
          await changed.reach()
          req.session['seen'] = 1
          res.end('ok')
          ended()
        },
        change: async ({ req, res }) => {
          await together.reach()
          req.session['theme'] = 'dark'
          res.end('ok')
        },
      }
      return inShop(context, handlers, async (browser) => {
        const slow = browser.visit('slow', { signal: leaving.signal }).catch(() => 'left')
        await slow
        await browser.visit('change')
        await changed.reach()
        await finished
        const { theme } = await shown(browser)
        return theme === 'dark' ? undefined : 'lost what another request changed'
      })
    },
  },
  {
    name: 'streaming',
    play: (context) => {
      let finish: () => void = () => undefined
      const readOn = new Promise<void>((resolve) => {
        finish = resolve
      })
      const handlers: Record<string, Handler> = {
        stream: async ({ req, res }) => {
          req.session['theme'] = 'dark'
          res.setHeader('Content-Type', 'text/event-stream')
          res.write('data: begun\n\n')
          await readOn
          res.end('data: over\n\n')
        },
      }
      return inShop(context, handlers, async (browser) => {
        const stream = await browser.begin('stream')
        const seen = shown(browser)
        const late = setTimeout(finish, context.patienceMs * 4)
        const { theme } = await seen
        clearTimeout(late)
        finish()
        await stream.rest()
        return theme === 'dark' ? undefined : 'not stored when the stream began'
      })
    },
  },
]
