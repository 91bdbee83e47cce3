/** The HTTP part of `waiters`: as many requests that wait in an Express server for sessions of another process. */
import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { MemcachedServer } from '../../test/support/memcached-server.js'
import type { HttpServer } from '../processes/http-server.js'
import type { Worker } from '../processes/worker.js'
import { Child, sharedNowMs } from '../support/child.js'
import { loadExpressAdapter } from '../support/latchkey.js'
import type { RowContext } from '../support/result.js'
import { newCookies } from './http.js'

export interface WaitingRequests {
  readonly bytesEach: number
  readonly servedMs: number
  /** Why some were not served, one entry for each. */
  readonly refused: readonly string[]
}

/** Undefined when this build has no Express adapter. */
export async function waitingRequests(
  server: MemcachedServer,
  sessions: number,
  each: number,
  { progress }: RowContext,
): Promise<WaitingRequests | undefined> {
  if ((await loadExpressAdapter()) === undefined) return undefined
  progress('HTTP requests: creating sessions')
  const site = await Child.start<HttpServer>('http-server.ts', ['--expose-gc'])
  const url = `http://127.0.0.1:${String(await site.call('open', { kind: 'latchkey', address: server.address }))}/`
  const cookies = await newCookies(url, sessions)
  const holder = await Child.start<Worker>('worker.ts')
  await holder.call('open', { savePath: `tcp://${server.address}`, prefix: 'sess:', maxHoldMs: 3_600_000 })
  await holder.call('acquireAll', cookies.map(sidOf))
  await site.call('heap', null)
  progress('HTTP requests: waiting')
  const agent = new Agent({ keepAlive: true, maxSockets: Infinity })
  const answers: Promise<string>[] = []
  for (const cookie of cookies) {
    for (let request = 0; request < each; request++) answers.push(visit(url, cookie, agent))
    // Not all in one turn: the kernel's queue of new connections is short.
    await sleep(2)
  }
  await sleep(3000)
  const bytesEach = (await site.call('heap', null)) / answers.length
  progress('HTTP requests: being served')
  const releasedAtMs = sharedNowMs()
  await holder.call('letGoAll', null)
  const bodies = await Promise.all(answers)
  const servedMs = sharedNowMs() - releasedAtMs
  agent.destroy()
  site.stop()
  holder.stop()
  return { bytesEach, servedMs, refused: bodies.filter((body) => body !== 'ok') }
}

/** `connect.sid=s%3A<sid>.<signature>` */
const sidOf = (cookie: string): string => decodeURIComponent(cookie.slice(cookie.indexOf('=') + 1)).slice(2).split('.')[0] ?? ''

/** The answer's body: `ok`, or the code of an error. */
function visit(url: string, cookie: string, agent: Agent): Promise<string> {
  return new Promise((resolve) => {
    get(url, { agent, headers: { cookie } }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => (body += text))
      response.on('end', () => {
        resolve(body)
      })
    }).on('error', (error) => {
      resolve(error.message)
    })
  })
}
