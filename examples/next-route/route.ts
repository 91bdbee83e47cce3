/** app/api/cart/[item]/route.ts of a Next.js application: a visitor's cart. */
import { SessionManager } from 'latchkey'
import { withSession } from 'latchkey/fetch'

interface Shop {
  cart: Record<string, number>
}

interface Route {
  readonly params: Promise<{ item: string }>
}

const { MEMCACHE_SERVERS: servers, SESSION_SECRET: secret = 'the same in every process' } = process.env
const savePath = servers === undefined ? 'memory:' : servers.split(',').map((server) => `tcp://${server}`).join(',')

/** One per process. In Next.js it belongs into a file of its own, for all routes. */
export const manager = new SessionManager({ savePath })

export const POST = withSession<Shop, [Route]>({ manager, secret }, async (_request, session, { params }) => {
  const { item } = await params
  const cart = session.data.cart ?? {}
  session.data.cart = { ...cart, [item]: (cart[item] ?? 0) + 1 }
  return Response.json(session.data.cart)
})

/** It waits for nobody, and nobody waits for it. */
export const GET = withSession<Shop, [Route]>(
  { manager, secret, readOnly: true },
  async (_request, { data }, { params }) => {
    const { item } = await params
    return Response.json({ item, count: data.cart?.[item] ?? 0 })
  },
)

export const DELETE = withSession<Shop, [Route]>({ manager, secret }, async (_request, session) => {
  await session.destroy()
  return new Response(null, { status: 204 })
})
