import { execFile, type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePorts } from '../../examples/deployment/ports.js'
import { isInstalled, lacking } from '../support/installed.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { ROOT } from '../support/pages.js'

const HERE = join(ROOT, 'docs/guide/monitoring')
const run = promisify(execFile)

let memcached: MemcachedServer
let scratch: string
let server: ChildProcess
let url: string

beforeAll(async () => {
  memcached = await MemcachedServer.start()
  scratch = mkdtempSync(join(tmpdir(), 'latchkey-monitoring-'))
  const [port = 0] = await freePorts(1)
  url = `http://127.0.0.1:${String(port)}`
  server = spawn(process.execPath, ['--import', 'tsx', join(ROOT, 'examples/monitoring/server.ts')], {
    cwd: ROOT,
    env: { ...process.env, PORT: String(port), SAVE_PATH: `tcp://${memcached.address}` },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (server.stdout !== null) await once(server.stdout, 'data')
  await Promise.all(Array.from({ length: 20 }, () => fetch(`${url}/`)))
})
afterAll(async () => {
  server.kill('SIGKILL')
  await memcached.stop()
  rmSync(scratch, { recursive: true, force: true })
})

const get = async (path: string): Promise<readonly [number, string]> => {
  const response = await fetch(`${url}${path}`)
  return [response.status, await response.text()]
}

interface Dashboard {
  readonly panels: readonly { readonly targets: readonly { readonly expr: string }[] }[]
}

describe('Prometheus', () => {
  it.skipIf(!isInstalled('promtool'))(`the rules are rules, and each alert is raised by what it is for, and by nothing else${lacking('promtool')}`, async () => {
    await run('promtool', ['check', 'rules', 'alerts.yml'], { cwd: HERE })
    await run('promtool', ['test', 'rules', 'alerts.test.yml'], { cwd: HERE })
  })

  it.skipIf(!isInstalled('promtool'))(`what a server tells is well formed, and has every metric that alerts and dashboard ask for${lacking('promtool')}`, async () => {
    const [, told] = await get('/metrics')
    const child = spawn('promtool', ['check', 'metrics'])
    child.stdin.end(told.replace(/^# HELP (?!latchkey_).*|^# TYPE (?!latchkey_).*|^(?!latchkey_|#).*/gm, '').replace(/\n+/g, '\n').trimStart())
    const [complaints] = await Promise.all([text(child.stderr), once(child, 'close')])
    expect(complaints).toBe('')
    const asked = [readFileSync(join(HERE, 'alerts.yml'), 'utf8'), readFileSync(join(HERE, 'grafana-dashboard.json'), 'utf8')].join(' ')
    const names = new Set([...asked.matchAll(/\blatchkey_\w+/g)].map(([name]) => name.replace(/_bucket$/, '')))
    expect(names.size).toBeGreaterThan(10)
    expect([...names].filter((name) => !told.includes(`# TYPE ${name} `))).toEqual([])
  })

  it.skipIf(!isInstalled('promtool'))(`every query of the Grafana dashboard is PromQL${lacking('promtool')}`, async () => {
    const { panels } = JSON.parse(readFileSync(join(HERE, 'grafana-dashboard.json'), 'utf8')) as Dashboard
    const queries = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr.replaceAll('$manager', '.*').replaceAll('$__rate_interval', '1m')))
    expect(queries.length).toBeGreaterThan(12)
    const rules = queries.map((expr, index) => `  - { record: 'dashboard:${String(index)}', expr: ${JSON.stringify(expr)} }`)
    const file = join(scratch, 'dashboard.yml')
    writeFileSync(file, `groups:\n- name: dashboard\n  rules:\n${rules.join('\n')}\n`)
    await run('promtool', ['check', 'rules', file])
  })
})

it.skipIf(!isInstalled('munin-run') || !isInstalled('curl'))(`munin's plugin draws what the server tells${lacking('munin-run')}`, async () => {
  const plugins = join(scratch, 'plugins')
  mkdirSync(plugins)
  copyFileSync(join(HERE, 'munin-latchkey.sh'), join(plugins, 'latchkey'))
  chmodSync(join(plugins, 'latchkey'), 0o755)
  const [config, settings] = [join(scratch, 'munin-node.conf'), join(scratch, 'plugin-conf.d')]
  mkdirSync(settings)
  writeFileSync(join(settings, 'latchkey'), `[latchkey]\nenv.url ${url}/metrics\n`)
  writeFileSync(config, 'host_name localhost\n')
  const munin = async (...args: string[]): Promise<string> => {
    // As root, munin would run the plugin as nobody, who cannot enter the scratch directory.
    const { stdout } = await run('sh', [join(plugins, 'latchkey'), ...args], { env: { ...process.env, url: `${url}/metrics` } })
    return stdout
  }
  chmodSync(scratch, 0o755)
  const args = ['--config', config, '--servicedir', plugins, '--sconfdir', settings, 'latchkey']
  const { stdout } = await run('/usr/sbin/munin-run', args)
  expect(stdout).toMatch(/^acquired_total\.value 20$/m)
  expect(stdout).toMatch(/^waiting\.value 0$/m)
  expect(stdout.match(/\.value U/)).toBeNull()
  const drawn = await munin('config')
  for (const [, field] of stdout.matchAll(/^(\w+)\.value/gm)) expect(drawn).toContain(`${String(field)}.label`)
  expect((await munin('autoconf')).trim()).toBe('yes')
})

it.skipIf(!isInstalled('monit'))(`monit asks the server, and says when no session can be had, and when one can again${lacking('monit')}`, async () => {
  const port = new URL(url).port
  const config = join(scratch, 'monitrc')
  const checks = readFileSync(join(HERE, 'monit-latchkey.conf'), 'utf8').replaceAll('port 3000', `port ${port}`)
  const state = ['set daemon 1', `set idfile ${scratch}/monit.id`, `set statefile ${scratch}/monit.state`, `set pidfile ${scratch}/monit.pid`]
  writeFileSync(config, `${state.join('\n')}\n${checks}`, { mode: 0o700 })
  await run('monit', ['-t', '-c', config])
  const monit = spawn('monit', ['-I', '-v', '-c', config], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [monit.stdout, monit.stderr]) stream.on('data', (more: Buffer) => (said += more.toString()))
  const says = async (what: RegExp): Promise<void> => {
    for (const endMs = Date.now() + 30_000; !what.test(said) && Date.now() < endMs;) await sleep(50)
    expect(said).toMatch(what)
    said = ''
  }
  try {
    await says(/succeeded testing protocol \[HTTP\] at \[127\.0\.0\.1\]:\d+\/readyz/)
    await memcached.kill()
    await says(/failed protocol test \[HTTP\][^\n]*\/readyz/)
    expect((await get('/livez'))[0]).toBe(200)
    await memcached.restart()
    await says(/connection succeeded to \[127\.0\.0\.1\]:\d+\/readyz/)
  } finally {
    monit.kill('SIGTERM')
    await once(monit, 'close')
  }
})

it('a server that is being stopped is alive, and not ready', async () => {
  await expect.poll(() => get('/readyz')).toEqual([200, expect.stringContaining('"state":"ready"')])
  server.kill('SIGTERM')
  const [code] = (await once(server, 'exit')) as [number | null]
  expect(code).toBe(0)
})
