/** One of the processes: an Express app like any other, that also says how often it polled and handed on. */
import { setTimeout as query } from 'node:timers/promises'
import express from 'express'
import { SessionManager } from 'latchkey'
import { latchkey } from 'latchkey/express'
import { TTL_SEC } from '../demo/store.js'
import { optionsOfThisWorker } from './workers.js'

declare module 'express-session' {
  interface SessionData {
    count?: number
  }
}

const WORK_MS = 3

const manager = new SessionManager({ ...optionsOfThisWorker(), label: 'example:cluster' })
const app = express()
const secret = 'shared by all processes'
app.use(latchkey({ manager, secret, resave: false, saveUninitialized: false, ttl: TTL_SEC }))

app.post('/open', (req, res) => {
  req.session.count = 0
  res.sendStatus(204)
})
app.post('/count', async (req, res) => {
  const count = req.session.count ?? 0
  await query(WORK_MS)
  req.session.count = count + 1
  res.json({ pid: process.pid, count: req.session.count })
})
app.get('/count', (req, res) => {
  res.json({ pid: process.pid, count: req.session.count ?? 0 })
})

// In a cluster, port 0 is one free port, the same for every worker.
const server = app.listen(0, '127.0.0.1')

process.on('message', (message) => {
  if (message === 'stats') {
    const { polls, handOffs, grants } = manager.stats()
    process.send?.({ polls, handOffs, grants })
  }
  if (message === 'stop') void stop()
})

// Ctrl-C reaches the whole group; the first process ends the others in good order.
process.on('SIGINT', () => undefined)

async function stop(): Promise<void> {
  server.close()
  server.closeAllConnections()
  await manager.close({ graceMs: 0 })
  process.disconnect()
}
