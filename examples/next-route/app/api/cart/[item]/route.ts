/** app/api/cart/[item]/route.ts of a Next.js application: a visitor's cart. It exports handlers and nothing else. */
import { withSession } from 'latchkey/fetch'
import { manager } from '@/app/sessions'

interface Shop {
  cart: Record<string, number>
}

interface Route {
  readonly params: Promise<{ item: string }>
}

const secret = process.env['SESSION_SECRET'] ?? 'the same in every process'

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
