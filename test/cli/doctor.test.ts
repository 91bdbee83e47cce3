import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findingsOf } from '../../src/wire/memcached/operator/rules.js'
import type { Finding } from '../../src/wire/operated-store.js'
import { writeCertificate } from '../support/certificate.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { serverOf } from '../support/servers.js'
import { jsonOf, latchkey, type Surroundings } from './tool.js'

interface Diagnosis {
  readonly ok: boolean
  readonly servers: readonly ServerDiagnosis[]
}

interface ServerDiagnosis {
  readonly server: string
  readonly findings: readonly Finding[]
  readonly trialMs?: number
}

interface Examined extends Diagnosis {
  readonly exitCode: number | null
  readonly codes: readonly string[]
}

async function examine(savePath: string, surroundings: Surroundings = {}): Promise<Examined> {
  const env = { LATCHKEY_SAVE_PATH: savePath }
  const outcome = await latchkey(['doctor', '--deadline-ms', '10000'], { env, ...surroundings })
  const diagnosis = jsonOf(outcome) as Diagnosis
  const findings = diagnosis.servers.flatMap((server) => server.findings)
  for (const { message, advice } of findings) for (const text of [message, advice]) expect(text).toMatch(/.{10}/)
  return { ...diagnosis, exitCode: outcome.exitCode, codes: findings.map(({ code }) => code) }
}

async function examineWith(args: readonly string[], query = ''): Promise<Examined> {
  await using server = await MemcachedServer.start({ args })
  return await examine(`tcp://${server.address}${query}`)
}

/** What a well-run server is started with. */
const WELL = ['-o', 'temporary_ttl=61']

let directory = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'latchkey-doctor-'))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe.concurrent('doctor, of a real server', () => {
  it('finds nothing wrong with one that is well run, and leaves nothing on it', async () => {
    await using server = await MemcachedServer.start({ args: WELL })
    const found = await examine(`tcp://${server.address}`)
    expect(found).toMatchObject({ ok: true, exitCode: 0, codes: [] })
    expect(found.servers).toMatchObject([
      {
        server: `tcp://${server.address}`,
        protocol: 'text',
        tls: false,
        authenticated: false,
        version: expect.stringMatching(/^1\./) as string,
        memoryBytes: 64 * 1024 * 1024,
        itemSizeBytes: 1024 * 1024,
        evictions: 0,
        trialMs: expect.any(Number) as number,
      },
    ])
    expect(await server.stat('curr_items')).toBe(0)
    expect(await server.stat('cmd_set')).toBeGreaterThan(2)
  })

  it.each<[string, readonly string[], readonly string[], number]>([
    ['the defaults', [], ['temporary-lru-off'], 0],
    ['-C', [...WELL, '-C'], ['cas-disabled', 'trial-failed'], 1],
    ['-M', [...WELL, '-M'], ['evictions-off'], 0],
    ['-m 2', [...WELL, '-m', '2'], ['memory-small'], 0],
    ['-I 64k', [...WELL, '-I', '65536', '-o', 'slab_chunk_max=32768'], ['item-size-small'], 0],
    ['no_lru_crawler', [...WELL, '-o', 'no_lru_crawler'], ['lru-crawler-off'], 0],
    ['-X', [...WELL, '-X'], ['key-dump-off'], 0],
    ['a short temporary_ttl', ['-o', 'temporary_ttl=10'], ['temporary-ttl-short'], 0],
    ['a short idle_timeout', [...WELL, '-o', 'idle_timeout=5'], ['idle-timeout'], 0],
  ])('started with %s', async (_name, args, codes, exitCode) => {
    const found = await examineWith(args)
    expect(found.codes).toEqual(codes)
    expect(found.exitCode).toBe(exitCode)
    expect(found.ok).toBe(exitCode === 0)
  })

  it('that listens on UDP', async () => {
    await using server = await MemcachedServer.start({ args: [...WELL, '-U', '0'] })
    // The last -U counts; a port of the same number is free on the other protocol.
    await server.stop()
    await using udp = await MemcachedServer.start({ args: [...WELL, '-U', String(server.port)] })
    expect((await examine(`tcp://${udp.address}`)).codes).toEqual(['udp-open'])
  })

  it('that evicts sessions', async () => {
    await using server = await MemcachedServer.start({ args: ['-m', '2'] })
    await fill(server, 3 * 1024)
    const found = await examine(`tcp://${server.address}`)
    expect(found.codes).toEqual(['evicting-sessions', 'temporary-lru-off', 'memory-small'])
    expect(found.exitCode).toBe(1)
    expect(found.servers[0]?.findings[0]?.advice).toContain('-o temporary_ttl=61')
  })

  it('that is out of memory', async () => {
    await using server = await MemcachedServer.start({ args: [...WELL, '-m', '2', '-M'] })
    await fill(server, 3 * 1024)
    const found = await examine(`tcp://${server.address}`)
    expect(found.codes).toContain('out-of-memory')
    expect(found.exitCode).toBe(1)
  })

  it('that was asked for items too large', async () => {
    await using server = await MemcachedServer.start({ args: WELL })
    await server.commandText(`set big 0 0 1100000\r\n${'x'.repeat(1_100_000)}`)
    expect((await examine(`tcp://${server.address}`)).codes).toEqual(['items-too-large'])
  })

  it('whose connections are nearly used, and then all of them', async ({ expect }) => {
    await using server = await MemcachedServer.start({ args: [...WELL, '-c', '100'] })
    const sockets: Socket[] = []
    const open = async (count: number): Promise<void> => {
      for (let opened = 0; opened < count; opened++) {
        const socket = connect(server.port, server.host)
        sockets.push(socket.on('error', () => undefined))
        await new Promise((resolve) => {
          socket.once('data', resolve)
          socket.write('version\r\n')
        })
      }
    }
    await open(72)
    expect(await examine(`tcp://${server.address}`)).toMatchObject({ codes: ['connections-nearly-used'], exitCode: 1 })
    await open(28)
    const full = await examine(`tcp://${server.address}`)
    expect(full).toMatchObject({ codes: ['unreachable'], exitCode: 3 })
    expect(full.servers[0]?.findings[0]?.message).toContain('all its connections are in use')
    for (const socket of sockets) socket.destroy()
    await expect.poll(async () => (await examine(`tcp://${server.address}`)).codes).toEqual(['connections-refused'])
  })

  it('whose clock, or ours, is wrong', async () => {
    await using server = await MemcachedServer.start({ args: WELL })
    const at = (ms: number): Promise<Examined> => examine(`tcp://${server.address}`, { wallMs: () => Date.now() + ms })
    expect((await at(0)).codes).toEqual([])
    const fast = await at(-5000)
    expect([fast.codes, fast.exitCode]).toEqual([['clock-skew'], 0])
    expect(fast.servers[0]?.findings[0]?.message).toContain('ahead')
    expect((await at(5000)).servers[0]?.findings[0]?.message).toContain('behind')
    expect((await at(3_600_000)).exitCode).toBe(1)
  })
})

