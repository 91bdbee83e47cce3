/** A small server with what a monitor asks for: `/metrics`, `/livez`, `/readyz`. `PORT`, `SAVE_PATH`. */
import { createServer, type ServerResponse } from 'node:http'
import { SessionManager } from 'latchkey'
import { instrumentPrometheus } from 'latchkey/prometheus'
import { register } from 'prom-client'

const manager = new SessionManager({ savePath: process.env['SAVE_PATH'] ?? 'tcp://127.0.0.1:11211', waitMs: 2000 })
instrumentPrometheus(manager, { name: 'shop' })

const json = (res: ServerResponse, status: number, body: unknown): void => {
  res.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' }).end(`${JSON.stringify(body)}\n`)
}

/** Not ready: no node answers, or the process is about to end. A process that only some visitors cannot use stays in service. */
async function ready(res: ServerResponse): Promise<void> {
  const health = await manager.health()
  json(res, health.nodes.some(({ isUp }) => isUp) ? 200 : 503, health)
}

async function metrics(res: ServerResponse): Promise<void> {
  res.setHeader('Content-Type', register.contentType).end(await register.metrics())
}

const PAGES: Readonly<Record<string, (res: ServerResponse) => Promise<void> | void>> = {
  // Alive: the event loop turns. It asks nobody: a restart of this process mends no server.
  '/livez': (res) => json(res, 200, { alive: true }),
  '/readyz': ready,
  '/metrics': metrics,
  '/': async (res) => {
    await manager.run('a-visitor', (session) => {
      session.data['visits'] = Number(session.data['visits'] ?? 0) + 1
    })
    json(res, 200, {})
  },
}

const server = createServer((req, res) => {
  const page = PAGES[req.url ?? '/']
  if (page === undefined) return json(res, 404, { error: 'no such page' })
  Promise.resolve(page(res)).catch((error: unknown) => json(res, 503, { error: String(error) }))
})
server.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1', () => console.log('listening'))

// First the session manager: `/readyz` says so while requests that are under way end.
process.once('SIGTERM', () => {
  void manager.close({ graceMs: 5000 }).then(() => {
    server.close()
    server.closeIdleConnections()
  })
})
