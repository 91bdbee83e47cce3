/** Compiled, not run: what applications write with the adapters for Koa and for handlers of Fetch's kind. */
import { Hono } from 'hono'
import Koa from 'koa'
import { SessionManager } from 'latchkey'
import { honoSession, type RequestSession, withSession } from 'latchkey/fetch'
import { latchkey, type LatchkeySession } from 'latchkey/koa'

interface Shop {
  user: string
  cart: string[]
}

const manager = new SessionManager()
const app = new Koa()
app.use(latchkey({ manager, maxAge: 'session', sameSite: 'lax', readOnly: ({ method }) => method === 'HEAD' }, app))
app.use(async (ctx) => {
  const session: LatchkeySession & Partial<Shop> = ctx['session']
  await session.regenerate()
  session.user = 'ada'
  await session.release()
})
// @ts-expect-error the manager keeps the sessions
latchkey({ manager, store: {} }, app)
// @ts-expect-error koa-session extends the application
latchkey({ manager })

const plain: (request: Request) => Promise<Response> = withSession<Shop>({ manager, secret: 'a' }, (_request, { data }) => {
  const cart: string[] | undefined = data.cart
  return Response.json(cart)
})
const inNext: (request: Request, context: { params: Promise<{ id: string }> }) => Promise<Response> = withSession<
  Shop,
  [{ params: Promise<{ id: string }> }]
>({ manager, secret: ['new', 'old'], cookie: { maxAge: 60 } }, async (_request, session, { params }) => Response.json([session.id, await params]))
// @ts-expect-error nothing signs the cookie
withSession({ manager }, () => new Response())

const hono = new Hono<{ Variables: { session: RequestSession<Shop> } }>()
hono.use(honoSession<Shop>({ manager, secret: 'a' }))
hono.get('/', (c) => c.json(c.get('session').data.cart ?? []))

export { hono, inNext, plain }
