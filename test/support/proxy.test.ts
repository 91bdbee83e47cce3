import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { MemcachedServer } from './memcached-server.js'
import { type Fault, FaultProxy } from './proxy.js'

/** What happened to one request: the bytes that came back, and how the connection ended. */
interface Outcome {
  readonly answer: string
  readonly end: 'open' | 'fin' | 'rst'
}

/** If no answer has come after this time, the test takes it that none comes. */
const QUIET_MS = 150
/** How long to wait for an answer that must come, on a busy machine. */
const BUSY_MS = 10_000
/** How long to wait for more after a line has come. */
const MORE_MS = 15

describe('FaultProxy', () => {
  let server: MemcachedServer
  let proxy: FaultProxy
  beforeAll(async () => {
    server = await MemcachedServer.start()
    proxy = await FaultProxy.start(server)
  })
  afterAll(async () => {
    await proxy.stop()
    await server.stop()
  })
  beforeEach(async () => {
    proxy.clear()
    // While a connection is open, a late reply could still pass, and become the one that `foreignReply` sends.
    await expect.poll(() => proxy.openConnections).toBe(0)
    await server.commandText('set n 0 0 1\r\n0')
  })

  const counter = async (): Promise<string> => /VALUE n 0 1\r\n(\d)/.exec(await server.commandText('get n'))?.[1] ?? ''

  it('passes everything on, and counts it', async () => {
    const before = { ...proxy.counts }
    expect(await ask('version\r\n')).toMatchObject({ answer: expect.stringMatching(/^VERSION/), end: 'open' })
    expect(proxy.counts.connections).toBe(before.connections + 1)
    expect(proxy.counts.requestBytes).toBe(before.requestBytes + 9)
    expect(proxy.counts.replySegments).toBe(before.replySegments + 1)
    await expect.poll(() => proxy.openConnections).toBe(0)
  })

  it.each<[Fault, string, Outcome]>([
    ['finBefore', '0', { answer: '', end: 'fin' }],
    ['rstBefore', '0', { answer: '', end: 'rst' }],
    ['fin', '1', { answer: '', end: 'fin' }],
    ['rst', '1', { answer: '', end: 'rst' }],
    ['halfReply', '1', { answer: '1\r', end: 'fin' }],
    ['dropReply', '1', { answer: '', end: 'open' }],
    ['blackHole', '0', { answer: '', end: 'open' }],
    ['replyTwice', '1', { answer: '1\r\n1\r\n', end: 'open' }],
    ['trickle', '1', { answer: '1\r\n', end: 'open' }],
    [{ delayReplyMs: 3 * QUIET_MS }, '1', { answer: '', end: 'open' }],
  ])('%s', async (fault, carriedOut, outcome) => {
    const struck = proxy.next(fault)
    const isSilent = outcome.answer === '' && outcome.end === 'open'
    expect(await ask('incr n 1\r\n', isSilent ? QUIET_MS : BUSY_MS)).toEqual(outcome)
    await struck
    await expect.poll(counter, { interval: 5 }).toBe(carriedOut)
    expect((await ask('version\r\n')).answer).toMatch(/^VERSION/)
  })

  it('carries a delayed request out even if nobody waits for it any more', async () => {
    const struck = proxy.next({ delayRequestMs: 4 * QUIET_MS })
    const socket = connect(proxy.port, proxy.host)
    await once(socket, 'connect')
    socket.write('incr n 1\r\n')
    await struck
    socket.destroy()
    expect(await counter()).toBe('0')
    await expect.poll(counter, { interval: 5 }).toBe('1')
  })

  it('forgets a reply that came for nobody', async () => {
    const answers: (() => void)[] = []
    const slow = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('data', (request: Buffer) => answers.push(() => socket.write(`to ${request.toString()}`)))
    })
    await once(slow.listen(0, '127.0.0.1'), 'listening')
    const { port } = slow.address() as AddressInfo
    await using own = await FaultProxy.start({ connect: () => connect(port, '127.0.0.1') })
    const send = async (request: string): Promise<Socket> => {
      const socket = connect(own.port, own.host).on('error', () => undefined)
      socket.write(request)
      const { length } = answers
      await expect.poll(() => answers.length, { interval: 1 }).toBe(length + 1)
      return socket
    }
    const replyTo = async (socket: Socket): Promise<string> => {
      answers.at(-1)?.()
      const [reply] = (await once(socket, 'data')) as [Buffer]
      return reply.toString()
    }
    expect(await replyTo(await send('one'))).toBe('to one')
    const impatient = await send('two')
    impatient.destroy()
    await expect.poll(() => own.openConnections, { interval: 1 }).toBe(1)
    answers.at(-1)?.()
    await expect.poll(() => own.counts.replySegments, { interval: 1 }).toBe(2)
    void own.next('foreignReply')
    expect(await replyTo(await send('three'))).toBe('to one')
    slow.close()
  })

  it('garbage, and the reply to another request', async () => {
    const garbage = proxy.next('garbage')
    expect((await ask('incr n 1\r\n')).answer).toMatch(/garbage/)
    await garbage
    await ask('get n\r\n')
    void proxy.next('foreignReply')
    expect((await ask('incr n 1\r\n')).answer).toBe('VALUE n 0 1\r\n1\r\nEND\r\n')
    expect(await counter()).toBe('2')
  })

  it('strikes what it is meant for, in line, and until it is cleared', async () => {
    void proxy.next('dropReply', { when: (request) => request.includes('incr') })
    void proxy.next('garbage', { when: (request) => request.includes('incr') })
    expect((await ask('version\r\n')).answer).toMatch(/^VERSION/)
    expect((await ask('incr n 1\r\n', QUIET_MS)).answer).toBe('')
    expect((await ask('incr n 1\r\n')).answer).toMatch(/garbage/)
    proxy.always('dropReply')
    expect((await ask('version\r\n', QUIET_MS)).answer).toBe('')
    expect((await ask('version\r\n', QUIET_MS)).answer).toBe('')
    proxy.clear()
    expect((await ask('version\r\n')).answer).toMatch(/^VERSION/)
  })

  it('after a dropped reply the same connection goes on', async () => {
    const socket = connect(proxy.port, proxy.host)
    void proxy.next('dropReply')
    const { replySegments } = proxy.counts
    expect((await exchange(socket, 'incr n 1\r\n', QUIET_MS)).answer).toBe('')
    // Before this reply, the proxy would take the next request for the second part of this one.
    await expect.poll(() => proxy.counts.replySegments).toBe(replySegments + 1)
    expect((await exchange(socket, 'incr n 1\r\n')).answer).toBe('2\r\n')
    socket.destroy()
  })

  it('shows each segment to its hooks', async () => {
    proxy.onRequest = (segment) => Buffer.from(segment.toString().replace('version', 'verbose'))
    proxy.onReply = (segment, connection) => Buffer.from(`${connection}: ${segment.toString()}`)
    expect((await ask('version\r\n')).answer).toBe(`${proxy.counts.connections}: ERROR\r\n`)
    proxy.onRequest = proxy.onReply = undefined
  })

  it('cuts every connection, refuses new ones and accepts again', async () => {
    const socket = connect(proxy.port, proxy.host)
    await exchange(socket, 'version\r\n')
    await proxy.refuse()
    expect((await exchange(socket, 'incr n 1\r\n')).answer).toBe('1\r\n')
    await expect(ask('version\r\n')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    const reset = once(socket, 'error')
    proxy.cutAll('rst')
    expect(await reset).toMatchObject([{ code: 'ECONNRESET' }])
    await proxy.acceptAgain()
    expect((await ask('version\r\n')).answer).toMatch(/^VERSION/)
  })

  /** Sends one request on a connection of its own. */
  async function ask(request: string, quietMs = BUSY_MS): Promise<Outcome> {
    const socket = connect(proxy.port, proxy.host)
    await once(socket, 'connect')
    try {
      return await exchange(socket, request, quietMs)
    } finally {
      socket.destroy()
    }
  }
})

/** Sends a request; settles at the end of the connection, or after it has been quiet for a while. */
function exchange(socket: Socket, request: string, quietMs = BUSY_MS): Promise<Outcome> {
  return new Promise((resolve) => {
    let answer = ''
    const settle = (end: Outcome['end']) => (): void => {
      clearTimeout(quiet)
      socket.removeAllListeners('data').removeAllListeners('end').removeAllListeners('error')
      socket.on('error', () => undefined)
      resolve({ answer, end })
    }
    let quiet = setTimeout(settle('open'), quietMs)
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1')
      if (!answer.endsWith('\n')) return
      clearTimeout(quiet)
      quiet = setTimeout(settle('open'), MORE_MS)
    })
    socket.once('end', settle('fin')).once('error', settle('rst'))
    socket.write(request)
  })
}
