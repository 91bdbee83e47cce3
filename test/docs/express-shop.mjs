/** What each of the Express applications in migrating/ does with its sessions. They differ in their stores alone. */
import { setTimeout as query } from 'node:timers/promises'

/** Serves the shop, and prints its port. */
export function openShop(app) {
  app.post('/visit', (req, res) => {
    req.session.list = []
    res.end()
  })
  app.post('/login/:user', (req, res, next) => {
    const { list } = req.session
    req.session.regenerate((error) => {
      if (error) return next(error)
      Object.assign(req.session, { list, user: req.params.user })
      res.end()
    })
  })
  app.post('/list/:item', async (req, res) => {
    const list = req.session.list ?? []
    await query(5)
    req.session.list = [...list, req.params.item]
    res.end()
  })
  app.post('/logout', (req, res, next) => req.session.destroy((error) => (error ? next(error) : res.end())))
  app.get('/list', (req, res) => res.json({ user: req.session.user, list: req.session.list ?? [] }))

  const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port))
}