describe.concurrent('doctor, on the way to the server', () => {
  it('tells a dead server from the living ones', async () => {
    await using living = await MemcachedServer.start({ args: WELL })
    const dead = await MemcachedServer.start()
    await dead.stop()
    const found = await examine(`tcp://${living.address},tcp://${dead.address}`)
    expect(found.exitCode).toBe(3)
    expect(found.servers.map(({ findings }) => findings.map(({ code }) => code))).toEqual([[], ['unreachable']])
    expect(found.servers[0]?.trialMs).toBeGreaterThan(0)
    expect(found.servers[1]?.findings[0]?.message).toContain('ECONNREFUSED')
  })

  it('knows a wrong password, a missing one and the right one, and shows none', async () => {
    const users = join(directory, 'users')
    writeFileSync(users, 'me:secret\n')
    await using server = await MemcachedServer.start({ args: [...WELL, '-Y', users] })
    const wrong = await examine(`tcp://me:wr0ng-one@${server.address}?protocol=text`)
    expect(wrong).toMatchObject({ exitCode: 3, codes: ['credentials-refused'] })
    expect(JSON.stringify(wrong)).not.toContain('wr0ng-one')
    expect(await examine(`tcp://${server.address}`)).toMatchObject({ exitCode: 3, codes: ['credentials-refused'] })
    const right = await examine(`tcp://me:secret@${server.address}?protocol=text`)
    expect(right).toMatchObject({ exitCode: 0, codes: [], servers: [{ authenticated: true }] })
    expect(JSON.stringify(right)).not.toContain('secret')
  })

  it('cannot look into a server that speaks only binary, but plays a session on it', async () => {
    const found = await examineWith([...WELL, '-B', 'binary'], '?protocol=binary')
    expect(found).toMatchObject({ exitCode: 0, codes: ['stats-unavailable'] })
    expect(found.servers[0]?.trialMs).toBeGreaterThan(0)
  })

  it('plays a session through SASL as well, and knows its wrong password', async () => {
    // A saslauthd of one password: counted strings (user, password, service, realm), answered by a counted OK or NO.
    const mux = join(directory, 'mux')
    const authority = createServer((socket) => {
      let asked = ''
      socket.setEncoding('latin1').on('data', (text: string) => {
        asked += text
        if (asked.includes('memcached')) socket.end(asked.includes('\0\x06secret\0') ? '\0\x02OK' : '\0\x02NO')
      })
    })
    await new Promise<void>((resolve) => authority.listen(mux, resolve))
    const conf = `mech_list: plain\npwcheck_method: saslauthd\nsaslauthd_path: ${mux}\n`
    writeFileSync(join(directory, 'memcached.conf'), conf)
    await using server = await MemcachedServer.start({ args: [...WELL, '-S'], env: { SASL_CONF_PATH: directory } })
    const right = await examine(`tcp://me:secret@${server.address}`)
    expect(right).toMatchObject({ exitCode: 0, codes: ['stats-unavailable'] })
    const wrong = await examine(`tcp://me:wr0ng-one@${server.address}`)
    expect(wrong).toMatchObject({ exitCode: 3, codes: ['stats-unavailable', 'credentials-refused'] })
    expect(JSON.stringify(wrong)).not.toContain('wr0ng-one')
    expect(await examine(`tcp://${server.address}`)).toMatchObject({ exitCode: 3, codes: ['unreachable'] })
    authority.close()
  })

  it('reaches a unix socket, and TLS if asked in TLS', async () => {
    await using unix = await MemcachedServer.start({ args: WELL, unixSocket: true })
    expect(await examine(`unix://${unix.socketPath}`)).toMatchObject({ exitCode: 0, codes: [] })
    const { cert, key } = writeCertificate(directory)
    const tls = ['-Z', '-o', `ssl_chain_cert=${cert},ssl_key=${key}`]
    await using server = await MemcachedServer.start({ args: [...WELL, ...tls] })
    const found = await examine(`tls://${server.address}?ca=${cert}`)
    expect(found).toMatchObject({ exitCode: 0, codes: [], servers: [{ tls: true }] })
    expect(await examine(`tcp://${server.address}`)).toMatchObject({ exitCode: 3, codes: ['unreachable'] })
    expect(await examine(`tls://${server.address}`)).toMatchObject({ exitCode: 3, codes: ['unreachable'] })
  })

  it('finds a process that uses the server with another list', async () => {
    await using server = await MemcachedServer.start({ args: WELL })
    await server.commandText('set sess:-line 0 60 27\r\n2 servers, 0123456789abcdef')
    expect(await examine(`tcp://${server.address}`)).toMatchObject({ exitCode: 1, codes: ['server-lists-differ'] })
  })
})

