/** The roads to a memcached that the faults are played on, each with its server and its save path. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeCertificate } from '../support/certificate.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { RedisProcess } from '../support/redis-server.js'
import type { ServerProcess } from '../support/server-process.js'

export const TRANSPORTS = ['tcp text', 'tcp binary', 'tls', 'sasl'] as const
/** Redis is another store: its matrix is played by itself. */
export type Transport = (typeof TRANSPORTS)[number] | 'redis'

const USER = 'me'
const PASSWORD = 'p@ss:,é'

/** Certificates and credentials for the servers of one test file. */
export class Roads implements AsyncDisposable {
  private readonly directory = mkdtempSync(join(tmpdir(), 'latchkey-roads-'))
  private authority: Server | undefined

  /** Prepares what these transports need. */
  static async prepare(transports: readonly Transport[]): Promise<Roads> {
    const roads = new Roads()
    if (transports.includes('tls')) writeCertificate(roads.directory)
    if (transports.includes('sasl')) await roads.startAuthority()
    return roads
  }

  startServer(transport: Transport): Promise<ServerProcess> {
    switch (transport) {
      case 'redis':
        return RedisProcess.start()
      case 'tcp text':
      case 'tcp binary':
        return MemcachedServer.start()
      case 'tls': {
        const files = `ssl_chain_cert=${this.file('server.pem')},ssl_key=${this.file('server.key')}`
        return MemcachedServer.start({ args: ['-Z', '-o', files] })
      }
      case 'sasl':
        return MemcachedServer.start({ args: ['-S'], env: { SASL_CONF_PATH: this.directory } })
    }
  }

  /** @param address of the server, or of a proxy before it: `host:port`. */
  savePath(transport: Transport, address: string): string {
    switch (transport) {
      case 'redis':
        return `redis://${address}`
      case 'tcp text':
        return `tcp://${address}?protocol=text`
      case 'tcp binary':
        return `tcp://${address}?protocol=binary`
      case 'tls':
        return `tls://${address}?ca=${this.file('server.pem')}`
      case 'sasl':
        return `tcp://${USER}:${encodeURIComponent(PASSWORD)}@${address}`
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.authority?.close()
    rmSync(this.directory, { recursive: true, force: true })
  }

  private file(name: string): string {
    return join(this.directory, name)
  }

  /** libsasl2 asks a saslauthd over a unix socket: four counted strings, answered by a counted "OK" or "NO". */
  private async startAuthority(): Promise<void> {
    const mux = this.file('mux')
    writeFileSync(
      this.file('memcached.conf'),
      `mech_list: plain\npwcheck_method: saslauthd\nsaslauthd_path: ${mux}\n`,
    )
    const authority = createServer((socket) => {
      let asked = Buffer.alloc(0)
      socket.on('error', () => undefined)
      socket.on('data', (chunk: Buffer) => {
        asked = Buffer.concat([asked, chunk])
        const [user, password, service] = countedStrings(asked)
        if (service === undefined) return
        const verdict = user === USER && password === PASSWORD ? 'OK' : 'NO'
        socket.end(Buffer.concat([Buffer.from([0, verdict.length]), Buffer.from(verdict)]))
      })
    })
    await new Promise<void>((resolve) => authority.listen(mux, resolve))
    this.authority = authority
  }
}

function countedStrings(bytes: Buffer): string[] {
  const found = []
  for (let at = 0; at + 2 <= bytes.length;) {
    const end = at + 2 + bytes.readUInt16BE(at)
    if (end > bytes.length) break
    found.push(bytes.toString('utf8', at + 2, end))
    at = end
  }
  return found
}
