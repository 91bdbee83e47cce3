// An application on @fastify/session, as it is before the change that docs/guide/migrating/fastify-session.md shows.
import { setTimeout as query } from 'node:timers/promises'
import cookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import Fastify from 'fastify'

const secret = 'at least thirty-two characters long'
const app = Fastify()
await app.register(cookie)
await app.register(fastifySession, { secret, cookie: { secure: false }, rolling: false })

app.post('/visit', async (request) => {
  request.session.list = []
  return {}
})
app.post('/login/:user', async (request) => {
  await request.session.regenerate(['list'])
  request.session.user = request.params.user
  return {}
})
app.post('/list/:item', async (request) => {
  const list = request.session.list ?? []
  await query(2)
  request.session.list = [...list, request.params.item]
  return {}
})
app.get('/list', async ({ session }) => ({ user: session.user, list: session.list ?? [] }))
app.post('/logout', async (request) => {
  await request.session.destroy()
  return {}
})

await app.listen({ host: '127.0.0.1', port: 0 })
console.log(app.server.address().port)