describe('the rules', () => {
  const judged = (version: string, savePath = 'tcp://127.0.0.1:1', stats: Record<string, string> = {}): string[] => {
    const server = serverOf(savePath)
    const empty = new Map<string, string>()
    const told = { stats: new Map(Object.entries(stats)), settings: empty, items: empty }
    return findingsOf({ server, version, ...told, roundTripMs: 1, aheadSec: 0 }).map(({ code }) => code)
  }

  it('judge versions by the protocol that is spoken', () => {
    expect(judged('1.6.18')).toEqual([])
    expect(judged('1.10.0')).toEqual([])
    expect(judged('2.0.1')).toEqual([])
    expect(judged('1.6.17')).toEqual(['version-old'])
    expect(judged('1.5.22')).toEqual(['version-old'])
    expect(judged('1.5.22', 'tcp://127.0.0.1:1?protocol=binary')).toEqual([])
    expect(judged('1.6.1')).toEqual(['version-old', 'version-known-bad'])
    expect(judged('1.6.1', 'tcp://127.0.0.1:1?protocol=binary')).toEqual(['version-known-bad'])
  })

  it('judge passwords by the network that they cross', () => {
    expect(judged('1.6.18', 'tcp://me:x@cache.example')).toEqual(['password-in-clear'])
    const local = ['tcp://me:x@127.0.0.1', 'tcp://me:x@[::1]', 'unix://me:x@/run/m.sock']
    for (const safe of [...local, 'tls://me:x@cache.example', 'cache.example']) {
      expect(judged('1.6.18', safe)).toEqual([])
    }
  })

  it('judge connections that were refused', () => {
    expect(judged('1.6.18', undefined, { rejected_connections: '2' })).toEqual(['connections-refused'])
    expect(judged('1.6.18', undefined, { listen_disabled_num: '2' })).toEqual(['connections-refused'])
  })

  it('say nothing of what a server does not tell, or tells in another form', () => {
    expect(judged('?', 'tcp://h?protocol=binary', { max_connections: 'many', time: '', bytes: '-1' })).toEqual([])
  })

  it('each have a row in docs/reference/cli.md', () => {
    const found = (text: string, pattern: RegExp): (string | undefined)[] => [...text.matchAll(pattern)].map(([, code]) => code)
    const sources = ['src/cli/doctor', 'src/wire'].flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' })
        // PHP's settings have a table of their own, and tests of their own.
        .filter((file) => file.endsWith('.ts') && !file.startsWith('php/'))
        .map((file) => `${folder}/${file}`),
    )
    const codes = sources.flatMap((file) => found(readFileSync(file, 'utf8'), /(?:^ +code: |\bproblem\(\n? *)'([a-z-]+)',/gm))
    const rows = found(readFileSync('docs/reference/cli.md', 'utf8').replace(/^## doctor --php[^]*?^## /m, ''), /^\| `([a-z-]+)` \| (?:problem|advice|note)/gm)
    expect(codes.length).toBeGreaterThan(15)
    expect([...new Set(rows)].sort()).toEqual([...new Set(codes)].sort())
  })
})

/** Writes more than fits, in items of 1 KiB with a TTL. */
async function fill(server: MemcachedServer, count: number): Promise<void> {
  const value = 'x'.repeat(1000)
  const lines = Array.from({ length: count }, (_, index) => `set k${String(index)} 0 600 1000 noreply\r\n${value}\r\n`)
  await server.commandText(lines.join('') + 'version')
}
