/** The wire against a real memcached by every road: unix socket, IPv6, TLS, SASL, and the text protocol's own login. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/system/clock.js'
import { createMemcachedWire } from '../../src/wire/memcached/memcached-wire.js'
import { dumpKeys } from '../../src/wire/memcached/operator/key-dump.js'
import type { Reply } from '../../src/wire/wire.js'
import { writeCertificate } from '../support/certificate.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { serverOf, serversOf } from '../support/servers.js'

const PROTOCOLS = ['binary', 'text'] as const

/** Acquires and commits through a save path; the statuses of the four commands. */
async function roundTrip(savePath: string): Promise<string[]> {
  const servers = serversOf(savePath)
  const wire = createMemcachedWire({ servers, clock: systemClock })
  try {
    const value = Buffer.from('\0\r\nx')
    const [lock, record] = await wire.flight('r', [
      { op: 'add', key: 'r-lck', value, ttlSec: 9 },
      { op: 'add', key: 'r', value, ttlSec: 9, flags: 3 },
    ])
    const committed = await wire.flight('r', [
      { op: 'cas', key: 'r', value: Buffer.alloc(0), ttlSec: 9, cas: casOf(record), wantCas: true },
      { op: 'cad', key: 'r-lck', cas: casOf(lock) },
      { op: 'delete', key: 'r' },
    ])
    expect(casOf(committed[0])).not.toEqual(casOf(record))
    return [lock, record, ...committed].map((reply) => reply?.status ?? 'none')
  } finally {
    await wire.close()
  }
}

function casOf(reply: Reply | undefined): { version: string; asOf: number } {
  if (reply?.cas === undefined) throw new Error(`no CAS: ${String(reply?.status)}`)
  return reply.cas
}

const HAS_IPV6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'))

const WORKS = ['ok', 'ok', 'ok', 'ok', 'ok']

let directory = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'latchkey-transports-'))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe.concurrent.each(PROTOCOLS)('%s', (protocol) => {
  it('over a unix socket', async () => {
    await using server = await MemcachedServer.start({ unixSocket: true })
    expect(await roundTrip(`unix://${server.socketPath}?protocol=${protocol}`)).toEqual(WORKS)
    await expect(roundTrip(`unix://${server.socketPath}.not?protocol=${protocol}`)).rejects.toMatchObject({
      outcome: 'not-sent',
      cause: { cause: { code: 'ENOENT' } },
    })
  })

  it.skipIf(!HAS_IPV6)('over IPv6', async () => {
    await using server = await MemcachedServer.start({ args: ['-l', '::1'] })
    expect(await roundTrip(`tcp://[::1]:${String(server.port)}?protocol=${protocol}`)).toEqual(WORKS)
  })

  it('by a host name', async () => {
    await using server = await MemcachedServer.start()
    expect(await roundTrip(`localhost:${String(server.port)}?protocol=${protocol}`)).toEqual(WORKS)
  })
})

describe('TLS', () => {
  const file = (name: string): string => join(directory, name)
  let server: MemcachedServer | undefined
  const address = (): string => server?.address ?? ''

  beforeAll(async () => {
    for (const name of ['server', 'stranger']) writeCertificate(directory, name)
    const tls = `ssl_chain_cert=${file('server.pem')},ssl_key=${file('server.key')}`
    const verify = `,ssl_verify_mode=2,ssl_ca_cert=${file('server.pem')}`
    server = await MemcachedServer.start({ args: ['-Z', '-o', tls + verify] })
  })
  afterAll(() => server?.stop())

  const client = (): string => `cert=${file('server.pem')}&key=${file('server.key')}`

  it.each(PROTOCOLS)('with the right authority and a client certificate, %s', async (protocol) => {
    const path = `tls://${address()}?ca=${file('server.pem')}&${client()}&protocol=${protocol}`
    expect(await roundTrip(path)).toEqual(WORKS)
    expect(await roundTrip(`${path}&servername=cache.example`)).toEqual(WORKS)
    expect(await roundTrip(`tls://${address()}?verify=off&${client()}&protocol=${protocol}`)).toEqual(WORKS)
  })

  it.each([
    ['an authority that did not sign it', () => `ca=${file('stranger.pem')}&${client()}`, 'SELF_SIGNED'],
    ['no authority at all', () => client(), 'SELF_SIGNED'],
    ['another name', () => `ca=${file('server.pem')}&servername=other.example&${client()}`, 'ALTNAME'],
    ['no file', () => `ca=${file('none.pem')}`, 'ENOENT'],
  ])('refuses %s', async (_name, parameters, code) => {
    const failed = roundTrip(`tls://${address()}?${parameters()}`)
    await expect(failed).rejects.toMatchObject({
      outcome: 'not-sent',
      cause: { name: 'ConnectError', cause: { code: expect.stringContaining(code) as string } },
    })
  })

  it('says so when the server wants TLS and the save path does not', async () => {
    await expect(roundTrip(`tcp://${address()}`)).rejects.toMatchObject({ outcome: 'not-sent' })
  })
})

