import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { SessionManager } from 'latchkey'
import { createInspector, type Inspector, type InspectorOptions } from 'latchkey/inspector'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ownPort } from '../../examples/deployment/ports.js'
import { buildBesideSource } from '../../page/build.js'
import { run } from '../../src/cli/run.js'
import type { Terminal } from '../../src/cli/terminal.js'
import { latchkey } from './tool.js'

beforeAll(buildBesideSource)

interface App {
  readonly manager: SessionManager
  readonly inspector: Inspector
  readonly server: Server
  readonly url: string
}

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function app(name: string, options: InspectorOptions = {}, port = 0): Promise<App> {
  const manager = new SessionManager({ savePath: 'memory:' })
  const inspector = createInspector(manager, { names: [name], ...options })
  const mounted = inspector.express()
  const server = createServer((req, res) => mounted(req, res, () => res.writeHead(404).end('shop'))).listen(port, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const url = `http://127.0.0.1:${String(typeof address === 'object' ? address?.port : '')}`
  ends.push(async () => {
    inspector.close()
    server.close()
    server.closeAllConnections()
    await manager.close()
  })
  return { manager, inspector, server, url }
}

/** The command, until `stop`. */
async function watching(...args: string[]) {
  const interruption = new AbortController()
  let out = ''
  let err = ''
  let tell: () => void
  const begun = new Promise<void>((resolve) => (tell = resolve))
  const refuse = (): Promise<never> => Promise.reject(new Error('nothing is read'))
  const terminal: Terminal = {
    env: {},
    isRead: true,
    canAsk: false,
    wallMs: Date.now,
    out: (text) => {
      out += text
      tell()
    },
    err: (text) => void (err += text),
    ask: refuse,
    readLine: refuse,
    readText: refuse,
  }
  const ended = run(['watch', ...args], terminal, interruption.signal)
  ends.push(async () => {
    interruption.abort(new Error('interrupted'))
    await ended
  })
  await Promise.race([begun, ended])
  const [url = ''] = /http:\S+/.exec(out) ?? []
  return { url, ended, stop: () => interruption.abort(new Error('interrupted')), err: () => err, out: () => out }
}

/** What a page of the command gets. */
async function eventsOf(url: string) {
  const reader = (await fetch(`${url}events`)).body?.getReader() ?? expect.fail('no events')
  let text = ''
  const read = (async () => {
    for (let part = await reader.read(); !part.done; part = await reader.read()) text += Buffer.from(part.value as Uint8Array).toString()
  })().catch(() => undefined)
  const stop = (): void => void reader.cancel().catch(() => undefined)
  ends.push(async () => {
    stop()
    await read
  })
  return { text: () => text, stop }
}

describe('watch', () => {
  it('serves the page of several processes, merged; asks them for nothing while nobody looks; ends with ctrl-C', async () => {
    const [one, two] = [await app('web-1'), await app('web-2')]
    const command = await watching(`${one.url}/latchkey`, `${two.url}/latchkey/`)
    expect((await fetch(command.url)).headers.get('content-type')).toContain('text/html')
    expect((await fetch(new URL('/', command.url))).url).toBe(command.url)
    expect([one, two].map(({ manager }) => manager.engine.tap.witness)).toEqual([undefined, undefined])
    const events = await eventsOf(command.url)
    await expect.poll(events.text).toMatch(/web-1.*web-2/)
    await one.manager.run('an-id', () => undefined, { label: 'GET /one' })
    await two.manager.run('an-id', () => undefined, { label: 'GET /two' })
    await expect.poll(events.text).toContain('GET /one')
    await expect.poll(events.text).toContain('GET /two')
    events.stop()
    await expect.poll(() => [one, two].map(({ manager }) => manager.engine.tap.witness)).toEqual([undefined, undefined])
    command.stop()
    expect(await command.ended).toBe(0)
    await expect(fetch(command.url)).rejects.toThrow()
  })

  it('passes the header that a guard wants, and says so when it is missing', async () => {
    const guarded = await app('web', { guard: (request) => request.header('authorization') === 'Bearer of the ring' })
    const refused = await latchkey(['watch', `${guarded.url}/latchkey`, '--human'])
    expect(refused).toMatchObject({ exitCode: 3, out: '' })
    expect(refused.err).toContain('--header')
    const command = await watching(`${guarded.url}/latchkey`, '--header', 'Authorization: Bearer of the ring')
    const events = await eventsOf(command.url)
    await expect.poll(events.text).toContain('"state":"ready"')
    expect(command.out() + command.err()).not.toContain('of the ring')
  })

  it('a process that is away is shown as away, and is there again when it is back', async () => {
    const own = await ownPort()
    const [one, two] = [await app('web-1'), await app('web-2', {}, own.port)]
    const command = await watching(`${one.url}/latchkey`, `${two.url}/latchkey`)
    const events = await eventsOf(command.url)
    await expect.poll(events.text).toMatch(/web-1.*web-2/)
    two.server.close()
    two.server.closeAllConnections()
    await expect.poll(events.text).toContain('"problem":')
    await app('web-2 again', {}, own.port)
    await expect.poll(events.text).toContain('web-2 again')
    own.release()
  })

  it.each([
    ['nobody listens', 'http://127.0.0.1:2/latchkey', 3, 'ECONNREFUSED'],
    ['no inspector', '', 3, '404'],
    ['a save path', '127.0.0.1:11211', 2, 'A save path has no events'],
    ['a password in the address', 'http://ops:secret@127.0.0.1:1/', 2, '--header'],
  ])('%s: says so', async (_name, address, exitCode, words) => {
    const { url } = await app('web')
    const told = await latchkey(['watch', address === '' ? `${url}/elsewhere` : address, '--human'])
    expect(told).toMatchObject({ exitCode, out: '' })
    expect(told.err).toContain(words)
    const read = await latchkey(['watch', address === '' ? `${url}/elsewhere` : address])
    const code = exitCode === 3 ? 'LATCHKEY_SERVER_UNAVAILABLE' : 'USAGE'
    expect(JSON.parse(read.err)).toEqual({ error: { code, message: expect.stringContaining(words) as string } })
    expect(told.err + read.err).not.toContain('secret')
  })

  it.each([[['watch']], [['watch', 'http://x', '--port', '70000']], [['watch', 'http://x', '--header', 'no colon']], [['locks', '--header', 'a: b', '--servers', '127.0.0.1:1']], [['stats', '--port', '1', '--servers', '127.0.0.1:1']]])('%j is no usage', async (args) => {
    expect(await latchkey(args)).toMatchObject({ exitCode: 2, out: '' })
  })
})
