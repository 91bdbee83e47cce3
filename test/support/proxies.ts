/**
 * Proxies before memcached, for tests: twemproxy and memcached's own, which `scripts/test-proxies.sh` brings, and a router that
 * follows mcrouter's source.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type OwnPort, ownPort } from '../../examples/deployment/ports.js'
import { Mcrouter } from './mcrouter/mcrouter.js'
import { MemcachedServer } from './memcached-server.js'

const HOST = '127.0.0.1'
const START_DEADLINE_MS = 10_000

/** Where twemproxy is; undefined where it is not installed. */
const NUTCRACKER = ['/usr/sbin/nutcracker', '/usr/bin/nutcracker', '/usr/local/sbin/nutcracker'].find((path) => existsSync(path))

/** A memcached that has the proxy built in; undefined where there is none. */
const PROXYING_MEMCACHED = [fileURLToPath(new URL('../../.cache/memcached-proxy/memcached', import.meta.url)), 'memcached'].find(hasProxy)

export const PROXY_KINDS = ['twemproxy', 'proxy', 'mcrouter'] as const
export type ProxyKind = (typeof PROXY_KINDS)[number]
/** Those that run as they are. */
export const REAL_PROXY_KINDS = ['twemproxy', 'proxy'] as const

/** Why the tests of a proxy are skipped, to stand in their names; '' where they run. */
export const missingProxy = (kind: ProxyKind): string => {
  if (kind === 'mcrouter') return ''
  if ((kind === 'twemproxy' ? NUTCRACKER : PROXYING_MEMCACHED) !== undefined) return ''
  return kind === 'twemproxy' ? ' (skipped: nutcracker is not installed)' : ' (skipped: no memcached with a proxy is to be had)'
}

/** A memcached of a version that can be given versions (`E`, from 1.6.27 on). */
export const memcachedWithExplicitVersions = PROXYING_MEMCACHED

function hasProxy(binary: string): boolean {
  try {
    return execFileSync(binary, ['-h'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).includes('proxy_config')
  } catch {
    return false
  }
}

/** A running proxy. */
export interface Proxy extends AsyncDisposable {
  /** `127.0.0.1:21212` */
  readonly address: string
  /** All that it listens on, in the order of its configuration; undefined: one address. */
  readonly addresses?: readonly string[]
  /** Resolves when it passes a command on to a server again. */
  serves(): Promise<void>
  stop(): Promise<void>
}

/** Starts a proxy with a configuration in its own language, in which each `%listen%` is an address to listen on. */
export async function startProxy(kind: ProxyKind, configuration: string): Promise<Proxy> {
  if (kind === 'mcrouter') return Mcrouter.start(configuration)
  return kind === 'twemproxy' ? Twemproxy.start(configuration) : startMemcachedProxy(configuration)
}

async function startMemcachedProxy(configuration: string): Promise<Proxy> {
  if (PROXYING_MEMCACHED === undefined) throw new Error('no memcached with a proxy is to be had')
  const directory = mkdtempSync(join(tmpdir(), 'latchkey-proxy-'))
  const file = join(directory, 'routes.lua')
  writeFileSync(file, configuration)
  const server = await MemcachedServer.start({
    binary: PROXYING_MEMCACHED,
    args: ['-o', `proxy_config=routelib,proxy_arg=${file}`],
  })
  const stop = async (): Promise<void> => {
    await server.stop()
    rmSync(directory, { recursive: true, force: true })
  }
  return { address: server.address, serves: () => serves(server.port), stop, [Symbol.asyncDispose]: stop }
}

class Twemproxy implements Proxy {
  private constructor(
    private readonly own: readonly OwnPort[],
    private readonly stats: OwnPort,
    private readonly child: ChildProcess,
    private readonly directory: string,
  ) {}

  static async start(configuration: string): Promise<Twemproxy> {
    if (NUTCRACKER === undefined) throw new Error('nutcracker is not installed')
    const directory = mkdtempSync(join(tmpdir(), 'latchkey-proxy-'))
    const stats = await ownPort()
    const own: OwnPort[] = []
    let text = configuration
    while (text.includes('%listen%')) {
      const next = await ownPort()
      own.push(next)
      text = text.replace('%listen%', `${HOST}:${String(next.port)}`)
    }
    const file = join(directory, 'nutcracker.yml')
    writeFileSync(file, text)
    const log = join(directory, 'log')
    const args = ['-c', file, '-o', log, '-p', join(directory, 'pid'), '-a', HOST, '-s', String(stats.port)]
    const child = spawn(NUTCRACKER, args, { stdio: 'ignore' })
    const proxy = new Twemproxy(own, stats, child, directory)
    try {
      for (const { port } of own) await accepts(port, child)
      return proxy
    } catch (error) {
      await proxy.stop()
      throw error
    }
  }

  get addresses(): readonly string[] {
    return this.own.map(({ port }) => `${HOST}:${String(port)}`)
  }

  get address(): string {
    return this.addresses[0] ?? ''
  }

  async serves(): Promise<void> {
    for (const { port } of this.own) await serves(port)
  }

  async stop(): Promise<void> {
    await this.kill()
    for (const port of [...this.own, this.stats]) port.release()
    rmSync(this.directory, { recursive: true, force: true })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  private async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const exited = new Promise((resolve) => this.child.once('exit', resolve))
    this.child.kill('SIGKILL')
    await exited
  }
}

async function accepts(port: number, child: ChildProcess): Promise<void> {
  await poll('the proxy did not start', async () => {
    if (child.exitCode !== null) throw new Error('the proxy has exited')
    return (await ask(port, '')) !== undefined
  })
}

const serves = (port: number): Promise<void> =>
  poll('the proxy serves nobody', async () => (await ask(port, 'get {latchkey}\r\n'))?.startsWith('END') === true)

/** What is answered; undefined where nobody listens. Without a question: '' as soon as somebody does. */
function ask(port: number, question: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, HOST)
    const done = (answer: string | undefined): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => (question === '' ? done('') : socket.write(question)))
    socket.once('data', (answer) => done(answer.toString('latin1')))
    socket.once('error', () => done(undefined)).once('close', () => done(undefined))
  })
}