// Debian's memcached has no MEMCACHED_SASL_PWDB; libsasl2 asks a saslauthd, which speaks over a unix socket: four
// counted strings (user, password, service, realm), answered by a counted "OK" or "NO". No package is needed for one.
describe('SASL, in the binary protocol', () => {
  let server: MemcachedServer | undefined
  let authority: Server | undefined

  beforeAll(async () => {
    if (!hasSaslPlain()) {
      throw new Error('These tests need the PLAIN mechanism of libsasl2: install the package "libsasl2-modules".')
    }
    const mux = join(directory, 'mux')
    authority = createServer((socket) => {
      let asked = Buffer.alloc(0)
      socket.on('data', (chunk: Buffer) => {
        asked = Buffer.concat([asked, chunk])
        const [user, password, service] = countedStrings(asked)
        if (service === undefined) return
        const verdict = user === 'me' && password === 'p@ss:,é' ? 'OK' : 'NO'
        socket.end(Buffer.concat([Buffer.from([0, verdict.length]), Buffer.from(verdict)]))
      })
    })
    await new Promise<void>((resolve) => authority?.listen(mux, resolve))
    const conf = `mech_list: plain\npwcheck_method: saslauthd\nsaslauthd_path: ${mux}\n`
    writeFileSync(join(directory, 'memcached.conf'), conf)
    server = await MemcachedServer.start({ args: ['-S'], env: { SASL_CONF_PATH: directory } })
  })
  afterAll(async () => {
    await server?.stop()
    authority?.close()
  })

  const address = (): string => server?.address ?? ''
  const PASSWORD = encodeURIComponent('p@ss:,é')

  it('lets in who has the password, and takes binary by itself', async () => {
    expect(await roundTrip(`tcp://me:${PASSWORD}@${address()}`)).toEqual(WORKS)
  })

  it.each([
    ['a wrong password', () => `tcp://me:wrong@${address()}`],
    ['no password', () => `tcp://${address()}?protocol=binary`],
  ])('%s is a clear error without it', async (_name, path) => {
    const failed = roundTrip(path())
    await expect(failed).rejects.toMatchObject({ outcome: 'not-sent' })
    await expect(failed).rejects.toThrow(/authentication|credentials/)
    await expect(failed).rejects.not.toThrow(/wrong|p@ss/)
  })

  it('says what may be wrong when the protocol is text', async () => {
    await expect(roundTrip(`tcp://${address()}?protocol=text`)).rejects.toThrow('SASL')
  })

  it('never takes credentials from the environment', async () => {
    const environment = { MEMCACHIER_USERNAME: 'me', MEMCACHIER_PASSWORD: 'p@ss:,é' }
    Object.assign(process.env, environment)
    try {
      await expect(roundTrip(`tcp://${address()}?protocol=binary`)).rejects.toThrow(/authentication/)
    } finally {
      for (const name of Object.keys(environment)) Reflect.deleteProperty(process.env, name)
    }
  })
})

/** Whether libsasl2 has its plugin where Debian (in a directory of the architecture), Fedora or Alpine put it. */
function hasSaslPlain(): boolean {
  const roots = ['/usr/lib', '/usr/lib64', ...readdirSync('/usr/lib').map((name) => `/usr/lib/${name}`)]
  return roots.some((root) => existsSync(`${root}/sasl2/libplain.so`))
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

describe("the text protocol's own login", () => {
  let server: MemcachedServer | undefined
  beforeAll(async () => {
    const users = join(directory, 'users')
    writeFileSync(users, 'me:secret\n')
    server = await MemcachedServer.start({ args: ['-Y', users] })
  })
  afterAll(() => server?.stop())
  const address = (): string => server?.address ?? ''

  it('lets in who has the password', async () => {
    expect(await roundTrip(`tcp://me:secret@${address()}?protocol=text`)).toEqual(WORKS)
  })

  it.each([
    ['a wrong password', () => `tcp://me:wrong@${address()}?protocol=text`],
    ['no password', () => `tcp://${address()}?protocol=text`],
  ])('%s is a clear error', async (_name, path) => {
    await expect(roundTrip(path())).rejects.toThrow(/credentials/)
  })
})

describe('credentials for a server that wants none', () => {
  let server: MemcachedServer | undefined
  beforeAll(async () => {
    server = await MemcachedServer.start()
  })
  afterAll(() => server?.stop())
  const address = (protocol: string): string => `tcp://me:secret@${server?.address ?? ''}?protocol=${protocol}`
  const itemsStored = async (): Promise<number | undefined> => server?.stat('total_items')

  it('are not sent in text, where they would be stored for everybody to read', async () => {
    await expect(roundTrip(address('text'))).rejects.toThrow(/runs without -Y/)
    expect(await itemsStored()).toBe(0)
  })

  it('nor are they by a list of keys, nor by an operator', async () => {
    const keys = dumpKeys({ server: serverOf(address('text')), clock: systemClock, silenceMs: 2000 }, '')
    await expect(keys).rejects.toThrow(/runs without -Y/)
    expect(await itemsStored()).toBe(0)
  })

  it('nor stored in binary', async () => {
    await expect(roundTrip(address('binary'))).rejects.toThrow(/credentials|authentication/i)
    expect(await itemsStored()).toBe(0)
  })
})
