import { once } from 'node:events'
import { createServer } from 'node:http'
import { Answers } from '../../adapters/inspector/answers.js'
import { Hub } from '../../adapters/inspector/hub.js'
import { nodeRequest, pathOf, sendAnswer } from '../../adapters/inspector/node-outlet.js'
import { isOfThisMachine } from '../../adapters/inspector/options.js'
import { ServerUnavailableError } from '../../errors.js'
import { systemClock } from '../../system/clock.js'
import { EXIT, type ExitCode } from '../report.js'
import type { Terminal } from '../terminal.js'
import type { WatchInvocation } from '../watch-invocation.js'
import { flawOf, reasonOf, RemoteSource } from './remote-source.js'

const PATH = '/latchkey'
const TRIAL_MS = 5000

/**
 * Serves the live page of running processes, on this machine, until ctrl-C. Each is asked for its events while somebody looks.
 *
 * @throws ServerUnavailableError LATCHKEY_SERVER_UNAVAILABLE: none of them can be looked at.
 */
export async function watch({ urls, headers, port }: WatchInvocation, json: boolean, terminal: Terminal, signal: AbortSignal): Promise<ExitCode> {
  const problems = await Promise.all(urls.map((url) => problemOf(url, headers, signal)))
  signal.throwIfAborted()
  const told = problems.flatMap((problem, index) => (problem === undefined ? [] : [`${urls[index]?.host ?? ''}: ${problem}`]))
  if (told.length === urls.length) throw new ServerUnavailableError(told.join('; '))
  for (const line of told) terminal.err(`${line}\n`)

  const hub = new Hub(urls.map((url) => new RemoteSource(url, headers)), systemClock, undefined)
  const answers = new Answers({ clock: systemClock, path: PATH, guard: isOfThisMachine, names: [], replay: undefined }, hub)
  const server = createServer((req, res) => {
    const url = req.url ?? ''
    if (!answers.has(pathOf(url))) res.writeHead(302, { Location: `${PATH}/` }).end()
    else answers.to(nodeRequest(req, url, req)).then((answer) => { sendAnswer(res, answer) }, () => res.destroy())
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  try {
    const address = server.address()
    const url = `http://127.0.0.1:${String(typeof address === 'object' ? address?.port : port)}${PATH}/`
    terminal.out(json ? `${JSON.stringify({ url })}\n` : `${url}\nCtrl-C ends.\n`)
    if (!signal.aborted) await once(signal, 'abort')
  } finally {
    hub.close()
    server.close()
    server.closeAllConnections()
  }
  return EXIT.fine
}

/** Why nothing can be seen there; undefined when it can. */
async function problemOf(url: URL, headers: Headers, signal: AbortSignal): Promise<string | undefined> {
  const trial = new AbortController()
  const end = (): void => {
    trial.abort(signal.reason)
  }
  signal.addEventListener('abort', end, { once: true })
  const hurry = setTimeout(() => {
    trial.abort(new Error(`no answer within ${String(TRIAL_MS)} ms`))
  }, TRIAL_MS)
  try {
    return flawOf(await fetch(new URL('events', url), { headers, redirect: 'error', signal: trial.signal }))
  } catch (error) {
    return reasonOf(error)
  } finally {
    clearTimeout(hurry)
    signal.removeEventListener('abort', end)
    trial.abort()
  }
}