async function poll(failure: string, done: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + START_DEADLINE_MS
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error(failure)
    await delay(10)
  }
}

/** One pool of servers, as it should be set for sessions; `settings` replaces some of it. */
export const twemproxyConfiguration = (servers: readonly string[], settings: Readonly<Record<string, string>> = {}): string => {
  const all = {
    listen: '%listen%',
    hash: 'murmur',
    hash_tag: '"{}"',
    distribution: 'ketama',
    timeout: '400',
    auto_eject_hosts: 'false',
    server_connections: '1',
    ...settings,
  }
  const lines = Object.entries(all).map(([name, value]) => `  ${name}: ${value}`)
  return ['sessions:', ...lines, '  servers:', ...servers.map((server) => `   - ${server}:1`), ''].join('\n')
}

/** The same for memcached's own proxy. */
export const memcachedProxyConfiguration = (servers: readonly string[], filter = true): string => `
pools{ sessions = {
  backends = { ${servers.map((server) => `"${server}"`).join(', ')} },
  options = { ${filter ? 'filter = "tags", filter_conf = "{}"' : ''} },
} }
routes{ default = route_direct{ child = "sessions" } }
`

/** The same for mcrouter. */
export const mcrouterConfiguration = (servers: readonly string[]): string =>
  JSON.stringify({ pools: { sessions: { servers } }, route: 'PoolRoute|sessions' })

const CONFIGURATIONS = { twemproxy: twemproxyConfiguration, proxy: memcachedProxyConfiguration, mcrouter: mcrouterConfiguration }

export const configurationOf = (kind: ProxyKind, servers: readonly string[]): string => CONFIGURATIONS[kind](servers)

/** The keys of a session, by their default prefix. */
export const keysThrough = (kind: ProxyKind, id: string): { readonly record: string; readonly lock: string } =>
  kind === 'mcrouter' ? { record: `sess:${id}`, lock: `sess:${id}|#|-lck` } : { record: `sess:{${id}}`, lock: `sess:{${id}}-lck` }

/** Three memcached servers. @param binary default: this machine's */
export async function threeServers(binary?: string): Promise<{ readonly all: readonly MemcachedServer[]; readonly addresses: readonly string[] } & AsyncDisposable> {
  const all = await Promise.all([0, 1, 2].map(() => MemcachedServer.start(binary === undefined ? {} : { binary })))
  return {
    all,
    addresses: all.map(({ address }) => address),
    [Symbol.asyncDispose]: async () => {
      for (const server of all) await server.stop()
    },
  }
}
