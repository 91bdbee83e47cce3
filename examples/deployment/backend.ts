import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What the application asks for a report. It answers at once, or, while it is slow, not before that is over. */
export class Backend {
  private isSlow = false
  private readonly asked = new Set<ServerResponse>()
  private readonly server = createServer((_req, res) => {
    this.asked.add(res)
    res.once('close', () => this.asked.delete(res))
    if (!this.isSlow) this.recover()
  })

  /** Resolves with its address. */
  async start(): Promise<string> {
    await once(this.server.listen(0, '127.0.0.1'), 'listening')
    return `http://127.0.0.1:${String((this.server.address() as AddressInfo).port)}/`
  }

  slowDown(): void {
    this.isSlow = true
  }

  recover(): void {
    this.isSlow = false
    for (const response of this.asked) response.end('{}')
  }

  async end(): Promise<void> {
    this.server.closeAllConnections()
    if (this.server.listening) await once(this.server.close(), 'close')
  }
}
