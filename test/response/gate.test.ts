import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { afterEach, expect, it } from 'vitest'
import type { Refusal } from '../../src/response/held-head.js'
import { type GateKeeper, ResponseGate } from '../../src/response/response-gate.js'

/** A response that is held back by whoever has a reason to: no session, no framework. */

const REFUSAL: Refusal = { status: 503, headers: { 'Retry-After': '7' }, message: 'not now' }

/** Decides when the test says so. */
class Keeper implements GateKeeper<Refusal> {
  readonly said: string[] = []
  readonly asked: Promise<void>
  private ask: () => void = () => undefined
  decide: (refusal?: Refusal) => void = () => undefined
  private readonly decision = new Promise<Refusal | undefined>((resolve) => (this.decide = resolve))

  constructor(private readonly res: ServerResponse) {
    this.asked = new Promise((resolve) => (this.ask = resolve))
  }

  beforeStream(isEventStream: boolean): Promise<Refusal | undefined> {
    return this.deciding(`stream ${String(isEventStream)}`)
  }
  beforeEnd(): void {
    this.said.push('end')
  }
  decided(): Promise<Refusal | undefined> {
    return this.deciding('decided')
  }
  isGivenUp(): boolean {
    return false
  }
  onBroken(error: unknown): { error: unknown; refusal: Refusal } {
    this.said.push('broken')
    return { error, refusal: REFUSAL }
  }
  onRefused({ message }: Refusal): void {
    this.said.push('refused')
    this.res.setHeader('Content-Type', 'text/plain')
    this.res.end(`page: ${message}`)
  }
  onLateFailure({ message }: Refusal): void {
    this.said.push(`late: ${message}`)
  }

  private deciding(what: string): Promise<Refusal | undefined> {
    this.said.push(what)
    this.ask()
    return this.decision
  }
}

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections()
})

/** What a client gets of what the handler does; `keeper` is there when the gate has asked for the first time. */
async function held(handler: (res: ServerResponse) => void): Promise<{ keeper: Keeper; res: ServerResponse; answer: Promise<Response> }> {
  let made: [Keeper, ServerResponse] | undefined
  const server = createServer((_req: IncomingMessage, res: ServerResponse) => {
    const keeper = new Keeper(res)
    made = [keeper, res]
    new ResponseGate(res, keeper).watchEnd()
    handler(res)
  })
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const answer = fetch(`http://127.0.0.1:${String(port)}/`)
  answer.catch(() => undefined)
  await once(server, 'request')
  const [keeper, res] = made ?? never()
  await keeper.asked
  return { keeper, res, answer }
}

const never = (): never => {
  throw new Error('no request came')
}

it('nothing leaves before it is decided; to the handler it has been sent', async () => {
  const { keeper, res, answer } = await held((res) => void res.writeHead(201, { 'X-Mine': '1' }).end('a body'))
  expect([res.headersSent, res.socket?.bytesWritten]).toEqual([true, 0])
  expect(() => res.setHeader('X-Late', '1')).toThrow(expect.objectContaining({ code: 'ERR_HTTP_HEADERS_SENT' }))
  keeper.decide()
  const { status, headers } = await answer
  expect([status, headers.get('x-mine'), await (await answer).text()]).toEqual([201, '1', 'a body'])
  expect(keeper.said).toEqual(['end', 'decided'])
})

it('what is refused is handed back without what was said of it', async () => {
  const { keeper, answer } = await held((res) => {
    res.writeHead(302, { Location: '/elsewhere', 'Set-Cookie': 'a=1', 'X-Mine': '1', 'Content-Length': '6' }).end('a body')
  })
  keeper.decide(REFUSAL)
  const { status, headers } = await answer
  expect([status, headers.get('location'), headers.get('set-cookie'), headers.get('retry-after')]).toEqual([503, null, null, '7'])
  expect(await (await answer).text()).toBe('page: not now')
  expect(keeper.said).toEqual(['end', 'decided', 'refused'])
})

it('a stream waits at its head, and goes on as it was written', async () => {
  const { keeper, res, answer } = await held((res) => {
    res.setHeader('Content-Type', 'Text/Event-Stream')
    res.write('a ')
    res.write('body')
    res.end()
  })
  expect(res.socket?.bytesWritten).toBe(0)
  keeper.decide()
  expect(await (await answer).text()).toBe('a body')
  expect(keeper.said).toEqual(['stream true', 'end', 'decided'])
})

it('a stream that is refused is answered in its place, and what it still writes is dropped', async () => {
  const { keeper, res, answer } = await held((res) => void res.write('a '))
  keeper.decide(REFUSAL)
  expect(await (await answer).text()).toBe('not now')
  expect((await answer).status).toBe(503)
  expect(res.write('body')).toBe(false)
  res.end()
  expect(keeper.said).toEqual(['stream false', 'late: not now'])
})

it('a stream that is ended twice while its head waits ends once, and tells both who asked to be told', async () => {
  const told: string[] = []
  const { keeper, answer } = await held((res) => {
    res.write('a ')
    res.end('body', () => told.push('first'))
    res.end('again', () => told.push('second'))
  })
  expect([keeper.said, told]).toEqual([['stream false', 'end'], []])
  keeper.decide()
  expect(await (await answer).text()).toBe('a body')
  expect(keeper.said).toEqual(['stream false', 'end', 'decided'])
  await expect.poll(() => told).toEqual(['first', 'second'])
})
