import { randomBytes } from 'node:crypto'
import { AppProcess } from './app-process.js'
import { Backend } from './backend.js'
import { Memcached } from './memcached.js'
import { Nginx } from './nginx.js'
import { freePorts } from './ports.js'
import { findPrograms, Programs } from './programs.js'
import { Watch } from './watch.js'

/** As docs/guide/deploying/nginx.conf has them. */
export const PROCESSES = 4
/** Of a SessionManager, to each server: its default. */
const CONNECTIONS = 3

/** nginx, four processes of the application, memcached, and who looks after them; all of it on loopback. */
export interface Installation extends AsyncDisposable {
  readonly nginx: Nginx
  readonly apps: readonly AppProcess[]
  readonly servers: readonly Memcached[]
  readonly backend: Backend
  readonly watch: Watch
  readonly secret: string
  /** Connections to memcached that all processes may have together. */
  readonly poolMax: number
  /** Aborts when something ends that was not told to. */
  readonly failed: AbortSignal
}

/** @throws NotInstalledError */
export async function install(serverCount: number, signal: AbortSignal): Promise<Installation> {
  const commands = findPrograms()
  const programs = new Programs()
  const failure = new AbortController()
  const secret = randomBytes(16).toString('hex')
  const backend = new Backend()
  try {
    const [front = 0, ...ports] = await freePorts(1 + serverCount + PROCESSES)
    const servers = ports.splice(0, serverCount).map((port) => new Memcached(programs, commands.memcached, port))
    await Promise.all(servers.map((server) => server.start(signal)))
    const savePath = servers.map(({ address }) => `tcp://${address}`).join(',')
    const shared = { savePath, backend: await backend.start(), secret }
    const apps = ports.map((port) => new AppProcess(programs, { port, ...shared }, (error) => failure.abort(error)))
    await Promise.all(apps.map((app) => app.start(signal)))
    const nginx = new Nginx(programs, commands.nginx, front, ports)
    await nginx.start(signal)
    const watch = new Watch(nginx, apps)
    const end = async (): Promise<void> => {
      await watch.end()
      await backend.end()
      await programs.end()
    }
    const poolMax = PROCESSES * CONNECTIONS * serverCount
    return { nginx, apps, servers, backend, watch, secret, poolMax, failed: failure.signal, [Symbol.asyncDispose]: end }
  } catch (error) {
    await backend.end()
    await programs.end()
    throw error
  }
}
