// An application on koa-session and a store of its own, as it is before the change that docs/guide/migrating/koa-session.md shows.
import { setTimeout as query } from 'node:timers/promises'
import Koa from 'koa'
import session from 'koa-session'

const sessions = new Map()
const store = {
  get: async (id) => JSON.parse(sessions.get(id) ?? 'null'),
  set: async (id, data) => void sessions.set(id, JSON.stringify(data)),
  destroy: async (id) => void sessions.delete(id),
}

const app = new Koa()
app.keys = ['the same in every process']
app.use(session({ store, maxAge: 3_600_000 }, app))
app.use(async (ctx) => {
  const [, page, name] = ctx.path.split('/')
  const list = ctx.session.list ?? []
  if (page === 'visit') ctx.session.list = []
  if (page === 'login') {
    await ctx.session.regenerate()
    ctx.session.user = name
  }
  if (page === 'list' && ctx.method === 'POST') {
    await query(2)
    ctx.session.list = [...list, name]
  }
  ctx.body = { user: ctx.session.user, list }
  if (page === 'logout') ctx.session = null
})

const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port))
