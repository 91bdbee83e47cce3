// An application on iron-session, as it is before the change that docs/guide/migrating/iron-session.md shows.
import { setTimeout as query } from 'node:timers/promises'
import { serve } from '@hono/node-server'
import { getIronSession } from 'iron-session'

const password = 'at least thirty-two characters long'

const handler = async (request) => {
  const response = new Response()
  const session = await getIronSession(request, response, { password, cookieName: 'shop' })
  const answer = await shop(request, session)
  await session.save()
  return Response.json(answer, { headers: response.headers })
}

async function shop({ method, url }, data) {
  const [, page, name] = new URL(url).pathname.split('/')
  const list = data.list ?? []
  if (page === 'visit') data.list = []
  if (page === 'login') data.user = name
  if (page === 'list' && method === 'POST') {
    await query(2)
    data.list = [...list, name]
  }
  if (page === 'logout') for (const key of ['user', 'list']) Reflect.deleteProperty(data, key)
  return { user: data.user, list: data.list ?? [] }
}

serve({ fetch: handler, port: 0, hostname: '127.0.0.1' }, ({ port }) => console.log(port))
