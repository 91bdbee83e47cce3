import { SessionManager } from 'latchkey'
import { withSession } from 'latchkey/fetch'
import { expect, it } from 'vitest'

const ask = (cookie = ''): Request => new Request('http://shop.test/', { headers: { cookie } })

it('a secret that is changed: what the old one signed is read, and signed anew, so that the old one can be dropped', async () => {
  const manager = new SessionManager()
  const site = (secret: string[]): ((request: Request) => Promise<Response>) =>
    withSession<{ n: number }>({ manager, secret }, (_request, { data }) => {
      data.n = (data.n ?? 0) + 1
      return Response.json(data)
    })
  const cookieOf = (response: Response): string => response.headers.getSetCookie()[0]?.split(';')[0] ?? ''
  const old = cookieOf(await site(['old'])(ask()))
  const anew = await site(['new', 'old'])(ask(old))
  expect(await anew.clone().json()).toEqual({ n: 2 })
  expect(cookieOf(anew)).not.toBe('')
  const last = await site(['new'])(ask(cookieOf(anew)))
  expect(await last.json()).toEqual({ n: 3 })
  // And from then on it is left as it is.
  expect(last.headers.getSetCookie()).toEqual([])
  await manager.close()
})

it('a page of the application for a busy session carries Retry-After as well', async () => {
  const manager = new SessionManager({ waitMs: 0 })
  let open = (): void => undefined
  const passed = new Promise<void>((resolve) => (open = resolve))
  const options = { manager, secret: 's', onRefused: () => new Response('come back', { status: 503 }) }
  const first = await withSession<{ n: number }>(options, (_request, { data }) => Response.json((data.n = 1)))(ask())
  const cookie = first.headers.getSetCookie()[0] ?? ''
  const slow = withSession(options, () => passed.then(() => new Response('ok')))(ask(cookie))
  const busy = await withSession(options, () => new Response('ok'))(ask(cookie))
  open()
  await slow
  expect([busy.status, busy.headers.get('retry-after'), await busy.text()]).toEqual([503, '1', 'come back'])
  await manager.close()
})
